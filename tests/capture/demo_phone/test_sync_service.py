"""Pushing and pulling, request by request."""

import asyncio
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.demo_phone.adb_wire import Command
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from tests.capture.demo_phone.host import TIMEOUT, Host, host

pytestmark = pytest.mark.parametrize("demo_phone", [PhoneSpec(width=120, height=120)], indirect=True)


class Sync:
    """A `sync:` stream of a phone."""

    def __init__(self, adb: Host, stream: int) -> None:
        self._adb = adb
        self._stream = stream
        self._received = b""

    async def ask(self, data: bytes, count: int) -> bytes:
        """Send `data`, one WRTE; the next `count` bytes of the answer."""
        self._adb.send(Command.WRTE, 1, self._stream, data)
        while len(self._received) < count:
            packet = await self._adb.receive()
            if packet.command is Command.WRTE:
                self._received += packet.payload
                self._adb.send(Command.OKAY, 1, self._stream)
            elif packet.command is Command.CLSE:
                raise EOFError
        answer, self._received = self._received[:count], self._received[count:]
        return answer


def request(letters: bytes, path: bytes) -> bytes:
    return letters + struct.pack("<I", len(path)) + path


async def sync(adb: Host) -> Sync:
    await adb.connect()
    return Sync(adb, (await adb.open("sync:")).argument0)


async def test_the_requests_on_the_wire(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        stream = await sync(adb)
        send = request(b"SEND", b"/sdcard/f,33188") + b"DATA\x03\0\0\0abc" + b"DATA\x02\0\0\0de" + b"DONE\x05\0\0\0"
        assert await stream.ask(send, 8) == b"OKAY\0\0\0\0"
        assert await stream.ask(request(b"STAT", b"/sdcard/f"), 16) == b"STAT\xa4\x81\0\0\x05\0\0\0\x05\0\0\0"
        assert await stream.ask(request(b"STAT", b"/none"), 16) == b"STAT" + bytes(12)
        stat = struct.unpack("<4sIQQIIIIQqqq", await stream.ask(request(b"STA2", b"/sdcard/f"), 72))
        assert (stat[0], stat[1], stat[4], stat[8], stat[10]) == (b"STA2", 0, 0o100644, 5, 5)
        stat = struct.unpack("<4sIQQIIIIQqqq", await stream.ask(request(b"LST2", b"/none"), 72))
        assert stat[:2] == (b"LST2", 2)
        assert await stream.ask(request(b"RECV", b"/sdcard/f"), 21) == b"DATA\x05\0\0\0abcdeDONE\0\0\0\0"
        assert (await stream.ask(request(b"RECV", b"/none"), 8))[:4] == b"FAIL"
    assert demo_phone.files.read("/sdcard/f") == b"abcde"


async def test_a_folder_is_listed(demo_phone: DemoPhone) -> None:
    demo_phone.files.write("/x/name", b"abc", 0o600, 7)
    async with host(demo_phone.port) as adb:
        stream = await sync(adb)
        listed = await stream.ask(request(b"LIST", b"/x"), 44)
    assert listed == struct.pack("<4sIIII", b"DENT", 0o100600, 3, 7, 4) + b"name" + b"DONE" + bytes(16)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (request(b"NOPE", b""), b"unknown request b'NOPE'"),
        (b"STAT\xff\xff\xff\xff", b"a path of 4294967295 bytes is too long"),
        (request(b"SEND", b"/f,420") + b"DATA\x01\0\x01\0", b"oversize data message: 65537 bytes"),
        (request(b"SEND", b"/f,420") + b"QUIT\0\0\0\0", b"b'QUIT' in the middle of a file"),
    ],
)
async def test_what_is_no_request_is_answered_and_ends_the_stream(
    demo_phone: DemoPhone, asked: bytes, said: bytes
) -> None:
    async with host(demo_phone.port) as adb:
        stream = await sync(adb)
        answer = await stream.ask(asked, 8)
        length = int.from_bytes(answer[4:], "little")
        assert answer[:4] == b"FAIL"
        assert (await stream.ask(b"", length)).startswith(said)
        with pytest.raises(EOFError):
            await stream.ask(b"", 1)


async def test_a_file_where_a_folder_is_fails(demo_phone: DemoPhone) -> None:
    async with host(demo_phone.port) as adb:
        stream = await sync(adb)
        answer = await stream.ask(request(b"SEND", b"/sdcard,420") + b"DONE\0\0\0\0", 8)
        assert answer[:4] == b"FAIL"


async def test_a_phone_without_space(demo_phone: DemoPhone) -> None:
    demo_phone.faults.no_space = True
    async with host(demo_phone.port) as adb:
        stream = await sync(adb)
        answer = await stream.ask(request(b"SEND", b"/sdcard/f,420") + b"DATA\x01\0\0\0xDONE\0\0\0\0", 8)
        said = await stream.ask(b"", int.from_bytes(answer[4:], "little"))
    assert (answer[:4], said) == (b"FAIL", b"write failed: No space left on device")


@given(st.lists(st.binary(min_size=1, max_size=60), max_size=4))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_garbage_ends_the_stream_and_nothing_else(demo_phone: DemoPhone, chunks: list[bytes]) -> None:
    async with host(demo_phone.port) as adb:
        await adb.connect()
        stream = (await adb.open("sync:")).argument0
        for chunk in chunks:
            adb.send(Command.WRTE, 1, stream, chunk)
            while (answer := await adb.receive()).command is Command.WRTE:
                adb.send(Command.OKAY, 1, stream)
            if answer.command is Command.CLSE:
                break
        assert (await adb.open("exec:true", local_id=2)).command in (Command.OKAY, Command.WRTE, Command.CLSE)
    async with asyncio.timeout(TIMEOUT):
        while list(demo_phone.processes):
            await asyncio.sleep(0.001)

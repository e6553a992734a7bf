"""A recorder's connection by itself, on both event loops."""

import asyncio
import fcntl
import socket
import struct
import termios
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from capture.adb.recorder import Recorder
from capture.adb.wire import EXIT, STDERR, STDOUT
from encoders.access_unit import AccessUnit
from tests.capture.adb.fake_recorder import idr, slice_
from tests.capture.adb.fake_server import TIMEOUT, packet
from tests.waiting import until

Run = Callable[[Coroutine[Any, Any, None]], None]

runs = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


class Owner:
    """Remembers what a recorder tells."""

    def __init__(self) -> None:
        self.pictures: asyncio.Queue[AccessUnit] = asyncio.Queue()
        self.torn_pictures = 0
        self.is_ended = asyncio.Event()

    def picture(self, recorder: Recorder, access_unit: AccessUnit) -> None:
        self.pictures.put_nowait(access_unit)

    def torn(self, recorder: Recorder) -> None:
        self.torn_pictures += 1

    def ended(self, recorder: Recorder) -> None:
        self.is_ended.set()

    async def next_picture(self) -> AccessUnit:
        async with asyncio.timeout(TIMEOUT):
            return await self.pictures.get()


@asynccontextmanager
async def connected(
    quiet: float, *, is_raw: bool = False
) -> AsyncIterator[tuple[Owner, Recorder, socket.socket, socket.socket]]:
    """An owner, its recorder, and the recorder's and the phone's end of the connection."""
    owner = Owner()
    recorder = Recorder(owner, 1, quiet, is_raw=is_raw)
    ours, phone = socket.socketpair()
    ours.setblocking(False)
    with phone:
        await asyncio.get_running_loop().create_connection(lambda: recorder, sock=ours)
        try:
            yield owner, recorder, ours, phone
        finally:
            recorder.close()
            async with asyncio.timeout(TIMEOUT):
                await owner.is_ended.wait()


def unread(connection: socket.socket) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.FIONREAD, bytes(4)))[0]
    return count


@runs
def test_pictures_errors_and_the_exit_code_are_told_apart(run: Run) -> None:
    async def scenario() -> None:
        async with connected(0.01) as (owner, recorder, _, phone):
            phone.sendall(packet(STDERR, b"a warning\n") + packet(STDOUT, idr(1)[:30]) + packet(STDOUT, idr(1)[30:]))
            assert (await owner.next_picture()).is_keyframe
            phone.sendall(packet(STDOUT, slice_(2)) + packet(EXIT, b"\x05"))
            assert not (await owner.next_picture()).is_keyframe
            phone.close()
            async with asyncio.timeout(TIMEOUT):
                await owner.is_ended.wait()
            assert (recorder.message, recorder.exit_code, owner.torn_pictures) == ("a warning", 5, 0)

    run(scenario())


@runs
def test_a_busy_event_loop_is_not_a_quiet_pipe(run: Run) -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        data = idr(1, size=3_001)

        def be_busy() -> None:
            """Hold the loop in the midst of its reading: the rest of the picture and the quiet time come meanwhile."""
            loop.remove_reader(other)
            phone.sendall(data[1_501:])
            time.sleep(0.05)

        other, ready = socket.socketpair()
        async with connected(0.02, is_raw=True) as (owner, _, ours, phone):
            with other, ready:
                phone.sendall(data[:1_501])
                await until(lambda: not unread(ours), pause=0)
                loop.add_reader(other, be_busy)
                ready.sendall(b"now")
                assert len((await owner.next_picture()).nal_units[-1]) == 3_003
            phone.sendall(slice_(2))
            await owner.next_picture()
            assert owner.torn_pictures == 0

    run(scenario())


@runs
def test_closing_closes_the_connection_and_tells_why(run: Run) -> None:
    async def scenario() -> None:
        async with connected(0.01) as (owner, recorder, _, phone):
            phone.sendall(packet(STDOUT, idr(1)[:40]))
            recorder.close("enough")
            recorder.close()
            async with asyncio.timeout(TIMEOUT):
                await owner.is_ended.wait()
            assert recorder.message == "enough"
            assert owner.pictures.empty()

    run(scenario())

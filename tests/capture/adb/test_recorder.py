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

from capture.adb.recorder import Recorder, screenrecord_command
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.input_events import VideoSize
from encoders.access_unit import AccessUnit
from encoders.annexb import split_nal_units
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
        self.texts: list[str] = []
        self.is_ended = asyncio.Event()

    def picture(self, recorder: Recorder, access_unit: AccessUnit) -> None:
        self.pictures.put_nowait(access_unit)

    def torn(self, recorder: Recorder) -> None:
        self.torn_pictures += 1

    def printed(self, recorder: Recorder, text: str) -> None:
        self.texts.append(text)

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
def test_the_rest_of_a_picture_ends_a_long_wait_for_it(run: Run) -> None:
    async def scenario() -> None:
        data = idr(1, size=3_001)
        async with connected(10 * TIMEOUT, is_raw=True) as (owner, recorder, _, phone):
            phone.sendall(data[:1_501])
            await until(lambda: recorder.last_at)
            recorder.quiet = 0.01
            phone.sendall(data[1_501:])

            assert (await owner.next_picture()).nal_units == tuple(split_nal_units(data))

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


@runs
def test_the_end_by_itself_is_behind_a_whole_picture(run: Run) -> None:
    async def scenario() -> None:
        for exit_code, pictures in ((0, 2), (137, 1)):
            async with connected(5.0) as (owner, _, _, phone):
                phone.sendall(packet(STDOUT, idr(1)) + packet(STDOUT, slice_(2)) + packet(EXIT, bytes([exit_code])))
                phone.close()
                async with asyncio.timeout(TIMEOUT):
                    await owner.is_ended.wait()
                assert owner.pictures.qsize() == pictures

    run(scenario())


@runs
def test_words_are_told_from_the_rest_of_a_torn_picture(run: Run) -> None:
    async def scenario() -> None:
        async with connected(0.01, is_raw=True) as (owner, _, _, phone):
            phone.sendall("W/größe: vorläufig\n".encode() + idr(1))
            await owner.next_picture()
            for words in (b"a warning\r\n", b"another\n\0\0", b"a warning\r\n"):
                phone.sendall(words)
                phone.sendall(slice_(2))
                assert (await owner.next_picture()).nal_units == (b"\x41\x9a" + 40 * b"\x02",)
            assert owner.texts == ["W/größe: vorläufig", "a warning", "another"]
            assert owner.torn_pictures == 0
            phone.sendall(b"ab\x01 is no text" + slice_(3) + slice_(4))
            await until(lambda: owner.torn_pictures)
            assert owner.pictures.empty()

    run(scenario())


@runs
@pytest.mark.parametrize("size", [1, 2, 7])
def test_words_in_many_pieces(run: Run, size: int) -> None:
    """Pieces of at least four bytes are words; less may be what was left of a picture."""

    async def scenario() -> None:
        async with connected(0.01, is_raw=True) as (owner, _, ours, phone):
            phone.sendall(idr(1))
            await owner.next_picture()
            for start in range(0, 21, size):
                phone.sendall(b"three words of text\n\n"[start : start + size])
                await until(lambda: not unread(ours), pause=0)
            phone.sendall(slice_(2) + idr(3))
            await until(lambda: owner.pictures.qsize() == (2 if size == 7 else 1))
            assert owner.torn_pictures == (0 if size == 7 else 1)

    run(scenario())


def test_what_no_recorder_takes() -> None:
    with pytest.raises(ValueError, match="bit rate of 0"):
        screenrecord_command(None, 0, has_limit=True)
    for size in (VideoSize(721, 1280), VideoSize(720, 0)):
        with pytest.raises(ValueError, match=f"{size.width}x{size.height} is impossible"):
            screenrecord_command(size, 1, has_limit=True)

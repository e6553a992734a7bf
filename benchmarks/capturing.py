"""Captures phones and keeps what comes; when the window is over, looks whether it is what the phones put out.

python -m benchmarks.capturing WAY ADB_PORT ADB_PROCESS SETTLE SECONDS SERIAL...     prints a `CaptureStage`, as JSON
"""

import asyncio
import logging
import os
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate, chain
from pathlib import Path
from typing import Final, Protocol, cast

import structlog
import uvloop

from benchmarks.capture_stage import CaptureStage, Flow, Way, serialize
from benchmarks.clip import decode
from benchmarks.clip_media import PACKETS_PER_LOOP
from benchmarks.machine import cpu_seconds, waited_seconds
from benchmarks.measurement import quantile
from benchmarks.put_out import COMMAND, PICTURES, SOUND, Comparison, Piece, compare, digest
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.recorder import screenrecord_command
from capture.adb.screen import read_screen_size
from capture.demo_phone.scrcpy import make_jar
from capture.encoded_source import EncodedSource, Encoding
from capture.input_events import VideoSize
from capture.rawvideo import open_rawvideo
from capture.scrcpy import ScrcpyServer, ScrcpySource, open_scrcpy, parse_version
from capture.screencap import open_screencap
from capture.screenrecord import ScreenrecordSource, open_screenrecord
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket
from encoders.sound_format import SoundFormat
from media_service import memory

_BEGIN_TIMEOUT: Final = 30.0
_ARRIVAL_TIMEOUT: Final = 3.0
"""Seconds after which a piece that has not come is lost."""
_RECENT: Final = 25
"""Pieces that may come after the one that is waited for; fewer than those after which a phone repeats itself."""

_BIT_RATE: Final = 2_000_000
_FRAME_RATE: Final = 30
_BOX: Final = VideoSize(1280, 720)
_PRESET: Final = "faster"  # these four are the service's own defaults


@dataclass(frozen=True, slots=True)
class _Window:
    began_at: float
    ended_at: float

    def __contains__(self, moment: float) -> bool:
        return self.began_at <= moment < self.ended_at


@dataclass(frozen=True, slots=True)
class _Arrivals:
    """What came of one stream of one phone."""

    count: int
    """In the window."""
    latencies: list[float]
    put_out: int
    comparison: Comparison


class _Capture(Protocol):
    """A phone that is being captured."""

    serial: str
    opened_at: float

    @property
    def has_begun(self) -> bool:
        """Whether anything has come."""
        ...

    def has(self, stream: str, put_out: Sequence[Piece]) -> bool:
        """Whether the last of these has come, and is one of the last few that have."""
        ...

    def compare(self, stream: str, put_out: Sequence[Piece], due: int) -> tuple[Comparison, list[float]]:
        """What of it has come, and when each that has come came."""
        ...

    async def aclose(self) -> None:
        """End it."""
        ...


class _BytesCapture(asyncio.Protocol):
    """Counts the bytes of a recorder."""

    def __init__(self, serial: str, opened_at: float) -> None:
        self.serial = serial
        self.opened_at = opened_at
        self._moments: list[float] = []
        self._totals: list[int] = []
        self._total = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._total += len(data)
        self._totals.append(self._total)
        self._moments.append(time.monotonic())

    @property
    def has_begun(self) -> bool:
        return bool(self._totals)

    def has(self, stream: str, put_out: Sequence[Piece]) -> bool:
        return self._total >= sum(piece.size for piece in put_out)

    def compare(self, stream: str, put_out: Sequence[Piece], due: int) -> tuple[Comparison, list[float]]:
        ends = [bisect_left(self._totals, total) for total in accumulate(piece.size for piece in put_out)]
        moments = [self._moments[end] for end in ends if end < len(self._moments)]
        pairs = tuple((number, number) for number in range(len(moments)))
        return Comparison(pairs, max(0, due - len(moments)), 0), moments

    async def aclose(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _SourceCapture:
    """Keeps what a source gives, to be looked at later: that costs nothing now."""

    def __init__(
        self, serial: str, opened_at: float, source: ScrcpySource | ScreenrecordSource | EncodedSource
    ) -> None:
        self.serial = serial
        self.opened_at = opened_at
        self.source = source
        self.pictures: list[AccessUnit] = []
        self._picture_moments: list[float] = []
        self._sound: list[bytes] = []
        self._sound_moments: list[float] = []
        source.on_audio = self._hear

    @property
    def has_begun(self) -> bool:
        return bool(self.pictures)

    async def read(self) -> None:
        async for access_unit in self.source:
            self._picture_moments.append(time.monotonic())
            self.pictures.append(access_unit)

    def _hear(self, packet: AudioPacket) -> None:
        self._sound_moments.append(time.monotonic())
        self._sound.append(packet.data)

    def has(self, stream: str, put_out: Sequence[Piece]) -> bool:
        return put_out[-1].digest in self._digests(stream, _RECENT)

    def compare(self, stream: str, put_out: Sequence[Piece], due: int) -> tuple[Comparison, list[float]]:
        # Sound that comes before anybody listens is nobody's loss.
        missed = PACKETS_PER_LOOP if stream == SOUND else 0
        comparison = compare([piece.digest for piece in put_out], self._digests(stream), due=due, missed=missed)
        return comparison, self._picture_moments if stream == PICTURES else self._sound_moments

    def coded_here(self, window: _Window) -> _Arrivals:
        """The pictures of a source that codes them itself."""
        pairs = zip(self.pictures, self._picture_moments, strict=True)
        latencies = [moment - access_unit.captured_at for access_unit, moment in pairs if moment in window]
        return _Arrivals(len(latencies), latencies, 0, Comparison((), 0, 0))

    async def aclose(self) -> None:
        await self.source.aclose()

    def _digests(self, stream: str, newest: int = 0) -> list[str]:
        if stream == PICTURES:
            return [digest(access_unit.nal_units) for access_unit in self.pictures[-newest:]]
        return [digest([packet]) for packet in self._sound[-newest:]]


@asynccontextmanager
async def _captured(way: Way, client: AdbClient, serial: str, server: ScrcpyServer | None) -> AsyncIterator[_Capture]:
    """Capture a phone. What goes wrong with it is raised in the body, as an exception group."""
    opened_at = time.monotonic()
    if way is Way.BYTES:
        capture = _BytesCapture(serial, opened_at)
        await client.open_service(serial, f"exec:{screenrecord_command(None, _BIT_RATE, has_limit=False)}", capture)
        yield capture
        await capture.aclose()
        return
    source = _SourceCapture(serial, opened_at, await _open(way, client, serial, server))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(source.read())
        try:
            yield source
        finally:
            await source.aclose()


async def _open(
    way: Way, client: AdbClient, serial: str, server: ScrcpyServer | None
) -> ScrcpySource | ScreenrecordSource | EncodedSource:
    encoding = Encoding(bit_rate=_BIT_RATE, frame_rate=_FRAME_RATE, preset=_PRESET)
    if server is not None:
        sound = SoundFormat() if way.has_sound else None
        return await open_scrcpy(
            client, serial, server, max_size=_BOX.width, bit_rate=_BIT_RATE, frame_rate=_FRAME_RATE, sound=sound
        )
    if way is Way.RAWVIDEO:
        size = await read_screen_size(client, serial)
        return await open_rawvideo(client, serial, size=size, encoding=encoding, has_limit=True)
    if way is Way.SCREENCAP:
        return await open_screencap(client, serial, box=_BOX, encoding=encoding)
    return await open_screenrecord(client, serial, bit_rate=_BIT_RATE)


async def measure(
    way: Way,
    client: AdbClient,
    adb_process: int,
    serials: Sequence[str],
    settle: float,
    seconds: float,
    folder: Path,
) -> CaptureStage:
    """Capture the phones over one window, `settle` seconds after all have begun; `folder` is for scrcpy's server."""
    server = None
    if way.scrcpy_version is not None:
        jar = folder / "scrcpy-server"
        jar.write_bytes(make_jar(way.scrcpy_version))
        server = ScrcpyServer(jar, parse_version(way.scrcpy_version))
    process = os.getpid()
    async with AsyncExitStack() as stack:
        captures = [await stack.enter_async_context(_captured(way, client, serial, server)) for serial in serials]
        await _until(lambda: all(capture.has_begun for capture in captures), _BEGIN_TIMEOUT)
        memory.settle()
        await asyncio.sleep(settle)
        began_at = time.monotonic()
        cpu, adb_cpu, waited = cpu_seconds(process), cpu_seconds(adb_process), waited_seconds(process)
        await asyncio.sleep(seconds)
        window = _Window(began_at, time.monotonic())
        elapsed = window.ended_at - window.began_at
        cpu, adb_cpu = cpu_seconds(process) - cpu, cpu_seconds(adb_process) - adb_cpu
        waited = waited_seconds(process) - waited
        sources = [capture for capture in captures if isinstance(capture, _SourceCapture)]
        if way.is_coded_here:
            flows = [_flow([source.coded_here(window) for source in sources])]
        else:
            streams = (PICTURES, SOUND) if way.has_sound else (PICTURES,)
            arrivals = await asyncio.gather(*(_arrivals(client, capture, streams, window) for capture in captures))
            flows = [_flow(of_all) for of_all in zip(*arrivals, strict=True)]
    sample = [access_unit.nal_units for source in sources[:1] for access_unit in source.pictures]
    return CaptureStage(
        way=way,
        phones=len(serials),
        seconds=elapsed,
        core=cpu / elapsed,
        waited=waited / elapsed,
        adb_core=adb_cpu / elapsed,
        pictures=flows[0],
        sound=flows[1] if way.has_sound else None,
        dropped=sum(sum(source.source.dropped.values()) for source in sources),
        sample=len(sample),
        decoded=decode(sample),
    )


async def _arrivals(
    client: AdbClient, capture: _Capture, streams: Sequence[str], window: _Window
) -> tuple[_Arrivals, ...]:
    """Wait for all that the phone has put out by now, end the capture, and compare."""
    due = [await _put_out(client, capture, stream) for stream in streams]
    try:
        for stream, pieces in zip(streams, due, strict=True):
            await _until(lambda: capture.has(stream, pieces), _ARRIVAL_TIMEOUT)  # noqa: B023 - it is not kept
    except TimeoutError:
        pass  # It is lost.
    await capture.aclose()  # What comes now would not be in the list.
    put_out = [await _put_out(client, capture, stream) for stream in streams]
    return tuple(
        _compared(capture, stream, pieces, len(before), window)
        for stream, before, pieces in zip(streams, due, put_out, strict=True)
    )


def _compared(capture: _Capture, stream: str, put_out: Sequence[Piece], due: int, window: _Window) -> _Arrivals:
    comparison, moments = capture.compare(stream, put_out, due)
    latencies = [
        moments[arrived] - put_out[number].written_at
        for number, arrived in comparison.arrived
        if moments[arrived] in window
    ]
    return _Arrivals(sum(moment in window for moment in moments), latencies, due, comparison)


async def _put_out(client: AdbClient, capture: _Capture, stream: str) -> list[Piece]:
    """What the phone has put out by now, for this capture."""
    answer = await client.shell(capture.serial, command_line([COMMAND, stream]), check=True)
    pieces = map(Piece.parse, answer.stdout.splitlines())
    return [piece for piece in pieces if piece.written_at >= capture.opened_at]


def _flow(of_all: Sequence[_Arrivals]) -> Flow:
    latencies = sorted(chain.from_iterable(arrivals.latencies for arrivals in of_all))
    return Flow(
        arrived=sum(arrivals.count for arrivals in of_all),
        latency_p50=quantile(latencies, 0.5),
        latency_p99=quantile(latencies, 0.99),
        latency_maximum=quantile(latencies, 1.0),
        put_out=sum(arrivals.put_out for arrivals in of_all),
        lost=sum(arrivals.comparison.lost for arrivals in of_all),
        foreign=sum(arrivals.comparison.foreign for arrivals in of_all),
    )


async def _until(condition: Callable[[], bool], timeout: float) -> None:
    """Raises `TimeoutError`."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - what comes is only kept, and wakes nobody
            await asyncio.sleep(0.01)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    way, adb_port, adb_process, settle, seconds, *serials = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        client = AdbClient(port=int(adb_port))
        stage = uvloop.run(
            measure(Way[way], client, int(adb_process), serials, float(settle), float(seconds), Path(folder))
        )
    print(serialize(stage), flush=True)


if __name__ == "__main__":
    main()

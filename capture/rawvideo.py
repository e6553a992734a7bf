"""The phone's screen as bare pixels, by `screenrecord --output-format=raw-frames` over adb, coded here.

For phones and images without an H.264 encoder of their own. It costs some hundred times the bytes of the coded stream
on the way here: 83 MB/s for 720x1280 at 30 pictures per second.

What AOSP's recorder does (frameworks/av cmds/screenrecord, screenrecord.cpp and FrameOutput.cpp, read in Android 8's
to 12's sources): a frame whenever the display has composed a new one, at most at the display's rate, and one at its
start; nothing while the screen is still. Its loop looks neither at the time limit, which some vendors' recorders do,
nor at the screen's rotation: a turned screen needs another recorder.

As with `capture.screenrecord` one recorder follows the other without a gap. It is simpler here, because the encoder is
ours: any frame of the next recorder goes on where the one before stopped.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from capture.adb.client import AdbClient
from capture.adb.command_line import CommandLine, command_line, service_of
from capture.encoded_source import EncodedSource, Encoding
from capture.errors import AdbError, AdbTimeout, SourceEnded
from capture.input_events import VideoSize
from capture.raw_frames import RawFrame, RawFrameParser
from capture.raw_output import RawOutput
from capture.recording_schedule import RENEW_AFTER
from capture.source import SourceFacts

ATTEMPTS: Final = 3
"""Recorders in a row that may fail before the source gives up."""


@dataclass(frozen=True, slots=True)
class RawvideoTimes:
    """When recorders are started and what is expected of them, in seconds."""

    renew_after: float | None = None
    """A recorder is replaced at this age; None for never."""
    longest_silence: float = 20.0
    """So is one that has sent nothing for so long: the screen is still, or the recorder or the phone hangs."""
    first_frame: float = 5.0
    """A recorder has failed if it has no frame by then."""
    short_life: float = 1.0
    """A recorder that ends earlier has failed too."""
    first_delay: float = 0.1
    """Lies before the next start after a failure, twice as long after each further one, up to `longest_delay`."""
    longest_delay: float = 2.0


log = structlog.get_logger(__name__)


async def open_rawvideo(
    client: AdbClient, serial: str, *, size: VideoSize, encoding: Encoding, has_limit: bool
) -> "RawvideoSource":
    """Start recording the screen of the device `serial` in frames of `size`.

    `has_limit` says whether its recorders may end at 180 s, as they do below Android 14. Raises `AdbError` when the
    device cannot be reached; that it cannot record is told by the first picture's `SourceEnded`.
    """
    is_raw = await client.lacks_shell_v2(serial)
    times = RawvideoTimes(renew_after=RENEW_AFTER if has_limit else None)
    source = RawvideoSource(client, serial, size=size, encoding=encoding, is_raw=is_raw, times=times)
    source.start()
    return source


def raw_frames_command(size: VideoSize) -> CommandLine:
    """The recorder's command line; raises `ValueError` for a size that it does not take."""
    if size.width < 1 or size.height < 1:
        raise ValueError(f"a video of {size.width}x{size.height} is impossible: both must be 1 or more")
    words = ["screenrecord", "--output-format=raw-frames", "--size", f"{size.width}x{size.height}", "-"]
    return command_line(words)


class _Recorder:
    """One run of `screenrecord`."""

    def __init__(self, owner: "RawvideoSource", size: VideoSize, *, is_raw: bool) -> None:
        self.size = size
        self.started_at = time.monotonic()
        self.was_silent = False
        """Whether it was given up because it had no frame."""
        self.output = RawOutput(self._take, self._ended, is_raw=is_raw)
        self._owner = owner
        self._parser = RawFrameParser(size)

    @property
    def message(self) -> str:
        """What it said instead of, or beside, its frames."""
        words = " ".join(filter(None, (self._parser.text, self.output.complaint.strip())))
        return words or f"exit code {self.output.exit_code}"

    @property
    def last_at(self) -> float:
        """When it last sent something, or was started."""
        return max(self.started_at, self.output.last_at)

    def _take(self, data: memoryview) -> None:
        for frame in self._parser.feed(data, self.output.last_at):
            self._owner.frame(self, frame)

    def _ended(self) -> None:
        self._owner.ended(self)


class RawvideoSource(EncodedSource):
    """One device's screen, recorded there and coded here; fits `capture.source.Source`.

    Iteration raises `SourceEnded`, with the recorder's own words, when recorders keep failing, and an `AdbError` when
    the device is gone or does not answer any more (`RawvideoTimes`).
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        *,
        size: VideoSize,
        encoding: Encoding,
        is_raw: bool = False,
        times: RawvideoTimes = RawvideoTimes(),
    ) -> None:
        """With `is_raw`, for devices without shell v2, recorders run by `exec`. `start` begins the recording."""
        raw_frames_command(size)
        reason = "the phone's screenrecord writes bare pixels, which are coded here"
        facts = SourceFacts(kind="rawvideo", reason=reason, keyframe_on_demand=True, is_coded_here=True)
        super().__init__(facts, encoding)
        self.recorders = 0
        """Recorders that were started so far."""
        self._client = client
        self._serial = serial
        self._size = size
        self._is_raw = is_raw
        self._times = times
        self._live: _Recorder | None = None
        self._next: _Recorder | None = None
        self._asked_at = 0.0
        self._moved = asyncio.Event()

    def use_size(self, size: VideoSize) -> None:
        """Go on in frames of another size, as when the screen was turned.

        Raises `ValueError` for a size that is none.
        """
        raw_frames_command(size)
        self._size = size
        self._moved.set()

    async def aclose(self) -> None:
        """End all recorders; see `Source.aclose`."""
        await super().aclose()
        for recorder in (self._live, self._next):
            if recorder is not None:
                await recorder.output.until_end()

    def frame(self, recorder: _Recorder, frame: RawFrame) -> None:
        """A recorder has a frame; its first one makes it the live one."""
        if recorder is self._next:
            before, self._live, self._next = self._live, recorder, None
            if before is not None:
                before.output.close()
            self._moved.set()
        if recorder is self._live:
            self.offer(frame)

    def ended(self, recorder: _Recorder) -> None:
        """A recorder gives no more frames."""
        if recorder is self._live:
            self._live = None
        elif recorder is self._next:
            self._next = None
        self._moved.set()

    async def capture(self) -> None:
        """Start one recorder after the other, each when it is due; ends by an error only."""
        try:
            await self._supervise()
        finally:
            for recorder in (self._live, self._next):
                if recorder is not None:
                    recorder.output.close()

    async def _supervise(self) -> None:
        times = self._times
        failures = 0
        complaint = ""
        while self._live is not None or failures < ATTEMPTS:
            if failures:
                await asyncio.sleep(min(times.first_delay * 2.0 ** min(failures - 1, 10), times.longest_delay))
            try:
                recorder = await self._start_recorder()
            except AdbError as error:
                if self._live is None or (isinstance(error, AdbTimeout) and self._live.last_at < self._asked_at):
                    raise
                failures += 1  # The frames flow on meanwhile.
                complaint = str(error)
                continue
            if await self._becomes_live(recorder):
                await self._until_next_is_due(recorder)
                if recorder is self._live or time.monotonic() - recorder.started_at >= times.short_life:
                    failures = 0
                    continue
            elif recorder.size != self._size:
                continue
            elif recorder.was_silent and self._live is not None:
                await self._until_next_is_due(self._live)  # A screen that is off has no frame to begin with.
                continue
            failures += 1
            complaint = recorder.message
        raise SourceEnded(f"screenrecord on {self._serial!r} gave no raw frames {failures} times in a row: {complaint}")

    async def _start_recorder(self) -> _Recorder:
        self.recorders += 1
        self._asked_at = time.monotonic()
        self._next = recorder = _Recorder(self, self._size, is_raw=self._is_raw)
        service = service_of(raw_frames_command(self._size), is_raw=self._is_raw)
        try:
            await self._client.open_service(self._serial, service, recorder.output)
        except BaseException:
            recorder.output.close()
            self._next = None
            raise
        log.debug("raw recorder started", device=self._serial, size=f"{recorder.size.width}x{recorder.size.height}")
        return recorder

    async def _becomes_live(self, recorder: _Recorder) -> bool:
        """Wait for the recorder's first frame, for its end, or until it is of no use."""
        try:
            async with asyncio.timeout(self._times.first_frame):
                while recorder is self._next and recorder.size == self._size:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            recorder.was_silent = True
            recorder.output.close(f"no frame within {self._times.first_frame:g} s")
        else:
            if recorder is self._next:
                recorder.output.close()
        return recorder is self._live

    async def _until_next_is_due(self, recorder: _Recorder) -> None:
        """Wait until the live recorder has ended or is to be replaced."""
        times = self._times
        while recorder is self._live and recorder.size == self._size:
            due = max(recorder.last_at, self._asked_at) + times.longest_silence
            if times.renew_after is not None:
                due = min(due, self._asked_at + times.renew_after)
            left = due - time.monotonic()
            if left <= 0:
                return
            self._moved.clear()
            try:
                async with asyncio.timeout(left):
                    await self._moved.wait()
            except TimeoutError:
                pass  # It may have sent something meanwhile.

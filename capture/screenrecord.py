"""The phone's own H.264, by `screenrecord` over adb: the `adb:` source.

`screenrecord` can do little: it ends after 180 s below Android 14, has a keyframe every 10 s at best and none on
request, and anyone on the phone may end it. So the source runs one recorder after the other and splices them, and its
reader sees one stream:

    first   IDR P P P P P P P P P P P P                 its pictures flow until the second's keyframe
    second               start .... IDR P P P P P       then only the second's, and the first is ended
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import structlog

from capture.access_unit_queue import AccessUnitQueue
from capture.adb.client import AdbClient
from capture.adb.command_line import CommandLine, command_line
from capture.adb.recorder import Recorder
from capture.controller import Controller
from capture.errors import AdbError, SourceEnded
from capture.input_events import VideoSize
from capture.source import AudioSink, SourceFacts, ignore_audio
from capture.splice import Splice
from encoders.access_unit import AccessUnit

QUEUE_LIMIT = 64
"""Pictures that wait for a slow reader: two seconds."""

ATTEMPTS = 5
"""Recorders in a row that may fail before the source gives up."""

SDK_WITHOUT_LIMIT = 34
"""Android 14's API level: from it on `--time-limit 0` means none."""

RENEW_AFTER = 175.0
"""Seconds after which a recorder that the phone ends at 180 s is replaced."""


@dataclass(frozen=True, slots=True)
class RecordingTimes:
    """When recorders are started and what is expected of them, in seconds."""

    quiet: float = 0.008
    """Without a byte for so long, the pending picture is taken to be whole."""
    longest_quiet: float = 0.1
    """`quiet` is doubled up to this each time a picture was torn by it."""
    renew_after: float | None = None
    """A recorder is replaced at this age; None for never."""
    keyframe_interval: float = 2.0
    """Lies at least between two starts when keyframes are asked for: each start costs the phone an encoder."""
    first_picture: float = 10.0
    """A recorder has failed if it has no keyframe by then."""
    short_life: float = 1.0
    """A recorder that ends earlier has failed too."""
    first_delay: float = 0.1
    """Lies before the next start after a failure, twice as long after each further one, up to `longest_delay`."""
    longest_delay: float = 2.0


log = structlog.get_logger(__name__)


async def open_screenrecord(
    client: AdbClient, serial: str, *, size: VideoSize | None = None, bit_rate: int
) -> "ScreenrecordSource":
    """Start recording the screen of the device `serial`, at `bit_rate` bits per second.

    Without `size` the phone chooses, usually the screen's own. Raises `AdbError` when the device cannot be reached;
    that it cannot record is told by the first picture's `SourceEnded`.
    """
    answer = await client.shell(serial, command_line(["getprop", "ro.build.version.sdk"]))
    sdk = int(answer.stdout) if answer.stdout.strip().isdecimal() else 0
    has_limit = sdk < SDK_WITHOUT_LIMIT
    command = screenrecord_command(size, bit_rate, has_limit=has_limit)
    is_raw = "shell_v2" not in await client.features(serial)
    reason = f"the phone's own screenrecord (Android API level {sdk or 'unknown'}), its H.264 passed on as it is"
    times = RecordingTimes(renew_after=RENEW_AFTER if has_limit else None)
    source = ScreenrecordSource(client, serial, command, reason=reason, is_raw=is_raw, times=times)
    source.start()
    return source


def screenrecord_command(size: VideoSize | None, bit_rate: int, *, has_limit: bool) -> CommandLine:
    """The recorder's command line; raises `ValueError` for a bit rate or size that no recorder takes."""
    if bit_rate < 1:
        raise ValueError(f"a bit rate of {bit_rate} is impossible: it must be 1 or more")
    words = ["screenrecord", "--output-format=h264", "--bit-rate", str(bit_rate)]
    if size is not None:
        if size.width < 2 or size.height < 2 or size.width % 2 or size.height % 2:
            raise ValueError(f"a video of {size.width}x{size.height} is impossible: both must be even and at least 2")
        words += ["--size", f"{size.width}x{size.height}"]
    if not has_limit:
        words += ["--time-limit", "0"]
    return command_line([*words, "-"])


class ScreenrecordSource:
    """One device's screen as its own recorder codes it; fits `capture.source.Source`.

    Iteration raises `SourceEnded`, with the recorder's own words, when recorders keep failing, and an `AdbError` when
    the device is gone. Recorders are replaced before they end, when a keyframe is asked for and whenever one
    ends by itself (`RecordingTimes`).
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        command: CommandLine,
        *,
        reason: str,
        is_raw: bool = False,
        times: RecordingTimes = RecordingTimes(),
    ) -> None:
        """With `is_raw`, for devices without shell v2, recorders run by `exec`. `start` begins the recording."""
        self.facts = SourceFacts(kind="screenrecord", reason=reason, keyframe_on_demand=False)
        self.on_audio: AudioSink = ignore_audio
        self.controller: Controller | None = None
        self.recorders = 0
        """Recorders that were started so far."""
        self._client = client
        self._serial = serial
        # Behind the shell's `exec` the recorder is the process that adbd sends SIGHUP when the service is closed: it
        # ends at once. Otherwise it ends at its next picture, which on a still screen may never come.
        self._service = f"exec:{command}" if is_raw else f"shell,v2,raw:exec {command}"
        self._is_raw = is_raw
        self._times = times
        self._quiet = times.quiet
        self._splice = Splice()
        self._queue = AccessUnitQueue(QUEUE_LIMIT)
        self._live: Recorder | None = None
        self._next: Recorder | None = None
        self._wants_keyframe = False
        self._changed = asyncio.Event()
        self._dropped: Counter[str] = Counter()
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        """Pictures that did not get into the stream, by reason: `slow_reader`, `torn`, `no_keyframe`."""
        return {**self._dropped, "slow_reader": self._queue.dropped}

    def start(self) -> None:
        """Begin to record; once, before the iteration."""
        self._supervisor = asyncio.get_running_loop().create_task(self._run())

    def __aiter__(self) -> Self:
        self._queue.skip_to_keyframe()
        if self._queue.awaits_keyframe:
            self.request_keyframe()
        return self

    async def __anext__(self) -> AccessUnit:
        access_unit = await self._queue.get()
        if access_unit is None:
            if self._supervisor is not None and self._supervisor.done() and not self._supervisor.cancelled():
                await self._supervisor  # Raises what ended it.
            raise StopAsyncIteration
        if self._queue.awaits_keyframe:
            self.request_keyframe()
        return access_unit

    def request_keyframe(self) -> None:
        """Have another recorder begin, with its keyframe; see `Source.request_keyframe`."""
        self._wants_keyframe = True
        self._changed.set()

    async def aclose(self) -> None:
        """End all recorders; see `Source.aclose`."""
        self._queue.clear()
        self._queue.end()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        while self._live is not None or self._next is not None:
            self._changed.clear()
            await self._changed.wait()

    def picture(self, recorder: Recorder, access_unit: AccessUnit) -> None:
        """A recorder has a picture: the stream may get it, and its first keyframe makes the recorder the live one."""
        spliced = self._splice.take(recorder.number, access_unit)
        if spliced is None:
            self._dropped["no_keyframe"] += 1
            return
        if spliced.is_keyframe:
            self._wants_keyframe = False
            if recorder is self._next:
                self._go_live(recorder)
        self._queue.put(spliced)

    def torn(self, recorder: Recorder) -> None:
        """A recorder's pipe was quiet in the middle of a picture: wait longer from now on, and begin anew."""
        self._dropped["torn"] += 1
        self._quiet = recorder.quiet = min(2 * recorder.quiet, self._times.longest_quiet)
        if recorder is self._live:
            self.request_keyframe()

    def ended(self, recorder: Recorder) -> None:
        """A recorder gives no more pictures."""
        if recorder is self._live:
            self._live = None
        elif recorder is self._next:
            self._next = None
        self._changed.set()

    def _go_live(self, recorder: Recorder) -> None:
        before, self._live, self._next = self._live, recorder, None
        if before is not None:
            before.close()
        self._changed.set()

    async def _run(self) -> None:
        try:
            await self._supervise()
        finally:
            self._queue.end()
            for recorder in (self._live, self._next):
                if recorder is not None:
                    recorder.close()

    async def _supervise(self) -> None:
        """Start one recorder after the other, each when it is due; ends by an error only."""
        loop = asyncio.get_running_loop()
        times = self._times
        failures = 0
        complaint = ""
        while failures < ATTEMPTS:
            if failures:
                await asyncio.sleep(min(times.first_delay * 2 ** (failures - 1), times.longest_delay))
            started_at = loop.time()
            try:
                recorder = await self._start_recorder()
            except AdbError as error:
                if self._live is None:
                    raise
                failures += 1  # The pictures flow on meanwhile.
                complaint = str(error)
                continue
            if await self._becomes_live(recorder):
                await self._until_next_is_due(started_at)
                if recorder is self._live or loop.time() - started_at >= times.short_life:
                    failures = 0
                    continue
            elif self._live is not None:
                self._live.close()  # It did its best: the phone may have room for one recorder only.
            failures += 1
            complaint = recorder.message or f"exit code {recorder.exit_code}"
        raise SourceEnded(f"screenrecord on {self._serial!r} failed {failures} times in a row: {complaint}")

    async def _start_recorder(self) -> Recorder:
        self.recorders += 1
        self._next = recorder = Recorder(self, self.recorders, self._quiet, is_raw=self._is_raw)
        try:
            await self._client.open_service(self._serial, self._service, recorder)
        except BaseException:
            recorder.close()
            self._next = None
            raise
        log.debug("recorder started", device=self._serial, number=recorder.number)
        return recorder

    async def _becomes_live(self, recorder: Recorder) -> bool:
        """Wait for the recorder's first keyframe, or for its end."""
        try:
            async with asyncio.timeout(self._times.first_picture):
                while recorder is self._next:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            recorder.close(f"no picture within {self._times.first_picture:g} s")
        return recorder is self._live

    async def _until_next_is_due(self, started_at: float) -> None:
        """Wait until the live recorder has ended or is to be replaced."""
        while self._live is not None:
            age = self._times.keyframe_interval if self._wants_keyframe else self._times.renew_after
            self._changed.clear()
            try:
                async with asyncio.timeout_at(None if age is None else started_at + age):
                    await self._changed.wait()
            except TimeoutError:
                return

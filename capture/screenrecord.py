"""The phone's own H.264, by `screenrecord` over adb: the `adb:` source.

`screenrecord` can do little: it ends after 180 s below Android 14, has a keyframe every 10 s at best and none on
request, and anyone on the phone may end it. So the source runs one recorder after the other and splices them, and its
reader sees one stream:

    first   IDR P P P P P P P P P P P P                 its pictures flow until the second's keyframe
    second               start .... IDR P P P P P       then only the second's, and the first is ended

The next one is started when the first is about to reach its limit or has ended, when a keyframe is asked for, when the
screen is turned, and when nothing has come for long: a still screen sends nothing, and neither does a recorder that
hangs.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Self

import structlog

from capture.access_unit_queue import AccessUnitQueue
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line, service_of
from capture.adb.recorder import Recorder, screenrecord_command
from capture.controller import Controller
from capture.encoder_size import EncoderSize
from capture.errors import AdbError, AdbTimeout, SourceEnded
from capture.input_events import VideoSize
from capture.probe import SDK_WITHOUT_LIMIT, parse_sdk
from capture.recording_schedule import RENEW_AFTER, RecordingSchedule, RecordingTimes
from capture.source import AudioSink, SourceFacts, ignore_audio
from capture.splice import Splice
from encoders.access_unit import AccessUnit

QUEUE_LIMIT = 64
"""Pictures that wait for a slow reader: two seconds."""

_PRINTED_SIZE = 80


log = structlog.get_logger(__name__)


async def open_screenrecord(
    client: AdbClient, serial: str, *, size: VideoSize | None = None, bit_rate: int, sdk: int | None = None
) -> "ScreenrecordSource":
    """Start recording the screen of the device `serial`, at `bit_rate` bits per second.

    Without `size` the phone chooses, usually the screen's own. `sdk` is its API level, 0 for an unknown one; the phone
    is asked for it if it is not given. Raises `ValueError` for a size or bit rate that no recorder takes, and
    `AdbError` when the device cannot be reached; that it cannot record is told by the first picture's `SourceEnded`.
    """
    if sdk is None:
        answer = await client.shell(serial, command_line(["getprop", "ro.build.version.sdk"]))
        sdk = parse_sdk(answer.stdout)
    has_limit = sdk < SDK_WITHOUT_LIMIT
    screenrecord_command(size, bit_rate, has_limit=has_limit)  # Raises for what is impossible before anything starts.
    is_raw = await client.lacks_shell_v2(serial)
    reason = f"the phone's own screenrecord (Android API level {sdk or 'unknown'}), its H.264 passed on as it is"
    times = RecordingTimes(renew_after=RENEW_AFTER if has_limit else None)
    source = ScreenrecordSource(
        client, serial, size=size, bit_rate=bit_rate, has_limit=has_limit, reason=reason, is_raw=is_raw, times=times
    )
    source.start()
    return source


class ScreenrecordSource:
    """One device's screen as its own recorder codes it; fits `capture.source.Source`.

    Iteration raises `SourceEnded`, with the recorder's own words, when recorders keep failing, and an `AdbError` when
    the device is gone. Recorders are replaced as `RecordingTimes` says, and whenever one ends by itself.
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        *,
        size: VideoSize | None = None,
        bit_rate: int,
        has_limit: bool = True,
        reason: str,
        is_raw: bool = False,
        times: RecordingTimes | None = None,
    ) -> None:
        """With `is_raw`, for devices without shell v2, recorders run by `exec`. `start` begins the recording."""
        self.facts = SourceFacts(kind="screenrecord", reason=reason, keyframe_on_demand=False)
        """Another value when the reason changes."""
        self.on_audio: AudioSink = ignore_audio
        self.controller: Controller | None = None
        self.recorders = 0
        """Recorders that were started so far."""
        self._client = client
        self._serial = serial
        self._bit_rate = bit_rate
        self._has_limit = has_limit
        self._reason = reason
        self._is_raw = is_raw
        self._times = times = times or RecordingTimes()
        self._quiet = times.quiet
        self._schedule = RecordingSchedule(times)
        self._size = EncoderSize(size)
        self._splice = Splice()
        self._queue = AccessUnitQueue(QUEUE_LIMIT)
        self._live: Recorder | None = None
        self._live_size: VideoSize | None = None
        self._live_at = 0.0  # since when it is the live one
        self._next: Recorder | None = None
        self._next_size: VideoSize | None = None
        self._wants_keyframe = False
        self._printed = ""
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

    def use_size(self, size: VideoSize) -> None:
        """Go on with pictures of that size, as soon as a recorder with it has a keyframe.

        Raises `ValueError` for a size that no recorder takes.
        """
        screenrecord_command(size, self._bit_rate, has_limit=self._has_limit)
        self._size.want(size)
        self._tell_reason()
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
                self._go_live(recorder, spliced.captured_at)
        else:
            self._schedule.moved(spliced.captured_at - self._live_at)
        self._queue.put(spliced)

    def torn(self, recorder: Recorder) -> None:
        """A recorder's pipe was quiet in the middle of a picture: wait longer from now on, and begin anew."""
        self._dropped["torn"] += 1
        self._quiet = recorder.quiet = min(2 * recorder.quiet, self._times.longest_quiet)
        if recorder is self._live:
            self.request_keyframe()

    def printed(self, recorder: Recorder, text: str) -> None:
        """A recorder prints words where its pictures should be: nothing is lost, but somebody should know."""
        if not self._printed:
            log.warning("screenrecord prints into its pictures", device=self._serial, text=text)
            self._printed = text.partition("\n")[0][:_PRINTED_SIZE]
            self._tell_reason()

    def ended(self, recorder: Recorder) -> None:
        """A recorder gives no more pictures."""
        if recorder is self._live:
            self._live = None
        elif recorder is self._next:
            self._next = None
        self._changed.set()

    def _go_live(self, recorder: Recorder, now: float) -> None:
        before, self._live, self._next = self._live, recorder, None
        self._live_at, self._live_size = now, self._next_size
        self._size.accept(self._live_size)
        if before is not None:
            before.close()
        self._changed.set()

    def _tell_reason(self) -> None:
        words = f"it prints into its pictures: {self._printed!r}" if self._printed else ""
        reason = "; ".join(filter(None, [self._reason, self._size.reason, words]))
        if reason != self.facts.reason:
            self.facts = replace(self.facts, reason=reason)

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
        schedule = self._schedule
        complaint = ""
        while not schedule.is_over:
            if schedule.pause:
                await asyncio.sleep(schedule.pause)
            started_at = time.monotonic()
            try:
                recorder = await self._start_recorder()
            except AdbError as error:
                is_hung = isinstance(error, AdbTimeout) and self._live is not None and self._live.last_at < started_at
                if self._live is None or is_hung:
                    raise
                schedule.failed()  # The pictures flow on meanwhile.
                complaint = str(error)
                continue
            if await self._becomes_live(recorder):
                await self._until_next_is_due()
                if recorder is self._live or time.monotonic() - started_at >= self._times.short_life:
                    schedule.worked()
                    continue
                schedule.failed()
            elif self._next_size != self._size.current:
                await self._until_next_is_due()  # The screen was turned meanwhile, perhaps back.
                continue
            elif self._is_refused(recorder):
                continue
            else:
                schedule.failed(waited=time.monotonic() - started_at)
                if self._live is not None:
                    self._live.close()  # It did its best: the phone may have room for one recorder only.
            complaint = recorder.message or f"exit code {recorder.exit_code}"
        raise SourceEnded(f"screenrecord on {self._serial!r} failed {schedule.failures} times in a row: {complaint}")

    async def _start_recorder(self) -> Recorder:
        self._next_size = self._size.current
        command = screenrecord_command(self._next_size, self._bit_rate, has_limit=self._has_limit)
        service = service_of(command, is_raw=self._is_raw)
        self.recorders += 1
        self._next = recorder = Recorder(self, self.recorders, self._quiet, is_raw=self._is_raw)
        try:
            await self._client.open_service(self._serial, service, recorder)
        except BaseException:
            recorder.close()
            self._next = None
            raise
        log.debug("recorder started", device=self._serial, number=recorder.number)
        return recorder

    def _is_refused(self, recorder: Recorder) -> bool:
        """Whether the recorder has ended because of its size, and a smaller one is worth a try."""
        is_refused = self._size.refuse(recorder.message)
        if is_refused:
            log.warning("the encoder refuses a size", device=self._serial, reason=recorder.message)
        self._tell_reason()
        return is_refused

    async def _becomes_live(self, recorder: Recorder) -> bool:
        """Wait for the recorder's first keyframe, or for its end: by itself, or because another size is wanted."""
        try:
            async with asyncio.timeout(self._times.first_picture):
                while recorder is self._next:
                    if self._next_size != self._size.current:
                        recorder.close()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            recorder.close(f"no picture within {self._times.first_picture:g} s")
        return recorder is self._live

    async def _until_next_is_due(self) -> None:
        """Wait until the live recorder has ended or is to be replaced."""
        while (live := self._live) is not None and self._live_size == self._size.current:
            now = time.monotonic()
            left = self._schedule.due(live.started_at, live.last_at, wants_keyframe=self._wants_keyframe) - now
            if left <= 0:
                self._schedule.replacing(live.last_at, now)
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                pass

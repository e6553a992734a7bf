"""One phone's screen, captured by the best way that works: the `adb:` source.

It has one source of a `CaptureMode` at a time, moves down the ladder when that fails and tries to climb back while the
lower one's pictures flow on. Its reader sees one stream:

    scrcpy        IDR P P P x
    screenrecord            IDR P P P P P P P P P P
    scrcpy again                start .... IDR P P P      from its keyframe on only the better one's
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import structlog

from capture.controller import Controller
from capture.errors import AdbError, CaptureError, SourceEnded
from capture.ladder import CaptureMode, Ladder
from capture.live_source import LiveSource, OpenMode
from capture.screen_watch import ScreenState
from capture.silence import FIRST_SILENCE, PATIENCE, Silence, Verdict
from capture.source import AudioSink, ScreenCondition, Source, SourceFacts, WakefulSource, ignore_audio
from capture.splice import Splice
from encoders.access_unit import AccessUnit

_UNREADY = frozenset({ScreenCondition.OFF, ScreenCondition.BOOTING})

log = structlog.get_logger(__name__)


class Watch(Protocol):
    """What tells how the screen is; `capture.screen_watch.ScreenWatch` is one."""

    async def run(self, changed: Callable[[ScreenState], None]) -> None:
        """Call `changed` with every new state until cancelled. Raises an `AdbError` when the phone does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class PhoneTimes:
    """What is expected of a phone's sources, in seconds."""

    first_picture: float = 8.0
    """A source has failed if it shows no picture by then; a slow phone takes two to start scrcpy's server."""
    first_dark_picture: float = 1.5
    """The same while the screen is off: most ways show nothing then, and the last one shows that."""
    closing: float = 2.0
    """For which the next source waits for the last one's end: the phone may have room for one encoder only."""
    flowing: float = 3.0
    """A phone that cannot be asked how its screen is has not gone for so long after its last picture."""
    next_question: float = 1.0
    """Lies then before it is asked again."""
    silence: float = FIRST_SILENCE
    """After so long without a picture a source is asked for a keyframe; see `Silence`."""
    silence_patience: float = PATIENCE
    """It has failed if none comes by then."""
    silence_look: float = 1.0
    """Lies between two looks at whether a source is silent."""


class PhoneSource:
    """Fits `capture.source.Source`. Iteration ends with an `AdbError` when the phone is gone, and with `SourceEnded`
    when every way of capture has failed."""

    def __init__(
        self,
        serial: str,
        ladder: Ladder,
        modes: Mapping[CaptureMode, OpenMode],
        watch: Watch,
        state: ScreenState,
        *,
        takes_b_frames: bool = False,
        times: PhoneTimes = PhoneTimes(),
    ) -> None:
        """`modes` has those of the `ladder`, `state` is the screen's at this moment. `start` opens the first.

        With `takes_b_frames` these are no reason to take another way.
        """
        self._serial = serial
        self._ladder = ladder
        self._modes = modes
        self._watch = watch
        self._state = state
        self._times = times
        self._takes_b_frames = takes_b_frames
        self._picture_at = float("-inf")
        self._on_audio: AudioSink = ignore_audio
        self._splice = Splice()
        self._live: LiveSource | None = None
        self._successor: LiveSource | None = None
        self._opened = 0
        self._failure: AdbError | None = None
        self._opening: asyncio.Timeout | None = None
        """Ends the opening of what comes after a source that failed."""
        self._closed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._climbs = asyncio.Event()
        self._has_audio = False
        self._told: SourceFacts | None = None
        self._facts = SourceFacts(kind="auto", reason="not open yet", keyframe_on_demand=False)

    @property
    def facts(self) -> SourceFacts:
        live = self._live
        if live is not None and live.source.facts is not self._told:
            self._tell()
        return self._facts

    @property
    def controller(self) -> Controller | None:
        return self._live.source.controller if self._live is not None else None

    @property
    def on_audio(self) -> AudioSink:
        return self._on_audio

    @on_audio.setter
    def on_audio(self, sink: AudioSink) -> None:
        self._on_audio = sink
        if self._live is not None:
            self._live.source.on_audio = sink

    async def start(self) -> None:
        """Open the best way that can be opened. Raises `SourceEnded` when none can, and `AdbError`."""
        loop = asyncio.get_running_loop()
        self._live = await self._open_best()
        self._live.source.on_audio = self._on_audio
        self._tell()
        log.info("capture begins", device=self._serial, mode=self._live.mode, reason=self._facts.reason)
        work = (self._follow_screen(), self._climb(), self._watch_silence())
        self._tasks = [loop.create_task(each) for each in work]

    def __aiter__(self) -> Self:
        if self._live is not None:
            self._live.restart()
        return self

    async def __anext__(self) -> AccessUnit:
        while True:
            live = self._live
            if live is None or self._closed.is_set():
                raise StopAsyncIteration
            access_unit = await live.next(self._patience(live))
            if access_unit is None:
                await self._replace(live)
                continue
            self._picture_at = time.monotonic()
            spliced = self._splice.take(live.number, access_unit)
            if spliced is not None:
                return spliced

    def wake(self) -> None:
        """Have a source look at once that looks at a still screen only now and then; see `WakefulSource`."""
        if self._live is not None and isinstance(self._live.source, WakefulSource):
            self._live.source.wake()

    def request_keyframe(self) -> None:
        if self._live is not None:
            self._live.source.request_keyframe()

    async def aclose(self) -> None:
        self._closed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for each in (self._live, self._successor):
            if each is not None:
                await each.source.aclose()
        await asyncio.gather(*self._closing)

    def _patience(self, live: LiveSource) -> float:
        """Seconds to wait for the first picture of `live`."""
        is_last_resort = self._ladder.is_last(live.mode)
        return self._times.first_dark_picture if self._is_dark and not is_last_resort else self._times.first_picture

    @property
    def _is_dark(self) -> bool:
        return self._state.condition is ScreenCondition.OFF

    async def _replace(self, live: LiveSource) -> None:
        """Go on with another source than `live`, which has ended. Raises what `_open_best` does."""
        live.source.on_audio = ignore_audio
        if self._closed.is_set():
            raise StopAsyncIteration
        if self._failure is not None:
            raise self._failure
        successor, self._successor = self._successor, None
        if successor is None:
            self._live = None
            successor = await self._step_down(live)
        self._live = successor
        successor.source.on_audio = self._on_audio
        successor.turn(self._state.size)
        self._tell()
        self._climbs.set()

    async def _step_down(self, live: LiveSource) -> LiveSource:
        """What comes after `live`, which failed."""
        now = time.monotonic()
        lasted = now - live.began_at
        complaint = self._complaint(live)
        self._ladder.failed(live.mode, complaint, now, lasted=lasted)
        try:
            async with asyncio.timeout(None) as self._opening:
                await asyncio.wait({self._close_soon(live.source)}, timeout=self._times.closing)
                successor = await self._open_best()
        except TimeoutError:
            pass  # The phone is gone meanwhile.
        else:
            if self._failure is None and not self._closed.is_set():
                # When nothing is left, whoever reads is told, and may say so once for the same trouble again and again.
                log.warning(
                    "capture failed",
                    device=self._serial,
                    mode=live.mode,
                    reason=complaint,
                    after=round(lasted, 1),
                    next=successor.mode,
                )
                return successor
            await successor.source.aclose()
        finally:
            self._opening = None
        raise self._failure or StopAsyncIteration

    def _complaint(self, live: LiveSource) -> str:
        return live.complaint + ("" if live.has_begun or not self._is_dark else ": the screen is off")

    async def _open_best(self) -> LiveSource:
        """Open the best way that is not paused; raises `SourceEnded` when there is none left."""
        while (mode := self._ladder.choose(time.monotonic())) is not None:
            try:
                return await self._open(mode)
            except SourceEnded as error:
                self._ladder.failed(mode, str(error), time.monotonic(), lasted=0.0)
        raise SourceEnded(f"{self._serial!r} cannot be captured: {self._ladder.complaints()}")

    async def _open(self, mode: CaptureMode) -> LiveSource:
        size = self._state.size
        source = await self._modes[mode].open(size)
        self._opened += 1
        return LiveSource(mode, self._modes[mode], source, self._opened, size, takes_b_frames=self._takes_b_frames)

    async def _climb(self) -> None:
        """Try a better way whenever one may work again. Ends only by being cancelled."""
        while True:
            live = self._live
            # A better one that is not taken yet is what the next climb begins from.
            may_climb = live is not None and self._successor is None
            due = self._ladder.climb_at(live.mode) if live is not None and may_climb else None
            self._climbs.clear()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - time.monotonic())):
                    await self._climbs.wait()
            except TimeoutError:
                await self._try_better()

    async def _try_better(self) -> None:
        live = self._live
        mode = self._ladder.better_than(live.mode, time.monotonic()) if live is not None else None
        if mode is None or live is None:
            return
        better = None
        try:
            better = await self._open(mode)
            has_begun = await better.begin(self._patience(better))
            complaint = self._complaint(better)
        except CaptureError as error:
            has_begun, complaint = False, str(error)
        except BaseException:
            if better is not None:
                self._close_soon(better.source)
            raise
        if has_begun and self._is_live(live):
            log.info("capture improved", device=self._serial, mode=mode, before=live.mode)
            self._successor = better
            self._close_soon(live.source)
            return
        # One that has begun came too late: the lower one failed meanwhile, and another one is opened in its place.
        if not has_begun:
            self._ladder.failed(mode, complaint, time.monotonic(), lasted=0.0)
            self._tell()
        if better is not None:
            self._close_soon(better.source)

    def _is_live(self, live: LiveSource) -> bool:
        return self._live is live

    async def _follow_screen(self) -> None:
        """Tell how the screen is until the phone is gone."""
        trouble = ""
        while True:
            try:
                await self._watch.run(self._screen_changed)
            except AdbError as error:
                if time.monotonic() - self._picture_at >= self._times.flowing:
                    self._give_up(error)
                    return
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("the screen is not known", device=self._serial, reason=trouble)
            await asyncio.sleep(self._times.next_question)

    async def _watch_silence(self) -> None:
        """Have a source show that it lives where it does not see to that itself, as the others do."""
        watched: LiveSource | None = None
        silence = Silence()
        while True:
            await asyncio.sleep(self._times.silence_look)
            live, times = self._live, self._times
            is_expected = live is not None and live.mode is CaptureMode.SCRCPY and live.has_begun
            # A dark screen may give nothing at all.
            if live is None or not is_expected or self._state.condition is not ScreenCondition.SHOWN:
                watched = None
                continue
            if watched is not live:
                watched, silence = live, Silence(first=times.silence, patience=times.silence_patience)
            match silence.look(self._picture_at, time.monotonic()):
                case Verdict.ASK:
                    live.source.request_keyframe()
                case Verdict.DEAD:
                    live.condemn("it gives nothing more, not even the keyframe that it was asked for")
                    self._close_soon(live.source)

    def _give_up(self, error: AdbError) -> None:
        """Have the iteration end by `error`."""
        self._failure = error
        if self._live is not None:
            self._close_soon(self._live.source)
        elif self._opening is not None:
            self._opening.reschedule(asyncio.get_running_loop().time())

    def _screen_changed(self, state: ScreenState) -> None:
        before, self._state = self._state, state
        if self._live is not None:
            self._live.turn(state.size)
        if before.condition in _UNREADY and state.condition not in _UNREADY:
            # What could do nothing with such a phone need not wait until its pause is over.
            self._ladder.forgive(time.monotonic())
            self._climbs.set()
        self._tell()

    def _close_soon(self, source: Source) -> asyncio.Task[None]:
        """End the iteration over `source`; who waits for its next picture then goes on with another one."""
        task = asyncio.get_running_loop().create_task(source.aclose())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def _tell(self) -> None:
        """Make the facts new."""
        live = self._live
        if live is None:
            return
        self._told = told = live.source.facts
        # Who joins while a way without sound is taken is to hear it when the better one is back.
        self._has_audio |= told.has_audio
        reasons = [told.reason, self._ladder.why_not_better(live.mode)]
        self._facts = replace(
            told,
            reason="; ".join(filter(None, reasons)),
            has_audio=self._has_audio,
            screen=self._state.condition,
            rotation=self._state.rotation * 90,
        )

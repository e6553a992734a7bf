"""One phone's screen, captured by the best way that works: the `adb:` source.

It has one source of a `CaptureMode` at a time, moves down the ladder when that fails and tries to climb back while the
lower one's pictures flow on. Its reader sees one stream:

    scrcpy        IDR P P P x
    screenrecord            IDR P P P P P P P P P P
    scrcpy again                start .... IDR P P P      from its keyframe on only the better one's
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, Self

import structlog

from capture.controller import Controller
from capture.errors import AdbError, CaptureError, SourceEnded
from capture.input_events import VideoSize
from capture.ladder import CaptureMode, Ladder
from capture.screen_watch import ScreenState
from capture.source import AudioSink, Source, SourceFacts, WakefulSource, ignore_audio
from capture.splice import Splice
from encoders.access_unit import AccessUnit

_FIRST_PICTURE = 8.0
"""Seconds that a source has to show its first picture; a slow phone takes two to start scrcpy's server."""

_CLOSING = 2.0
"""Seconds for which the next source waits for the last one's end: the phone may have room for one encoder only."""

log = structlog.get_logger(__name__)


class Watch(Protocol):
    """What tells how the screen is; `capture.screen_watch.ScreenWatch` is one."""

    async def run(self, changed: Callable[[ScreenState], None]) -> None:
        """Call `changed` with every new state until cancelled. Raises an `AdbError` when the phone does not answer."""
        ...


@dataclass(frozen=True, slots=True)
class OpenMode:
    """How one way of capture is opened on this phone."""

    open: Callable[[VideoSize], Awaitable[Source]]
    """For a screen that has this size now, as it is turned."""
    turn: Callable[[Source, VideoSize], None] | None = None
    """Tells the source that the screen has this size now; None where it notices by itself."""


@dataclass(slots=True)
class _Live:
    """A source whose pictures flow, or are about to."""

    mode: CaptureMode
    source: Source
    pictures: AsyncIterator[AccessUnit]
    number: int
    began_at: float
    has_begun: bool = False
    """Whether a picture has come."""
    first: AccessUnit | None = None
    """The picture that was waited for before it replaced another one."""


class PhoneSource:
    """Fits `capture.source.Source`. Iteration ends with an `AdbError` when the phone is gone, and with `SourceEnded`
    when every way of capture has failed."""

    def __init__(
        self, serial: str, ladder: Ladder, modes: Mapping[CaptureMode, OpenMode], watch: Watch, state: ScreenState
    ) -> None:
        """`modes` has those of the `ladder`, `state` is the screen's at this moment. `start` opens the first."""
        self._serial = serial
        self._ladder = ladder
        self._modes = modes
        self._watch = watch
        self._state = state
        self._on_audio: AudioSink = ignore_audio
        self._splice = Splice()
        self._live: _Live | None = None
        self._successor: _Live | None = None
        self._opened = 0
        self._failure: CaptureError | None = None
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
        self._tasks = [loop.create_task(self._follow_screen()), loop.create_task(self._climb())]

    def __aiter__(self) -> Self:
        if self._live is not None:
            self._live.pictures = aiter(self._live.source)
        return self

    async def __anext__(self) -> AccessUnit:
        while True:
            live = self._live
            if live is None or self._closed.is_set():
                raise StopAsyncIteration
            complaint = "it ended"
            access_unit = None
            if live.first is not None:
                access_unit, live.first = live.first, None
            else:
                try:
                    if live.has_begun:
                        access_unit = await anext(live.pictures)
                    else:
                        async with asyncio.timeout(_FIRST_PICTURE):
                            access_unit = await anext(live.pictures)
                        live.has_begun = True
                except StopAsyncIteration:
                    pass
                except SourceEnded as error:
                    complaint = str(error)
                except TimeoutError:
                    complaint = f"no picture came within {_FIRST_PICTURE:g} s"
            if access_unit is None:
                await self._replace(live, complaint)
                continue
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

    async def _replace(self, live: _Live, complaint: str) -> None:
        """Go on with another source than `live`, which has ended. Raises what `_open_best` does."""
        successor, self._successor = self._successor, None
        live.source.on_audio = ignore_audio
        if self._closed.is_set():
            raise StopAsyncIteration
        if self._failure is not None:
            raise self._failure
        if successor is None:
            self._live = None
            successor = await self._step_down(live, complaint)
        self._live = successor
        successor.source.on_audio = self._on_audio
        self._tell()
        self._climbs.set()

    async def _step_down(self, live: _Live, complaint: str) -> _Live:
        """What comes after `live`, which failed."""
        now = time.monotonic()
        lasted = now - live.began_at
        self._ladder.failed(live.mode, complaint, now, lasted=lasted)
        log.warning("capture failed", device=self._serial, mode=live.mode, reason=complaint, after=round(lasted, 1))
        await asyncio.wait({self._close_soon(live.source)}, timeout=_CLOSING)
        successor = await self._open_best()
        if self._closed.is_set():
            await successor.source.aclose()
            raise StopAsyncIteration
        return successor

    async def _open_best(self) -> _Live:
        """Open the best way that is not paused; raises `SourceEnded` when there is none left."""
        while (mode := self._ladder.choose(time.monotonic())) is not None:
            try:
                return await self._open(mode)
            except SourceEnded as error:
                self._ladder.failed(mode, str(error), time.monotonic(), lasted=0.0)
                log.info("capture not possible", device=self._serial, mode=mode, reason=str(error))
        raise SourceEnded(f"{self._serial!r} cannot be captured: {self._ladder.complaints()}")

    async def _open(self, mode: CaptureMode) -> _Live:
        source = await self._modes[mode].open(self._state.size)
        self._opened += 1
        return _Live(mode, source, aiter(source), self._opened, time.monotonic())

    async def _climb(self) -> None:
        """Try a better way whenever one may work again. Ends only by being cancelled."""
        while True:
            live = self._live
            due = self._ladder.climb_at(live.mode) if live is not None else None
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
        try:
            better = await self._open(mode)
        except CaptureError as error:
            self._ladder.failed(mode, str(error), time.monotonic(), lasted=0.0)
            self._tell()
            return
        try:
            async with asyncio.timeout(_FIRST_PICTURE):
                better.first = await anext(better.pictures)
                better.has_begun = True
        except (CaptureError, TimeoutError, StopAsyncIteration) as error:
            self._ladder.failed(mode, str(error) or "no picture came", time.monotonic(), lasted=0.0)
            await better.source.aclose()
            self._tell()
        except BaseException:
            await better.source.aclose()
            raise
        else:
            if not self._is_live(live):  # It failed meanwhile, and another one is opened in its place.
                await better.source.aclose()
                return
            log.info("capture improved", device=self._serial, mode=mode, before=live.mode)
            self._successor = better
            self._close_soon(live.source)

    def _is_live(self, live: _Live) -> bool:
        return self._live is live

    async def _follow_screen(self) -> None:
        try:
            await self._watch.run(self._screen_changed)
        except AdbError as error:
            self._failure = error
            if self._live is not None:
                self._close_soon(self._live.source)

    def _screen_changed(self, state: ScreenState) -> None:
        is_turned = state.size != self._state.size
        self._state = state
        live = self._live
        if is_turned and live is not None and (turn := self._modes[live.mode].turn) is not None:
            turn(live.source, state.size)
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

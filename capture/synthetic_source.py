"""`test:`, a drawn screen that needs no phone, and with `audio=on` a beep at each whole second."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from capture.beeper import Beeper, Beeps
from capture.controller import Controller
from capture.demo_phone.screen import Screen
from capture.errors import InvalidSource, SourceEnded
from capture.pace import Alarm, Metronome
from capture.source import AudioSink, Source, SourceFacts, ignore_audio
from capture.worker_thread import WorkerThread
from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.h264_encoder import H264Encoder

_KEYFRAME_INTERVAL: Final = 10.0
"""Seconds, as Android's recorders have it."""

_ALLOWED: Final = (
    "size=WIDTHxHEIGHT (even), fps=1 to 120, bitrate=BITS_PER_SECOND (10000 to 100000000), audio=on or audio=off"
)


@dataclass(frozen=True, slots=True)
class SyntheticVideo:
    """What the drawn video is like."""

    width: int = 720
    height: int = 1280

    frame_rate: int = 30
    """Pictures per second."""

    bit_rate: int = 2_000_000
    """Bits per second."""

    has_audio: bool = False
    """Whether there is a beep at each whole second of the clock on the screen."""


def parse_synthetic_video(options: str) -> SyntheticVideo:
    """The video that `size=360x640,fps=15,bitrate=800000` asks for; what is not named stays as it is by default.

    Raises `InvalidSource`, naming what is allowed, for anything else.
    """
    video = SyntheticVideo()
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if name == "size" and (size := re.fullmatch(r"(\d{2,4})x(\d{2,4})", value, re.ASCII)):
            video = replace(video, width=int(size[1]), height=int(size[2]))
        elif name == "fps" and re.fullmatch(r"\d{1,3}", value, re.ASCII) and 1 <= int(value) <= 120:
            video = replace(video, frame_rate=int(value))
        elif name == "bitrate" and re.fullmatch(r"\d{5,9}", value, re.ASCII) and 10_000 <= int(value) <= 100_000_000:
            video = replace(video, bit_rate=int(value))
        elif option in ("audio=on", "audio=off"):
            video = replace(video, has_audio=value == "on")
        else:
            raise InvalidSource(f"test: does not take {option!r}; it takes {_ALLOWED}, joined by commas")
    return video


class _Drawing:
    """The screen and its encoder; everything here runs in the worker thread."""

    def __init__(self, video: SyntheticVideo) -> None:
        self._encoder = H264Encoder(
            video.width,
            video.height,
            frame_rate=video.frame_rate,
            bit_rate=video.bit_rate,
            keyframe_interval=_KEYFRAME_INTERVAL,
        )
        self._screen = Screen(video.width, video.height)
        self.beeps = Beeps() if video.has_audio else None

    def capture(self, *, force_keyframe: bool) -> AccessUnit:
        now = time.monotonic()
        return self._encoder.encode(self._screen.draw(now), now, force_keyframe=force_keyframe)

    def close(self) -> None:
        self._encoder.close()


class SyntheticSource:
    """Draws and encodes a screen in a thread of its own, a picture for each tick of an even clock.

    When it is late, it leaves pictures out rather than hurry. A picture is made only while somebody waits for it.
    """

    def __init__(self, video: SyntheticVideo, drawing: _Drawing, worker: WorkerThread) -> None:
        self.on_audio: AudioSink = ignore_audio
        self.facts = SourceFacts(
            kind="test",
            reason="asked for: a drawn screen, no phone",
            keyframe_on_demand=True,
            has_audio=video.has_audio,
        )
        self.controller: Controller | None = None
        self._metronome = Metronome(1 / video.frame_rate)
        self._drawing = drawing
        self._worker = worker
        self._alarm = Alarm()
        self._wants_keyframe = True
        self._beeper = Beeper(drawing.beeps) if drawing.beeps is not None else None

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        self._wants_keyframe = True
        if self._beeper is not None and not self._alarm.is_ended:
            self._beeper.start(lambda packet: self.on_audio(packet))
        return self

    async def __anext__(self) -> AccessUnit:
        if not await self._alarm.sleep_until(self._metronome.due):
            raise StopAsyncIteration
        self._metronome.take(time.monotonic())
        force_keyframe, self._wants_keyframe = self._wants_keyframe, False
        try:
            access_unit = await self._worker.run(partial(self._drawing.capture, force_keyframe=force_keyframe))
        except asyncio.CancelledError:
            self._wants_keyframe = True  # a picture is lost that the next ones build on
            raise
        except EncoderError as error:
            raise SourceEnded(f"test: {error}") from error
        if self._alarm.is_ended:
            raise StopAsyncIteration
        return access_unit

    def request_keyframe(self) -> None:
        self._wants_keyframe = True

    async def aclose(self) -> None:
        if not self._alarm.is_ended:
            self._alarm.end()
            if self._beeper is not None:
                self._beeper.stop()
            await self._worker.aclose(self._drawing.close)


async def open_synthetic(options: str) -> Source:
    """Open `test:OPTIONS`, as `test:size=360x640,fps=15`; raises `InvalidSource` for options that make no sense."""
    video = parse_synthetic_video(options)
    worker = WorkerThread("synthetic-source")
    try:
        drawing = await worker.run(partial(_Drawing, video))
    except BaseException as error:
        worker.close()
        if isinstance(error, EncoderError | ValueError):
            raise InvalidSource(f"test:{options}: {error}") from error
        raise
    return SyntheticSource(video, drawing, worker)

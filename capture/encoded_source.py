"""Sources whose pictures come uncompressed and are coded here: what they have in common.

    capture, in the event loop  >  the newest frame  >  FrameEncoder, in the encoder pool  >  whoever iterates

A frame is coded when the reader asks for the next picture, so nothing waits in a queue and a slow reader never loses
a picture that others build on: a frame that a newer one overtook is left out before it costs anything. A frame that
equals the one before it is neither coded nor given out. A frame that an encoder lost, because it failed or got stuck,
is coded again by the next encoder, unless a newer one came meanwhile.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from capture.adb.screen import fit_screen
from capture.controller import Controller
from capture.errors import SourceEnded
from capture.input_events import VideoSize
from capture.pace import Alarm
from capture.raw_frames import RawFrame
from capture.source import AudioSink, SourceFacts, ignore_audio
from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.h264_encoder import H264Encoder
from encoders.output_buffer import OutputBuffer
from encoders.pool import OPENING_TIMEOUT, EncoderPool, Lane
from encoders.video_encoder import OpenEncoder, VideoCoding, VideoEncoder

_LEAST_SIDE: Final = 16
_WRAPPED_FORMATS: Final = frozenset({"rgb24", "rgba", "bgra"})
"""Pixels that PyAV takes where they are; others are copied."""

_JOBS: Final = 2
"""One that somebody waits for, and one whose reader has gone."""


def own_threads() -> EncoderPool:
    """Where each source codes in a thread of its own, that ends with it: there is nothing to be closed."""
    return EncoderPool(workers=None, input_limit=_JOBS, timeout=OPENING_TIMEOUT)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How frames are coded, by what and where; see `VideoCoding`."""

    bit_rate: int
    """Bits per second."""
    frame_rate: int
    """Pictures per second, at most."""
    preset: str
    """libx264's."""
    keyframe_interval: float = 10.0
    """Seconds' worth of pictures between IDR pictures."""
    open_encoder: OpenEncoder = H264Encoder.of
    pool: EncoderPool = field(default_factory=own_threads)
    """Whose threads do it."""

    def __post_init__(self) -> None:
        if self.frame_rate < 1:
            raise ValueError(f"frame_rate is {self.frame_rate}: it must be 1 or more")


class FrameEncoder:
    """Codes frames of any size, each as a video of its own size. To be used from one thread at a time."""

    def __init__(self, encoding: Encoding, box: VideoSize | None = None) -> None:
        """With `box`, which counts for both orientations, larger frames are made to fit into it."""
        self.changes = 0
        """Frames so far that showed something else than the one before; the first one is among them."""
        self._encoding = encoding
        self._bit_rate = encoding.bit_rate
        self._box = box
        self._reformatter = VideoReformatter()
        self._encoder: VideoEncoder | None = None
        self._last: RawFrame | None = None
        self._last_picture: av.VideoFrame | None = None

    def encode(self, frame: RawFrame, *, force_keyframe: bool = False) -> AccessUnit | None:
        """The picture of `frame`, with `force_keyframe` an IDR; None when it shows what the last one did.

        A frame of another size than the last one's begins a new video. Raises `EncoderError`.
        """
        if self._last is not None and frame.looks_like(self._last):
            if not force_keyframe or self._encoder is None or self._last_picture is None:
                return None
            return self._encoder.encode(self._last_picture, frame.captured_at, force_keyframe=True)
        size = fit_screen(frame.size, self._box or frame.size)
        width, height = max(size.width, _LEAST_SIDE), max(size.height, _LEAST_SIDE)
        encoder = self._encoder
        if encoder is None or (encoder.coding.width, encoder.coding.height) != (width, height):
            encoder = self._begin(width, height)
        # BT.601 in limited range, which streams without a colour description are taken for.
        picture = self._reformatter.reformat(_wrap(frame), width, height, "yuv420p", threads=1)
        self._last, self._last_picture = frame, picture
        self.changes += 1
        return encoder.encode(picture, frame.captured_at, force_keyframe=force_keyframe)

    def set_bit_rate(self, bit_rate: int) -> None:
        """Code with another bit rate from the next picture on. Raises `EncoderError`."""
        if bit_rate != self._bit_rate:
            self._bit_rate = bit_rate
            if self._encoder is not None:
                self._encoder.set_bit_rate(bit_rate)

    def close(self) -> None:
        """Free the codec. Idempotent."""
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = self._last = self._last_picture = None

    def _begin(self, width: int, height: int) -> VideoEncoder:
        self.close()
        encoding = self._encoding
        coding = VideoCoding(
            width,
            height,
            frame_rate=encoding.frame_rate,
            bit_rate=self._bit_rate,
            keyframe_interval=encoding.keyframe_interval,
            preset=encoding.preset,
        )
        self._encoder = encoding.open_encoder(coding)
        return self._encoder


def _wrap(frame: RawFrame) -> av.VideoFrame:
    width, height, name = frame.size.width, frame.size.height, frame.pixel_format.name
    row = width * frame.pixel_format.bytes_per_pixel
    rows = np.frombuffer(frame.data, np.uint8, count=row * height, offset=frame.offset).reshape(height, row)
    if name in _WRAPPED_FORMATS:
        return av.VideoFrame.from_numpy_buffer(rows.reshape(height, width, -1), format=name)
    copied = av.VideoFrame(width, height, name)
    plane = copied.planes[0]
    np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)[:, :row] = rows
    return copied


class _Picture(NamedTuple):
    """What came of a frame."""

    access_unit: AccessUnit | None = None
    """None where it shows nothing new."""
    is_change: bool = False
    loss: str = ""
    """Why the frame was not coded, by `Lane.drops`."""
    failure: str = ""
    """Why none will be any more."""


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """A frame to be coded, and who waits for the picture."""

    frame: RawFrame
    is_forced: bool
    bit_rate: int
    picture: asyncio.Future[_Picture]

    def settle(self, picture: _Picture) -> None:
        if not self.picture.done():
            self.picture.set_result(picture)


class _OrderCoder:
    """Codes in a worker of the pool."""

    def __init__(self, encoding: Encoding, box: VideoSize | None) -> None:
        self._encoder = FrameEncoder(encoding, box)

    def code(self, order: _Order) -> tuple[_Order, _Picture]:
        self._encoder.set_bit_rate(order.bit_rate)
        changes = self._encoder.changes
        access_unit = self._encoder.encode(order.frame, force_keyframe=order.is_forced)
        return order, _Picture(access_unit, self._encoder.changes != changes)

    def close(self) -> None:
        self._encoder.close()


class EncodedSource(ABC):
    """Fits `capture.source.Source`; who derives from it says where frames come from (`capture`).

    Iteration raises what `capture` raises, after the frames that came before it.
    """

    def __init__(self, facts: SourceFacts, encoding: Encoding, box: VideoSize | None = None) -> None:
        """`box` is the `FrameEncoder`'s. `start` begins the capture."""
        self.facts = facts
        self.on_audio: AudioSink = ignore_audio
        self.controller: Controller | None = None
        self.pictures = 0
        """Pictures that were coded so far."""
        self.changes = 0
        """Frames that showed something new; the other pictures were asked for as keyframes."""
        self.on_damage: Callable[[], None] = _ignore
        """Called when a frame showed something new, as the first one does."""
        self.still_frames = 0
        """Frames that were not coded, because they showed what the one before them did."""
        self._dropped = Counter(overtaken=0)
        self._newest: RawFrame | None = None
        self._last: RawFrame | None = None
        self._wants_keyframe = True
        self._is_read = False
        self._period = 1 / encoding.frame_rate
        self._due = 0.0
        self._alarm = Alarm()
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._encoding = encoding
        self._bit_rate = encoding.bit_rate
        self._box = box
        self._lane: Lane[_Order] | None = None
        self._order: _Order | None = None
        self._failure = ""
        self._capturing: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> Mapping[str, int]:
        """Frames that did not get into the stream, by reason.

        `overtaken` by a newer one before they were coded, or lost by the encoder for a reason of `Lane.drops`.
        """
        return self._dropped

    @abstractmethod
    async def capture(self) -> None:
        """`offer` frames until cancelled; ends by raising a `CaptureError` only."""

    def start(self) -> None:
        """Begin to capture; once, before the iteration."""
        self._capturing = asyncio.get_running_loop().create_task(self.capture())
        self._capturing.add_done_callback(lambda _: self._changed.set())

    def offer(self, frame: RawFrame) -> None:
        """Have `frame` coded next, in place of one that still waits."""
        self._dropped["overtaken"] += self._newest is not None
        self._newest = frame
        self._changed.set()

    async def until_wanted(self) -> None:
        """Return when somebody reads, and no frame waits for him."""
        while not self._is_read or self._newest is not None:
            self._room.clear()
            await self._room.wait()

    def __aiter__(self) -> Self:
        self.request_keyframe()
        return self

    async def __anext__(self) -> AccessUnit:
        self._is_read = True
        try:
            while await self._has_work():
                access_unit = await self._encode()
                if access_unit is not None:
                    return access_unit
            raise StopAsyncIteration
        finally:
            self._is_read = False

    def request_keyframe(self) -> None:
        """Have the next picture be an IDR, at once where the screen is still; see `Source.request_keyframe`."""
        self._wants_keyframe = True
        self._changed.set()

    def set_bit_rate(self, bit_rate: int) -> None:
        """Code with another bit rate from the next picture on; one that no encoder takes ends the source."""
        self._bit_rate = bit_rate

    async def aclose(self) -> None:
        """End the capture, here and on the device; see `Source.aclose`."""
        if self._alarm.is_ended:
            return
        self._alarm.end()
        self._changed.set()
        if self._lane is not None:
            self._lane.close()
        if self._order is not None:
            self._order.settle(_Picture(loss="closed"))
        if self._capturing is not None:
            self._capturing.cancel()
            await asyncio.gather(self._capturing, return_exceptions=True)

    async def _has_work(self) -> bool:
        """Wait until something is to be coded, and may be; False at the end. Raises what ended the capture."""
        self._room.set()
        while not self._alarm.is_ended:
            if self._newest is not None:
                return await self._alarm.sleep_until(self._due)
            if self._capturing is not None and self._capturing.done():
                await self._capturing
            if self._wants_keyframe and self.pictures:
                return True
            self._changed.clear()
            await self._changed.wait()
        return False

    async def _encode(self) -> AccessUnit | None:
        """Code the newest frame, or the last one again; None for one that shows nothing new or is lost."""
        fresh, self._newest = self._newest, None
        is_forced, self._wants_keyframe = self._wants_keyframe, False
        now = time.monotonic()
        if fresh is not None:
            self._last = fresh
            # Frames may be early by half a period, so that none is left out for the jitter of its way to us.
            self._due = max(self._due + self._period, now + self._period / 2)
            self._room.set()
        elif self._last is None:
            return None
        try:
            picture = await self._coded(fresh or replace(self._last, captured_at=now), is_forced=is_forced)
        except asyncio.CancelledError:
            self._take_back(fresh, "overtaken")
            raise
        if self._alarm.is_ended:
            return None
        if picture.failure:
            raise SourceEnded(f"{self.facts.kind}: {picture.failure}")
        if picture.loss:
            self._take_back(fresh, picture.loss)
            return None
        if picture.access_unit is None:
            self.still_frames += 1
        else:
            self.pictures += 1
        if picture.is_change:
            self.changes += 1
            self.on_damage()
        return picture.access_unit

    def _take_back(self, fresh: RawFrame | None, loss: str) -> None:
        self._wants_keyframe = True  # A picture is lost that the next ones build on.
        if self._newest is None:
            self._newest = fresh
        elif fresh is not None:
            self._dropped[loss] += 1

    async def _coded(self, frame: RawFrame, *, is_forced: bool) -> _Picture:
        if self._failure:
            return _Picture(failure=self._failure)
        try:
            lane = self._lane = self._lane or self._open_lane()
        except EncoderError as error:
            return _Picture(failure=str(error))
        order = _Order(frame, is_forced, self._bit_rate, asyncio.get_running_loop().create_future())
        self._order = order
        lane.put(order)
        try:
            return await order.picture
        finally:
            self._order = None

    def _open_lane(self) -> Lane[_Order]:
        output: OutputBuffer[tuple[_Order | None, _Picture]] = OutputBuffer(
            asyncio.get_running_loop(),
            2 * _JOBS + 1,  # never reached: what comes for each, and the end
            self._settle,
            _ignore,
            is_keyframe=lambda _: True,
        )
        return self._encoding.pool.open_lane(
            self.facts.kind,
            lambda: _OrderCoder(self._encoding, self._box),
            output.put,
            lambda error: output.put((None, _Picture(failure=str(error)))),
            lost=lambda order, reason: output.put((order, _Picture(loss=reason))),
            input_limit=_JOBS,
        )

    def _settle(self, coded: tuple[_Order | None, _Picture]) -> None:
        order, picture = coded
        self._failure = picture.failure or self._failure
        if order is not None:
            order.settle(picture)
        elif self._order is not None:
            self._order.settle(picture)


def _ignore() -> None:
    pass

"""One rung of a stream: frames are scaled and coded in a lane of the encoder pool.

frame > scaler and encoder, in a worker of the pool > access unit > output buffer > whoever sends it
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import av
import structlog
from av.video.reformatter import VideoReformatter

from encoders.access_unit import AccessUnit
from encoders.h264_decoder import DecodedFrame
from encoders.output_buffer import OutputBuffer
from encoders.pool import EncoderPool, Lane
from encoders.video_encoder import OpenEncoder, VideoCoding, VideoEncoder
from media_service.preset_pace import Pace
from media_service.rungs import Rung, size_of

_BURST: Final = 0.3
"""Seconds' worth of bits that a keyframe may take: a path that needs a rung takes long for a large one."""
_KEYFRAME_INTERVAL: Final = 60.0
_NEVER: Final = float("inf")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Transcoding:
    """What all rungs of the process share."""

    pool: EncoderPool
    open_encoder: OpenEncoder
    frame_rate: int
    """Pictures per second, at most."""
    preset: str
    output_limit: int
    """Coded pictures of one rung that may wait for the event loop."""
    writing_timeout: float = math.inf
    """Seconds that one may wait for it."""


class _RungCoder:
    """Scales and codes in a worker of the pool; a frame of another size begins a new video, and so does a preset."""

    def __init__(
        self,
        rung: Rung,
        coding: VideoCoding,
        order: "_Order",
        open_encoder: OpenEncoder,
        coded: Callable[[str, float], str],
    ) -> None:
        """`coded` is told what codes and the seconds that a picture took, and gives the preset for the next one."""
        self._rung = rung
        self._coding = coding
        self._order = order
        self._open_encoder = open_encoder
        self._coded = coded
        self._reformatter = VideoReformatter()
        self._encoder: VideoEncoder | None = None
        self._last: av.VideoFrame | None = None
        self._last_at = self._due = float("-inf")
        self._skipped: DecodedFrame | None = None

    def code(self, job: DecodedFrame | float) -> AccessUnit | None:
        """The picture of a frame, unless it comes too soon after the one before.

        Of a time, it is the last frame's: where that came too soon, or again as a keyframe where one is still wanted.
        """
        order = self._order
        begun_at = time.perf_counter()
        if isinstance(job, float):
            job = self._skipped or job
        elif job.captured_at < self._due:
            self._skipped, order.skipped_at = job, job.captured_at
            return None
        if isinstance(job, float):
            if self._encoder is None or self._last is None or not order.wants_keyframe:
                return None
            captured_at, picture, encoder = max(job, self._last_at), self._last, self._encoder
        else:
            captured_at = job.captured_at
            self._skipped, order.skipped_at = None, _NEVER
            # Frames may be early by half a period, so that none is left out for its jitter.
            period = 1 / self._coding.frame_rate
            self._due = max(self._due + period, captured_at + period / 2)
            encoder = self._fitting(job.frame)
            begun_at = time.perf_counter()
            picture = self._reformatter.reformat(
                job.frame, encoder.coding.width, encoder.coding.height, "yuv420p", threads=1
            )
        if encoder.coding.bit_rate != order.bit_rate:
            encoder.set_bit_rate(order.bit_rate)
        is_forced, order.wants_keyframe = order.wants_keyframe, False
        access_unit = encoder.encode(picture, captured_at, force_keyframe=is_forced)
        self._last, self._last_at = picture, captured_at
        preset = self._coded(encoder.name, time.perf_counter() - begun_at)
        if preset != self._coding.preset:
            self._coding = replace(self._coding, preset=preset)
        return access_unit

    def close(self) -> None:
        if self._encoder is not None:
            self._encoder.close()
        self._encoder = self._last = self._skipped = None

    def _fitting(self, frame: av.VideoFrame) -> VideoEncoder:
        width, height = size_of(self._rung, frame.width, frame.height)
        encoder, preset = self._encoder, self._coding.preset
        if encoder is not None:
            now = encoder.coding
            if (now.width, now.height, now.preset) == (width, height, preset):
                return encoder
        self.close()
        coding = replace(self._coding, width=width, height=height, bit_rate=self._order.bit_rate)
        encoder = self._encoder = self._open_encoder(coding)
        return encoder


class _Order:
    """What the event loop asks of a coder, and is told by it; single words, so no lock."""

    __slots__ = ("bit_rate", "skipped_at", "wants_keyframe")

    def __init__(self, bit_rate: int) -> None:
        self.bit_rate = bit_rate
        self.wants_keyframe = False
        self.skipped_at = _NEVER
        """When the last frame was captured that came too soon to be coded, while none was coded after it."""


class RungEncoder:
    """One rung while it is needed. To be used in the event loop."""

    def __init__(
        self,
        name: str,
        rung: Rung,
        bit_rate: int,
        transcoding: Transcoding,
        deliver: Callable[[AccessUnit], None],
        failed: Callable[[str], None],
    ) -> None:
        """`deliver` gets its pictures, `failed` in words why there will be no more; both in the event loop."""
        self.rung = rung
        self._order = _Order(bit_rate)
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._deliver = deliver
        self._period = 1 / transcoding.frame_rate
        self._pace = Pace(transcoding.preset, transcoding.frame_rate)
        self._lost: DecodedFrame | None = None
        """A frame that an encoder failed at, while none was coded after it."""
        self.output = OutputBuffer(
            self._loop,
            transcoding.output_limit,
            self._take,
            self.request_keyframe,
            is_keyframe=lambda access_unit: access_unit.is_keyframe,
            longest_wait=transcoding.writing_timeout,
        )
        coding = VideoCoding(
            width=16,
            height=16,
            frame_rate=transcoding.frame_rate,
            bit_rate=bit_rate,
            keyframe_interval=_KEYFRAME_INTERVAL,
            preset=transcoding.preset,
            burst=_BURST,
        )
        self.lane: Lane[DecodedFrame | float] = transcoding.pool.open_lane(
            name,
            lambda: _RungCoder(
                rung,
                replace(coding, preset=self._pace.preset),
                self._order,
                transcoding.open_encoder,
                self._preset_after,
            ),
            self._coded,
            self._broke,
            lost=self._note_loss,
        )

    @property
    def bit_rate(self) -> int:
        """Bits per second that it is coded with."""
        return self._order.bit_rate

    @bit_rate.setter
    def bit_rate(self, bit_rate: int) -> None:
        self._order.bit_rate = bit_rate

    @property
    def drops(self) -> Counter[str]:
        """Pictures that were not coded or not sent, by reason."""
        return self.lane.drops + self.output.drops

    def request_keyframe(self) -> None:
        """Have the next picture be an IDR, at once where the screen is still."""
        if not self._is_closed:
            self._order.wants_keyframe = True
            self.lane.put(time.monotonic())

    def look(self, now: float) -> None:
        """Have a frame coded after all that was left out or lost, where none came after it: the screen stands still."""
        lost, self._lost = self._lost, None
        if lost is not None:
            self.lane.put(lost)
        elif now - self._order.skipped_at >= self._period:
            self.lane.put(now)

    def close(self) -> None:
        """Free it; nothing more is delivered. Idempotent."""
        self._is_closed = True
        self.lane.close()

    def _preset_after(self, codec: str, seconds: float) -> str:
        """In a worker: the preset for the picture that comes after one that took so many seconds."""
        reason = self._pace.coded(seconds, self.lane.drops["input_full"], time.monotonic(), codec)
        if reason is not None:
            log.info("encoder takes a faster preset", rung=self.lane.name, preset=self._pace.preset, reason=reason)
        return self._pace.preset

    def _coded(self, access_unit: AccessUnit | None) -> None:
        if access_unit is not None:
            self._lost = None
            self.output.put(access_unit)

    def _note_loss(self, job: DecodedFrame | float, reason: str) -> None:
        if reason in ("failed", "timed_out") and not isinstance(job, float):
            self._lost = job

    def _take(self, access_unit: AccessUnit) -> None:
        if not self._is_closed:
            self._deliver(access_unit)

    def _broke(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(self.end, str(error))

    def end(self, reason: str) -> None:
        """Free it because it cannot be coded any more, and tell."""
        if not self._is_closed:
            self.close()
            self._failed(reason)

"""A codec that does what live video cannot use: it codes pictures in another order than they are shown."""

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from encoders.errors import EncoderError


class ReorderingEncoder:
    """libx264, Main profile: every other picture is a B-frame, so pictures come out late and not in their order.

    Use it from one thread at a time. Raises `EncoderError` for settings that cannot be.
    """

    def __init__(self, width: int, height: int, *, frame_rate: int, bit_rate: int, keyframe_interval: float) -> None:
        """`bit_rate` is in bits per second, `keyframe_interval` in seconds' worth of pictures."""
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = Fraction(1, frame_rate), Fraction(frame_rate)
        context.gop_size = max(1, round(keyframe_interval * frame_rate))
        context.bit_rate = bit_rate
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "profile": "main",
            "x264-params": "bframes=1:b-adapt=0:rc-lookahead=0:sync-lookahead=0:scenecut=0:sliced-threads=0:slices=1",
        }
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(f"libx264 does not take {width}x{height}: {error}") from error
        self._context: VideoCodecContext | None = context
        self._pictures = 0

    def encode(self, frame: av.VideoFrame) -> bytes:
        """What is ready as Annex B bytes, often an earlier picture and sometimes none. Raises `EncoderError`."""
        if self._context is None:
            raise EncoderError("the encoder is closed")
        frame.pts = self._pictures
        frame.time_base = self._context.time_base
        frame.pict_type = PictureType.NONE
        self._pictures += 1
        try:
            return b"".join(bytes(packet) for packet in self._context.encode(frame))
        except av.FFmpegError as error:
            raise EncoderError(f"libx264 failed: {error}") from error

    def close(self) -> None:
        """Free the encoder. Idempotent."""
        self._context = None

"""Raw pictures to H.264 in software: libx264, tuned so that each picture comes out as soon as it went in."""

from fractions import Fraction
from typing import Final

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type

_SMALLEST_SIDE: Final = 16
_LARGEST_SIDE: Final = 8192

_PROFILES: Final = {
    # x264 writes the profile of the tools in use, and the fast presets use none of them.
    "baseline": "cabac=0:8x8dct=0",
    "main": "cabac=1:8x8dct=0",
    "high": "cabac=1:8x8dct=1",
}

_BUFFERED_SECONDS: Final = 0.5
"""How much of the bit rate a burst (a keyframe) may take ahead."""


class H264Encoder:
    """Encodes pictures of one size, each to one access unit at once: no B-frames, no delay, one slice, one thread.

    `bit_rate` (bits per second) is also the most that half a second may take, so the stream is really about that while
    the pictures are busy, and less when they are still. An IDR picture comes every `keyframe_interval` seconds' worth
    of pictures and on demand, never for a scene cut. Use it from one thread at a time.

    Raises `EncoderError` for settings that cannot be.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        frame_rate: int,
        bit_rate: int,
        keyframe_interval: float,
        profile: str = "baseline",
        preset: str = "ultrafast",
    ) -> None:
        for name, side in (("width", width), ("height", height)):
            if side % 2 or not _SMALLEST_SIDE <= side <= _LARGEST_SIDE:
                raise EncoderError(f"{name} is {side}: it must be even, {_SMALLEST_SIDE} to {_LARGEST_SIDE}")
        if not 1 <= frame_rate <= 240:
            raise EncoderError(f"frame_rate is {frame_rate}: it must be 1 to 240 pictures per second")
        if not 10_000 <= bit_rate <= 1_000_000_000:
            raise EncoderError(f"bit_rate is {bit_rate}: it must be 10000 to 1000000000 bits per second")
        if not 0 < keyframe_interval <= 3600:
            raise EncoderError(f"keyframe_interval is {keyframe_interval}: it must be above 0, at most 3600 seconds")
        if profile not in _PROFILES:
            raise EncoderError(f"profile is {profile!r}: it must be one of {', '.join(_PROFILES)}")
        self.width = width
        self.height = height
        self._pictures = 0
        self._context: VideoCodecContext | None = _open(
            width, height, frame_rate, bit_rate, max(1, round(keyframe_interval * frame_rate)), profile, preset
        )

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        """The access unit of `frame`; with `force_keyframe` an IDR picture. Every keyframe carries SPS and PPS.

        Overwrites the frame's pts, time base and picture type. Raises `EncoderError` for a frame of another size, and
        after `close`.
        """
        if self._context is None:
            raise EncoderError("the encoder is closed")
        if (frame.width, frame.height) != (self.width, self.height):
            raise EncoderError(
                f"the frame is {frame.width}x{frame.height}, the encoder was made for {self.width}x{self.height}"
            )
        frame.pts = self._pictures
        frame.time_base = self._context.time_base
        frame.pict_type = PictureType.I if force_keyframe else PictureType.NONE
        self._pictures += 1
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise EncoderError(f"libx264 failed: {error}") from error
        if len(packets) != 1:
            raise EncoderError(f"libx264 gave {len(packets)} packets for one picture")
        # x264 names itself and its settings in an SEI before the first picture; nobody reads that.
        nal_units = tuple(
            nal for nal in picture_nal_units(bytes(packets[0])) if nal_unit_type(nal) is not NalUnitType.SEI
        )
        return AccessUnit(nal_units, captured_at, packets[0].is_keyframe)

    def close(self) -> None:
        """Free the encoder. Idempotent."""
        self._context = None


def _open(
    width: int, height: int, frame_rate: int, bit_rate: int, pictures_per_keyframe: int, profile: str, preset: str
) -> VideoCodecContext:
    context = av.CodecContext.create("libx264", "w")
    context.width = width
    context.height = height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, frame_rate)
    context.framerate = Fraction(frame_rate)
    context.gop_size = pictures_per_keyframe
    context.max_b_frames = 0
    context.bit_rate = bit_rate
    context.thread_count = 1
    context.options = {
        "preset": preset,
        "tune": "zerolatency",
        "profile": profile,
        "forced-idr": "1",
        "maxrate": str(bit_rate),
        "bufsize": str(int(bit_rate * _BUFFERED_SECONDS)),
        "x264-params": f"scenecut=0:sliced-threads=0:slices=1:{_PROFILES[profile]}",
    }
    try:
        context.open()
    except (av.FFmpegError, ValueError) as error:
        raise EncoderError(f"libx264 does not take {width}x{height}, preset {preset!r}: {error}") from error
    return context

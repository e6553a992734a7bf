"""What codes raw pictures, whatever does the work: a library, a graphics card, a program."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import av

from encoders.access_unit import AccessUnit


@dataclass(frozen=True, slots=True)
class VideoCoding:
    """How pictures are to be coded."""

    width: int
    height: int
    frame_rate: int
    """Pictures per second, at most."""
    bit_rate: int
    """Bits per second, also the most that a burst may average over `burst` seconds."""
    keyframe_interval: float = 10.0
    """Seconds' worth of pictures between IDR pictures that nobody asked for."""
    profile: str = "baseline"
    """`baseline` (constrained), `main` or `high`."""
    preset: str = "faster"
    """One of libx264's names, ultrafast to medium; each encoder does with it what comes closest."""
    burst: float = 0.5
    """Seconds over which the bit rate is kept: what one keyframe may take ahead."""


class VideoEncoder(Protocol):
    """Codes pictures of one size, each to one access unit at once: no B-frames, no delay, one slice.

    To be used from one thread at a time, not always the same one.
    """

    name: str
    """FFmpeg's name of the codec that does the work: `libx264`, `h264_nvenc`, …"""
    coding: VideoCoding
    """As it is coded now."""

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        """The access unit of `frame` (yuv420p); with `force_keyframe` an IDR picture with SPS and PPS.

        The first one is an IDR picture too. Neither the frame's pixels nor its times are changed, so that encoders
        may share one. Raises `EncoderError`.
        """
        ...

    def set_bit_rate(self, bit_rate: int) -> None:
        """Code with another bit rate from the next picture on, without a new keyframe where the codec can."""
        ...

    def close(self) -> None:
        """Free it. Idempotent."""
        ...


OpenEncoder = Callable[[VideoCoding], VideoEncoder]
"""Makes an encoder; raises `EncoderError`. It may take a while, so not in the event loop."""

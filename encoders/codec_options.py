"""What FFmpeg's H.264 encoders have to be told for pictures that come out at once: one wish in four dialects.

All of them: no B-frames, nothing held back, one slice, an IDR picture only when asked for or when its time has come,
and a constant bit rate that is kept over `VideoCoding.burst` seconds. Options as in `ffmpeg -h encoder=NAME`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from encoders.errors import EncoderError
from encoders.video_encoder import VideoCoding

PRESETS: Final = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow")
"""From the least work to the best pictures, by libx264's names."""

PROFILES: Final = ("baseline", "main", "high")

SMALLEST_SIDE: Final = 16
LARGEST_SIDE: Final = 8192
LOWEST_BIT_RATE: Final = 10_000
HIGHEST_BIT_RATE: Final = 1_000_000_000

_X264_PROFILES: Final = {
    # x264 writes the profile of the tools in use, and the fast presets use none of them.
    "baseline": "cabac=0:8x8dct=0",
    "main": "cabac=1:8x8dct=0",
    "high": "cabac=1:8x8dct=1",
}

_NVENC_PRESETS: Final = dict(zip(PRESETS, ("p1", "p1", "p2", "p3", "p4", "p5", "p6"), strict=True))
_QSV_PRESETS: Final = dict(
    zip(PRESETS, ("veryfast", "veryfast", "veryfast", "faster", "fast", "medium", "slow"), strict=True)
)

_X264_HEADROOM: Final = 4
"""libx264 can lower the bit rate on the run and raise it again, but never above what it was opened with."""


@dataclass(frozen=True, slots=True)
class CodecOptions:
    """How one of libavcodec's encoders is opened for a `VideoCoding`."""

    pixel_format: str
    """What it takes; pictures in another are converted."""

    options: Mapping[str, str]
    """For `avcodec_open2`, without size, times, the bit rate, GOP size and B-frames, which are fields."""

    opening_bit_rate: int
    """Bits per second with which it is to be opened; the wished ones are set before the first picture."""

    highest_bit_rate: int
    """Bits per second to which it can be changed on the run; 0 where it cannot."""


def check(coding: VideoCoding) -> None:
    """Raises `EncoderError` for what none of the encoders could do, naming it and what is allowed."""
    for name, side in (("width", coding.width), ("height", coding.height)):
        if side % 2 or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise EncoderError(f"{name} is {side}: it must be even, {SMALLEST_SIDE} to {LARGEST_SIDE}")
    if not 1 <= coding.frame_rate <= 240:
        raise EncoderError(f"frame_rate is {coding.frame_rate}: it must be 1 to 240 pictures per second")
    check_bit_rate(coding.bit_rate)
    if not 0 < coding.keyframe_interval <= 3600:
        raise EncoderError(f"keyframe_interval is {coding.keyframe_interval}: it must be above 0, at most 3600 seconds")
    if coding.profile not in PROFILES:
        raise EncoderError(f"profile is {coding.profile!r}: it must be one of {', '.join(PROFILES)}")
    if coding.preset not in PRESETS:
        raise EncoderError(f"preset is {coding.preset!r}: it must be one of {', '.join(PRESETS)}")
    if not 0.05 <= coding.burst <= 10:
        raise EncoderError(f"burst is {coding.burst}: it must be 0.05 to 10 seconds")


def check_bit_rate(bit_rate: int) -> None:
    """Raises `EncoderError`."""
    if not LOWEST_BIT_RATE <= bit_rate <= HIGHEST_BIT_RATE:
        raise EncoderError(
            f"bit_rate is {bit_rate}: it must be {LOWEST_BIT_RATE} to {HIGHEST_BIT_RATE} bits per second"
        )


def pictures_per_keyframe(coding: VideoCoding) -> int:
    """The GOP size."""
    return max(1, round(coding.keyframe_interval * coding.frame_rate))


def burst_bits(coding: VideoCoding) -> int:
    """The size of the decoder's buffer (VBV) that the encoder keeps from running dry."""
    return int(coding.bit_rate * coding.burst)


def codec_options(codec: str, coding: VideoCoding, gpu: int | None = None) -> CodecOptions:
    """Those of `codec` (`libx264`, `h264_nvenc`, `h264_qsv`); `gpu` is CUDA's number of the card, for NVENC only.

    Raises `EncoderError` for a codec that is not known here.
    """
    match codec:
        case "libx264":
            return _libx264(coding)
        case "h264_nvenc":
            return _nvenc(coding, gpu)
        case "h264_qsv":
            return _qsv(coding)
    raise EncoderError(f"codec is {codec!r}: it must be libx264, h264_nvenc or h264_qsv")


def faster_preset(codec: str, preset: str) -> str | None:
    """The next of `PRESETS` that is less work for `codec` than `preset`; None where there is none.

    Some of them are the same to a codec, all of them to `h264_vaapi`.
    """
    match codec:
        case "libx264":
            own = dict(zip(PRESETS, PRESETS, strict=True))
        case "h264_nvenc":
            own = _NVENC_PRESETS
        case "h264_qsv":
            own = _QSV_PRESETS
        case _:
            return None
    faster = reversed(PRESETS[: PRESETS.index(preset)])
    return next((each for each in faster if own[each] != own[preset]), None)


def _libx264(coding: VideoCoding) -> CodecOptions:
    buffered = burst_bits(coding)
    # A buffer that holds less than one picture at this rate would be enlarged.
    highest = max(coding.bit_rate, min(_X264_HEADROOM * coding.bit_rate, buffered * coding.frame_rate))
    options = {
        "preset": coding.preset,
        "tune": "zerolatency",
        "profile": coding.profile,
        "forced-idr": "1",
        # The same as the bit rate makes it CBR, and only then the greatest rate follows the bit rate on the run.
        "maxrate": str(highest),
        "bufsize": str(buffered),
        "x264-params": f"scenecut=0:sliced-threads=0:slices=1:{_X264_PROFILES[coding.profile]}",
    }
    return CodecOptions("yuv420p", MappingProxyType(options), highest, highest)


def _nvenc(coding: VideoCoding, gpu: int | None) -> CodecOptions:
    options = {
        "preset": _NVENC_PRESETS[coding.preset],
        "tune": "ull",
        "profile": coding.profile,
        "coder": "cavlc" if coding.profile == "baseline" else "cabac",
        "rc": "cbr",
        "bufsize": str(burst_bits(coding)),
        "zerolatency": "1",
        "delay": "0",
        "forced-idr": "1",
        "no-scenecut": "1",
        "gpu": "any" if gpu is None else str(gpu),
    }
    # FFmpeg hands a changed bit rate to the card, with an IDR picture; CBR has no rate beside it.
    return CodecOptions("yuv420p", MappingProxyType(options), coding.bit_rate, HIGHEST_BIT_RATE)


def _qsv(coding: VideoCoding) -> CodecOptions:
    options = {
        "preset": _QSV_PRESETS[coding.preset],
        "profile": coding.profile,
        "cavlc": "1" if coding.profile == "baseline" else "0",
        "scenario": "displayremoting",
        "flags": "+low_delay",
        "async_depth": "1",
        "forced_idr": "1",
        "idr_interval": "0",
        "look_ahead": "0",
        "maxrate": str(coding.bit_rate),
        "bufsize": str(burst_bits(coding)),
    }
    return CodecOptions("nv12", MappingProxyType(options), coding.bit_rate, 0)


def vaapi_arguments(coding: VideoCoding) -> tuple[str, ...]:
    """Those of the `ffmpeg` command for `h264_vaapi`, behind its input. The preset is left to the driver.

    Drivers disagree on what a quality level is, and some have only the low-power entry point, so neither is asked for.
    """
    profile = "constrained_baseline" if coding.profile == "baseline" else coding.profile
    return (
        *("-vf", "format=nv12,hwupload"),
        *("-c:v", "h264_vaapi"),
        *("-profile:v", profile),
        *("-async_depth", "1"),
        *("-sei", "0"),
        *_constant_bit_rate(coding),
    )


def libx264_arguments(coding: VideoCoding) -> tuple[str, ...]:
    """Those of the `ffmpeg` command for `libx264`, behind its input."""
    return (
        *("-c:v", "libx264"),
        *("-preset", coding.preset),
        *("-tune", "zerolatency"),
        *("-profile:v", coding.profile),
        *("-forced-idr", "1"),
        *("-threads", "1"),
        *("-x264-params", f"scenecut=0:sliced-threads=0:slices=1:{_X264_PROFILES[coding.profile]}"),
        *_constant_bit_rate(coding),
    )


def _constant_bit_rate(coding: VideoCoding) -> tuple[str, ...]:
    return (
        *("-bf", "0"),
        *("-g", str(pictures_per_keyframe(coding))),
        *("-b:v", str(coding.bit_rate)),
        *("-maxrate", str(coding.bit_rate)),
        *("-bufsize", str(burst_bits(coding))),
    )

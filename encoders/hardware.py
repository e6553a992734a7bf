"""Which encoder this machine has, found by coding a few pictures with each and looking at what comes out.

Lists say little: FFmpeg names NVENC on machines without a card, and some data-centre cards have a driver but no
encoder. So each candidate has to open, to code pictures and a keyframe on demand, and its output has to be decodable.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import av
import av.logging
import numpy as np

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.errors import EncoderError, EncoderUnavailable
from encoders.ffmpeg_encoder import FfmpegCodec, FfmpegEncoder
from encoders.gpu_sessions import GpuSessions
from encoders.h264 import parse_sps
from encoders.h264_encoder import H264Encoder
from encoders.video_encoder import OpenEncoder, VideoCoding, VideoEncoder

ACCELERATORS: Final = ("nvenc", "qsv", "vaapi", "libx264")
"""In the order in which they are tried; with `auto` the values of H264_HW_ACCEL."""

DEFAULT_GPU: Final = ""
"""The card that the driver takes by itself, where cards are not to be told apart."""

_CODING: Final = VideoCoding(width=320, height=240, frame_rate=30, bit_rate=1_000_000, preset="ultrafast")
_PICTURES: Final = 5
_FORCED: Final = 3
_LARGEST_ERROR: Final = 24
"""Mean difference of a sample before and after: a wrong picture has 60 and more, a coarsely coded one under 10."""


@dataclass(frozen=True, slots=True)
class Trial:
    """How one candidate did."""

    name: str
    """One of `ACCELERATORS`."""

    ok: bool

    reason: str
    """Why it does not work, or which cards do not; empty where there is nothing to say."""

    gpus: tuple[str, ...] = ()
    """The cards that work, as `OpenEncoder`s for them know them: CUDA's number, the render node, or `DEFAULT_GPU`."""


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """What this machine codes with."""

    name: str
    """One of `ACCELERATORS`."""

    open: OpenEncoder
    """Makes such an encoder; libx264's where no card takes one more."""

    trials: tuple[Trial, ...]
    """All that were made, in order."""

    sessions: GpuSessions | None
    """What the cards do; None for libx264."""


def choose(accel: str = "auto", *, ffmpeg_shutdown_timeout: float = 5.0) -> EncoderChoice:
    """The first of `ACCELERATORS` that works, or the one that `accel` names. Takes up to a few seconds.

    libx264 is tried in any case: it codes what the cards do not take. Raises `EncoderUnavailable` when the one that was
    asked for does not work, and `EncoderError` for a name that is none.
    """
    trials: list[Trial] = []
    for name in candidates(accel):
        if name == "libx264" or not any(trial.ok for trial in trials):
            trials.append(try_encoder(name))
    chosen = chosen_trial(accel, trials)
    software = partial(H264Encoder.of, codec="libx264")
    if chosen.name == "libx264":
        return EncoderChoice(chosen.name, software, tuple(trials), None)
    open_on = partial(_open_on, chosen.name, ffmpeg_shutdown_timeout)
    sessions = GpuSessions(chosen.gpus, open_on, software)
    return EncoderChoice(chosen.name, sessions.open, tuple(trials), sessions)


def candidates(accel: str) -> tuple[str, ...]:
    """What is tried for a value of H264_HW_ACCEL, in order. Raises `EncoderError` for another value."""
    if accel == "auto":
        return ACCELERATORS
    if accel not in ACCELERATORS:
        raise EncoderError(f"H264_HW_ACCEL is {accel!r}: it must be auto, {', '.join(ACCELERATORS)}")
    return tuple(dict.fromkeys((accel, "libx264")))


def chosen_trial(accel: str, trials: Sequence[Trial]) -> Trial:
    """Which one is taken, of the trials of all `candidates` that matter. Raises `EncoderUnavailable`."""
    for trial in trials:
        if trial.ok and accel in ("auto", trial.name):
            return trial
    reasons = "; ".join(f"{trial.name}: {trial.reason}" for trial in trials if accel in ("auto", trial.name))
    others = ", ".join(trial.name for trial in trials if trial.ok)
    hint = f"use auto, or {others}, which works here" if others else "nothing else works here either"
    raise EncoderUnavailable(f"H264_HW_ACCEL={accel} does not work on this machine ({reasons}); {hint}")


def try_encoder(name: str, *, devices: Path = Path("/dev")) -> Trial:
    """Code a few pictures with each card that `name` could use; `devices` is the folder of the device files."""
    gpus = find_gpus(name, devices)
    if not gpus:
        return Trial(name, False, f"there is no render node {devices}/dri/renderD*: no graphics card, or not for us")
    reasons = {gpu: refusal(partial(_open_on, name, 5.0, gpu)) for gpu in gpus}
    refusals = [f"{gpu}: {reason}" if len(gpus) > 1 else reason for gpu, reason in reasons.items() if reason]
    working = tuple(gpu for gpu, reason in reasons.items() if not reason)
    return Trial(name, bool(working), "; ".join(refusals), working)


def find_gpus(name: str, devices: Path = Path("/dev")) -> tuple[str, ...]:
    """The cards that `name` may be tried on, by the files in `devices`."""
    if name == "nvenc":
        # CUDA counts from 0 what it may use, whatever the files are called in a container.
        cards = [path for path in devices.glob("nvidia*") if re.fullmatch(r"nvidia\d+", path.name)]
        return tuple(map(str, range(len(cards)))) or (DEFAULT_GPU,)
    if name == "vaapi":
        nodes = [path for path in devices.glob("dri/renderD*") if re.fullmatch(r"renderD\d+", path.name)]
        return tuple(map(str, sorted(nodes, key=lambda path: int(path.name.removeprefix("renderD")))))
    return (DEFAULT_GPU,)


def refusal(open_encoder: OpenEncoder) -> str:
    """Why what `open_encoder` makes is of no use, in words; empty when it codes as it should."""
    with _overheard() as complaints:
        try:
            encoder = open_encoder(_CODING)
            try:
                _check(encoder)
            finally:
                encoder.close()
        # A driver that is not there raises a PermissionError, and a codec that is not built in a ValueError.
        except (EncoderError, av.FFmpegError, ValueError, OSError) as error:
            reason = str(error)
        else:
            return ""
    return complaints[0] if complaints else reason


def _open_on(name: str, ffmpeg_shutdown_timeout: float, gpu: str, coding: VideoCoding) -> VideoEncoder:
    match name:
        case "nvenc":
            return H264Encoder.of(coding, codec="h264_nvenc", gpu=None if gpu == DEFAULT_GPU else int(gpu))
        case "qsv":
            return H264Encoder.of(coding, codec="h264_qsv")
        case "vaapi":
            return FfmpegEncoder(coding, FfmpegCodec.vaapi(gpu), shutdown_timeout=ffmpeg_shutdown_timeout)
    return H264Encoder.of(coding, codec="libx264")


@contextmanager
def _overheard() -> Iterator[list[str]]:
    """Collects what libav complains of in this thread; its exceptions often carry a number only."""
    level = av.logging.get_level()
    complaints: list[str] = []
    av.logging.set_level(av.logging.VERBOSE)
    try:
        with av.logging.Capture() as entries:
            try:
                yield complaints
            finally:
                complaints += [
                    text.strip().rstrip(".") for severity, _, text in entries if severity <= av.logging.ERROR
                ]
    finally:
        av.logging.set_level(level)


def _check(encoder: VideoEncoder) -> None:
    """Raises `EncoderError` unless the encoder does what it is for."""
    frames = [_test_picture(number) for number in range(_PICTURES)]
    coded = [encoder.encode(frame, 0.0, force_keyframe=number == _FORCED) for number, frame in enumerate(frames)]
    for number in (0, _FORCED):
        if not coded[number].is_keyframe:
            raise EncoderError(f"picture {number} should be a keyframe and is none")
    if parse_sps(coded[0].nal_units[0]).may_reorder:
        raise EncoderError("its pictures may come in another order than they are shown")
    decoded = _decoded(coded)
    if len(decoded) != _PICTURES:
        raise EncoderError(f"of {_PICTURES} pictures {len(decoded)} could be decoded")
    for before, after in zip(frames, decoded, strict=True):
        if (after.width, after.height) != (_CODING.width, _CODING.height):
            raise EncoderError(f"its pictures are {after.width}x{after.height}, not {_CODING.width}x{_CODING.height}")
        error = float(np.abs(_luma(before) - _luma(after)).mean())
        if error > _LARGEST_ERROR:
            raise EncoderError(f"its pictures show something else: samples differ by {error:.0f}")


def _test_picture(number: int) -> av.VideoFrame:
    """Bars that move to the right."""
    columns = np.arange(_CODING.width) - 8 * number
    samples = np.tile(40 + columns // 32 % 2 * 160, (_CODING.height * 3 // 2, 1))
    samples[_CODING.height :] = 128
    return av.VideoFrame.from_ndarray(samples.astype(np.uint8), format="yuv420p")


def _luma(frame: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return frame.to_ndarray(format="yuv420p")[: _CODING.height].astype(np.int16)


def _decoded(access_units: Sequence[AccessUnit]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    decoder.thread_count = 1
    frames: list[av.VideoFrame] = []
    for access_unit in access_units:
        frames += decoder.decode(av.Packet(to_annexb(access_unit.nal_units)))
    return frames + decoder.decode(None)

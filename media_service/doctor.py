"""`media-service doctor`: what this machine has of what the service can use, and why it lacks the rest."""

import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import av
import av._core

from encoders.errors import EncoderUnavailable
from encoders.hardware import ACCELERATORS, Trial, chosen_trial, try_encoder

_LICENCES = (
    ("libx264", "GPL-2.0-or-later"),
    ("libx265", "GPL-2.0-or-later"),
    ("libopus", "BSD-3-Clause"),
)
"""Of what PyAV's wheel brings beside FFmpeg and this service may call or must pass on with it."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What was found."""

    lines: tuple[str, ...]

    is_well: bool
    """Whether the service can do what its settings ask for."""


def diagnose(accel: str) -> Diagnosis:
    """Try everything; `accel` is H264_HW_ACCEL. Takes up to a few seconds."""
    return report(accel, tuple(map(try_encoder, ACCELERATORS)))


def report(accel: str, trials: Sequence[Trial]) -> Diagnosis:
    """What is to be said of `trials`, one of each of `ACCELERATORS`."""
    lines = ["Versions", *(f"  {line}" for line in _versions()), "", "Encoders of H.264"]
    width = max(len(trial.name) for trial in trials)
    lines += [f"  {trial.name:{width}}  {_verdict(trial)}" for trial in trials]
    try:
        chosen = chosen_trial(accel, trials)
    except EncoderUnavailable as error:
        return Diagnosis((*lines, "", str(error)), False)
    return Diagnosis((*lines, "", f"H264_HW_ACCEL={accel}: {chosen.name} is used"), True)


def _verdict(trial: Trial) -> str:
    if not trial.ok:
        return f"no: {trial.reason}"
    cards = [gpu for gpu in trial.gpus if gpu]
    works = f"works on {', '.join(cards)}" if cards else "works"
    return f"{works} (not on {trial.reason})" if trial.reason else works


def _versions() -> list[str]:
    configuration = av._core.library_meta["libavcodec"]["configuration"]
    brought = [f"{name} ({licence})" for name, licence in _LICENCES if f"--enable-{name}" in configuration.split()]
    return [
        f"media-service {version('media-service')}, Python {platform.python_version()}, aiortc {version('aiortc')}",
        f"PyAV {version('av')} (BSD-3-Clause) with FFmpeg {av.ffmpeg_version_info}, which brings {', '.join(brought)}",
        f"ffmpeg program: {_ffmpeg_program()}",
    ]


def _ffmpeg_program() -> str:
    """Its version, which VAAPI needs."""
    try:
        done = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=True, timeout=10)
    except FileNotFoundError:
        return "none (only VAAPI needs it)"
    except (OSError, subprocess.SubprocessError) as error:
        return f"cannot be run: {error}"
    found = re.match(r"ffmpeg version (\S+)", done.stdout)
    return found[1] if found else "of an unknown version"

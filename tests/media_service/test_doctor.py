"""What `media-service doctor` says, and when it is content."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import pytest

from encoders.hardware import Trial
from media_service.doctor import diagnose, report

NOTHING = (
    Trial("nvenc", False, "Cannot load libcuda.so.1"),
    Trial("qsv", False, "Error creating a MFX session: -9"),
    Trial("vaapi", False, "ffmpeg is not installed"),
    Trial("libx264", True, "", ("",)),
)
ONE_OF_TWO_CARDS = (Trial("nvenc", True, "1: unsupported device", ("0",)), *NOTHING[1:])


@pytest.mark.parametrize(
    ("accel", "trials", "last", "is_well"),
    [
        ("auto", NOTHING, "H264_HW_ACCEL=auto: libx264 is used", True),
        ("libx264", NOTHING, "H264_HW_ACCEL=libx264: libx264 is used", True),
        ("auto", ONE_OF_TWO_CARDS, "H264_HW_ACCEL=auto: nvenc is used", True),
        ("libx264", ONE_OF_TWO_CARDS, "H264_HW_ACCEL=libx264: libx264 is used", True),
        (
            "vaapi",
            NOTHING,
            "H264_HW_ACCEL=vaapi does not work on this machine (vaapi: ffmpeg is not installed); "
            "use auto, or libx264, which works here",
            False,
        ),
    ],
)
def test_what_will_be_used(accel: str, trials: Sequence[Trial], last: str, is_well: bool) -> None:
    diagnosis = report(accel, trials)
    assert (diagnosis.lines[-1], diagnosis.is_well) == (last, is_well)


def test_each_encoder_with_its_reason() -> None:
    lines = report("auto", ONE_OF_TWO_CARDS).lines
    start = lines.index("Encoders of H.264")
    assert lines[start + 1 : start + 5] == (
        "  nvenc    works on 0 (not on 1: unsupported device)",
        "  qsv      no: Error creating a MFX session: -9",
        "  vaapi    no: ffmpeg is not installed",
        "  libx264  works",
    )


def test_versions_and_licences() -> None:
    lines = "\n".join(report("auto", NOTHING).lines)
    assert f"PyAV {av.__version__} (BSD-3-Clause) with FFmpeg {av.ffmpeg_version_info}" in lines
    assert "libx264 (GPL-2.0-or-later)" in lines


def test_libx264_always_works() -> None:
    assert diagnose("libx264").is_well


@pytest.mark.parametrize(("accel", "code"), [("libx264", 0), ("nvenc", 1)])
def test_the_command(tmp_path: Path, accel: str, code: int) -> None:
    if code and any(Path("/dev").glob("nvidia*")):
        pytest.skip("this machine has such a card")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("media-service")), "doctor"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "H264_HW_ACCEL": accel},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert f"H264_HW_ACCEL={accel}" in done.stdout.splitlines()[-1]

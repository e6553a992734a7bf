"""What is said of the encoders."""

from collections.abc import Sequence

import pytest

from encoders.hardware import Trial
from media_service.diagnosis.encoding import check, found
from media_service.diagnosis.finding import Status
from media_service.settings import Settings

NOTHING = (
    Trial("nvenc", False, "Cannot load libcuda.so.1"),
    Trial("qsv", False, "Error creating a MFX session: -9"),
    Trial("vaapi", False, "ffmpeg is not installed"),
    Trial("libx264", True, "", ("",)),
)
ONE_OF_TWO_CARDS = (Trial("nvenc", True, "1: unsupported device", ("0",)), *NOTHING[1:])


@pytest.mark.parametrize(
    ("accel", "trials", "last", "status"),
    [
        ("auto", NOTHING, "H264_HW_ACCEL=auto: libx264 is used", Status.OK),
        ("libx264", NOTHING, "H264_HW_ACCEL=libx264: libx264 is used", Status.OK),
        ("auto", ONE_OF_TWO_CARDS, "H264_HW_ACCEL=auto: nvenc is used", Status.OK),
        ("libx264", ONE_OF_TWO_CARDS, "H264_HW_ACCEL=libx264: libx264 is used", Status.OK),
        (
            "vaapi",
            NOTHING,
            "H264_HW_ACCEL=vaapi does not work on this machine (vaapi: ffmpeg is not installed)",
            Status.PROBLEM,
        ),
    ],
)
def test_what_will_be_used(accel: str, trials: Sequence[Trial], last: str, status: Status) -> None:
    finding = [*found(accel, trials)][-1]
    assert (finding.text, finding.status) == (last, status)
    assert bool(finding.remedy) == (status is Status.PROBLEM)


def test_what_works_instead_is_named() -> None:
    assert [*found("vaapi", NOTHING)][-1].remedy == "use auto, or libx264, which works here: set H264_HW_ACCEL"


def test_each_encoder_with_its_reason() -> None:
    findings = [*found("auto", ONE_OF_TWO_CARDS)][:4]
    assert [(finding.status, finding.text) for finding in findings] == [
        (Status.OK, "nvenc    works on 0 (not on 1: unsupported device)"),
        (Status.INFO, "qsv      no: Error creating a MFX session: -9"),
        (Status.INFO, "vaapi    no: ffmpeg is not installed"),
        (Status.OK, "libx264  works"),
    ]


async def test_libx264_always_works() -> None:
    findings = await check(Settings(h264_hw_accel="libx264"))
    assert findings[-1].text == "H264_HW_ACCEL=libx264: libx264 is used"

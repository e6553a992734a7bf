"""`dumpsys media.player`."""

import re

import pytest

from capture.demo_phone.codec_list import dump_codecs
from capture.demo_phone.phone import Phone, PhoneSpec


def encoders(phone: Phone) -> list[str]:
    _, _, listed = dump_codecs(phone).partition("Encoder infos by media types:\n")
    return re.findall(r"Media type 'video/avc':\n  Encoder \"([^\"]+)\" supports\n", listed)


@pytest.mark.parametrize(("sdk", "name"), [(28, "OMX.google.h264.encoder"), (33, "c2.android.avc.encoder")])
def test_an_encoder_unless_there_is_none(sdk: int, name: str) -> None:
    phone = Phone(PhoneSpec(width=120, height=120, sdk=sdk))
    assert encoders(phone) == [name]
    phone.faults.no_encoder = True
    assert encoders(phone) == []
    assert "c2.android.opus.encoder" in dump_codecs(phone) or sdk < 29


def test_the_largest_video() -> None:
    phone = Phone(PhoneSpec(width=120, height=120))
    phone.faults.largest_video = 1280
    assert 'size-range = "16x16-1280x1280"' in dump_codecs(phone)

"""What ffmpeg said, in one line."""

from hypothesis import given
from hypothesis import strategies as st

from encoders.ffmpeg_words import FfmpegWords

VAAPI = b"""[AVHWDeviceContext @ 0x563d07d8cac0] No VA display found for device /dev/dri/renderD128.
Device creation failed: -22.
Failed to set value '/dev/dri/renderD128' for option 'vaapi_device': Invalid argument
Error parsing global options: Invalid argument
"""


def words(*pieces: bytes) -> FfmpegWords:
    said = FfmpegWords()
    for piece in pieces:
        said.feed(piece)
    return said


def test_the_cause_and_the_end() -> None:
    assert str(words(VAAPI)) == (
        "No VA display found for device /dev/dri/renderD128; Device creation failed: -22; "
        "Error parsing global options: Invalid argument"
    )


def test_what_is_said_twice_is_heard_once() -> None:
    assert str(words(b"[flv @ 0xab] late\n" * 3 + b"[flv @ 0xcd] late.\ndone")) == "late; done"


def test_silence() -> None:
    assert words().after(": ") == str(words(b"\n \n")) == ""
    assert words(b"gone").after(": ") == ": gone"


@given(st.lists(st.binary(max_size=3000), max_size=8))
def test_any_bytes_make_one_bounded_line(pieces: list[bytes]) -> None:
    text = str(words(*pieces))
    assert text.isprintable()
    assert len(text) <= 5000

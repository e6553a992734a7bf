"""The bytes of each control message: this is the documentation of that direction of the wire."""

import pytest

from capture.input_events import VideoSize
from capture.scrcpy.control_message import (
    LONGEST_CLIPBOARD,
    LONGEST_INJECTED_TEXT,
    CopyKey,
    KeyMotion,
    MotionAction,
    back_or_screen_on,
    get_clipboard,
    inject_keycode,
    inject_scroll,
    inject_text,
    inject_touch,
    reset_video,
    rotate_device,
    set_clipboard,
)
from capture.scrcpy.version import parse_version

VIDEO = VideoSize(1080, 1920)


def golden(text: str) -> bytes:
    """Hexadecimal digits; everything behind # is a comment."""
    return bytes.fromhex("".join(line.partition("#")[0] for line in text.splitlines()))


def test_a_key_goes_up_while_the_left_shift_is_held() -> None:
    assert inject_keycode(KeyMotion.UP, 66, repeat=5, meta_state=0x41) == golden("""
        00           # inject keycode
        01           # up
        00000042     # KEYCODE_ENTER
        00000005     # repeat
        00000041     # META_SHIFT_ON and META_SHIFT_LEFT_ON
    """)


def test_text_is_typed() -> None:
    assert inject_text("Hi é") == golden("""
        01           # inject text
        00000005     # bytes
        4869 20 c3a9
    """)


def test_a_finger_comes_down() -> None:
    assert inject_touch(MotionAction.DOWN, 0x1234567887654321, 100, 200, VIDEO) == golden("""
        02                  # inject touch event
        00                  # down
        1234567887654321    # pointer
        00000064 000000c8   # x, y
        0438 0780           # size of the video
        ffff                # pressure 1.0
        00000000 00000000   # mouse button that changed, buttons that are held
    """)


def test_a_finger_moves_with_half_the_pressure_and_leaves() -> None:
    assert inject_touch(MotionAction.MOVE, 1, 0, 1919, VIDEO, pressure=0.5)[1:2] == b"\x02"
    assert inject_touch(MotionAction.MOVE, 1, 0, 1919, VIDEO, pressure=0.5)[22:24] == b"\x80\x00"
    assert inject_touch(MotionAction.UP, 1, 0, 1919, VIDEO, pressure=0.0)[1:2] == b"\x01"
    assert inject_touch(MotionAction.UP, 1, 0, 1919, VIDEO, pressure=0.0)[22:24] == b"\x00\x00"


@pytest.mark.parametrize(
    ("version", "steps"), [("3.3", (1.0, -1.0)), ("3.3.4", (16.0, -16.0)), ("4.1", (99.0, -99.0)), ("3.0", (9.0, -9.0))]
)
def test_a_wheel_turns_as_far_as_the_version_can(version: str, steps: tuple[float, float]) -> None:
    assert inject_scroll(260, 1026, VIDEO, *steps, parse_version(version)) == golden("""
        03                  # inject scroll event
        00000104 00000402   # x, y
        0438 0780           # size of the video
        7fff 8000           # as far as can be, right and down
        00000000            # mouse buttons
    """)


def test_one_step_of_a_wheel() -> None:
    assert inject_scroll(0, 0, VIDEO, 0.0, 1.0, parse_version("3.0"))[13:17] == b"\x00\x00\x7f\xff"
    assert inject_scroll(0, 0, VIDEO, 0.0, 1.0, parse_version("4.0"))[13:17] == b"\x00\x00\x08\x00"


def test_back_or_screen_on() -> None:
    assert back_or_screen_on(KeyMotion.UP) == golden("04 01")


def test_the_clipboard_is_asked_for() -> None:
    assert get_clipboard() == golden("08 00")
    assert get_clipboard(CopyKey.CUT) == golden("08 02")


def test_the_clipboard_is_set_and_pasted() -> None:
    assert set_clipboard("日", sequence=0x0102030405060708, paste=True) == golden("""
        09                  # set clipboard
        0102030405060708    # sequence
        01                  # paste
        00000003            # bytes
        e697a5
    """)
    assert set_clipboard("") == golden("09 0000000000000000 00 00000000")


def test_what_has_no_arguments_is_one_byte() -> None:
    assert rotate_device() == golden("0b")
    assert reset_video() == golden("11")


def test_texts_that_the_server_would_not_take_are_refused() -> None:
    assert len(inject_text("a" * LONGEST_INJECTED_TEXT)) == 5 + 300
    with pytest.raises(ValueError, match="301 bytes is too long: at most 300"):
        inject_text("a" * 299 + "é")
    assert len(set_clipboard("a" * LONGEST_CLIPBOARD)) == 1 << 18
    with pytest.raises(ValueError, match="262131 bytes is too long: at most 262130"):
        set_clipboard("a" * (LONGEST_CLIPBOARD + 1))

"""Where touches land in the video, and what is told about keys and fingers that are held."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import InputRejected
from capture.input_events import Scroll, Text, Touch, TouchAction, VideoSize
from capture.scrcpy.control_message import (
    KeyMotion,
    MotionAction,
    inject_keycode,
    inject_scroll,
    inject_text,
    inject_touch,
)
from capture.scrcpy.input_messages import (
    HeldInput,
    check_key_code,
    check_text,
    is_typed,
    place_on_video,
    scrolled,
    typed_text,
)
from capture.scrcpy.version import parse_version

UPRIGHT = VideoSize(720, 1280)
WIDE = VideoSize(1280, 720)
SCREEN = VideoSize(1080, 1920)


def touch(
    action: TouchAction, x: float, y: float, relative_to: VideoSize | None = UPRIGHT, pointer_id: int = 0
) -> Touch:
    return Touch(action, x, y, relative_to, pointer_id)


@pytest.mark.parametrize(
    ("x", "y", "relative_to", "video", "place"),
    [
        (10, 20, UPRIGHT, UPRIGHT, (10, 20)),
        (719.9, 1279.9, UPRIGHT, UPRIGHT, (719, 1279)),
        (-5, 99999, UPRIGHT, UPRIGHT, (0, 1279)),
        (180, 320, VideoSize(360, 640), UPRIGHT, (360, 640)),  # a smaller re-encoding of the same video
        (540, 960, None, UPRIGHT, (360, 640)),  # device pixels
        (1079, 1919, None, UPRIGHT, (719, 1279)),
        (1919, 0, None, WIDE, (1279, 0)),  # device pixels of a turned device
        (480, 540, VideoSize(960, 1080), VideoSize(480, 1080), (240, 540)),  # between black bars
    ],
)
def test_places(x: float, y: float, relative_to: VideoSize | None, video: VideoSize, place: tuple[int, int]) -> None:
    assert place_on_video(touch(TouchAction.DOWN, x, y, relative_to), video, SCREEN) == place


@given(st.floats(), st.floats(), st.sampled_from([UPRIGHT, VideoSize(3, 5), None]), st.sampled_from([*TouchAction]))
def test_a_place_is_on_the_video_or_refused(
    x: float, y: float, relative_to: VideoSize | None, action: TouchAction
) -> None:
    try:
        column, row = place_on_video(touch(action, x, y, relative_to), UPRIGHT, SCREEN)
    except InputRejected:
        return
    assert 0 <= column < 720
    assert 0 <= row < 1280


def test_after_the_device_was_turned_only_the_end_of_a_touch_is_taken() -> None:
    for action in (TouchAction.TAP, TouchAction.DOWN, TouchAction.MOVE):
        with pytest.raises(InputRejected, match="the device was turned: its video is 1280x720 now, not 720x1280"):
            place_on_video(touch(action, 700, 1200), WIDE, SCREEN)
    column, row = place_on_video(touch(TouchAction.UP, 700, 1200), WIDE, SCREEN)
    assert column < 1280
    assert row < 720


def test_device_pixels_need_the_screen() -> None:
    with pytest.raises(InputRejected, match="did not tell the size of its screen"):
        place_on_video(touch(TouchAction.TAP, 1, 1, None), UPRIGHT, None)


def test_a_video_without_a_size_is_refused() -> None:
    with pytest.raises(InputRejected, match="0x0 is not the size of a video"):
        place_on_video(touch(TouchAction.TAP, 1, 1, VideoSize(0, 0)), UPRIGHT, None)


def test_a_finger_comes_moves_and_leaves() -> None:
    held = HeldInput()
    assert held.touch(touch(TouchAction.DOWN, 1, 2), UPRIGHT, None) == inject_touch(MotionAction.DOWN, 0, 1, 2, UPRIGHT)
    assert held.touch(touch(TouchAction.MOVE, 3, 4), UPRIGHT, None) == inject_touch(MotionAction.MOVE, 0, 3, 4, UPRIGHT)
    up = inject_touch(MotionAction.UP, 0, 5, 6, UPRIGHT, pressure=0.0)
    assert held.touch(touch(TouchAction.UP, 5, 6), UPRIGHT, None) == up
    assert held.release(UPRIGHT) == b""


def test_a_tap_is_down_and_up_at_once() -> None:
    down = inject_touch(MotionAction.DOWN, 7, 1, 2, UPRIGHT)
    up = inject_touch(MotionAction.UP, 7, 1, 2, UPRIGHT, pressure=0.0)
    assert HeldInput().touch(touch(TouchAction.TAP, 1, 2, pointer_id=7), UPRIGHT, None) == down + up


def test_ten_fingers_are_taken_and_not_eleven() -> None:
    held = HeldInput()
    for pointer_id in range(10):
        held.touch(touch(TouchAction.DOWN, 1, 1, pointer_id=pointer_id), UPRIGHT, None)
    with pytest.raises(InputRejected, match="pointerId 10: 10 fingers are on the screen already"):
        held.touch(touch(TouchAction.DOWN, 1, 1, pointer_id=10), UPRIGHT, None)
    held.touch(touch(TouchAction.UP, 1, 1, pointer_id=3), UPRIGHT, None)
    held.touch(touch(TouchAction.DOWN, 1, 1, pointer_id=10), UPRIGHT, None)


@pytest.mark.parametrize("pointer_id", [-1, 2**31, 2**64])
def test_other_pointers_are_refused(pointer_id: int) -> None:
    with pytest.raises(InputRejected, match=f"pointerId {pointer_id} is out of range: 0 to 2147483647"):
        HeldInput().touch(touch(TouchAction.DOWN, 1, 1, pointer_id=pointer_id), UPRIGHT, None)


def test_a_finger_presses_as_it_is_told() -> None:
    event = Touch(TouchAction.DOWN, 1, 2, UPRIGHT, 0, 0.25)
    assert HeldInput().touch(event, UPRIGHT, None) == inject_touch(MotionAction.DOWN, 0, 1, 2, UPRIGHT, pressure=0.25)


@pytest.mark.parametrize(("version", "messages", "of_each"), [("4.1", 1, 3.0), ("3.3", 3, 1.0)])
def test_a_wheel_turns_where_it_is(version: str, messages: int, of_each: float) -> None:
    spoken = parse_version(version)
    event = Scroll(180, 320, right=-3, down=3, relative_to=VideoSize(360, 640))
    # Android counts upwards.
    expected = messages * inject_scroll(360, 640, UPRIGHT, -of_each, -of_each, spoken)
    assert scrolled(event, UPRIGHT, None, spoken) == expected


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Scroll(1, 1, 1, 1, WIDE), "the device was turned"),
        (Scroll(1, 1, float("nan"), 1, UPRIGHT), "is no turn of a wheel"),
        (Scroll(1, 1, 0, 1e300, UPRIGHT), "more than a wheel turns at once"),
    ],
)
def test_what_is_no_turn_of_a_wheel_is_refused(event: Scroll, why: str) -> None:
    with pytest.raises(InputRejected, match=why):
        scrolled(event, UPRIGHT, None, parse_version("4.1"))


def test_a_wheel_that_does_not_turn_says_nothing() -> None:
    assert scrolled(Scroll(1, 1, 0, 0, UPRIGHT), UPRIGHT, None, parse_version("4.1")) == b""


def test_held_modifiers_are_told_with_every_key() -> None:
    held = HeldInput()
    assert held.key_down(113) == inject_keycode(KeyMotion.DOWN, 113, meta_state=0x3000)  # CTRL_LEFT
    assert held.key_down(60) == inject_keycode(KeyMotion.DOWN, 60, meta_state=0x3081)  # SHIFT_RIGHT
    assert held.key_down(29, repeat=1) == inject_keycode(KeyMotion.DOWN, 29, repeat=1, meta_state=0x3081)
    assert held.key_up(29) == inject_keycode(KeyMotion.UP, 29, meta_state=0x3081)
    assert held.key_up(113) == inject_keycode(KeyMotion.UP, 113, meta_state=0x81)
    assert held.key_up(60) == inject_keycode(KeyMotion.UP, 60)


def test_everything_held_can_be_let_go() -> None:
    held = HeldInput()
    held.key_down(59)
    held.key_down(29)
    held.touch(touch(TouchAction.DOWN, 700, 1200), UPRIGHT, None)
    # The device was turned meanwhile: the place must be one of the video that it has now.
    assert held.release(WIDE) == (
        inject_keycode(KeyMotion.UP, 29, meta_state=0x41)
        + inject_keycode(KeyMotion.UP, 59)
        + inject_touch(MotionAction.UP, 0, 700, 719, WIDE, pressure=0.0)
    )
    assert held.release(WIDE) == b""


@pytest.mark.parametrize("key_code", [-1, 10_000])
def test_what_is_no_key_is_refused(key_code: int) -> None:
    with pytest.raises(InputRejected, match=f"keyCode {key_code} is out of range: 0 to 9999"):
        check_key_code(key_code)


def test_what_the_keyboard_has_is_typed() -> None:
    assert is_typed("Hello, World! ~\n\t")
    assert not is_typed("naïve")
    assert not is_typed("日本")
    assert not is_typed("\r")
    assert not is_typed("a" * 2001)
    assert typed_text("a" * 301) == inject_text("a" * 300) + inject_text("a")
    assert typed_text("") == b""


def test_texts_that_cannot_be_are_refused() -> None:
    check_text(Text("\U0001f600" * 65532))
    with pytest.raises(InputRejected, match="262132 bytes is too long: at most 262130"):
        check_text(Text("\U0001f600" * 65533))
    with pytest.raises(InputRejected, match="character 3 of the text is none"):
        check_text(Text("ab\ud800"))

"""What an event is as commands of a phone's shell."""

import math
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import InputRejected
from capture.input_events import (
    InputEvent,
    Key,
    KeyAction,
    ReadClipboard,
    Rotate,
    Scroll,
    Swipe,
    Text,
    Touch,
    TouchAction,
    VideoSize,
    WriteClipboard,
)
from capture.shell_input import LONGEST_SWIPE, TEXT_LIMIT, input_commands

SCREEN = VideoSize(720, 1280)
WIDE = VideoSize(640, 360)


def commands(event: InputEvent, rotation: int | None = None) -> list[str]:
    return [shlex.join(command) for command in input_commands(event, SCREEN, rotation)]


def test_touches() -> None:
    video = VideoSize(360, 640)
    assert commands(Touch(TouchAction.TAP, 10, 20.9)) == ["input tap 10 20"]
    assert commands(Touch(TouchAction.DOWN, 10, 20, video)) == ["input motionevent DOWN 20 40"]
    assert commands(Touch(TouchAction.MOVE, 180, 320, video, pressure=0.3)) == ["input motionevent MOVE 360 640"]
    assert commands(Touch(TouchAction.UP, 9999, -1, video)) == ["input motionevent UP 719 0"]


def test_swipes() -> None:
    assert commands(Swipe(1, 2, 300, 400, 0.25)) == ["input swipe 1 2 300 400 250"]
    assert commands(Swipe(0, 0, 640, 360, 0.0001, WIDE)) == ["input swipe 0 0 1279 719 1"]


@pytest.mark.parametrize(
    ("scroll", "command"),
    [
        (Scroll(360, 640, 0, 1), "input swipe 360 640 360 512 250"),  # 64 dp of 360
        (Scroll(360, 640, 0, -2), "input swipe 360 640 360 896 250"),
        (Scroll(360, 640, -1, 0), "input swipe 360 640 488 640 250"),
        (Scroll(360, 640, 0, 0.01), "input swipe 360 640 360 592 250"),  # less would tap
        (Scroll(360, 640, 0, 1000), "input swipe 360 1024 360 0 250"),  # no further than the screen
        (Scroll(360, 10, 0, 1), "input swipe 360 128 360 0 250"),  # begins where it has room
        (Scroll(360, 1279, 0, -1), "input swipe 360 1151 360 1279 250"),
        (Scroll(320, 180, 1, 0, WIDE), "input swipe 640 360 512 360 250"),  # a turned phone
        (Scroll(1000, 100, 1, 0), "input swipe 1000 100 872 100 250"),
    ],
)
def test_a_wheel_is_a_finger_that_goes_against_it(scroll: Scroll, command: str) -> None:
    assert commands(scroll) == [command]


def test_a_wheel_that_does_not_turn_is_nothing() -> None:
    assert commands(Scroll(1, 2, 0, 0)) == []


@given(
    st.floats(0, 720, exclude_max=True),
    st.floats(0, 1280, exclude_max=True),
    st.floats(-100, 100).filter(bool),
    st.floats(-100, 100).filter(bool),
    st.sampled_from([None, SCREEN, WIDE]),
)
def test_a_wheel_never_taps_and_stays_on_the_screen(
    x: float, y: float, right: float, down: float, video: VideoSize | None
) -> None:
    ((*_, x1, y1, x2, y2, _),) = input_commands(Scroll(x, y, right, down, video), SCREEN)
    width, height = (1280, 720) if video is WIDE else (720, 1280)
    assert {int(x1), int(x2)} <= {*range(width)}
    assert {int(y1), int(y2)} <= {*range(height)}
    assert abs(int(x2) - int(x1)) > 720 / 360 * 16
    assert (int(x2) < int(x1)) is (right > 0)
    assert (int(y2) < int(y1)) is (down > 0)


@pytest.mark.parametrize(("rotation", "new"), [(0, "1"), (1, "0"), (2, "1"), (3, "0"), (None, "1")])
def test_a_phone_is_turned_on_its_side_and_back(rotation: int | None, new: str) -> None:
    assert commands(Rotate(), rotation) == [
        "settings put system accelerometer_rotation 0",
        f"settings put system user_rotation {new}",
    ]


def test_keys() -> None:
    assert commands(Key(4)) == ["input keyevent 4"]
    assert commands(Key(26, KeyAction.LONG_PRESS)) == ["input keyevent --longpress 26"]


def test_text_is_quoted_and_its_spaces_are_what_input_wants() -> None:
    assert commands(Text("hello")) == ["input text hello"]
    assert commands(Text("a b;$(reboot) 'x' \"y\"")) == ["input text 'a%sb;$(reboot)%s'\"'\"'x'\"'\"'%s\"y\"'"]
    assert commands(Text("50% of%so 100%")) == ["input text 50%%sof%", "input text so%s100%"]
    assert commands(Text("one\ntwo\tthree\n")) == [
        "input text one",
        "input keyevent 66",
        "input text two",
        "input keyevent 61",
        "input text three",
        "input keyevent 66",
    ]
    assert commands(Text("")) == []


def typed_by_android(words: list[str]) -> str:
    """What the phone types: InputShellCommand.sendText of Android, and the two keys."""
    match words:
        case ["input", "keyevent", code]:
            return {"66": "\n", "61": "\t"}[code]
        case ["input", "text", text]:
            characters = list(text)
            escaped = False
            index = 0
            while index < len(characters):
                if escaped:
                    escaped = False
                    if characters[index] == "s":
                        characters[index] = " "
                        index -= 1
                        del characters[index]
                if characters[index] == "%":
                    escaped = True
                index += 1
            return "".join(characters)
    raise AssertionError(words)


@given(st.text(st.sampled_from("\n\t%s '\"$;`\\aZ~") | st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_android_types_the_very_text(text: str) -> None:
    assert "".join(typed_by_android(words) for words in input_commands(Text(text), SCREEN)) == text


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Touch(TouchAction.DOWN, 1, 1, pointer_id=1), "pointerId 1.*one finger only"),
        (Touch(TouchAction.TAP, math.nan, 1), "finite"),
        (Touch(TouchAction.TAP, 1, math.inf), "finite"),
        (Touch(TouchAction.TAP, 1, 1, VideoSize(-1, 5)), "-1x5 is not the size of a video"),
        (Swipe(1, 1, math.nan, 1, 1.0), "finite"),
        (Swipe(1, 1, 2, 2, 0.0), f"a swipe of 0 s: more than 0 and at most {LONGEST_SWIPE:g} s"),
        (Swipe(1, 1, 2, 2, 10.1), "a swipe of 10.1 s"),
        (Scroll(1, math.inf, 1, 1), "finite"),
        (WriteClipboard("é"), "shell, which has no way to the clipboard"),
        (ReadClipboard(print), "shell, which has no way to the clipboard"),
        (Key(-1), "keyCode -1 is out of range: 0 to 9999"),
        (Key(10_000), "keyCode 10000"),
        (Key(4, KeyAction.DOWN), "key action 'down'.*'press' and 'longpress'"),
        (Key(4, KeyAction.UP), "key action 'up'"),
        (Text("naïve"), "character 3 of the text cannot be typed.*ASCII"),
        (Text("a\x1bb"), "character 2"),
        (Text("x" * (TEXT_LIMIT + 1)), f"2001 characters is too long: at most {TEXT_LIMIT}"),
    ],
)
def test_what_a_shell_cannot_do_is_said(event: InputEvent, why: str) -> None:
    with pytest.raises(InputRejected, match=why) as raised:
        commands(event)
    assert "ï" not in str(raised.value)

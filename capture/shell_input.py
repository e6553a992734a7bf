"""Input events as commands of a phone's shell. Pure.

touch    input tap, input motionevent       key      input keyevent
swipe    input swipe                        text     input text, and keyevent for ENTER and TAB
scroll   input swipe: only Android 14 and newer have `input scroll`
rotate   settings put system user_rotation, once it is known how the phone is turned
"""

import re

from capture.adb.screen import place_on_screen
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

TEXT_LIMIT = 2000
"""Characters of one text: the phone types them one by one."""

LARGEST_KEY_CODE = 9999

LONGEST_SWIPE = 10.0
"""Seconds: the shell's call has to end before its own time is over."""

SCROLL_SECONDS = 0.25
"""Slow enough that the list goes with the finger and hardly beyond."""

_NOTCH = 64 / 360
"""Of the shorter side: Android scrolls by 64 dp for a notch, and a phone is about 360 dp wide."""
_LEAST_SCROLL = 24 / 360
"""A finger that moves less than 8 dp taps."""
_MOST_SCROLL = 0.8
"""Of the side along which it goes."""

_ENTER, _TAB = 66, 61  # KeyEvent.KEYCODE_ENTER, KEYCODE_TAB
_MOTION = {TouchAction.DOWN: "DOWN", TouchAction.MOVE: "MOVE", TouchAction.UP: "UP"}


def input_commands(event: InputEvent, screen: VideoSize, rotation: int | None = None) -> list[list[str]]:
    """The commands, each a list of words, for one event on a device whose upright screen has this size.

    `rotation` is how many quarters it is turned now; only a `Rotate` asks for it. Raises `InputRejected` for what a
    shell cannot do.
    """
    match event:
        case Touch():
            return [_touch_command(event, screen)]
        case Key():
            return [_key_command(event)]
        case Text():
            return _text_commands(event.text)
        case Swipe():
            return [_swipe_command(event, screen)]
        case Scroll():
            return _scroll_commands(event, screen)
        case Rotate():
            upright_or_not = "0" if rotation is not None and rotation % 2 == 1 else "1"
            return [
                ["settings", "put", "system", "accelerometer_rotation", "0"],
                ["settings", "put", "system", "user_rotation", upright_or_not],
            ]
        case WriteClipboard() | ReadClipboard():
            raise InputRejected("this device is driven by its shell, which has no way to the clipboard: scrcpy has one")


def _touch_command(touch: Touch, screen: VideoSize) -> list[str]:
    if touch.pointer_id != 0:
        raise InputRejected(
            f"pointerId {touch.pointer_id}: this device is driven by its shell, which has one finger only, number 0"
        )
    x, y = _place(touch.x, touch.y, touch.relative_to, screen)
    if touch.action is TouchAction.TAP:
        return ["input", "tap", str(x), str(y)]
    return ["input", "motionevent", _MOTION[touch.action], str(x), str(y)]


def _swipe_command(swipe: Swipe, screen: VideoSize) -> list[str]:
    if not 0 < swipe.seconds <= LONGEST_SWIPE:
        raise InputRejected(f"a swipe of {swipe.seconds:g} s: more than 0 and at most {LONGEST_SWIPE:g} s are allowed")
    begin = _place(swipe.x1, swipe.y1, swipe.relative_to, screen)
    end = _place(swipe.x2, swipe.y2, swipe.relative_to, screen)
    return _drag(begin, end, swipe.seconds)


def _scroll_commands(scroll: Scroll, screen: VideoSize) -> list[list[str]]:
    """A finger that draws the list along, which goes against the wheel; it stays on the screen."""
    x, y = _place(scroll.x, scroll.y, scroll.relative_to, screen)
    video = scroll.relative_to
    is_turned = (
        (video.width > video.height) != (screen.width > screen.height)
        if video is not None
        else x >= screen.width or y >= screen.height
    )
    width, height = (screen.height, screen.width) if is_turned else (screen.width, screen.height)
    shorter = min(width, height)
    x1, x2 = _stroke(x, -scroll.right, width, shorter)
    y1, y2 = _stroke(y, -scroll.down, height, shorter)
    if (x1, y1) == (x2, y2):
        return []
    return [_drag((x1, y1), (x2, y2), SCROLL_SECONDS)]


def _stroke(at: int, notches: float, length: int, shorter: int) -> tuple[int, int]:
    """Where a finger begins and ends along one side, as near to `at` as the screen's edges allow."""
    if not notches:
        return at, at
    least, most = _LEAST_SCROLL * shorter, _MOST_SCROLL * length
    distance = min(max(abs(notches) * _NOTCH * shorter, least), most)
    stroke = int(distance) if notches > 0 else -int(distance)
    begin = min(max(at, -stroke), length - 1 - max(stroke, 0))
    return begin, begin + stroke


def _drag(begin: tuple[int, int], end: tuple[int, int], seconds: float) -> list[str]:
    places = [str(number) for number in (*begin, *end)]
    return ["input", "swipe", *places, str(max(1, round(seconds * 1000)))]


def _place(x: float, y: float, video: VideoSize | None, screen: VideoSize) -> tuple[int, int]:
    try:
        return place_on_screen(x, y, video, screen)
    except ValueError as error:
        raise InputRejected(str(error)) from error


def _key_command(key: Key) -> list[str]:
    if not 0 <= key.key_code <= LARGEST_KEY_CODE:
        raise InputRejected(f"keyCode {key.key_code} is out of range: 0 to {LARGEST_KEY_CODE} are allowed")
    match key.action:
        case KeyAction.PRESS:
            return ["input", "keyevent", str(key.key_code)]
        case KeyAction.LONG_PRESS:
            return ["input", "keyevent", "--longpress", str(key.key_code)]
        case KeyAction.DOWN | KeyAction.UP:
            raise InputRejected(
                f"key action {key.action.value!r}: this device is driven by its shell, which can only 'press' and "
                "'longpress' keys"
            )


def _text_commands(text: str) -> list[list[str]]:
    if len(text) > TEXT_LIMIT:
        raise InputRejected(f"a text of {len(text)} characters is too long: at most {TEXT_LIMIT} are allowed")
    for position, character in enumerate(text, 1):
        if not (character in "\n\t" or " " <= character <= "~"):
            raise InputRejected(  # Not naming the character: it may be one of a password.
                f"character {position} of the text cannot be typed: this device is driven by its shell, which types "
                "ASCII letters, digits, signs, tabs and newlines only"
            )
    commands = []
    for part in re.split(r"([\n\t])", text):
        if part == "\n":
            commands.append(["input", "keyevent", str(_ENTER)])
        elif part == "\t":
            commands.append(["input", "keyevent", str(_TAB)])
        else:
            # `input` types a space for each "%s" and everything else as it is: a "%s" of the text is typed in two.
            pieces = filter(None, re.split(r"(?<=%)(?=s)", part))
            commands += [["input", "text", piece.replace(" ", "%s")] for piece in pieces]
    return commands

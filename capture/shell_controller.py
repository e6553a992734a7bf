"""Touches, keys and text by the `input` command of the phone's shell."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import place_on_screen, read_screen_size
from capture.errors import AdbError, InputRejected
from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, TouchAction, VideoSize

QUEUE_LIMIT = 64
"""Events that may wait for the phone."""

CALL_LIMIT = 16
"""Events that go into one shell call, so that the first does not wait long for the last."""

TEXT_LIMIT = 2000
"""Characters of one text: the phone types them one by one."""

LARGEST_KEY_CODE = 9999

SCREEN_SIZE_AGE = 10.0
"""Seconds after which the screen's size is read again: `wm size` may change it."""

_ENTER, _TAB = 66, 61  # KeyEvent.KEYCODE_ENTER, KEYCODE_TAB
_MOTION = {TouchAction.DOWN: "DOWN", TouchAction.MOVE: "MOVE", TouchAction.UP: "UP"}


def input_commands(event: InputEvent, screen: VideoSize) -> list[list[str]]:
    """The `input` commands, each a list of words, for one event on a device whose upright screen has this size.

    Raises `InputRejected` for what `input` cannot do.
    """
    match event:
        case Touch():
            return [_touch_command(event, screen)]
        case Key():
            return [_key_command(event)]
        case Text():
            return _text_commands(event.text)


def _touch_command(touch: Touch, screen: VideoSize) -> list[str]:
    if touch.pointer_id != 0:
        raise InputRejected(
            f"pointerId {touch.pointer_id}: this device is driven by its shell, which has one finger only, number 0"
        )
    try:
        x, y = place_on_screen(touch.x, touch.y, touch.relative_to, screen)
    except ValueError as error:
        raise InputRejected(str(error)) from error
    if touch.action is TouchAction.TAP:
        return ["input", "tap", str(x), str(y)]
    return ["input", "motionevent", _MOTION[touch.action], str(x), str(y)]


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
    for character in text:
        if not (character in "\n\t" or " " <= character <= "~"):
            raise InputRejected(
                f"{character!r} cannot be typed: this device is driven by its shell, which types ASCII letters, "
                "digits, signs, tabs and newlines only"
            )
    ...

"""The `input` command: touches, keys and text (AOSP com.android.server.input.InputShellCommand).

Errors read and end as Android's do: what the Java code throws is printed with exit code 255, an unknown command is
named with exit code 0, and a key that does not exist is pressed as KEYCODE_UNKNOWN.
"""

import asyncio
import re
import time

from capture.demo_phone.key_codes import UNKNOWN, key_code
from capture.demo_phone.phone import Phone
from capture.demo_phone.shell import Invocation
from capture.demo_phone.touches import Motion

_SOURCES = (
    "keyboard dpad gamepad touchscreen mouse stylus trackball touchpad touchnavigation joystick rotaryencoder".split()
)
_SWIPE_STEP = 1 / 120
_SWIPE_DURATION = 300
_LONG_PRESS = 0.5
_DRAG_PAUSE = 0.4
_THROWN = 255

_USAGE = """\
Usage: input [<source>] [-d DISPLAY_ID] <command> [<arg>...]

The sources are:
      {sources}

-d: specify the display ID.
      (Default: -1 for key event, 0 for motion event if not specified.)
The commands and default sources are:
      text <string> (Default: keyboard)
      keyevent [--longpress|--doubletap] <key code number or name> ... (Default: keyboard)
      tap <x> <y> (Default: touchscreen)
      swipe <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      draganddrop <x1> <y1> <x2> <y2> [duration(ms)] (Default: touchscreen)
      press (Default: trackball)
      roll <dx> <dy> (Default: trackball)
      motionevent <DOWN|UP|MOVE|CANCEL> <x> <y> (Default: touchscreen)
      keycombination <key code 1> <key code 2> ... (Default: keyboard)"""

_INTEGER = re.compile(r"[+-]?\d{1,10}", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?f?", re.ASCII | re.IGNORECASE)


class _Thrown(Exception):
    """What Android's code throws: the Java class and its message."""

    def __init__(self, message: str, java_class: str = "java.lang.IllegalArgumentException") -> None:
        super().__init__(f"{java_class}: {message}")


class _NotANumber(Exception):
    pass


async def input_command(invocation: Invocation) -> int:
    """`input [SOURCE] [-d DISPLAY] COMMAND …`."""
    words = _Words(invocation.arguments)
    shown = words.peek() or ""
    try:
        if words.peek() in _SOURCES:
            words.take()
        if words.peek() == "-d":
            words.take()
            _integer(words.take())
        return await _run(invocation, words)
    except _NotANumber:
        problem = _Thrown(f"Error: Invalid arguments for command: {words.command}")
    except _Thrown as thrown:
        problem = thrown
    await invocation.complain(f"\nException occurred while executing '{shown}':\n{problem}")
    await invocation.complain("\tat com.android.server.input.InputShellCommand.onCommand(InputShellCommand.java:283)")
    return _THROWN


class _Words:
    """The arguments, taken one by one."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self._words = words
        self._next = 0
        self.command = ""

    def peek(self) -> str | None:
        return self._words[self._next] if self._next < len(self._words) else None

    def take(self) -> str:
        word = self.peek()
        if word is None:
            raise _Thrown(f'Argument expected after "{self._words[self._next - 1]}"')
        self._next += 1
        return word

    def number(self) -> float:
        word = self.take()
        if not _FLOAT.fullmatch(word):
            raise _NotANumber
        return float(word.rstrip("fF"))

    def rest(self) -> list[str]:
        rest = list(self._words[self._next :])
        self._next = len(self._words)
        return rest


async def _run(invocation: Invocation, words: _Words) -> int:
    phone = invocation.phone
    if words.peek() in (None, "help", "-h"):
        await invocation.print(_USAGE.format(sources="\n      ".join(_SOURCES)))
        return 0 if words.peek() else _THROWN
    words.command = words.take()
    match words.command:
        case "text":
            _type(phone, words.take())
        case "keyevent":
            await _press_keys(phone, words)
        case "tap":
            x, y = words.number(), words.number()
            phone.touch(Motion.DOWN, x, y)
            phone.touch(Motion.UP, x, y)
        case "swipe":
            await _swipe(phone, words, pause=0)
        case "draganddrop":
            await _swipe(phone, words, pause=_DRAG_PAUSE)
        case "press":
            phone.touch(Motion.DOWN, 0, 0)
            phone.touch(Motion.UP, 0, 0)
        case "roll":
            words.number(), words.number()
        case "motionevent":
            _motion_event(phone, words)
        case "keycombination":
            _press_together(phone, words)
        case unknown:
            await invocation.print(f"Unknown command: {unknown}")
    return 0


def _type(phone: Phone, text: str) -> None:
    if not text.isascii():
        # The virtual keyboard has no events for other characters, and Android's code does not expect that.
        raise _Thrown("Attempt to get length of null array", "java.lang.NullPointerException")
    phone.type_text(text.replace("%s", " "))


async def _press_keys(phone: Phone, words: _Words) -> None:
    first = words.take()
    if first == "--longpress":
        for word in [words.take(), *words.rest()]:
            phone.press_key(key_code(word), long=True)
            await asyncio.sleep(_LONG_PRESS)
    elif first == "--doubletap":
        code = key_code(words.take())
        phone.press_key(code)
        phone.press_key(code)
    else:
        for word in [first, *words.rest()]:
            phone.press_key(key_code(word))


def _press_together(phone: Phone, words: _Words) -> None:
    names = [words.take(), *words.rest()]
    codes = [key_code(name) for name in names]
    if UNKNOWN in codes:
        raise _Thrown(f"Unknown keycode: {names[codes.index(UNKNOWN)]}")
    if len(codes) < 2:
        raise _Thrown("keycombination requires at least 2 keycodes")
    for code in codes:
        phone.press_key(code)


async def _swipe(phone: Phone, words: _Words, *, pause: float) -> None:
    x1, y1, x2, y2 = (words.number() for _ in range(4))
    duration = _integer(words.take()) if words.peek() is not None else _SWIPE_DURATION
    seconds = (duration if duration >= 0 else _SWIPE_DURATION) / 1000
    phone.touch(Motion.DOWN, x1, y1)
    await asyncio.sleep(pause)
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < seconds:
        part = elapsed / seconds
        phone.touch(Motion.MOVE, x1 + (x2 - x1) * part, y1 + (y2 - y1) * part)
        await asyncio.sleep(min(_SWIPE_STEP, seconds - elapsed))
    phone.touch(Motion.UP, x2, y2)


def _motion_event(phone: Phone, words: _Words) -> None:
    word = words.take()
    try:
        motion = Motion(word.upper())
    except ValueError:
        raise _Thrown(f"Unknown action: {word}") from None
    if motion is Motion.CANCEL and words.peek() is None:
        phone.touch(motion, 0, 0)
    else:
        phone.touch(motion, words.number(), words.number())


def _integer(word: str) -> int:
    if not _INTEGER.fullmatch(word):
        raise _NotANumber
    return int(word)

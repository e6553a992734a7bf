"""Touches, keys and text by the `input` command of the phone's shell."""

import asyncio
import re
import time
from collections.abc import Mapping

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import SCREEN_SIZE_AGE, place_on_screen, read_screen_size
from capture.errors import AdbError, InputRejected
from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, TouchAction, VideoSize
from capture.input_queue import InputQueue, WaitingInput

CALL_LIMIT = 16
"""Events that go into one shell call, so that the first does not wait long for the last."""

TEXT_LIMIT = 2000
"""Characters of one text: the phone types them one by one."""

LARGEST_KEY_CODE = 9999

# What `input` says about a command that this Android does not have yet, its exit code being 0.
_UNKNOWN = re.compile(r"Unknown command: [a-z]{1,20}")
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


class ShellController:
    """Injects input events into one device by its shell; fits `capture.controller.Controller`.

    While the phone is busy with one call, what comes waits and then goes into the next call together.
    """

    def __init__(self, client: AdbClient, serial: str) -> None:
        self._client = client
        self._serial = serial
        self._waiting = InputQueue(serial, lambda text: len(text.text) <= TEXT_LIMIT)
        self._screen: VideoSize | None = None
        self._screen_read_at = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events that did not reach the phone, by reason: `replaced_move`, `queue_full`."""
        return self._waiting.dropped

    async def inject(self, event: InputEvent) -> float:
        """See `Controller.inject`; also raises `InputRejected` for a second finger, a held key and other than ASCII."""
        input_commands(event, VideoSize(1, 1))  # What can never be injected need not wait to hear it.
        return await asyncio.shield(self._enqueue(event))

    async def aclose(self) -> None:
        """See `Controller.aclose`."""
        self._is_closed = True
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def _enqueue(self, event: InputEvent) -> asyncio.Future[float]:
        if self._is_closed:
            raise InputRejected(f"device {self._serial!r} is no longer controlled")
        taken = self._waiting.add(event)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return taken

    async def _work(self) -> None:
        """Inject what waits, and end."""
        call: list[WaitingInput] = []
        try:
            while self._waiting:
                call = self._next_call()
                await self._inject(call)
        finally:
            self._worker = None
            for waiting in (*call, *self._waiting.clear()):
                waiting.fail(InputRejected(f"device {self._serial!r} is no longer controlled"))

    def _next_call(self) -> list[WaitingInput]:
        """The next events for one shell call; a text has one to itself, it may be long."""
        call = [self._waiting.pop()]
        while self._waiting and len(call) < CALL_LIMIT:
            if isinstance(call[-1].event, Text) or isinstance(self._waiting.first.event, Text):
                break
            call.append(self._waiting.pop())
        return call

    async def _inject(self, call: list[WaitingInput]) -> None:
        try:
            screen = self._screen or await self._read_screen()
            commands = [command for waiting in call for command in input_commands(waiting.event, screen)]
            if commands:
                # Errors must not tell the command: it may type a password.
                result = await self._client.shell(self._serial, command_line(*commands), check=True, label="input")
                if unknown := _UNKNOWN.search(result.stdout + result.stderr):
                    raise InputRejected(f"device {self._serial!r} cannot do that: {unknown[0]}")
            taken_at = time.monotonic()
            for waiting in call:
                waiting.succeed(taken_at)
            if taken_at - self._screen_read_at > SCREEN_SIZE_AGE:
                await self._read_screen()  # Only now: no finger waits for it.
        except (AdbError, InputRejected) as error:
            self._screen = None
            for waiting in call:
                waiting.fail(error)

    async def _read_screen(self) -> VideoSize:
        self._screen = screen = await read_screen_size(self._client, self._serial)
        self._screen_read_at = time.monotonic()
        return screen

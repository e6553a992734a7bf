"""Touches, keys and text by scrcpy's server.

What the device's virtual keyboard has is typed; any other text goes through the clipboard, is pasted, and what the
clipboard held before is put back:

    us      get clipboard, set clipboard and paste            a while later: set clipboard
    device  < its text                < clipboard set
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, Protocol

from capture.adb.client import AdbClient
from capture.adb.screen import SCREEN_SIZE_AGE, read_screen_size
from capture.errors import AdbError, AdbTimeout, InputRejected
from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, VideoSize
from capture.input_queue import InputQueue, WaitingInput
from capture.scrcpy.control_message import get_clipboard, set_clipboard
from capture.scrcpy.input_messages import HeldInput, check_key_code, check_text, is_typed, typed_text
from capture.scrcpy.wire import Clipboard, ClipboardSet, DeviceMessage

LONG_PRESS: Final = 0.6
"""Seconds: longer than any Android waits before it takes a press for a long one."""

PASTE_TIMEOUT: Final = 5.0
"""Seconds that the device has to take a text into its clipboard."""

PASTE_PAUSE: Final = 0.2
"""Seconds between two pastes: an app reads the clipboard a little after it was told to."""

RESTORE_AFTER: Final = 1.0
"""Seconds after the last paste, when the clipboard gets back what it held before."""


class ControlConnection(Protocol):
    """What takes messages to the server."""

    @property
    def is_over(self) -> bool:
        """Whether there is no server any more."""
        ...

    @property
    def is_full(self) -> bool:
        """Whether the device has not taken what was sent before."""
        ...

    def send(self, message: bytes) -> None:
        """Send a message, or several. Never blocks."""
        ...


class ScrcpyController:
    """Injects input events into one device by scrcpy's server; fits `capture.controller.Controller`.

    The server does not say when it has taken a touch, so that is the moment at which it is on its way.
    """

    def __init__(self, client: AdbClient, serial: str, connection: ControlConnection) -> None:
        self.video_size: VideoSize | None = None
        """The size of the video that the device sends now; whoever gets the video keeps it up to date."""
        self._client = client
        self._serial = serial
        self._connection = connection
        self._waiting = InputQueue(serial, _fits)
        self._held = HeldInput()
        self._screen: VideoSize | None = None
        self._screen_read_at = float("-inf")
        self._reader: asyncio.Task[None] | None = None
        self._pressed: dict[asyncio.TimerHandle, WaitingInput] = {}
        self._pasted: WaitingInput | None = None
        self._sequence = 0
        self._paste_timer: asyncio.TimerHandle | None = None
        """Runs while a paste is under way and while the next one has to wait."""
        self._restore_timer: asyncio.TimerHandle | None = None
        self._former: str | None = None
        """What the clipboard held before the first of the last pastes; None when it holds nothing of ours."""
        self._asks_former = False
        self._is_closed = False

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events that did not reach the phone, by reason: `replaced_move`, `queue_full`."""
        return self._waiting.dropped

    async def inject(self, event: InputEvent) -> float:
        """See `Controller.inject`; also raises `InputRejected` for a touch in a video that the device sends no more."""
        return await asyncio.shield(self._enqueue(event))

    async def aclose(self) -> None:
        """See `Controller.aclose`; what is held down is let go."""
        if not self._is_closed:
            self._is_closed = True
            self._connection.send(self._held.release(self.video_size))
            self._restore()
            self.disconnected()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def message(self, message: DeviceMessage) -> None:
        """The device answers."""
        match message:
            case Clipboard():
                if self._asks_former:
                    self._former = message.text
            case ClipboardSet():
                if self._pasted is not None and message.sequence == self._sequence:
                    self._paste_taken(self._pasted)

    def writable(self) -> None:
        """The connection takes messages again."""
        self._flush()

    def disconnected(self) -> None:
        """There is no server any more: nobody waits for it."""
        self._is_closed = True
        waiting = [*self._pressed.values(), *self._waiting.clear()]
        if self._pasted is not None:
            waiting.append(self._pasted)
            self._pasted = None
        for timer in (*self._pressed, self._paste_timer, self._restore_timer):
            if timer is not None:
                timer.cancel()
        self._pressed.clear()
        self._paste_timer = self._restore_timer = None
        for one in waiting:
            one.fail(self._no_longer_controlled())

    def _no_longer_controlled(self) -> InputRejected:
        return InputRejected(f"device {self._serial!r} is no longer controlled")

    def _enqueue(self, event: InputEvent) -> asyncio.Future[float]:
        if self._is_closed or self._connection.is_over:
            raise self._no_longer_controlled()
        match event:  # What can never be injected need not wait to hear it.
            case Key():
                check_key_code(event.key_code)
            case Text():
                check_text(event)
        taken = self._waiting.add(event)
        self._flush()
        return taken

    def _flush(self) -> None:
        """Send what waits, as far as the device takes it and nothing has to be known first."""
        while self._waiting and not self._connection.is_full:
            waiting = self._waiting.first
            event = waiting.event
            if isinstance(event, Touch) and event.relative_to is None and not self._knows_screen():
                return
            is_pasted = isinstance(event, Text) and not is_typed(event.text)
            if is_pasted and self._paste_timer is not None:
                return
            self._waiting.pop()
            try:
                self._send(waiting)
            except InputRejected as error:
                waiting.fail(error)

    def _send(self, waiting: WaitingInput) -> None:
        match waiting.event:
            case Touch() as touch:
                if self.video_size is None:
                    raise InputRejected(f"device {self._serial!r} sends no video yet: touches are places in it")
                self._connection.send(self._held.touch(touch, self.video_size, self._screen))
            case Key(key_code, KeyAction.PRESS):
                self._connection.send(self._held.key_down(key_code) + self._held.key_up(key_code))
            case Key(key_code, KeyAction.DOWN):
                self._connection.send(self._held.key_down(key_code))
            case Key(key_code, KeyAction.UP):
                self._connection.send(self._held.key_up(key_code))
            case Key(key_code, KeyAction.LONG_PRESS):
                self._connection.send(self._held.key_down(key_code))
                self._release_later(key_code, waiting)
                return
            case Text(text) if is_typed(text):
                self._connection.send(typed_text(text))
            case Text(text):
                self._paste(text, waiting)
                return
        waiting.succeed(time.monotonic())

    def _release_later(self, key_code: int, waiting: WaitingInput) -> None:
        def release() -> None:
            del self._pressed[timer]
            # As a keyboard does it: apps take the repetition for the sign.
            self._connection.send(self._held.key_down(key_code, repeat=1) + self._held.key_up(key_code))
            waiting.succeed(time.monotonic())

        timer = asyncio.get_running_loop().call_later(LONG_PRESS, release)
        self._pressed[timer] = waiting

    # The clipboard.

    def _paste(self, text: str, waiting: WaitingInput) -> None:
        self._sequence += 1
        self._pasted = waiting
        message = set_clipboard(text, sequence=self._sequence, paste=True)
        if self._former is None:
            # A device with an empty clipboard does not answer this, but it answers in order: when the text is set, what
            # was there before has been told.
            self._former = ""
            self._asks_former = True
            message = get_clipboard() + message
        if self._restore_timer is not None:
            self._restore_timer.cancel()
        self._connection.send(message)
        self._paste_timer = asyncio.get_running_loop().call_later(PASTE_TIMEOUT, self._paste_failed, waiting)

    def _paste_taken(self, waiting: WaitingInput) -> None:
        self._pasted = None
        self._asks_former = False
        waiting.succeed(time.monotonic())
        loop = asyncio.get_running_loop()
        if self._paste_timer is not None:
            self._paste_timer.cancel()
        self._paste_timer = loop.call_later(PASTE_PAUSE, self._paste_over)
        self._restore_timer = loop.call_later(RESTORE_AFTER, self._restore)

    def _paste_failed(self, waiting: WaitingInput) -> None:
        self._pasted = None
        self._former = None
        self._asks_former = False
        waiting.fail(AdbTimeout(f"device {self._serial!r} did not take a text within {PASTE_TIMEOUT:g} s"))
        self._paste_over()

    def _paste_over(self) -> None:
        self._paste_timer = None
        self._flush()

    def _restore(self) -> None:
        """Put back into the clipboard what was there; what we pasted may be a password, so nothing is put back too."""
        self._restore_timer = None
        if self._former is not None:
            self._connection.send(set_clipboard(self._former))
            self._former = None

    # The screen's size, for touches in its pixels.

    def _knows_screen(self) -> bool:
        is_old = time.monotonic() - self._screen_read_at > SCREEN_SIZE_AGE
        if is_old and self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read_screen())
        return self._screen is not None

    async def _read_screen(self) -> None:
        try:
            self._screen = await read_screen_size(self._client, self._serial)
            self._screen_read_at = time.monotonic()
        except AdbError as error:
            if self._screen is None and self._waiting:
                self._waiting.pop().fail(error)
        finally:
            self._reader = None
        self._flush()


def _fits(text: Text) -> bool:
    try:
        check_text(text)
    except InputRejected:
        return False
    return True

"""The device's clipboard by scrcpy's server: read, written, and borrowed for text that is pasted.

    paste   us      get clipboard, set clipboard and paste            a while later: set clipboard
            device  < its text                < clipboard set
    write   us      set clipboard             device  < clipboard set
    read    us      get clipboard             device  < its text, or nothing where there is none

One thing after the other: an answer does not say what it answers.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from capture.errors import AdbTimeout
from capture.input_events import ReadClipboard
from capture.input_queue import WaitingInput
from capture.scrcpy.control_message import get_clipboard, set_clipboard
from capture.scrcpy.wire import Clipboard, ClipboardSet

SET_TIMEOUT: Final = 5.0
"""Seconds that the device has to take a text into its clipboard."""

READ_TIMEOUT: Final = 1.5
"""Seconds after which a clipboard that is not told is taken to hold no text: the device says nothing then."""

PASTE_PAUSE: Final = 0.2
"""Seconds between two pastes: an app reads the clipboard a little after it was told to."""

RESTORE_AFTER: Final = 1.0
"""Seconds after the last paste, when the clipboard gets back what it held before."""


class DeviceClipboard:
    """What goes through one device's clipboard; what was there before a paste is put back."""

    def __init__(self, serial: str, send: Callable[[bytes], None], free: Callable[[], None]) -> None:
        """`send` takes messages for the server; `free` is called when the next thing can be done."""
        self._serial = serial
        self._send = send
        self._free = free
        self._sequence = 0
        self._setting: WaitingInput | None = None
        self._is_pasting = False
        self._reading: tuple[ReadClipboard, WaitingInput] | None = None
        self._timer: asyncio.TimerHandle | None = None
        """Runs while something is under way, and while the next paste has to wait."""
        self._restore_timer: asyncio.TimerHandle | None = None
        self._former: str | None = None
        """What it held before the first of the last pastes; None when it holds nothing of ours."""
        self._asks_former = False

    @property
    def is_busy(self) -> bool:
        """Whether something has to end first."""
        return self._timer is not None

    def paste(self, text: str, waiting: WaitingInput) -> None:
        """Have `text` pasted; not while it `is_busy`, as all below."""
        message = self._set(text, waiting, paste=True)
        if self._former is None:
            # A device with an empty clipboard does not answer this, but it answers in order: when the text is set, what
            # was there before has been told.
            self._former = ""
            self._asks_former = True
            message = get_clipboard() + message
        self._send(message)

    def write(self, text: str, waiting: WaitingInput) -> None:
        """Have the clipboard hold `text`, whatever was to be put back."""
        self._former = None
        self._send(self._set(text, waiting, paste=False))

    def read(self, event: ReadClipboard, waiting: WaitingInput) -> None:
        """Tell what it holds."""
        if self._former is not None:
            # What we pasted is a loan that ends in a moment.
            event.tell(self._former)
            waiting.succeed(time.monotonic())
            return
        self._reading = (event, waiting)
        self._send(get_clipboard())
        self._timer = asyncio.get_running_loop().call_later(READ_TIMEOUT, self._told, "")

    def message(self, message: Clipboard | ClipboardSet) -> None:
        """The device answers."""
        match message:
            case Clipboard():
                if self._asks_former:
                    self._former = message.text
                elif self._reading is not None:
                    self._told(message.text)
            case ClipboardSet():
                if self._setting is not None and message.sequence == self._sequence:
                    self._taken(self._setting)

    def restore(self) -> None:
        """Put back what was there; what we pasted may be a password, so nothing is put back too."""
        self._restore_timer = None
        if self._former is not None:
            self._send(set_clipboard(self._former))
            self._former = None

    def stop(self) -> list[WaitingInput]:
        """Wait for nothing any more; those who did."""
        for timer in (self._timer, self._restore_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._restore_timer = None
        waiting = [self._setting, self._reading[1] if self._reading is not None else None]
        self._setting = self._reading = None
        return [one for one in waiting if one is not None]

    def _set(self, text: str, waiting: WaitingInput, *, paste: bool) -> bytes:
        self._sequence += 1
        self._setting = waiting
        self._is_pasting = paste
        if self._restore_timer is not None:
            self._restore_timer.cancel()
            self._restore_timer = None
        self._timer = asyncio.get_running_loop().call_later(SET_TIMEOUT, self._not_taken, waiting)
        return set_clipboard(text, sequence=self._sequence, paste=paste)

    def _taken(self, waiting: WaitingInput) -> None:
        self._setting = None
        self._asks_former = False
        waiting.succeed(time.monotonic())
        if not self._is_pasting:
            self._over()
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_later(PASTE_PAUSE, self._over)
        self._restore_timer = loop.call_later(RESTORE_AFTER, self.restore)

    def _not_taken(self, waiting: WaitingInput) -> None:
        self._setting = None
        self._former = None
        self._asks_former = False
        waiting.fail(AdbTimeout(f"device {self._serial!r} did not take a text within {SET_TIMEOUT:g} s"))
        self._over()

    def _told(self, text: str) -> None:
        if self._reading is not None:
            (event, waiting), self._reading = self._reading, None
            event.tell(text)
            waiting.succeed(time.monotonic())
        self._over()

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._free()

"""Input by scrcpy's server.

What the device's virtual keyboard has is typed; any other text is pasted, see `DeviceClipboard`.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final, Protocol

from capture.adb.client import AdbClient
from capture.adb.screen import SCREEN_SIZE_AGE, read_screen_size
from capture.errors import AdbError, InputRejected
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
    VideoSize,
    WriteClipboard,
)
from capture.input_queue import InputQueue, WaitingInput
from capture.scrcpy.control_message import rotate_device
from capture.scrcpy.device_clipboard import DeviceClipboard
from capture.scrcpy.input_messages import HeldInput, check_key_code, check_text, is_typed, scrolled, typed_text
from capture.scrcpy.swipes import Swipes
from capture.scrcpy.version import ScrcpyVersion
from capture.scrcpy.wire import Clipboard, ClipboardSet, DeviceMessage

LONG_PRESS: Final = 0.6
"""Seconds: longer than any Android waits before it takes a press for a long one."""


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

    def __init__(self, client: AdbClient, serial: str, connection: ControlConnection, version: ScrcpyVersion) -> None:
        """`version` is the server's."""
        self.video_size: VideoSize | None = None
        """The size of the video that the device sends now; whoever gets the video keeps it up to date."""
        self._client = client
        self._serial = serial
        self._connection = connection
        self._version = version
        self._waiting = InputQueue(serial, _fits)
        self._held = HeldInput()
        self._screen: VideoSize | None = None
        self._screen_read_at = float("-inf")
        self._reader: asyncio.Task[None] | None = None
        self._pressed: dict[asyncio.TimerHandle, WaitingInput] = {}
        self._clipboard = DeviceClipboard(serial, connection.send, self._flush)
        self._swipes = Swipes(self._draw)
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
            self._clipboard.restore()
            self.disconnected()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def message(self, message: DeviceMessage) -> None:
        """The device answers."""
        match message:
            case Clipboard() | ClipboardSet():
                self._clipboard.message(message)

    def writable(self) -> None:
        """The connection takes messages again."""
        self._flush()

    def disconnected(self) -> None:
        """There is no server any more: nobody waits for it."""
        self._is_closed = True
        waiting = [*self._pressed.values(), *self._swipes.stop(), *self._clipboard.stop(), *self._waiting.clear()]
        for timer in self._pressed:
            timer.cancel()
        self._pressed.clear()
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
            case Text() | WriteClipboard():
                check_text(event)
        taken = self._waiting.add(event)
        self._flush()
        return taken

    def _flush(self) -> None:
        """Send what waits, as far as the device takes it and nothing has to be known first."""
        while self._waiting and not self._connection.is_full:
            waiting = self._waiting.first
            event = waiting.event
            if isinstance(event, Touch | Scroll | Swipe) and event.relative_to is None and not self._knows_screen():
                return
            if _needs_clipboard(event) and self._clipboard.is_busy:
                return
            self._waiting.pop()
            try:
                self._send(waiting)
            except InputRejected as error:
                waiting.fail(error)

    def _send(self, waiting: WaitingInput) -> None:
        match waiting.event:
            case Touch() as touch:
                self._draw(touch)
            case Scroll() as scroll:
                self._connection.send(scrolled(scroll, self._video(), self._screen, self._version))
            case Swipe() as swipe:
                self._swipes.begin(swipe, waiting)
                return
            case Rotate():
                self._connection.send(rotate_device())
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
                self._clipboard.paste(text, waiting)
                return
            case WriteClipboard(text):
                self._clipboard.write(text, waiting)
                return
            case ReadClipboard() as event:
                self._clipboard.read(event, waiting)
                return
        waiting.succeed(time.monotonic())

    def _draw(self, touch: Touch) -> None:
        self._connection.send(self._held.touch(touch, self._video(), self._screen))

    def _video(self) -> VideoSize:
        if self.video_size is None:
            raise InputRejected(f"device {self._serial!r} sends no video yet: touches are places in it")
        return self.video_size

    def _release_later(self, key_code: int, waiting: WaitingInput) -> None:
        def release() -> None:
            del self._pressed[timer]
            # As a keyboard does it: apps take the repetition for the sign.
            self._connection.send(self._held.key_down(key_code, repeat=1) + self._held.key_up(key_code))
            waiting.succeed(time.monotonic())

        timer = asyncio.get_running_loop().call_later(LONG_PRESS, release)
        self._pressed[timer] = waiting

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


def _needs_clipboard(event: InputEvent) -> bool:
    if isinstance(event, Text):
        return not is_typed(event.text)
    return isinstance(event, WriteClipboard | ReadClipboard)


def _fits(text: Text) -> bool:
    try:
        check_text(text)
    except InputRejected:
        return False
    return True

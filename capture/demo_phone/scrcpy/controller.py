"""What scrcpy's server does for the messages on its control socket (com.genymobile.scrcpy.control.Controller)."""

import asyncio
import re
import unicodedata

from capture.demo_phone.adb_stream import StreamClosed
from capture.demo_phone.key_codes import key_code
from capture.demo_phone.phone import Phone
from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.connection import Socket
from capture.demo_phone.scrcpy.control_messages import (
    BackOrScreenOn,
    Bare,
    ControlMessage,
    ControlMessageParser,
    GetClipboard,
    InjectKeycode,
    InjectScrollEvent,
    InjectText,
    InjectTouchEvent,
    Kind,
    Position,
    SetClipboard,
    SetDisplayPower,
    StartApp,
    UnknownMessage,
)
from capture.demo_phone.scrcpy.log import Log, Thrown
from capture.demo_phone.scrcpy.options import Options
from capture.demo_phone.scrcpy.pointers import Pointers
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.scrcpy.video import Video
from capture.demo_phone.touches import Motion

_DOWN, _UP, _MOVE, _CANCEL = 0, 1, 2, 3
_MOTIONS = {_DOWN: Motion.DOWN, _UP: Motion.UP, _MOVE: Motion.MOVE, _CANCEL: Motion.CANCEL}
_MOUSE, _HOVER_MOVE, _PRIMARY_BUTTON = -1, 7, 1
_BACK, _POWER = key_code("BACK"), key_code("POWER")
_KEYS = {"\n": key_code("ENTER"), "\t": key_code("TAB")}
_COPY, _CUT, _PASTE = (key_code(name) for name in ("COPY", "CUT", "PASTE"))
_COPY_KEYS = {1: _COPY}  # and CUT for every other number but 0
_DEAD_KEYS = "\u0300\u0301\u0302\u0303\u0308"
_WAKING = 0.5
_MESSAGES = 16
"""Messages to the client that wait; more are dropped, which is logged."""

_CONTROLLER = (
    "com.genymobile.scrcpy.control.Controller.handleEvent(Controller.java)",
    "com.genymobile.scrcpy.control.Controller.control(Controller.java)",
    "com.genymobile.scrcpy.control.Controller.lambda$start$1(Controller.java)",
    "java.lang.Thread.run(Thread.java)",
)


class Controller:
    """One server's control of the phone."""

    last_words = "Controller stopped"

    def __init__(
        self, phone: Phone, socket: Socket, options: Options, version: ServerVersion, log: Log, video: Video | None
    ) -> None:
        """`video` is what positions are in, and what is begun anew."""
        self._phone = phone
        self._socket = socket
        self._options = options
        self._version = version
        self._log = log
        self._video = video
        self._pointers = Pointers()
        self._messages: asyncio.Queue[bytes] = asyncio.Queue(_MESSAGES)
        self._dropped = 0

    async def run(self) -> None:
        """Do what is asked until the client closes its socket, or says what nobody understands.

        Raises `Thrown` for what the Java code would not catch, and `StreamClosed` when nobody reads the log any more.
        """
        if self._options.clipboard_autosync:
            self._phone.clipboard.add_listener(self._tell_clipboard)
        thrown: Thrown | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                sending = tasks.create_task(self._send_messages())
                try:
                    await self._receive()
                except Thrown as caught:
                    thrown = caught
                finally:
                    sending.cancel()
        except* StreamClosed:
            pass
        finally:
            if self._options.clipboard_autosync:
                self._phone.clipboard.remove_listener(self._tell_clipboard)
        if thrown is not None:
            raise thrown

    async def _receive(self) -> None:
        if self._options.power_on and not self._phone.is_on:
            self._phone.press_key(_POWER)
            await asyncio.sleep(_WAKING)
        parser = ControlMessageParser(self._version)
        while data := await self._socket.read():
            parser.feed(data)
            try:
                while (message := parser.next_message()) is not None:
                    await self._do(message)
            except UnknownMessage as error:
                if self._version.control_error_is_logged:
                    thrown = Thrown(str(error), "com.genymobile.scrcpy.control.ControlProtocolException", _CONTROLLER)
                    await self._log.error("Control protocol error", thrown)
                return

    async def _send_messages(self) -> None:
        while True:
            await self._socket.write(await self._messages.get())
            for _ in range(self._dropped):
                await self._log.warn("Device message dropped: 0")
            self._dropped = 0

    async def _do(self, message: ControlMessage) -> None:
        phone = self._phone
        match message:
            case InjectTouchEvent():
                await self._touch(message)
            case InjectKeycode(action=action, keycode=code, repeat=repeat):
                if action == _DOWN:
                    phone.press_key(code, long=repeat > 0)
            case InjectText(text=text):
                await self._type(text)
            case InjectScrollEvent(position=position, horizontal=horizontal, vertical=vertical):
                if (place := self._place(position)) is not None:
                    phone.scroll(*place, horizontal, vertical)
            case BackOrScreenOn(action=action):
                if action == _DOWN:
                    phone.press_key(_BACK if phone.is_on else _POWER)
            case GetClipboard(copy_key=key):
                if key:
                    phone.press_key(_COPY_KEYS.get(key, _CUT))
                if not self._options.clipboard_autosync and phone.clipboard.text is not None:
                    self._tell_clipboard(phone.clipboard.text)
            case SetClipboard():
                await self._set_clipboard(message)
            case SetDisplayPower(on=on):
                await self._log.info(f"Device display turned {'on' if on else 'off'}")
            case StartApp(name=name):
                await self._log.warn(f'No app found for package "{name.removeprefix("+")}"')
            case Bare(kind=Kind.ROTATE_DEVICE):
                upright = phone.rotation % 2 == 1
                await self._log.info(f"Device rotation requested: {'portrait' if upright else 'landscape'}")
                phone.rotate(0 if upright else 1)
            case Bare(kind=Kind.RESET_VIDEO):
                if self._video is not None:
                    await self._log.info("Video capture reset")
                    self._video.reset()
            case Bare(kind=Kind.CAMERA_SET_TORCH | Kind.CAMERA_ZOOM_IN | Kind.CAMERA_ZOOM_OUT as kind):
                raise Thrown(f"Unexpected message type: {kind.value}", "java.lang.AssertionError", _CONTROLLER)
            case Bare(kind=Kind.RESIZE_DISPLAY):
                message_of_cast = "ScreenCapture cannot be cast to NewDisplayCapture"
                raise Thrown(message_of_cast, "java.lang.ClassCastException", _CONTROLLER)
            case Bare():
                pass  # panels, settings, hardware keyboards, media scans: the demo phone has none

    async def _touch(self, event: InjectTouchEvent) -> None:
        place = self._place(event.position)
        if place is None:
            return
        finger = self._pointers.finger(event.pointer_id)
        if finger is None:
            await self._log.warn("Too many pointers for touch event")
            return
        other_buttons = (event.action_button | event.buttons) & ~_PRIMARY_BUTTON
        if event.pointer_id == _MOUSE and (event.action == _HOVER_MOVE or other_buttons):
            # A mouse's own event: no finger touches the screen.
            if event.buttons == 0:
                self._pointers.release(event.pointer_id)
            return
        if event.action == _UP:
            self._pointers.release(event.pointer_id)
        if (motion := _MOTIONS.get(event.action)) is not None:
            self._phone.touch(motion, *place, finger)

    def _place(self, position: Position) -> tuple[int, int] | None:
        """Where on the screen a place in the video is; None when the video has another size by now."""
        screen = self._phone.screen
        video = self._video.size if self._video is not None else None
        if video is None:
            return position.x, position.y
        if position.video != video:
            return None
        return position.x * screen.width // video.width, position.y * screen.height // video.height

    async def _type(self, text: str) -> None:
        for part in re.split("([\n\t])", text):
            if part in _KEYS:
                self._phone.press_key(_KEYS[part])
                continue
            for character in part:
                if not _is_on_keyboard(character):
                    await self._log.warn(f"Could not inject char u+{ord(character):04x}")
            if typed := "".join(filter(_is_on_keyboard, part)):
                self._phone.type_text(typed)

    async def _set_clipboard(self, message: SetClipboard) -> None:
        if self._phone.clipboard.set(message.text, by=self._tell_clipboard):
            await self._log.info("Device clipboard set")
        if message.paste:
            self._phone.press_key(_PASTE)
        if message.sequence:
            self._send(wire.acknowledgement(message.sequence))

    def _tell_clipboard(self, text: str) -> None:
        self._send(wire.clipboard_message(text))

    def _send(self, message: bytes) -> None:
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self._dropped += 1


def _is_on_keyboard(character: str) -> bool:
    """Whether Android's virtual keyboard can type it, if need be with one of its five dead keys."""
    base, *marks = list(unicodedata.normalize("NFD", character))
    return base.isascii() and base.isprintable() and (not marks or (len(marks) == 1 and marks[0] in _DEAD_KEYS))

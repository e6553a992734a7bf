"""What a client says on the control socket, by version (com.genymobile.scrcpy.control.ControlMessageReader).

Each message is one byte of kind and its fields, big-endian, without a length of the whole: who does not know a kind
cannot go on behind it.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from capture.demo_phone.scrcpy.log import Thrown
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.input_events import VideoSize

_LARGEST = 1 << 24
"""Bytes of a text for which a Java program of Android's has memory."""


class Kind(IntEnum):
    """The kinds of messages."""

    INJECT_KEYCODE = 0
    INJECT_TEXT = 1
    INJECT_TOUCH_EVENT = 2
    INJECT_SCROLL_EVENT = 3
    BACK_OR_SCREEN_ON = 4
    EXPAND_NOTIFICATION_PANEL = 5
    EXPAND_SETTINGS_PANEL = 6
    COLLAPSE_PANELS = 7
    GET_CLIPBOARD = 8
    SET_CLIPBOARD = 9
    SET_DISPLAY_POWER = 10
    ROTATE_DEVICE = 11
    UHID_CREATE = 12
    UHID_INPUT = 13
    UHID_DESTROY = 14
    OPEN_HARD_KEYBOARD_SETTINGS = 15
    START_APP = 16
    RESET_VIDEO = 17
    CAMERA_SET_TORCH = 18
    """Since 4.0, as the next three."""
    CAMERA_ZOOM_IN = 19
    CAMERA_ZOOM_OUT = 20
    RESIZE_DISPLAY = 21
    SCAN_FILE = 22
    """Since 4.1."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a video of a size."""

    x: int
    y: int
    video: VideoSize


@dataclass(frozen=True, slots=True)
class InjectKeycode:
    """A key goes down (action 0) or up (1)."""

    action: int
    keycode: int
    repeat: int
    meta_state: int


@dataclass(frozen=True, slots=True)
class InjectText:
    """Text to be typed."""

    text: str


@dataclass(frozen=True, slots=True)
class InjectTouchEvent:
    """A pointer goes down (action 0), up (1) or elsewhere (2), or does something else of MotionEvent's."""

    action: int
    pointer_id: int
    """A signed number of the client's choice; -1 is its mouse, -2 a finger."""
    position: Position
    pressure: float
    action_button: int
    buttons: int


@dataclass(frozen=True, slots=True)
class InjectScrollEvent:
    """A wheel turned, in notches."""

    position: Position
    horizontal: float
    vertical: float
    buttons: int


@dataclass(frozen=True, slots=True)
class BackOrScreenOn:
    """The back key goes down or up; on a phone that sleeps, its going down wakes it."""

    action: int


@dataclass(frozen=True, slots=True)
class GetClipboard:
    """Send what the clipboard holds, after pressing COPY (1) or CUT (2)."""

    copy_key: int


@dataclass(frozen=True, slots=True)
class SetClipboard:
    """Hold this text, say so if `sequence` is not 0, and press PASTE if wanted."""

    sequence: int
    paste: bool
    text: str


@dataclass(frozen=True, slots=True)
class SetDisplayPower:
    """Light or darken the panel; what is captured stays as it is."""

    on: bool


@dataclass(frozen=True, slots=True)
class StartApp:
    """Start an app by its package, or by its name after "?"."""

    name: str


@dataclass(frozen=True, slots=True)
class Bare:
    """A message of no fields, or one whose fields mean nothing on the demo phone."""

    kind: Kind


ControlMessage = (
    InjectKeycode
    | InjectText
    | InjectTouchEvent
    | InjectScrollEvent
    | BackOrScreenOn
    | GetClipboard
    | SetClipboard
    | SetDisplayPower
    | StartApp
    | Bare
)


class UnknownMessage(ValueError):
    """A kind of message that this version of the server does not know."""


class _Incomplete(Exception):
    pass


class ControlMessageParser:
    """Messages out of a byte stream that arrives in any chunks."""

    def __init__(self, version: ServerVersion) -> None:
        self._version = version
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._buffer += data

    def next_message(self) -> ControlMessage | None:
        """The next message that is whole. Raises `UnknownMessage`, and `Thrown` for a text no memory is there for."""
        fields = _Fields(self._buffer)
        try:
            message = _read(fields, self._version)
        except _Incomplete:
            return None
        del self._buffer[: fields.at]
        return message


_BYTE, _SHORT, _INT, _LONG = Struct(">B"), Struct(">H"), Struct(">i"), Struct(">q")
_KEYCODE = Struct(">Biii")
_POSITION = Struct(">iiHH")
_TOUCH_HEAD, _TOUCH_TAIL = Struct(">Bq"), Struct(">Hii")
_SCROLL = Struct(">hhi")
_EMPTY = frozenset(
    (
        Kind.EXPAND_NOTIFICATION_PANEL,
        Kind.EXPAND_SETTINGS_PANEL,
        Kind.COLLAPSE_PANELS,
        Kind.ROTATE_DEVICE,
        Kind.OPEN_HARD_KEYBOARD_SETTINGS,
        Kind.RESET_VIDEO,
        Kind.CAMERA_ZOOM_IN,
        Kind.CAMERA_ZOOM_OUT,
    )
)


class _Fields:
    """The fields of a message, taken one by one."""

    def __init__(self, data: bytearray) -> None:
        self._data = data
        self.at = 0

    def take(self, layout: Struct) -> tuple[int, ...]:
        self._skip(layout.size)
        return layout.unpack_from(self._data, self.at - layout.size)

    def number(self, layout: Struct) -> int:
        return self.take(layout)[0]

    def bytes_of(self, length: int) -> bytes:
        if length < 0:
            raise Thrown(str(length), "java.lang.NegativeArraySizeException", _READER)
        if length > _LARGEST:
            message = f"Failed to allocate a {length} byte allocation"
            raise Thrown(message, "java.lang.OutOfMemoryError", _READER)
        self._skip(length)
        return bytes(self._data[self.at - length : self.at])

    def text(self, length: Struct) -> str:
        return self.bytes_of(self.number(length)).decode(errors="replace")

    def position(self) -> Position:
        x, y, width, height = self.take(_POSITION)
        return Position(x, y, VideoSize(width, height))

    def _skip(self, size: int) -> None:
        if self.at + size > len(self._data):
            raise _Incomplete
        self.at += size


_READER = (
    "com.genymobile.scrcpy.control.ControlMessageReader.parseByteArray(ControlMessageReader.java)",
    "com.genymobile.scrcpy.control.ControlMessageReader.read(ControlMessageReader.java)",
    "com.genymobile.scrcpy.control.ControlChannel.recv(ControlChannel.java)",
    "com.genymobile.scrcpy.control.Controller.handleEvent(Controller.java)",
)


def _read(fields: _Fields, version: ServerVersion) -> ControlMessage:
    number = fields.number(_BYTE)
    if number > _last_kind(version):
        raise UnknownMessage(f"Unknown event type: {number}")
    kind = Kind(number)
    match kind:
        case Kind.INJECT_KEYCODE:
            return InjectKeycode(*fields.take(_KEYCODE))
        case Kind.INJECT_TEXT:
            return InjectText(fields.text(_INT))
        case Kind.INJECT_TOUCH_EVENT:
            action, pointer_id = fields.take(_TOUCH_HEAD)
            position = fields.position()
            pressure, action_button, buttons = fields.take(_TOUCH_TAIL)
            return InjectTouchEvent(action, pointer_id, position, _pressure(pressure), action_button, buttons)
        case Kind.INJECT_SCROLL_EVENT:
            position = fields.position()
            horizontal, vertical, buttons = fields.take(_SCROLL)
            scale = version.scroll_range
            return InjectScrollEvent(position, _notches(horizontal, scale), _notches(vertical, scale), buttons)
        case Kind.BACK_OR_SCREEN_ON:
            return BackOrScreenOn(fields.number(_BYTE))
        case Kind.GET_CLIPBOARD:
            return GetClipboard(fields.number(_BYTE))
        case Kind.SET_CLIPBOARD:
            return SetClipboard(fields.number(_LONG), fields.number(_BYTE) != 0, fields.text(_INT))
        case Kind.SET_DISPLAY_POWER:
            return SetDisplayPower(fields.number(_BYTE) != 0)
        case Kind.START_APP:
            return StartApp(fields.text(_BYTE))
        case Kind.UHID_CREATE:
            for _ in range(3 if version.uhid_has_ids else 1):
                fields.take(_SHORT)
            fields.text(_BYTE)
            fields.bytes_of(fields.number(_SHORT))
        case Kind.UHID_INPUT:
            fields.take(_SHORT)
            fields.bytes_of(fields.number(_SHORT))
        case Kind.UHID_DESTROY:
            fields.take(_SHORT)
        case Kind.CAMERA_SET_TORCH:
            fields.take(_BYTE)
        case Kind.RESIZE_DISPLAY:
            fields.take(_SHORT)
            fields.take(_SHORT)
        case Kind.SCAN_FILE:
            fields.text(_INT)
        case _:
            assert kind in _EMPTY, "every kind of message has its fields here"
    return Bare(kind)


def _last_kind(version: ServerVersion) -> Kind:
    if version.number < (4,):
        return Kind.RESET_VIDEO
    return Kind.RESIZE_DISPLAY if version.number < (4, 1) else Kind.SCAN_FILE


def _pressure(value: int) -> float:
    """An unsigned 16-bit fixed-point number: 0 to 1."""
    return 1.0 if value == 0xFFFF else value / 0x10000


def _notches(value: int, scale: int) -> float:
    """A signed 16-bit fixed-point number: -1 to 1, times `scale`."""
    return (1.0 if value == 0x7FFF else value / 0x8000) * scale

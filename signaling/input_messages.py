"""The messages of the data channel `control`; what a viewer does to the device is a WebSocket's `input` too.

    {"type": "touch", "action": "tap", "x": 360, "y": 640, "width": 720, "height": 1280, "seq": 7}
    {"type": "scroll", "x": 360, "y": 640, "dx": 0, "dy": 1}      notches of a wheel, signed as in W3C's WheelEvent
    {"type": "swipe", "x1": 360, "y1": 900, "x2": 360, "y2": 300, "durationMs": 300}
    {"type": "key", "action": "press", "keyCode": 4}              or "keyCode": "back"
    {"type": "text", "text": "Grüße"}
    {"type": "clipboard", "action": "set", "text": "Grüße"}
    {"type": "clipboard", "action": "get"}                        answered: clipboard {text}
    {"type": "rotate"}                                            by a quarter, to its side or back
    {"type": "sound", "action": "off"}                            see signaling.choices, as for the next
    {"type": "quality", "level": "auto"}
    {"type": "stats"}                                             answered once: stats {sessionId, stats}

Coordinates are those of a video of `width` x `height`, or device pixels without them. A touch may have a `pointerId`
and a `pressure` of 0 to 1. `seq` asks for an `input-ack`. `deviceId` may stand beside it; `timestamp` and unknown
fields are ignored, as older front-ends send some.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from capture.input_events import (
    InputEvent,
    Key,
    KeyAction,
    Rotate,
    Scroll,
    Swipe,
    Text,
    Touch,
    TouchAction,
    VideoSize,
    WriteClipboard,
)
from signaling.choices import CHOICE_TYPES, MAX_ID, QualityChoice, SoundChoice, read_choice
from signaling.errors import MalformedMessage
from signaling.json_fields import MAX_SAFE_INTEGER, JsonFields, parse_object

MAX_TEXT = 4096
"""Characters of typed text in one message."""

MAX_CLIPBOARD = 32_768
"""Characters of a clipboard that is set or told: a data channel's message has at most 64 KiB."""

MOST_NOTCHES = 100
"""Of a wheel, in one message."""

LONGEST_SWIPE_MS = 10_000
USUAL_SWIPE_MS = 300

KEY_CODES = {
    # Android's KeyEvent.KEYCODE_* numbers.
    "home": 3,
    "back": 4,
    "dpad-up": 19,
    "dpad-down": 20,
    "dpad-left": 21,
    "dpad-right": 22,
    "dpad-center": 23,
    "volume-up": 24,
    "volume-down": 25,
    "power": 26,
    "camera": 27,
    "tab": 61,
    "space": 62,
    "enter": 66,
    "backspace": 67,
    "menu": 82,
    "search": 84,
    "media-play-pause": 85,
    "media-next": 87,
    "media-previous": 88,
    "page-up": 92,
    "page-down": 93,
    "escape": 111,
    "delete": 112,
    "move-home": 122,
    "move-end": 123,
    "volume-mute": 164,
    "app-switch": 187,
    "sleep": 223,
    "wake-up": 224,
}

MAX_PIXEL = 65535
MAX_KEY_CODE = 999
MAX_POINTER = 2**31 - 1

_TOUCH_ACTIONS = {action.value: action for action in TouchAction}
_KEY_ACTIONS = {action.value: action for action in KeyAction}
_TOUCH_NAMES, _KEY_NAMES = ", ".join(_TOUCH_ACTIONS), ", ".join(_KEY_ACTIONS)
_NEGATIVE_LIMIT = -float(MAX_PIXEL)


@dataclass(frozen=True, slots=True)
class Input:
    """What the viewer does."""

    event: InputEvent
    seq: int | None = None
    """The viewer's number for it, which an `InputAck` repeats."""
    session_id: str | None = None
    """Only where one connection has several sessions."""
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClipboardRequest:
    """What the device's clipboard holds is to be told; the fields are those of an `Input`."""

    seq: int | None = None
    session_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class StatsRequest:
    """Tell the session's statistics, once."""


ControlMessage = Input | ClipboardRequest | SoundChoice | QualityChoice | StatsRequest


def parse_control(text: str) -> ControlMessage:
    """A message of the data channel `control`, input bare or wrapped as on the WebSocket. Raises `MalformedMessage`."""
    fields = parse_object(text)
    kind = fields.choice("type", CONTROL_TYPES, _CONTROL_NAMES)
    if kind in CHOICE_TYPES:
        return read_choice(fields, kind)
    return StatsRequest() if kind == "stats" else read_input(fields, kind)


def read_input(fields: JsonFields, kind: str) -> Input | ClipboardRequest:
    """What a message of the type `kind` is: one of `INPUT_TYPES` bare, or `input` around an `event` that is one.

    Raises `MalformedMessage`.
    """
    session_id = fields.optional_text("sessionId", longest=MAX_ID)
    if kind == "input":
        fields = fields.object("event")
        kind = fields.choice("type", _READERS, _INPUT_NAMES)
    event = _READERS[kind](fields)
    seq = fields.optional_integer("seq", 0, MAX_SAFE_INTEGER)
    device_id = fields.optional_text("deviceId", longest=MAX_ID)
    if event is None:
        return ClipboardRequest(seq, session_id, device_id)
    return Input(event, seq, session_id, device_id)


def _read_touch(fields: JsonFields) -> Touch:
    action = _TOUCH_ACTIONS[fields.choice("action", _TOUCH_ACTIONS, _TOUCH_NAMES)]
    video = _read_video(fields)
    right, bottom = _bounds(video)
    if action is TouchAction.MOVE or action is TouchAction.UP:
        # A finger may slide off the picture; it still has to be lifted, at the edge.
        x = min(max(fields.number("x", _NEGATIVE_LIMIT, MAX_PIXEL), 0.0), right)
        y = min(max(fields.number("y", _NEGATIVE_LIMIT, MAX_PIXEL), 0.0), bottom)
    else:
        x, y = fields.number("x", 0, right), fields.number("y", 0, bottom)
    pointer_id = fields.integer("pointerId", 0, MAX_POINTER) if "pointerId" in fields else 0
    pressure = fields.number("pressure", 0, 1) if "pressure" in fields else 1.0
    return Touch(action, x, y, video, pointer_id, pressure)


def _read_scroll(fields: JsonFields) -> Scroll:
    video = _read_video(fields)
    right, bottom = _bounds(video)
    x, y = fields.number("x", 0, right), fields.number("y", 0, bottom)
    dx, dy = (fields.number(name, -MOST_NOTCHES, MOST_NOTCHES) if name in fields else 0.0 for name in ("dx", "dy"))
    return Scroll(x, y, dx, dy, video)


def _read_swipe(fields: JsonFields) -> Swipe:
    video = _read_video(fields)
    right, bottom = _bounds(video)
    x1, y1 = fields.number("x1", 0, right), fields.number("y1", 0, bottom)
    x2, y2 = fields.number("x2", 0, right), fields.number("y2", 0, bottom)
    duration = fields.optional_integer("durationMs", 1, LONGEST_SWIPE_MS)
    return Swipe(x1, y1, x2, y2, (duration or USUAL_SWIPE_MS) / 1000, video)


def _read_rotate(_: JsonFields) -> Rotate:
    return Rotate()


def _read_video(fields: JsonFields) -> VideoSize | None:
    """What coordinates are relative to; None for device pixels."""
    if "width" in fields or "height" in fields:
        return VideoSize(fields.integer("width", 1, MAX_PIXEL), fields.integer("height", 1, MAX_PIXEL))
    return None


def _bounds(video: VideoSize | None) -> tuple[int, int]:
    return (video.width, video.height) if video is not None else (MAX_PIXEL, MAX_PIXEL)


def _read_key(fields: JsonFields) -> Key:
    action = KeyAction.PRESS
    if "action" in fields:
        action = _KEY_ACTIONS[fields.choice("action", _KEY_ACTIONS, _KEY_NAMES)]
    if fields.is_text("keyCode"):
        return Key(KEY_CODES[fields.choice("keyCode", KEY_CODES, ", ".join(KEY_CODES))], action)
    return Key(fields.integer("keyCode", 1, MAX_KEY_CODE), action)


def _read_text(fields: JsonFields) -> Text:
    return Text(_unicode(fields, shortest=1, longest=MAX_TEXT))


def _read_clipboard(fields: JsonFields) -> WriteClipboard | None:
    """None for who wants to be told."""
    if fields.choice("action", ("get", "set"), "get, set") == "get":
        return None
    return WriteClipboard(_unicode(fields, shortest=0, longest=MAX_CLIPBOARD))


def _unicode(fields: JsonFields, *, shortest: int, longest: int) -> str:
    text = fields.text("text", shortest=shortest, longest=longest, is_secret=True)
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair; no device can be given it.
        raise MalformedMessage("text must be Unicode, it has half of a surrogate pair") from None
    return text


_READERS: Mapping[str, Callable[[JsonFields], InputEvent | None]] = {
    "touch": _read_touch,
    "key": _read_key,
    "text": _read_text,
    "scroll": _read_scroll,
    "swipe": _read_swipe,
    "clipboard": _read_clipboard,
    "rotate": _read_rotate,
}

INPUT_TYPES = tuple(_READERS)
"""What a viewer does to a device."""

CONTROL_TYPES = (*INPUT_TYPES, "input", *CHOICE_TYPES, "stats")
"""What comes on the data channel."""

_INPUT_NAMES = ", ".join(INPUT_TYPES)
_CONTROL_NAMES = ", ".join(CONTROL_TYPES)

"""The messages of the data channel `control`; touches, keys and typed text are those of a WebSocket's `input` too.

    {"type": "touch", "action": "tap", "x": 360, "y": 640, "width": 720, "height": 1280, "seq": 7}
    {"type": "key", "action": "press", "keyCode": 4}      or "keyCode": "back"
    {"type": "text", "text": "Grüße"}
    {"type": "sound", "action": "off"}                    see signaling.choices, as for the next
    {"type": "quality", "level": "auto"}
    {"type": "stats"}                                     answered once: stats {sessionId, stats}

Coordinates are those of a video of `width` x `height`, or device pixels without them. `seq` asks for an `input-ack`.
`deviceId` may stand beside it; `timestamp` and unknown fields are ignored, as older front-ends send some.
"""

from dataclasses import dataclass

from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, TouchAction, VideoSize
from signaling.choices import CHOICE_TYPES, MAX_ID, QualityChoice, SoundChoice, read_choice
from signaling.errors import MalformedMessage
from signaling.json_fields import MAX_SAFE_INTEGER, JsonFields, parse_object

MAX_TEXT = 4096
"""Characters of typed text in one message."""

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

INPUT_TYPES = ("touch", "key", "text")

_CONTROL_TYPES = (*INPUT_TYPES, "input", *CHOICE_TYPES, "stats")
_CONTROL_NAMES = ", ".join(_CONTROL_TYPES)
_MAX_PIXEL = 65535
_MAX_KEY_CODE = 999
_MAX_POINTER = 2**31 - 1
_TOUCH_ACTIONS = {action.value: action for action in TouchAction}
_KEY_ACTIONS = {action.value: action for action in KeyAction}
_TOUCH_NAMES, _KEY_NAMES = ", ".join(_TOUCH_ACTIONS), ", ".join(_KEY_ACTIONS)
_NEGATIVE_LIMIT = -float(_MAX_PIXEL)


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
class StatsRequest:
    """Tell the session's statistics, once."""


ControlMessage = Input | SoundChoice | QualityChoice | StatsRequest


def parse_control(text: str) -> ControlMessage:
    """A message of the data channel `control`, input bare or wrapped as on the WebSocket. Raises `MalformedMessage`."""
    fields = parse_object(text)
    kind = fields.choice("type", _CONTROL_TYPES, _CONTROL_NAMES)
    if kind in CHOICE_TYPES:
        return read_choice(fields, kind)
    return StatsRequest() if kind == "stats" else read_input(fields, kind)


def read_input(fields: JsonFields, kind: str) -> Input:
    """The input of a message whose `type` is `kind`: `touch`, `key` and `text` bare, or `input` around an `event`.

    Raises `MalformedMessage`.
    """
    session_id = fields.optional_text("sessionId", longest=MAX_ID)
    if kind == "input":
        fields = fields.object("event")
        kind = fields.choice("type", INPUT_TYPES, ", ".join(INPUT_TYPES))
    event: InputEvent
    if kind == "touch":
        event = _read_touch(fields)
    elif kind == "key":
        event = _read_key(fields)
    else:
        event = _read_text(fields)
    return Input(
        event,
        seq=fields.optional_integer("seq", 0, MAX_SAFE_INTEGER),
        session_id=session_id,
        device_id=fields.optional_text("deviceId", longest=MAX_ID),
    )


def _read_touch(fields: JsonFields) -> Touch:
    action = _TOUCH_ACTIONS[fields.choice("action", _TOUCH_ACTIONS, _TOUCH_NAMES)]
    video = None
    if "width" in fields or "height" in fields:
        video = VideoSize(fields.integer("width", 1, _MAX_PIXEL), fields.integer("height", 1, _MAX_PIXEL))
    right, bottom = (video.width, video.height) if video else (_MAX_PIXEL, _MAX_PIXEL)
    if action is TouchAction.MOVE or action is TouchAction.UP:
        # A finger may slide off the picture; it still has to be lifted, at the edge.
        x = min(max(fields.number("x", _NEGATIVE_LIMIT, _MAX_PIXEL), 0.0), right)
        y = min(max(fields.number("y", _NEGATIVE_LIMIT, _MAX_PIXEL), 0.0), bottom)
    else:
        x, y = fields.number("x", 0, right), fields.number("y", 0, bottom)
    pointer_id = fields.integer("pointerId", 0, _MAX_POINTER) if "pointerId" in fields else 0
    return Touch(action, x, y, video, pointer_id)


def _read_key(fields: JsonFields) -> Key:
    action = KeyAction.PRESS
    if "action" in fields:
        action = _KEY_ACTIONS[fields.choice("action", _KEY_ACTIONS, _KEY_NAMES)]
    if fields.is_text("keyCode"):
        return Key(KEY_CODES[fields.choice("keyCode", KEY_CODES, ", ".join(KEY_CODES))], action)
    return Key(fields.integer("keyCode", 1, _MAX_KEY_CODE), action)


def _read_text(fields: JsonFields) -> Text:
    text = fields.text("text", longest=MAX_TEXT, is_secret=True)
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can spell half of a surrogate pair; no device can be given it.
        raise MalformedMessage("text must be Unicode, it has half of a surrogate pair") from None
    return Text(text)

"""The messages of `signaling.browser_messages` and `signaling.input_messages` as JSON Schema, with examples.

A schema cannot say that a place lies within the message's own `width` and `height`, that `minBitrate` is not above
`maxBitrate`, and that a text has no half of a surrogate pair; the service refuses these too.
"""

from capture.input_events import KeyAction, TouchAction
from signaling.browser_messages import LONGEST_STATS_PERIOD_MS, MAX_CANDIDATE, SHORTEST_STATS_PERIOD_MS
from signaling.choices import HIGHEST_BIT_RATE, LOWEST_BIT_RATE, MAX_ID, QualityLevel
from signaling.input_messages import (
    KEY_CODES,
    LONGEST_SWIPE_MS,
    MAX_CLIPBOARD,
    MAX_KEY_CODE,
    MAX_PIXEL,
    MAX_POINTER,
    MAX_TEXT,
    MOST_NOTCHES,
    USUAL_SWIPE_MS,
)
from signaling.json_fields import MAX_SAFE_INTEGER
from signaling.message_description import MessageDescription, Schema, integer, message, nullable, number, one_of, text
from signaling.sdp import MAX_DESCRIPTION_SIZE

_ID = nullable(integer(0, MAX_SAFE_INTEGER, description="Repeated in the reply; without it there is no `ok`."))
_SEQ = nullable(integer(0, MAX_SAFE_INTEGER, description="Repeated in an `input-ack`."))
_DEVICE = text(MAX_ID, description="A device's id, serial or name.")
_SESSION = text(MAX_ID)
_SESSION_MEANT = nullable(text(MAX_ID, description="May be left out while the connection has one session."))
_SDP = text(MAX_DESCRIPTION_SIZE, description="A session description (RFC 8866).")
_CANDIDATE = text(MAX_CANDIDATE, 0, description="As in RFC 8839 section 5.1; empty when no more will come.")
_MID = nullable(text(MAX_ID, 0))
_PLACE = number(0, MAX_PIXEL)
_WITHIN_OR_BEYOND = number(-MAX_PIXEL, MAX_PIXEL, description="A finger may slide off the picture.")
_BIT_RATE = nullable(integer(LOWEST_BIT_RATE, HIGHEST_BIT_RATE, description="Bits per second."))

_VIDEO = {
    "width": nullable(integer(1, MAX_PIXEL, description="Of the video that places are in; without, device pixels.")),
    "height": nullable(integer(1, MAX_PIXEL)),
}
_VIDEO_OR_NONE: list[Schema] = [
    {"properties": {"width": {"type": "null"}, "height": {"type": "null"}}},
    {
        "properties": {"width": {"type": "integer"}, "height": {"type": "integer"}},
        "required": ["width", "height"],
    },
]
_BESIDE_EVENT = {"seq": _SEQ, "deviceId": nullable(_DEVICE)}
_BESIDE_MESSAGE = {"id": _ID, "sessionId": _SESSION_MEANT}


def _touch(beside: dict[str, Schema]) -> Schema:
    on_screen = {"action": one_of((TouchAction.TAP, TouchAction.DOWN)), "x": _PLACE, "y": _PLACE}
    sliding = {
        "action": one_of((TouchAction.MOVE, TouchAction.UP)),
        "x": _WITHIN_OR_BEYOND,
        "y": _WITHIN_OR_BEYOND,
    }
    return message(
        "touch",
        {"action": one_of(TouchAction), "x": _WITHIN_OR_BEYOND, "y": _WITHIN_OR_BEYOND},
        {
            **_VIDEO,
            "pointerId": nullable(integer(0, MAX_POINTER, description="Tells fingers apart; 0 without.")),
            "pressure": nullable(number(0, 1, description="1 without.")),
            **beside,
        },
        allOf=[{"anyOf": _VIDEO_OR_NONE}, {"anyOf": [{"properties": on_screen}, {"properties": sliding}]}],
    )


def _key(beside: dict[str, Schema]) -> Schema:
    code: Schema = {"anyOf": [integer(1, MAX_KEY_CODE, description="Android's KeyEvent.KEYCODE_*."), one_of(KEY_CODES)]}
    return message("key", {"keyCode": code}, {"action": nullable(one_of(KeyAction)), **beside})


def _text(beside: dict[str, Schema]) -> Schema:
    return message("text", {"text": text(MAX_TEXT)}, beside)


def _scroll(beside: dict[str, Schema]) -> Schema:
    notches = nullable(
        number(-MOST_NOTCHES, MOST_NOTCHES, description="Notches of a wheel, signed as WheelEvent.deltaX and deltaY.")
    )
    optional = {"dx": notches, "dy": notches, **_VIDEO, **beside}
    return message("scroll", {"x": _PLACE, "y": _PLACE}, optional, anyOf=_VIDEO_OR_NONE)


def _swipe(beside: dict[str, Schema]) -> Schema:
    places = {"x1": _PLACE, "y1": _PLACE, "x2": _PLACE, "y2": _PLACE}
    duration = nullable(integer(1, LONGEST_SWIPE_MS, description=f"{USUAL_SWIPE_MS} without."))
    return message("swipe", places, {"durationMs": duration, **_VIDEO, **beside}, anyOf=_VIDEO_OR_NONE)


def _rotate(beside: dict[str, Schema]) -> Schema:
    return message("rotate", {}, beside)


def _clipboard(beside: dict[str, Schema]) -> Schema:
    get: Schema = {"properties": {"action": {"const": "get"}}}
    put: Schema = {
        "properties": {"action": {"const": "set"}, "text": text(MAX_CLIPBOARD, 0)},
        "required": ["text"],
    }
    return message("clipboard", {"action": one_of(("get", "set"))}, beside, anyOf=[get, put])


_EVENTS = (_touch, _key, _text, _scroll, _swipe, _rotate, _clipboard)


def _input(event: str, summary: str, schema: Schema, *examples: dict[str, object]) -> MessageDescription:
    replies = ("clipboardText", "inputAck") if event == "clipboard" else ("ok", "inputAck")
    return MessageDescription(event, summary, schema, examples, replies)


INPUT_MESSAGES = (
    _input(
        "touch",
        "A finger.",
        _touch({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "touch", "action": "tap", "x": 360, "y": 640, "width": 720, "height": 1280, "seq": 7},
        {"type": "touch", "action": "move", "x": -3.5, "y": 640, "pointerId": 1, "pressure": 0.4},
    ),
    _input(
        "key",
        "A key.",
        _key({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "key", "action": "press", "keyCode": 4},
        {"type": "key", "keyCode": "app-switch", "id": 5},
    ),
    _input(
        "text",
        "Typed text, of any characters where scrcpy's server runs on the device.",
        _text({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "text", "text": "Grüße"},
    ),
    _input(
        "scroll",
        "A wheel.",
        _scroll({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "scroll", "x": 360, "y": 640, "dx": 0, "dy": 1.5, "width": 720, "height": 1280},
    ),
    _input(
        "swipe",
        "A finger that is drawn from one place to another.",
        _swipe({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "swipe", "x1": 360, "y1": 900, "x2": 360, "y2": 300, "durationMs": 300},
    ),
    _input(
        "rotate",
        "The screen is turned by a quarter, to its side or back.",
        _rotate({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "rotate"},
    ),
    _input(
        "clipboard",
        "The device's clipboard is set, or asked for; only where scrcpy's server runs on the device.",
        _clipboard({**_BESIDE_EVENT, **_BESIDE_MESSAGE}),
        {"type": "clipboard", "action": "get", "id": 8},
        {"type": "clipboard", "action": "set", "text": "Grüße"},
    ),
    MessageDescription(
        "input",
        "Any of these in an envelope.",
        message("input", {"event": {"anyOf": [event(_BESIDE_EVENT) for event in _EVENTS]}}, _BESIDE_MESSAGE),
        ({"type": "input", "event": {"type": "key", "keyCode": 3, "seq": 9}, "sessionId": "s1", "id": 6},),
        ("ok", "clipboardText", "inputAck"),
    ),
)
"""What a viewer does to a device, on the WebSocket and on the data channel."""

CHOICE_MESSAGES = (
    MessageDescription(
        "sound",
        "Whether the device's sound is sent.",
        message("sound", {"action": one_of(("on", "off"))}, _BESIDE_MESSAGE),
        ({"type": "sound", "action": "off"},),
        ("ok",),
    ),
    MessageDescription(
        "quality",
        "A level that is kept to, or `auto`. The least and the first bit rate are for before the media flows.",
        message(
            "quality",
            {"level": one_of(QualityLevel)},
            {"maxBitrate": _BIT_RATE, "minBitrate": _BIT_RATE, "startBitrate": _BIT_RATE, **_BESIDE_MESSAGE},
        ),
        ({"type": "quality", "level": "auto"}, {"type": "quality", "level": "480p", "maxBitrate": 900_000}),
        ("ok",),
    ),
)
"""What a viewer chooses, on the WebSocket and on the data channel."""

_CANDIDATE_FORMS: list[Schema] = [
    {"properties": {"candidate": {"type": "null"}}},
    {"properties": {"candidate": _CANDIDATE, "sdpMid": _MID}, "required": ["candidate"]},
    {
        "properties": {
            "candidate": {
                "type": "object",
                "properties": {"candidate": _CANDIDATE, "sdpMid": _MID},
                "required": ["candidate"],
            }
        },
        "required": ["candidate"],
    },
]
_PERIOD = integer(0, LONGEST_STATS_PERIOD_MS, anyOf=[{"maximum": 0}, {"minimum": SHORTEST_STATS_PERIOD_MS}])
_SOME_CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host"

SOCKET_MESSAGES = (
    MessageDescription(
        "join",
        "Watch a device; the service offers.",
        message("join", {"deviceId": _DEVICE}, {"id": _ID, "sessionId": {"type": "null"}}),
        ({"type": "join", "deviceId": "192.168.1.2:5555", "id": 1},),
        ("serverOffer",),
    ),
    MessageDescription(
        "joinSession",
        "Speak for a session that POST /api/media/sessions opened. It goes on when the socket is closed.",
        message("join", {"sessionId": _SESSION}, {"id": _ID}),
        ({"type": "join", "sessionId": "s1"},),
        ("ok",),
    ),
    MessageDescription(
        "browserOffer",
        "Watch a device; the browser offers.",
        message("offer", {"deviceId": _DEVICE, "sdp": _SDP}, {"id": _ID}),
        ({"type": "offer", "deviceId": "demo", "sdp": "v=0\r\n…", "id": 2},),
        ("serverAnswer",),
    ),
    MessageDescription(
        "browserAnswer",
        "The answer to the service's offer.",
        message("answer", {"sdp": _SDP}, _BESIDE_MESSAGE),
        ({"type": "answer", "sdp": "v=0\r\n…", "id": 3},),
        ("ok",),
    ),
    MessageDescription(
        "iceCandidate",
        "A candidate of the browser, as its `toJSON` gives it or its text alone; null when no more will come.",
        message("ice-candidate", {}, _BESIDE_MESSAGE, anyOf=_CANDIDATE_FORMS),
        (
            {"type": "ice-candidate", "candidate": {"candidate": _SOME_CANDIDATE, "sdpMid": "0", "sdpMLineIndex": 0}},
            {"type": "ice-candidate", "sessionId": "s1", "candidate": _SOME_CANDIDATE},
            {"type": "ice-candidate", "candidate": None},
        ),
        ("ok",),
    ),
    MessageDescription(
        "keyframeRequest",
        "Ask for a keyframe, as a PLI does.",
        message("keyframe-request", {}, _BESIDE_MESSAGE),
        ({"type": "keyframe-request"},),
        ("ok",),
    ),
    MessageDescription(
        "statsSubscription",
        "Have the session's statistics pushed every so many milliseconds; 0 ends it.",
        message("stats", {"periodMs": _PERIOD}, _BESIDE_MESSAGE),
        ({"type": "stats", "periodMs": 1000, "id": 7}, {"type": "stats", "periodMs": 0}),
        ("ok",),
    ),
    MessageDescription(
        "leave",
        "End a session, or all of a device that the connection speaks for, whoever opened them.",
        message("leave", {}, {**_BESIDE_MESSAGE, "deviceId": nullable(_DEVICE)}),
        ({"type": "leave", "sessionId": "s1"}, {"type": "leave", "deviceId": "demo"}),
        ("ok",),
    ),
    MessageDescription(
        "ping",
        "Ask whether the service is there.",
        message("ping", {}, {"id": _ID}),
        ({"type": "ping", "id": 9},),
        ("pong",),
    ),
)
"""What is said on the WebSocket only."""

STATS_REQUEST = MessageDescription(
    "statsRequest",
    "Ask for the session's statistics, once.",
    message("stats", {}, {}),
    ({"type": "stats"},),
    ("stats",),
)
"""What is said on the data channel only."""

"""The messages of `signaling.server_messages` as JSON Schema, with examples."""

from signaling.choices import QualityLevel
from signaling.json_fields import MAX_SAFE_INTEGER
from signaling.message_description import MessageDescription, Schema, integer, message, one_of

_ID = integer(0, MAX_SAFE_INTEGER, description="That of the message it replies to.")
_SEQ = integer(0, MAX_SAFE_INTEGER, description="That of the input it is about.")
_STRING: Schema = {"type": "string"}
_TEXT = {"type": "string", "description": "For people."}
_PIXELS: Schema = {"type": ["integer", "null"], "minimum": 1}

_CHANGE = {"sessionId": _STRING, "deviceId": _STRING}
_VIDEO: dict[str, Schema] = {
    "width": _PIXELS,
    "height": _PIXELS,
    "rotation": {"enum": [0, 90, 180, 270, None], "description": "Degrees that the device is turned."},
    "screen": one_of(("shown", "still", "off", "secure", "booting")),
    "audio": {"type": "boolean"},
    "quality": one_of(level for level in QualityLevel if level is not QualityLevel.AUTO),
    "coding": one_of(("passthrough", "encoded")),
    "qualityReason": _TEXT,
    "levels": {"type": "array", "items": _STRING, "description": "What can be chosen beside `auto`, the best first."},
}

SERVER_MESSAGES = (
    MessageDescription("ok", "It was done.", message("ok", {}, {"id": _ID}), ({"type": "ok", "id": 1},)),
    MessageDescription("pong", "The service is there.", message("pong", {}, {"id": _ID}), ({"type": "pong", "id": 9},)),
    MessageDescription(
        "error",
        "It was not done; without an id, what the service has to say to everybody.",
        message(
            "error",
            {"code": {"type": "string", "description": "Stable, as in the problems of the HTTP API."}, "detail": _TEXT},
            {
                "retryAfter": {"type": "integer", "minimum": 0, "description": "Seconds after which it may work."},
                "seq": _SEQ,
                "id": _ID,
            },
        ),
        (
            {"type": "error", "code": "device_not_found", "detail": "there is no device 'x'", "id": 1},
            {"type": "error", "code": "too_many_requests", "detail": "…", "retryAfter": 1},
        ),
    ),
    MessageDescription(
        "serverOffer",
        "The offer for a join.",
        message("offer", {"sessionId": _STRING, "sdp": _STRING}, {"id": _ID}),
        ({"type": "offer", "sessionId": "s1", "sdp": "v=0\r\n…", "id": 1},),
    ),
    MessageDescription(
        "serverAnswer",
        "The answer to the browser's offer.",
        message("answer", {"sessionId": _STRING, "sdp": _STRING}, {"id": _ID}),
        ({"type": "answer", "sessionId": "s1", "sdp": "v=0\r\n…", "id": 2},),
    ),
    MessageDescription(
        "sessionState",
        "The session is in another state.",
        message(
            "session-state",
            {**_CHANGE, "state": one_of(("new", "connecting", "connected", "failed", "closed")), "reason": _TEXT},
            {},
        ),
        ({"type": "session-state", "sessionId": "s1", "deviceId": "demo", "state": "connected", "reason": ""},),
    ),
    MessageDescription(
        "deviceState",
        "The session's device is in another state.",
        message("device-state", {**_CHANGE, "state": one_of(("online", "reconnecting", "lost")), "reason": _TEXT}, {}),
        ({"type": "device-state", "sessionId": "s1", "deviceId": "demo", "state": "online", "reason": ""},),
    ),
    MessageDescription(
        "streamState",
        "What the viewer is shown has changed.",
        message(
            "stream-state",
            {
                **_CHANGE,
                "state": {"type": "string", "description": "The way of capture: `scrcpy`, `screenrecord`, …"},
                "reason": _TEXT,
            },
            _VIDEO,
            dependencies={name: list(_VIDEO) for name in _VIDEO},
        ),
        (
            {
                "type": "stream-state",
                "sessionId": "s1",
                "deviceId": "demo",
                "state": "scrcpy",
                "reason": "",
                "width": 720,
                "height": 1280,
                "rotation": 0,
                "screen": "shown",
                "audio": True,
                "quality": "source",
                "coding": "passthrough",
                "qualityReason": "",
                "levels": ["source", "720p", "480p"],
            },
        ),
    ),
    MessageDescription(
        "stats",
        "The service's numbers for a session, named as in webrtc-stats.",
        message(
            "stats",
            {
                "sessionId": _STRING,
                "stats": {"type": "object", "additionalProperties": {"type": ["number", "string", "boolean", "null"]}},
            },
            {},
        ),
        ({"type": "stats", "sessionId": "s1", "stats": {"packetsSent": 12, "roundTripTime": 0.025}},),
    ),
    MessageDescription(
        "inputAck",
        "An input that had a `seq` was injected.",
        message(
            "input-ack",
            {
                "seq": _SEQ,
                "injectedAt": {"type": "number", "description": "Milliseconds since 1970."},
                "latencyMs": {"type": "number", "description": "From its arrival at the service."},
            },
            {},
        ),
        ({"type": "input-ack", "seq": 9, "injectedAt": 1767225600000.25, "latencyMs": 3.25},),
    ),
    MessageDescription(
        "clipboardText",
        "What the device's clipboard holds; empty where it holds no text.",
        message("clipboard", {"text": _STRING}, {"seq": _SEQ, "id": _ID}),
        ({"type": "clipboard", "text": "Grüße", "id": 8},),
    ),
)

"""The JSON messages of `GET /api/media/ws`, one per frame: `{"type": …, "id"?: n}`.

    from the browser                                        our reply, with the same id
    join {deviceId}                                         offer {sessionId, sdp}
    offer {deviceId, sdp}                                   answer {sessionId, sdp}
    answer {sdp, sessionId?}                                ok
    ice-candidate {candidate: {candidate, sdpMid, sdpMLineIndex} | null, sessionId?}     ok
    input {event: {type: touch | key | text, …}, sessionId?} or the event alone          ok, and input-ack if it has seq
    keyframe-request {sessionId?}                           ok
    sound {action: on | off, sessionId?}                    ok
    quality {level: auto | source | 1080p | 720p | 480p | 360p, maxBitrate?, sessionId?}     ok
            {minBitrate?, startBitrate?} too, before the answer
    stats {periodMs, sessionId?}, 0 to end                  ok, then stats {sessionId, stats} every period
    leave {sessionId?} or {deviceId}                        ok
    ping                                                    pong

Any of them may be answered `error {code, detail}`. Without an `id` there is no `ok`, but every other reply.
`sessionId` may be left out while there is only one.

We push what changes, and how device and stream are right after our offer or answer:

    session-state {sessionId, deviceId, state: new | connecting | connected | failed | closed, reason}
    device-state {sessionId, deviceId, state: online | reconnecting | lost, reason}
    stream-state {sessionId, deviceId, state: the way of capture, reason, width, height, rotation, screen, audio,
                  quality, coding: passthrough | encoded, qualityReason, levels: what can be chosen beside auto}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from signaling.choices import CHOICE_TYPES, MAX_ID, QualityChoice, QualityLevel, SoundChoice, read_choice
from signaling.errors import MalformedMessage
from signaling.input_messages import INPUT_TYPES, Input, read_input
from signaling.json_fields import MAX_SAFE_INTEGER, JsonFields, parse_object
from signaling.sdp import MAX_DESCRIPTION_SIZE

MAX_CANDIDATE = 1024
"""Characters of one candidate."""

SHORTEST_STATS_PERIOD_MS = 100
LONGEST_STATS_PERIOD_MS = 60_000


@dataclass(frozen=True, slots=True)
class Join:
    """Watch a device; we offer."""

    device_id: str


@dataclass(frozen=True, slots=True)
class BrowserOffer:
    """Watch a device; the browser offers."""

    device_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class BrowserAnswer:
    """The answer to our offer."""

    sdp: str
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class TrickledCandidate:
    """An `RTCIceCandidate` of the browser, as its `toJSON` gives it, without the `sdpMLineIndex`: all is bundled."""

    candidate: str
    """Empty when there will be no more."""
    sdp_mid: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """Ask for a keyframe, as a PLI does."""

    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class StatsSubscription:
    """Push the session's statistics every `period_ms`; 0 ends it."""

    period_ms: int
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Leave:
    """End a session, or every session of a device that came from this connection."""

    session_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask whether we are there."""


BrowserMessage = (
    Join
    | BrowserOffer
    | BrowserAnswer
    | TrickledCandidate
    | Input
    | KeyframeRequest
    | SoundChoice
    | QualityChoice
    | StatsSubscription
    | Leave
    | Ping
)


@dataclass(frozen=True, slots=True)
class Ok:
    """It was done."""


@dataclass(frozen=True, slots=True)
class Error:
    """It was not done."""

    code: str
    """Stable, as in the HTTP problems."""
    detail: str
    retry_after: int | None = None
    """Seconds after which it may work."""
    seq: int | None = None
    """The number of the input that it concerns."""


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """Our answer to a `BrowserOffer`."""

    session_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class ServerOffer:
    """Our offer for a `Join`."""

    session_id: str
    sdp: str


@dataclass(frozen=True, slots=True)
class VideoState:
    """What a viewer is shown now."""

    width: int | None
    """Pixels of the video that this viewer gets."""
    height: int | None
    rotation: int | None
    """Degrees that the phone is turned, as Android's `Surface.ROTATION_*`; None when unknown. The video is upright."""
    screen: str
    """`shown`, `still`, `off`, `secure` (its capture is forbidden) or `booting`."""
    has_audio: bool
    quality: str = QualityLevel.SOURCE
    """`source`, or the level that it is coded anew to, as `480p`."""
    is_encoded: bool = False
    """Whether it is coded by the service; otherwise the phone's own coded pictures are passed through."""
    quality_reason: str = ""
    """Why that quality, in words; empty where there is nothing to say."""
    levels: tuple[str, ...] = (QualityLevel.SOURCE,)
    """What this viewer can choose now beside `auto`, the best first."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """The session, its device or its stream changed its state: `session-state`, `device-state`, `stream-state`."""

    kind: Literal["session", "device", "stream"]
    session_id: str
    device_id: str
    state: str
    """Of a session its state; of a device `online`, `reconnecting` or `lost`; of a stream the way of its capture."""
    reason: str
    video: VideoState | None = None
    """With a stream's state."""


@dataclass(frozen=True, slots=True)
class Stats:
    """The server's numbers for a session, named as in webrtc-stats."""

    session_id: str
    stats: Mapping[str, float | int | str | None]


@dataclass(frozen=True, slots=True)
class InputAck:
    """An input that had a `seq` was injected."""

    seq: int
    injected_at: float
    """When the device had it, in milliseconds since 1970."""
    latency_ms: float
    """From its arrival here until then."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The reply to a `Ping`."""


ServerMessage = Ok | Error | ServerAnswer | ServerOffer | StateChange | Stats | InputAck | Pong


def parse(text: str) -> tuple[BrowserMessage, int | None]:
    """A browser's message and its id.

    Raises `MalformedMessage`, which knows the id too where that much could be read.
    """
    fields = parse_object(text)
    message_id = fields.optional_integer("id", 0, MAX_SAFE_INTEGER)
    try:
        kind = fields.choice("type", _KNOWN, _KNOWN_NAMES)
        return _read(kind, fields), message_id
    except MalformedMessage as error:
        error.message_id = message_id
        raise


def serialize(message: ServerMessage, message_id: int | None = None) -> str:
    """The text of a message of ours; `message_id` is that of the request it replies to."""
    values = _values(message)
    if message_id is not None:
        values["id"] = message_id
    return json.dumps(values, separators=(",", ":"))


_OTHERS = ("join", "offer", "answer", "ice-candidate", "input", "keyframe-request", "stats", "leave", "ping")
_KNOWN = frozenset((*_OTHERS, *INPUT_TYPES, *CHOICE_TYPES))
_KNOWN_NAMES = ", ".join((*_OTHERS, *INPUT_TYPES, *CHOICE_TYPES))


def _read(kind: str, fields: JsonFields) -> BrowserMessage:
    # Moves of a finger come a hundred times a second: first.
    if kind == "input" or kind in INPUT_TYPES:
        return read_input(fields, kind)
    if kind in CHOICE_TYPES:
        return read_choice(fields, kind)
    if kind == "ping":
        return Ping()
    if kind == "join":
        return Join(fields.text("deviceId", longest=MAX_ID))
    if kind == "offer":
        return BrowserOffer(fields.text("deviceId", longest=MAX_ID), _read_sdp(fields))
    session_id = fields.optional_text("sessionId", longest=MAX_ID)
    match kind:
        case "answer":
            return BrowserAnswer(_read_sdp(fields), session_id)
        case "ice-candidate":
            return _read_candidate(fields, session_id)
        case "keyframe-request":
            return KeyframeRequest(session_id)
        case "stats":
            return StatsSubscription(_read_period(fields), session_id)
        case _:
            return Leave(session_id, fields.optional_text("deviceId", longest=MAX_ID))


def _read_sdp(fields: JsonFields) -> str:
    return fields.text("sdp", longest=MAX_DESCRIPTION_SIZE, is_secret=True)


def _read_candidate(fields: JsonFields, session_id: str | None) -> TrickledCandidate:
    if "candidate" not in fields:
        # RTCPeerConnection.onicecandidate ends with null.
        return TrickledCandidate("", session_id=session_id)
    candidate = fields.object("candidate")
    text = candidate.text("candidate", shortest=0, longest=MAX_CANDIDATE)
    return TrickledCandidate(text, candidate.optional_text("sdpMid", shortest=0, longest=MAX_ID), session_id)


def _read_period(fields: JsonFields) -> int:
    period = fields.integer("periodMs", 0, LONGEST_STATS_PERIOD_MS)
    if 0 < period < SHORTEST_STATS_PERIOD_MS:
        fields.refuse("periodMs", f"0 or {SHORTEST_STATS_PERIOD_MS} to {LONGEST_STATS_PERIOD_MS}")
    return period


def _values(message: ServerMessage) -> dict[str, Any]:
    match message:
        case Ok():
            return {"type": "ok"}
        case Pong():
            return {"type": "pong"}
        case Error():
            optional = {"retryAfter": message.retry_after, "seq": message.seq}
            given = {name: value for name, value in optional.items() if value is not None}
            return {"type": "error", "code": message.code, "detail": message.detail, **given}
        case ServerAnswer():
            return {"type": "answer", "sessionId": message.session_id, "sdp": message.sdp}
        case ServerOffer():
            return {"type": "offer", "sessionId": message.session_id, "sdp": message.sdp}
        case StateChange():
            return {
                "type": f"{message.kind}-state",
                "sessionId": message.session_id,
                "deviceId": message.device_id,
                "state": message.state,
                "reason": message.reason,
                **({} if message.video is None else _video_values(message.video)),
            }
        case Stats():
            return {"type": "stats", "sessionId": message.session_id, "stats": dict(message.stats)}
        case InputAck():
            return {
                "type": "input-ack",
                "seq": message.seq,
                "injectedAt": round(message.injected_at, 3),
                "latencyMs": round(message.latency_ms, 3),
            }
        case _:
            assert_never(message)


def _video_values(video: VideoState) -> dict[str, Any]:
    return {
        "width": video.width,
        "height": video.height,
        "rotation": video.rotation,
        "screen": video.screen,
        "audio": video.has_audio,
        "quality": video.quality,
        "coding": "encoded" if video.is_encoded else "passthrough",
        "qualityReason": video.quality_reason,
        "levels": list(video.levels),
    }

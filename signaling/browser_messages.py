"""The JSON messages that a browser sends on `GET /api/media/ws`, one per frame: `{"type": …, "id"?: n}`.

    join {deviceId}                                                  offer {sessionId, sdp}
    join {sessionId}, one that POST /api/media/sessions opened       ok, and then its states
    offer {deviceId, sdp}                                            answer {sessionId, sdp}
    answer {sdp, sessionId?}                                         ok
    ice-candidate {candidate, sessionId?}                            ok
        candidate is {candidate, sdpMid, …} as its toJSON gives it, its text alone, or null at the end
    input {event, sessionId?} or the event alone                     ok, and input-ack if it has seq
        touch, key, text, scroll, swipe, rotate, clipboard: see signaling.input_messages
    keyframe-request {sessionId?}                                    ok
    sound {action: on | off, sessionId?}                             ok
    quality {level: auto | source | 1080p | …, maxBitrate?, sessionId?}      ok
    stats {periodMs, sessionId?}, 0 to end                           ok, then stats {sessionId, stats} every period
    leave {sessionId?} or {deviceId}                                 ok
    ping                                                             pong

On the right is the reply, with the same id. Any of them may be answered `error {code, detail}`. Without an `id` there
is no `ok`, but every other reply. `sessionId` may be left out while there is only one. `server_messages` has what we
send; GET /api/media/asyncapi.json has all of it.
"""

from dataclasses import dataclass, field

from signaling.choices import CHOICE_TYPES, MAX_ID, QualityChoice, SoundChoice, read_choice
from signaling.errors import MalformedMessage
from signaling.input_messages import INPUT_TYPES, ClipboardRequest, Input, read_input
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
class Attach:
    """Speak for a session that was opened by POST, and hear of it. It goes on when the socket is closed."""

    session_id: str


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

    candidate: str = field(repr=False)
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
    """End a session, or every session of a device that this connection speaks for: the viewer says goodbye.

    It does not matter who opened them. A socket that is closed ends only those that were opened through it.
    """

    session_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask whether we are there."""


BrowserMessage = (
    Join
    | Attach
    | BrowserOffer
    | BrowserAnswer
    | TrickledCandidate
    | Input
    | ClipboardRequest
    | KeyframeRequest
    | SoundChoice
    | QualityChoice
    | StatsSubscription
    | Leave
    | Ping
)


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
        if "sessionId" in fields:
            return Attach(fields.text("sessionId", longest=MAX_ID))
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
    if fields.is_text("candidate"):
        # Older front-ends send the text alone, some with the mid beside it.
        text, beside = fields.text("candidate", shortest=0, longest=MAX_CANDIDATE, is_secret=True), fields
    else:
        beside = fields.object("candidate")
        text = beside.text("candidate", shortest=0, longest=MAX_CANDIDATE, is_secret=True)
    return TrickledCandidate(text, beside.optional_text("sdpMid", shortest=0, longest=MAX_ID), session_id)


def _read_period(fields: JsonFields) -> int:
    period = fields.integer("periodMs", 0, LONGEST_STATS_PERIOD_MS)
    if 0 < period < SHORTEST_STATS_PERIOD_MS:
        fields.refuse("periodMs", f"0 or {SHORTEST_STATS_PERIOD_MS} to {LONGEST_STATS_PERIOD_MS}")
    return period

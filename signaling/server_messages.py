"""The JSON messages that we send, on the WebSockets and on the data channel `control`.

Replies are named in `signaling.browser_messages`. We push what changes, and how device and stream are right after our
offer, our answer or a join:

    session-state {sessionId, deviceId, state: new | connecting | connected | failed | closed, reason}
    device-state {sessionId, deviceId, state: online | reconnecting | lost, reason}
    stream-state {sessionId, deviceId, state: the way of capture, reason, width, height, rotation, screen, audio,
                  quality, coding: passthrough | encoded, qualityReason, levels: what can be chosen beside auto}
    error {code, detail, retryAfter?}, without an id, what the service has to say to everybody, as that it stops
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from signaling.choices import QualityLevel
from signaling.input_messages import MAX_CLIPBOARD


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
class ClipboardText:
    """What the device's clipboard holds, for who asked."""

    text: str = field(repr=False)
    """Empty when it holds no text."""
    seq: int | None = None
    """The number of the message that asked."""


@dataclass(frozen=True, slots=True)
class Pong:
    """The reply to a `Ping`."""


ServerMessage = Ok | Error | ServerAnswer | ServerOffer | StateChange | Stats | InputAck | ClipboardText | Pong


def clipboard_answer(text: str, seq: int | None) -> ClipboardText | Error:
    """What is said to who asked for the device's clipboard, which holds `text`."""
    if len(text) > MAX_CLIPBOARD:
        detail = f"the clipboard holds {len(text)} characters, of which at most {MAX_CLIPBOARD} are told"
        return Error("clipboard_too_large", detail, seq=seq)
    return ClipboardText(text, seq)


def serialize(message: ServerMessage, message_id: int | None = None) -> str:
    """The text of a message of ours; `message_id` is that of the request it replies to."""
    values = _values(message)
    if message_id is not None:
        values["id"] = message_id
    return json.dumps(values, separators=(",", ":"))


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
        case ClipboardText():
            return {"type": "clipboard", "text": message.text, **({} if message.seq is None else {"seq": message.seq})}
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

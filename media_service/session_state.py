"""The states of a session and every way between them. All transitions are in this file."""

from enum import StrEnum


class SessionState(StrEnum):
    NEW = "new"
    """Created; with our offer out, when we began."""
    CONNECTING = "connecting"
    """Both descriptions are known; ICE and DTLS are under way."""
    CONNECTED = "connected"
    """Media flows."""
    FAILED = "failed"
    """It could not connect, or the connection broke."""
    CLOSED = "closed"
    """One side ended it."""


class SessionEvent(StrEnum):
    NEGOTIATED = "negotiated"
    ESTABLISHED = "established"
    BROKE = "broke"
    ENDED = "ended"


TRANSITIONS: dict[tuple[SessionState, SessionEvent], SessionState] = {
    (SessionState.NEW, SessionEvent.NEGOTIATED): SessionState.CONNECTING,
    (SessionState.NEW, SessionEvent.BROKE): SessionState.FAILED,
    (SessionState.NEW, SessionEvent.ENDED): SessionState.CLOSED,
    (SessionState.CONNECTING, SessionEvent.ESTABLISHED): SessionState.CONNECTED,
    (SessionState.CONNECTING, SessionEvent.BROKE): SessionState.FAILED,
    (SessionState.CONNECTING, SessionEvent.ENDED): SessionState.CLOSED,
    (SessionState.CONNECTED, SessionEvent.BROKE): SessionState.FAILED,
    (SessionState.CONNECTED, SessionEvent.ENDED): SessionState.CLOSED,
}


def diagram() -> str:
    """The states and their transitions, as Mermaid draws them."""
    lines = ["stateDiagram-v2", f"    [*] --> {SessionState.NEW}"]
    lines += [f"    {state} --> {following}: {event}" for (state, event), following in TRANSITIONS.items()]
    ends = [state for state in SessionState if not any(former is state for former, _ in TRANSITIONS)]
    lines += [f"    {state} --> [*]" for state in ends]
    return "\n".join(lines) + "\n"


def transition(state: SessionState, event: SessionEvent) -> SessionState | None:
    """The state that `event` leads to; None when it means nothing in `state`."""
    return TRANSITIONS.get((state, event))

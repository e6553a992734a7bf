"""Sessions of tests."""

from media_service.session_record import SessionRecord
from media_service.session_state import SessionState

CREATED_AT = 1_700_000_000.25


def record(
    session_id: str = "s1",
    *,
    state: SessionState = SessionState.CONNECTING,
    reason: str = "",
    ended_at: float | None = None,
    device_id: str = "127.0.0.1:5555",
) -> SessionRecord:
    """A session of the user u1."""
    return SessionRecord(session_id, device_id, "u1", state, reason, CREATED_AT, CREATED_AT + 1, ended_at)


def closed(session_id: str = "s1") -> SessionRecord:
    """That session, closed after a minute and a half."""
    return record(session_id, state=SessionState.CLOSED, reason="the browser left", ended_at=CREATED_AT + 90.5)

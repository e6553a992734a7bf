"""What is remembered of a session beside the session itself, and who is told when one begins or ends."""

from dataclasses import dataclass
from typing import Protocol

from media_service.session_state import SessionState


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session at one moment."""

    session_id: str
    device_id: str
    user_id: str | None
    state: SessionState
    reason: str
    """Why it ended; empty while it has not."""
    created_at: float
    """Seconds since 1970, as below."""
    last_active: float
    """When media flowed, or its browser was heard of, last."""
    ended_at: float | None = None


class SessionObserver(Protocol):
    """Is told of every session; what it does about that must neither wait nor raise."""

    def session_opened(self, record: SessionRecord) -> None:
        """A session was created; its state is `new` or `connecting`."""
        ...

    def session_ended(self, record: SessionRecord) -> None:
        """It is over and everything it held is free; its state is `failed` or `closed`."""
        ...

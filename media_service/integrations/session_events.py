"""What others are told of sessions. Pure."""

import json

from media_service.integrations.event import Event
from media_service.session_record import SessionRecord
from media_service.session_state import SessionState
from signaling.rfc3339 import milliseconds

CREATED, CLOSED, ERROR = "media.session.created", "media.session.closed", "media.session.error"


def session_created(record: SessionRecord, service_name: str) -> Event:
    """The session was opened."""
    return _event(CREATED, record, service_name, record.created_at, {})


def session_over(record: SessionRecord, service_name: str) -> Event:
    """The session ended: `media.session.error` where it failed, else `media.session.closed`."""
    ended_at = record.ended_at if record.ended_at is not None else record.last_active
    facts: dict[str, object] = {"duration_seconds": round(max(0.0, ended_at - record.created_at), 3)}
    if record.state is SessionState.FAILED:
        return _event(ERROR, record, service_name, ended_at, {**facts, "error": record.reason})
    return _event(CLOSED, record, service_name, ended_at, facts)


def _event(
    event_type: str, record: SessionRecord, service_name: str, timestamp: float, facts: dict[str, object]
) -> Event:
    body = {
        "event_type": event_type,
        "service": service_name,
        "timestamp": milliseconds(timestamp),
        "session_id": record.session_id,
        "device_id": record.device_id,
        "user_id": record.user_id,
        **facts,
    }
    # A session is created once and ends once.
    message_id = f"{record.session_id}.{event_type.rpartition('.')[2]}"
    return Event(message_id, event_type, timestamp, json.dumps(body, ensure_ascii=False).encode())

"""The bodies of events: these tests are the documentation of the wire."""

import json
from dataclasses import replace

from media_service.integrations.session_events import session_created, session_over
from media_service.session_state import SessionState
from tests.media_service.integrations.records import CREATED_AT, closed, record


def test_a_created_session() -> None:
    event = session_created(record(), "media-service")
    assert (event.event_type, event.message_id, event.timestamp) == ("media.session.created", "s1.created", CREATED_AT)
    assert json.loads(event.body) == {
        "event_type": "media.session.created",
        "service": "media-service",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "session_id": "s1",
        "device_id": "127.0.0.1:5555",
        "user_id": "u1",
    }


def test_a_closed_session() -> None:
    event = session_over(closed(), "media-service")
    assert (event.event_type, event.message_id) == ("media.session.closed", "s1.closed")
    assert json.loads(event.body) == {
        "event_type": "media.session.closed",
        "service": "media-service",
        "timestamp": "2023-11-14T22:14:50.750Z",
        "session_id": "s1",
        "device_id": "127.0.0.1:5555",
        "user_id": "u1",
        "duration_seconds": 90.5,
    }


def test_a_failed_session() -> None:
    failed = record(state=SessionState.FAILED, reason="it did not connect", ended_at=CREATED_AT + 20)
    event = session_over(failed, "phones")
    assert (event.event_type, event.message_id) == ("media.session.error", "s1.error")
    body = json.loads(event.body)
    assert body["error"] == "it did not connect"
    assert body["duration_seconds"] == 20
    assert body["service"] == "phones"


def test_a_user_without_a_name_and_a_clock_that_was_set_back() -> None:
    event = session_over(replace(closed(), user_id=None, ended_at=CREATED_AT - 5), "media-service")
    body = json.loads(event.body)
    assert body["user_id"] is None
    assert body["duration_seconds"] == 0


def test_any_unicode_is_utf_8() -> None:
    event = session_created(replace(record(), user_id="用户"), "media-service")
    assert '"用户"'.encode() in event.body

"""Sessions that failed are remembered for a while, and not too many of them."""

from dataclasses import replace

from media_service.failed_sessions import LARGEST_COUNT, FailedSessions
from media_service.session_record import SessionRecord
from media_service.session_state import SessionState

RECORD = SessionRecord("s", "phone-1", None, SessionState.FAILED, "no answer came", 1000.0, 1010.0, 1040.0)


def test_they_are_forgotten_when_their_time_has_come() -> None:
    failed = FailedSessions(60.0)
    failed.add(RECORD, {})
    failed.add(replace(RECORD, session_id="later", last_active=1020.0), {})
    failed.sweep(1069.9)
    assert [record.session_id for record in failed] == ["s", "later"]
    failed.sweep(1070.0)
    assert [record.session_id for record in failed] == ["later"]
    assert failed.get("s") is None
    assert failed.get("later") is not None


def test_one_can_be_forgotten() -> None:
    failed = FailedSessions(60.0)
    failed.add(RECORD, {})
    failed.forget("s")
    failed.forget("s")
    assert len(failed) == 0


def test_the_oldest_goes_when_there_are_too_many() -> None:
    failed = FailedSessions(60.0)
    for number in range(LARGEST_COUNT + 5):
        failed.add(replace(RECORD, session_id=str(number)), {})
    assert len(failed) == LARGEST_COUNT
    assert failed.get("4") is None
    assert failed.get("5") is not None


def test_how_it_was_is_remembered_with_it() -> None:
    failed = FailedSessions(60.0)
    failed.add(RECORD, {"bottleneck": "network"})
    assert failed.explanation("s") == {"bottleneck": "network"}
    failed.forget("s")
    assert failed.explanation("s") is None

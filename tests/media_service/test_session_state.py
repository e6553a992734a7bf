"""Every state of a session and every event in it."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from media_service.session_state import TRANSITIONS, SessionEvent, SessionState, diagram, transition

NEW, CONNECTING, CONNECTED, FAILED, CLOSED = SessionState
NEGOTIATED, ESTABLISHED, BROKE, ENDED = SessionEvent

TABLE = {
    NEW: (CONNECTING, None, FAILED, CLOSED),
    CONNECTING: (None, CONNECTED, FAILED, CLOSED),
    CONNECTED: (None, None, FAILED, CLOSED),
    FAILED: (None, None, None, None),
    CLOSED: (None, None, None, None),
}


def test_the_whole_table() -> None:
    for state, following in TABLE.items():
        assert tuple(transition(state, event) for event in SessionEvent) == following
    assert len(TRANSITIONS) == 8


@given(st.lists(st.sampled_from(SessionEvent)))
def test_a_session_ends_once_and_connects_once(events: list[SessionEvent]) -> None:
    state, seen = NEW, [NEW]
    for event in events:
        following = transition(state, event)
        if following is not None:
            state = following
            seen.append(state)
    assert len(set(seen)) == len(seen)
    assert CONNECTED not in seen or seen[:3] == [NEW, CONNECTING, CONNECTED]
    assert bool({BROKE, ENDED} & set(events)) == (state in (FAILED, CLOSED))


def test_what_callers_read() -> None:
    assert [str(state) for state in SessionState] == ["new", "connecting", "connected", "failed", "closed"]


def test_the_documented_diagram_is_that_of_the_code() -> None:
    document = Path(__file__).parents[2] / "docs" / "sessions.md"
    assert f"```mermaid\n{diagram()}```" in document.read_text(encoding="utf-8")

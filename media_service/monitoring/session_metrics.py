"""What Prometheus is told of sessions."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.monitoring.metric_families import by, counter, counters, gauge, gauges
from media_service.session_state import SessionState
from media_service.sessions import Sessions

_OPEN: Final = (SessionState.NEW, SessionState.CONNECTING, SessionState.CONNECTED)


class SessionCollector(Collector):
    """Reads the sessions when Prometheus asks."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def collect(self) -> Iterator[Metric]:
        sessions = tuple(self._sessions)
        states = Counter(session.state for session in sessions)
        # With the sessions, since one that ends between two yields is in the totals then.
        dropped = Counter(self._sessions.totals.input_drops)
        for session in sessions:
            dropped.update(session.control.dropped)
        yield counter("sessions", "Sessions opened.", self._sessions.opened)
        yield counter("sessions_failed", "Sessions that could not connect or broke.", self._sessions.failed)
        yield counters(
            "sessions_refused",
            "Sessions that were not opened because there were enough, by the code of the refusal.",
            ("code",),
            by(self._sessions.admission.refused),
        )
        yield gauge("active_sessions", "Sessions that are open.", len(sessions))
        yield gauges(
            "session_states",
            "Sessions that are open, by state.",
            ("state",),
            {(state.value,): states[state] for state in _OPEN},
        )
        yield gauge("draining", "Whether no new sessions are opened.", self._sessions.is_draining)
        yield counters("input_dropped", "Input that did not reach a device, by reason.", ("reason",), by(dropped))

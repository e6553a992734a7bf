"""Sessions that failed, remembered for a while so that who asks learns why. Pure: time is passed in."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any

from media_service.session_record import SessionRecord

LARGEST_COUNT = 1000


class FailedSessions:
    """The records of the last sessions that failed, at most 1000."""

    def __init__(self, remembered: float) -> None:
        """Each is kept for `remembered` seconds from when its viewer was last heard of."""
        self._remembered = remembered
        self._records: OrderedDict[str, tuple[SessionRecord, Mapping[str, Any]]] = OrderedDict()

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter([record for record, _ in self._records.values()])

    def __len__(self) -> int:
        return len(self._records)

    def get(self, session_id: str) -> SessionRecord | None:
        """The record of that session, while it is remembered."""
        record, _ = self._records.get(session_id, (None, None))
        return record

    def explanation(self, session_id: str) -> Mapping[str, Any] | None:
        """How that session was when it failed, while it is remembered."""
        _, explanation = self._records.get(session_id, (None, None))
        return explanation

    def add(self, record: SessionRecord, explanation: Mapping[str, Any]) -> None:
        """Remember a session that failed, and how it was then; the oldest goes where there are too many."""
        self._records[record.session_id] = record, explanation
        if len(self._records) > LARGEST_COUNT:
            self._records.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Forget a session; one that is not remembered is no trouble."""
        self._records.pop(session_id, None)

    def sweep(self, now: float) -> None:
        """Forget those that were remembered for long enough at `now`, seconds since 1970."""
        for record in self:
            if now - record.last_active >= self._remembered:
                del self._records[record.session_id]

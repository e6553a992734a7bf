"""Sessions that failed, remembered for a while so that who asks learns why. Pure: time is passed in."""

from collections import OrderedDict
from collections.abc import Iterator

from media_service.session_record import SessionRecord

LARGEST_COUNT = 1000


class FailedSessions:
    """The records of the last sessions that failed, at most 1000."""

    def __init__(self, remembered: float) -> None:
        """Each is kept for `remembered` seconds from when its viewer was last heard of."""
        self._remembered = remembered
        self._records: OrderedDict[str, SessionRecord] = OrderedDict()

    def __iter__(self) -> Iterator[SessionRecord]:
        return iter(tuple(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def get(self, session_id: str) -> SessionRecord | None:
        """The record of that session, while it is remembered."""
        return self._records.get(session_id)

    def add(self, record: SessionRecord) -> None:
        """Remember a session that failed; the oldest goes where there are too many."""
        self._records[record.session_id] = record
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

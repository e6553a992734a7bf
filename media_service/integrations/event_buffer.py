"""Events that wait to be sent. Pure."""

from collections import Counter, deque
from itertools import islice

from media_service.integrations.event import Event

LIMIT = 10_000
FULL = "buffer_full"


class EventBuffer:
    """Keeps events in their order until they are known to have arrived; for one more than `limit` the oldest goes.

    What was taken is under way: it goes neither for another one nor without `confirmed`, and comes back, in its old
    place, when it cannot be known whether it arrived.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.drops: Counter[str] = Counter()
        """Events that were given up, by reason."""
        self._limit = limit
        self._waiting: deque[Event] = deque()
        self._under_way: dict[str, Event] = {}

    def __len__(self) -> int:
        """How many are not known to have arrived."""
        return len(self._waiting) + len(self._under_way)

    def add(self, event: Event) -> None:
        """Have it wait behind the others."""
        self._waiting.append(event)
        if len(self) > self._limit:
            self._waiting.popleft()
            self.drops[FULL] += 1

    def take(self, most: int) -> list[Event]:
        """The `most` oldest that wait, in order; they are under way now."""
        taken = list(islice(self._waiting, most))
        for event in taken:
            self._waiting.popleft()
            self._under_way[event.message_id] = event
        return taken

    def confirmed(self, event: Event) -> None:
        """It arrived."""
        self._under_way.pop(event.message_id, None)

    def put_back(self) -> None:
        """What is under way may be lost: it waits again, before everything else."""
        self._waiting.extendleft(reversed(self._under_way.values()))
        self._under_way.clear()

    def give_up(self, reason: str) -> int:
        """Drop everything; how much that was."""
        count = len(self)
        if count:
            self.drops[reason] += count
        self._waiting.clear()
        self._under_way.clear()
        return count

"""What waits to be sent on one WebSocket. Pure but for the event that wakes the sender."""

import asyncio
from collections import Counter, deque

CAPACITY = 256
"""Messages. A socket that is this far behind has stopped reading."""


class Outbox:
    """A bounded queue in which replies outlive pushes: of these the oldest goes first, since a newer one follows."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.dropped: Counter[str] = Counter()
        """Pushes that were never sent, by their kind."""
        self.is_overrun = False
        """Whether even replies did not fit: the socket can only be closed."""
        self._capacity = capacity
        self._waiting: deque[tuple[str | None, str]] = deque()
        self._has_some = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def reply(self, text: str) -> None:
        """Send what somebody waits for."""
        if self._make_room():
            self._append(None, text)
        else:
            self.is_overrun = True

    def push(self, kind: str, text: str) -> None:
        """Send what nobody asked for at this moment; `kind` is for counting."""
        if self._make_room():
            self._append(kind, text)
        else:
            self.dropped[kind] += 1

    async def next(self) -> str:
        """The text to send next, once there is one."""
        while not self._waiting:
            self._has_some.clear()
            await self._has_some.wait()
        return self._waiting.popleft()[1]

    def _append(self, kind: str | None, text: str) -> None:
        self._waiting.append((kind, text))
        self._has_some.set()

    def _make_room(self) -> bool:
        if len(self._waiting) < self._capacity:
            return True
        for index, (kind, _) in enumerate(self._waiting):
            if kind is not None:
                del self._waiting[index]
                self.dropped[kind] += 1
                return True
        return False

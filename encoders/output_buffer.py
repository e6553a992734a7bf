"""The way of coded pictures from the pool's threads to the event loop."""

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class _Waiting(NamedTuple, Generic[Item]):
    item: Item
    is_keyframe: bool
    since: float


class OutputBuffer(Generic[Item]):
    """A bounded queue into an event loop, which is woken once for all that has come meanwhile.

    When it is full, what waits is dropped, and what comes up to the next keyframe: coded pictures build on one another.
    So it is when the loop comes too late, but that the newest keyframe and what follows it are delivered all the same:
    a loop that is always late shows keyframes, rather than nothing.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limit: int,
        deliver: Callable[[Item], None],
        overflowed: Callable[[], None],
        *,
        is_keyframe: Callable[[Item], bool],
        longest_wait: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`deliver` gets the items in their order, `overflowed` is called when a keyframe is needed; both in the loop.

        Items may wait for `longest_wait` seconds of `clock`. Raises ValueError for a `limit` below 1, and for a wait
        that is not above 0.
        """
        if limit < 1:
            raise ValueError(f"limit is {limit}: it must be 1 or more")
        if not longest_wait > 0:
            raise ValueError(f"longest_wait is {longest_wait} seconds: it must be above 0")
        self.limit = limit
        self._loop = loop
        self._deliver = deliver
        self._overflowed = overflowed
        self._is_keyframe = is_keyframe
        self._longest_wait = longest_wait
        self._clock = clock
        self._lock = threading.Lock()
        self._items: deque[_Waiting[Item]] = deque()
        self._drops: Counter[str] = Counter()
        self._awaits_keyframe = False
        self._has_overflowed = False  # and the loop is not told yet
        self._is_woken = False
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Items that the loop has not taken yet."""
        return len(self._items)

    @property
    def drops(self) -> Counter[str]:
        """Items that were not delivered, by reason: `output_full`, `late`, `awaits_keyframe`, `closed`."""
        with self._lock:
            return Counter(self._drops)

    def put(self, item: Item) -> None:
        """Have `item` delivered soon, or drop it. From any thread; never blocks, and never raises."""
        is_keyframe = self._is_keyframe(item)
        with self._lock:
            if self._is_closed:
                self._drops["closed"] += 1
            elif self._awaits_keyframe and not is_keyframe:
                self._drops["awaits_keyframe"] += 1
            else:
                self._add(item, is_keyframe)

    def close(self) -> None:
        """Deliver nothing more. From any thread. Idempotent."""
        with self._lock:
            self._close()

    def _add(self, item: Item, is_keyframe: bool) -> None:
        self._awaits_keyframe = False
        if len(self._items) >= self.limit:
            self._drop_waiting("output_full")
            if not is_keyframe:
                self._drops["output_full"] += 1
                self._awaits_keyframe = self._has_overflowed = True
        if not self._awaits_keyframe:
            self._items.append(_Waiting(item, is_keyframe, self._clock()))
        if not self._is_woken:
            self._is_woken = True
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:  # the loop is closed: there is nobody left to deliver to
                self._close()

    def _close(self) -> None:
        self._is_closed = True
        self._has_overflowed = False
        self._drop_waiting("closed")

    def _drop_waiting(self, reason: str) -> None:
        if self._items:
            self._drops[reason] += len(self._items)
            self._items.clear()

    def _drop_late(self) -> None:
        """Drop what waited too long and what builds on it."""
        if not self._items or self._clock() - self._items[0].since <= self._longest_wait:
            return
        keyframes = [place for place, waiting in enumerate(self._items) if waiting.is_keyframe]
        if keyframes:
            self._drops["late"] += keyframes[-1]
            self._items = deque(list(self._items)[keyframes[-1] :])
        else:
            self._drop_waiting("late")
            self._awaits_keyframe = self._has_overflowed = True

    def _take(self) -> None:
        with self._lock:
            self._drop_late()
            items = [waiting.item for waiting in self._items]
            self._items.clear()
            has_overflowed, self._has_overflowed = self._has_overflowed, False
            self._is_woken = False
        for item in items:
            if self._is_closed:  # by what was delivered before it
                with self._lock:
                    self._drops["closed"] += 1
            else:
                self._deliver(item)
        if has_overflowed and not self._is_closed:
            self._overflowed()

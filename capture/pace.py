"""When the next picture is due, for sources that make the pictures' times themselves. All times in seconds of
`time.monotonic()`.
"""

import asyncio
import math
import time
from typing import Final
from weakref import WeakKeyDictionary

GRID: Final = 0.005
"""Seconds between the moments at which sources wake up."""

_LATEST: Final = 0.5
"""Seconds that a recording's pictures may be late and are still caught up with."""


class Metronome:
    """An even clock for pictures that can be left out: no drift, and no hurry after a delay."""

    def __init__(self, period: float) -> None:
        self._period = period
        self._started_at: float | None = None
        self._tick = 0

    @property
    def due(self) -> float:
        """When the next picture is to be taken."""
        return -math.inf if self._started_at is None else self._started_at + self._tick * self._period

    def take(self, now: float) -> None:
        """A picture is taken; the next one is due at the next tick that is still to come."""
        if self._started_at is None:
            self._started_at = now
        self._tick = max(self._tick, math.floor((now - self._started_at) / self._period)) + 1


class Playhead:
    """The clock of a recording, in which no picture may be left out because the next ones build on it.

    After a short delay the pictures that are late follow at once. After a long one (nobody asked for pictures) the
    recording goes on from there, without a burst.
    """

    def __init__(self) -> None:
        self.due = -math.inf
        """When the next picture is to be shown."""

    def show(self, now: float, duration: float) -> float:
        """Show the picture that is due, for `duration` seconds; the moment that counts as its capture."""
        if now - self.due > _LATEST:
            self.due = now
        captured_at = min(self.due, now)
        self.due += duration
        return captured_at


class _Slots:
    """One timer for all sleepers of a loop that are due in the same few milliseconds.

    What costs is the process's waking up (some 90 microseconds on a virtual machine) more than what it does then.
    """

    def __init__(self) -> None:
        self._sleepers: dict[int, list[asyncio.Future[None]]] = {}

    def add(self, deadline: float) -> asyncio.Future[None]:
        """A future that is done at the first moment of the grid from `deadline` on."""
        loop = asyncio.get_running_loop()
        sleeper = loop.create_future()
        slot = math.ceil(deadline / GRID)
        sleepers = self._sleepers.get(slot)
        if sleepers is None:
            self._sleepers[slot] = [sleeper]
            # uvloop rounds to milliseconds: a timer must not fire before its slot begins.
            loop.call_later(slot * GRID - time.monotonic() + 0.0005, self._wake, slot)
        else:
            sleepers.append(sleeper)
        return sleeper

    def _wake(self, slot: int) -> None:
        for sleeper in self._sleepers.pop(slot):
            if not sleeper.done():
                sleeper.set_result(None)


_slots: WeakKeyDictionary[asyncio.AbstractEventLoop, _Slots] = WeakKeyDictionary()


class Alarm:
    """A sleep that its owner can end. For one sleeper at a time."""

    def __init__(self) -> None:
        self.is_ended = False
        """Whether there is nothing to wake up for any more."""
        self._sleeper: asyncio.Future[None] | None = None

    async def sleep_until(self, deadline: float) -> bool:
        """Sleep until `deadline` and up to 6 ms longer, or until the end; whether it is not ended."""
        if deadline > time.monotonic() and not self.is_ended:
            self._sleeper = _slots.setdefault(asyncio.get_running_loop(), _Slots()).add(deadline)
            try:
                await self._sleeper
            finally:
                self._sleeper = None
        return not self.is_ended

    def end(self) -> None:
        """Wake the sleeper, and let nobody sleep again."""
        self.is_ended = True
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(None)

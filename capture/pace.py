"""When the next picture is due, for sources that make the pictures' times themselves. All times in seconds of
`time.monotonic()`.
"""

import asyncio
import math
import time
from typing import Final

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


class Alarm:
    """A sleep that its owner can end. For one sleeper at a time.

    Sources sleep thirty times a second each: this costs a third of `asyncio.timeout` around an event.
    """

    def __init__(self) -> None:
        self.is_ended = False
        """Whether there is nothing to wake up for any more."""
        self._sleeper: asyncio.Future[None] | None = None

    async def sleep_until(self, deadline: float) -> bool:
        """Sleep until `deadline`, or until the end; whether it is not ended."""
        # One grid for all sources: what is due in the same few milliseconds wakes up the event loop once.
        delay = math.ceil(deadline / GRID) * GRID - time.monotonic() if math.isfinite(deadline) else 0.0
        if delay > 0 and not self.is_ended:
            loop = asyncio.get_running_loop()
            self._sleeper = sleeper = loop.create_future()
            timer = loop.call_later(delay, _wake, sleeper)
            try:
                await sleeper
            finally:
                timer.cancel()
                self._sleeper = None
        return not self.is_ended

    def end(self) -> None:
        """Wake the sleeper, and let nobody sleep again."""
        self.is_ended = True
        if self._sleeper is not None:
            _wake(self._sleeper)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)

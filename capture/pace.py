"""When the next picture is due, for sources that make the pictures' times themselves. All times in seconds of
`time.monotonic()`.
"""

import asyncio
import math
import time
from typing import Final

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


async def wait_until(deadline: float, ended: asyncio.Event) -> bool:
    """Sleep until `deadline` or until `ended` is set; whether it is not set."""
    delay = deadline - time.monotonic()
    if delay > 0 and not ended.is_set():
        try:
            async with asyncio.timeout(delay):
                await ended.wait()
        except TimeoutError:
            pass
    return not ended.is_set()

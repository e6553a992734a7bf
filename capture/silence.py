"""Whether a source that sends nothing has only nothing to send. Pure."""

from enum import Enum
from typing import Final

FIRST_SILENCE: Final = 10.0
LONGEST_SILENCE: Final = 160.0
"""Seconds without a picture after which one is asked for, at first and at most; twice as long each time."""

PATIENCE: Final = 5.0
"""Seconds that a source has to answer with a picture."""

_ECHO: Final = 2.0  # scrcpy's server repeats a still picture for a second.


class Verdict(Enum):
    """What to do about a silence."""

    WAIT = "wait"
    ASK = "ask"
    """Ask for a keyframe: a still screen gives one too."""
    DEAD = "dead"
    """It was asked, and gave none."""


class Silence:
    """One source's silences. All times are seconds of one clock."""

    def __init__(self, *, first: float = FIRST_SILENCE, patience: float = PATIENCE) -> None:
        """It is asked after `first` seconds, and then has `patience` seconds to answer."""
        self._first = self._interval = first
        self._patience = patience
        self._asked_at: float | None = None
        self._answered_at = float("-inf")

    def look(self, picture_at: float, now: float) -> Verdict:
        """What to do `now`, the last picture having come at `picture_at`."""
        if self._asked_at is not None:
            if picture_at < self._asked_at:
                return Verdict.DEAD if now - self._asked_at > self._patience else Verdict.WAIT
            self._asked_at, self._answered_at = None, picture_at
            self._interval = min(2 * self._interval, LONGEST_SILENCE)
        elif picture_at > self._answered_at + _ECHO:
            self._interval = self._first
        if now - picture_at < self._interval:
            return Verdict.WAIT
        self._asked_at = now
        return Verdict.ASK

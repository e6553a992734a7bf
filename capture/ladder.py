"""Which way of capture to take: the best that works, and back up when a better one works again.

Nothing here does anything: a phone's source asks the ladder what to try and tells it how that went.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

STEADY_AFTER = 10.0
"""Seconds of pictures after which a way counts as good: when it fails then, it is tried again at once."""

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 300.0
"""Seconds for which a way that failed is left alone, at first and at most."""


class CaptureMode(StrEnum):
    """The ways to capture a phone's screen, the best first (design.md section 4)."""

    SCRCPY = "scrcpy"
    """scrcpy's server on the phone: real timestamps, keyframes on demand, sound, every kind of input."""
    SCREENRECORD = "screenrecord"
    """Android's own recorder, with the phone's encoder."""
    RAWVIDEO = "rawvideo"
    """The recorder's raw frames, with our encoder."""
    SCREENCAP = "screencap"
    """One screenshot after the other, with our encoder."""


@dataclass(slots=True)
class _Record:
    """How one way has gone so far."""

    failures: int = 0
    """In a row."""
    complaint: str = ""
    paused_until: float = float("-inf")


class Ladder:
    """The ways that one phone offers. All times are seconds of one clock."""

    def __init__(
        self, modes: Iterable[CaptureMode], excluded: Mapping[CaptureMode, str], *, first_pause: float = FIRST_PAUSE
    ) -> None:
        """`modes` may be tried, in the order of `CaptureMode`; `excluded` says why others may not.

        A way that failed is left alone for `first_pause` seconds, twice as long each further time. Raises ValueError
        when there is nothing to try.
        """
        wanted = frozenset(modes)
        self._records = {mode: _Record() for mode in CaptureMode if mode in wanted}
        if not self._records:
            raise ValueError("a ladder needs at least one way of capture")
        self._excluded = dict(excluded)
        self._first_pause = first_pause

    def choose(self, now: float) -> CaptureMode | None:
        """The best way that is not paused; None when all are."""
        return next((mode for mode, record in self._records.items() if record.paused_until <= now), None)

    def failed(self, mode: CaptureMode, complaint: str, now: float, *, lasted: float) -> None:
        """Note that `mode` gave pictures for `lasted` seconds and then failed, in its own words."""
        record = self._records[mode]
        record.complaint = complaint
        if lasted >= STEADY_AFTER:
            record.failures = 0
            record.paused_until = now
        else:
            record.failures += 1
            record.paused_until = now + min(self._first_pause * 2 ** (record.failures - 1), LONGEST_PAUSE)

    def forgive(self, now: float) -> None:
        """Why ways have failed is over: each of them may be tried at once."""
        for record in self._records.values():
            record.failures = 0
            record.paused_until = min(record.paused_until, now)

    def is_last(self, mode: CaptureMode) -> bool:
        """Whether there is no way below `mode`."""
        return mode is next(reversed(self._records))

    def climb_at(self, mode: CaptureMode) -> float | None:
        """When a way better than `mode` may be tried again; None when there is none better."""
        better = [record.paused_until for _, record in self._better(mode)]
        return min(better, default=None)

    def better_than(self, mode: CaptureMode, now: float) -> CaptureMode | None:
        """The best way above `mode` that may be tried now."""
        return next((name for name, record in self._better(mode) if record.paused_until <= now), None)

    def why_not_better(self, mode: CaptureMode) -> str:
        """Why none of the ways above `mode` is taken, in words; empty when `mode` is the best there is."""
        reasons = []
        for better in CaptureMode:
            if better is mode:
                break
            record = self._records.get(better)
            reason = self._excluded.get(better, "") if record is None else record.complaint
            if reason:
                reasons.append(f"not {better.value}: {reason}")
        return "; ".join(reasons)

    def complaints(self) -> str:
        """Why every way failed, in words."""
        tried = [f"{mode.value}: {record.complaint}" for mode, record in self._records.items() if record.complaint]
        return "; ".join([*tried, *(f"{mode.value}: {reason}" for mode, reason in self._excluded.items())])

    def _better(self, mode: CaptureMode) -> list[tuple[CaptureMode, _Record]]:
        names = list(CaptureMode)
        return [(name, record) for name, record in self._records.items() if names.index(name) < names.index(mode)]

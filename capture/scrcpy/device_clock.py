"""The device's clock, told in ours.

A packet's presentation time says when it was captured, in microseconds of the device's own clock. What comes between
that and our receiving it is the offset of the two clocks and a delay, which is never negative: so the least difference
seen is the best guess of the offset, and too large by the least delay.
"""

from typing import Final

WINDOW: Final = 2.0
"""Seconds over which the least difference is looked for, before an offset that is too small is believed to be so."""

SLEW: Final = 0.001
"""How much the offset may grow per second: more than any two clocks drift apart, too little to be seen."""

JUMP: Final = 1.0
"""Seconds: a difference that is larger by more is a clock that was set, or stood still while the device slept."""

CATCHING_UP: Final = 0.5
"""A stream whose times were too late goes on at this speed, so that no two of its packets have the same."""


class DeviceClock:
    """The offset of one device's clock, learnt from all of its streams. All times are seconds of `time.monotonic()`."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._corrected_at = 0.0
        self._window_ends = 0.0
        self._least = float("inf")  # of the differences in the window

    def observe(self, presentation_time: float, now: float) -> float:
        """Learn from a packet that came at `now`; when it was captured, never later than `now`."""
        difference = now - presentation_time
        if self._offset is None or difference < self._offset:
            self._offset = difference
            self._corrected_at = now
        self._least = min(self._least, difference)
        if now >= self._window_ends:
            self._offset = self._corrected(self._offset, now)
            self._window_ends = now + WINDOW
            # This packet counts for the next window too: on a still screen it may be alone in it, and late by chance.
            self._least = difference
        return presentation_time + self._offset

    def restart(self) -> None:
        """Forget what was learnt: the device's clock was set back."""
        self._offset = None
        self._window_ends = 0.0
        self._least = float("inf")

    def _corrected(self, offset: float, now: float) -> float:
        """The offset at the end of a window: in it, no packet's difference was below `_least`."""
        excess = self._least - offset
        allowed = SLEW * (now - self._corrected_at)
        self._corrected_at = now
        return self._least if excess > JUMP else offset + min(excess, allowed)


class StreamTime:
    """When the packets of one stream were captured: in order, and never after they came."""

    def __init__(self, clock: DeviceClock) -> None:
        self._clock = clock
        self._presentation_time = float("-inf")
        self._captured_at = float("-inf")

    def captured_at(self, pts: int, now: float) -> float:
        """The moment of `pts` (microseconds) in seconds of `time.monotonic()`; the packet came at `now`."""
        presentation_time = pts / 1_000_000
        elapsed = presentation_time - self._presentation_time
        if elapsed < -JUMP:
            self._clock.restart()
        earliest = self._captured_at + CATCHING_UP * max(elapsed, 0.0) if elapsed < JUMP else self._captured_at
        captured_at = max(self._clock.observe(presentation_time, now), earliest)
        self._presentation_time = presentation_time
        self._captured_at = max(min(captured_at, now), self._captured_at)
        return self._captured_at

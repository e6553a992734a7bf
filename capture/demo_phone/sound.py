"""The sound that the phone makes: a beep when its clock passes a whole second, and a soft tone between."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import numpy.typing as npt

SAMPLE_RATE = 48_000
CHANNELS = 2

BEEP_LENGTH = 0.08
"""Seconds from the whole second on. A beep is at its full strength at once: where it begins can be told exactly."""

_BEEP_FREQUENCY, _BEEP_AMPLITUDE = 1000.0, 0.4
_TONE_FREQUENCY, _TONE_AMPLITUDE = 200.0, 0.005  # whole periods in a second: the tone has no clicks
_CLOCK_WAS_SET = 0.001
"""Seconds by which the two clocks have to differ from before, more than by how exactly they can be compared."""

_COMPARISONS = 5

_LATEST = 0.1
"""Seconds that a recorder keeps for a reader who is late; what is older is lost (AudioRecord's buffer)."""

Samples = npt.NDArray[np.int16]
"""One row for each moment, one column for each channel."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A piece of the phone's sound."""

    samples: Samples
    started_at: float
    """When its first sample sounded, in seconds of `time.monotonic()`."""


class Sound:
    """The phone's sound at any time."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        """`wall_clock` is the one that the screen shows, in seconds since the epoch."""
        self._wall_clock = wall_clock
        self._offset, _ = min((self._compare_clocks() for _ in range(_COMPARISONS)), key=itemgetter(1))

    def samples(self, started_at: float, count: int) -> Samples:
        """`count` samples from `started_at` on, in seconds of `time.monotonic()`."""
        offset, error = self._compare_clocks()
        if abs(offset - self._offset) > _CLOCK_WAS_SET + error:
            self._offset = offset
        second = ((started_at + self._offset) % 1.0 + np.arange(count) / SAMPLE_RATE) % 1.0
        beep = _BEEP_AMPLITUDE * np.cos(2 * np.pi * _BEEP_FREQUENCY * second)
        tone = _TONE_AMPLITUDE * np.sin(2 * np.pi * _TONE_FREQUENCY * second)
        mono = np.round(np.where(second < BEEP_LENGTH, beep, tone) * 32767).astype(np.int16)
        return np.repeat(mono[:, np.newaxis], CHANNELS, axis=1)

    def _compare_clocks(self) -> tuple[float, float]:
        """How far the wall clock is ahead of the monotonic one, and by how much that may be wrong: the process may have
        had to wait between."""
        before = time.monotonic()
        wall = self._wall_clock()
        after = time.monotonic()
        return wall - (before + after) / 2, (after - before) / 2

    async def record(self, count: int) -> AsyncGenerator[Recorded, None]:
        """The sound as it is heard, in pieces of `count` samples, each when it is over. They follow each other without
        a gap, but for a reader who is later than a tenth of a second: he goes on with what sounds now."""
        clock = time.monotonic
        position = round(clock() * SAMPLE_RATE)
        while True:
            end = (position + count) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, end - clock()))
            if clock() - end > _LATEST:
                position = round(clock() * SAMPLE_RATE) - count
            yield Recorded(self.samples(position / SAMPLE_RATE, count), position / SAMPLE_RATE)
            position += count

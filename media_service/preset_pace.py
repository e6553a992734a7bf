"""Whether a rung's pictures are coded as fast as they come, and the preset with which they are. Pure."""

import math
from typing import Final

from encoders.codec_options import faster_preset

_WINDOW: Final = 1.0
"""Seconds over which is averaged."""
_SLOW_WINDOWS: Final = 2
"""So many in a row decide: one hiccup of the machine does not."""
_FEWEST: Final = 10
"""Pictures, coded or dropped, without which a window says nothing."""
_SHARE: Final = 0.7
"""Of the time between two pictures that the coding of one may take: pictures differ, and others want the core too."""
_SETTLE: Final = 3.0
"""Seconds that a preset is given at least."""


class Pace:
    """Goes to the next faster preset when coding falls behind: worse pictures are less of a loss than none.

    It never goes back, for that would end in falling behind again.
    """

    def __init__(self, preset: str, frame_rate: int) -> None:
        """Pictures come at `frame_rate` per second at most."""
        self.preset = preset
        self._period = 1 / frame_rate
        self._settled_at = -math.inf
        self._begun_at: float | None = None
        self._spent = 0.0
        self._pictures = self._dropped_before = self._slow_windows = 0

    def coded(self, seconds: float, dropped: int, now: float, codec: str) -> str | None:
        """A picture was coded by `codec` in so many seconds; `dropped` found the queue full since the rung began.

        In words why `preset` is another one from now on, if it is: the next picture is to begin a new coded video.
        """
        if self._begun_at is None:
            # What had to wait for an encoder to be opened is not held against it.
            self._begin(dropped, now)
            return None
        self._spent += seconds
        self._pictures += 1
        if now - self._begun_at < _WINDOW:
            return None
        reason = self._reason(dropped - self._dropped_before)
        self._begin(dropped, now)
        self._slow_windows = self._slow_windows + 1 if reason else 0
        if self._slow_windows < _SLOW_WINDOWS or now < self._settled_at:
            return None
        preset = faster_preset(codec, self.preset)
        if preset is None:
            return None
        self.preset = preset
        self._begun_at, self._slow_windows, self._settled_at = None, 0, now + _SETTLE
        return reason

    def _begin(self, dropped: int, now: float) -> None:
        self._begun_at, self._spent, self._pictures, self._dropped_before = now, 0.0, 0, dropped

    def _reason(self, dropped: int) -> str | None:
        total = self._pictures + dropped
        if total < _FEWEST:
            return None
        if dropped:
            return f"{dropped} of {total} pictures found the queue full"
        taken = self._spent / self._pictures
        if taken > _SHARE * self._period:
            return f"a picture takes {taken * 1000:.0f} ms, and one may come every {self._period * 1000:.0f} ms"
        return None

"""The loss-based part (draft-ietf-rmcat-gcc-02 section 6): a ceiling that heavy loss lowers and its absence lifts.

Radio links lose a few packets in a hundred at any rate, so that only more than that counts, and only over enough
packets to be no accident.
"""

import math

_HEAVY = 0.1
"""Share of packets lost above which too much is sent."""
_LIGHT = 0.06
"""Share below which more may be tried."""
_INTERVAL = 1.0
"""Seconds of packets that decide at least."""
_FEWEST = 60
"""Packets that decide at least."""
_LONGEST = 5.0
"""Seconds after which fewer packets decide nothing and the count begins anew."""
_RISE = 1.06
"""By how much the ceiling rises in an interval with little loss."""
_OUT_OF_SIGHT = 2.0
"""Above so many times the bit rate in use the ceiling is none."""


class LossControl:
    """A ceiling in bits per second."""

    def __init__(self) -> None:
        self.ceiling = math.inf
        self.fraction_lost = 0.0
        """Over the last interval that decided."""
        self._received = 0.0
        self._lost = 0.0
        self._began_at: float | None = None

    def reported(self, received: float, lost: float, now: float) -> bool:
        """Count packets; whether an interval is over and `decide` is to be asked."""
        if self._began_at is None:
            self._began_at = now
        elif now < self._began_at:
            return False
        self._received += received
        self._lost += lost
        elapsed, packets = now - self._began_at, self._received + self._lost
        if elapsed < _INTERVAL or (packets < _FEWEST and elapsed < _LONGEST):
            return False
        is_enough = packets >= _FEWEST
        if is_enough:
            self.fraction_lost = max(self._lost, 0.0) / packets
        self._received = self._lost = 0.0
        self._began_at = now
        return is_enough

    def begin_again(self, now: float) -> None:
        """Count only what is reported from `now` on: what was lost before has been answered."""
        self._received = self._lost = 0.0
        self._began_at = now

    def decide(self, bit_rate: float, sent: float | None) -> bool:
        """Move the ceiling by the last interval's loss; whether it was lowered.

        `bit_rate` is the estimate without the ceiling, `sent` what was really sent, where that is known.
        """
        in_use = min(bit_rate, self.ceiling)
        if self.fraction_lost > _HEAVY:
            lossy = in_use if sent is None else min(in_use, sent)
            self.ceiling = lossy * (1 - 0.5 * self.fraction_lost)
            return True
        if self.fraction_lost < _LIGHT and self.ceiling < math.inf:
            self.ceiling *= _RISE
            if self.ceiling > _OUT_OF_SIGHT * bit_rate:
                self.ceiling = math.inf
        return False

    def raise_to(self, bit_rate: float) -> None:
        """Let so much through: it was seen to arrive."""
        self.ceiling = max(self.ceiling, bit_rate)

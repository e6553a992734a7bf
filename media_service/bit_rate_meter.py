"""How many bits per second something takes when it is busy. Pure."""

from collections import deque
from typing import Final

_WINDOW: Final = 3.0
"""Seconds: one keyframe alone does not make a stream a fast one."""
_REMEMBERED: Final = 20
"""Windows: a phone whose screen stands still for a moment will not for long."""


class BitRateMeter:
    """The bit rate of the busiest three seconds of late. All times are seconds of one clock."""

    def __init__(self) -> None:
        self._ended: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._began_at = float("-inf")
        self._octets = 0

    def add(self, octets: int, now: float) -> None:
        """Count `octets` that came at `now`."""
        if now - self._began_at >= _WINDOW:
            if self._octets:
                self._ended.append((self._began_at, self._octets))
            self._began_at, self._octets = now, 0
        self._octets += octets

    def busiest(self, now: float) -> int:
        """Bits per second."""
        oldest = now - (_REMEMBERED + 1) * _WINDOW
        rates = [8 * octets / _WINDOW for began_at, octets in self._ended if began_at >= oldest]
        if self._began_at >= oldest:
            rates.append(8 * self._octets / max(1.0, min(now - self._began_at, _WINDOW)))
        return int(max(rates, default=0))

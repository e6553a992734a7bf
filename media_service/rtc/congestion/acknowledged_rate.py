"""How fast what was sent arrives."""

from collections import deque
from dataclasses import dataclass

from media_service.rtc.congestion.sent_packets import Reception

_WINDOW = 0.5
"""Seconds of arrivals that are kept."""
_SHORTEST = 0.08
"""Seconds of arrivals below which no rate can be told."""
_PAUSE = 0.15
"""Seconds without sending after which the rate before says nothing of the rate after."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A stretch of time in which packets arrived."""

    bit_rate: float
    """Bits per second that arrived."""
    stretch: float
    """How much longer the arrivals took than the sending: above 1 where a queue grew."""


class AcknowledgedRate:
    """The bit rate of what arrived lately, by the receiver's clock."""

    def __init__(self) -> None:
        self._entries: deque[tuple[float, float, int]] = deque()
        """When it arrived, when it was sent, bytes."""
        self._octets = 0

    def add(self, *receptions: Reception) -> None:
        """Take what arrived, in the order of sending."""
        for reception in receptions:
            self.arrived(reception.end, reception.sent_at, reception.octets)

    def arrived(self, at: float, sent_at: float, octets: int) -> None:
        """The same of one burst or a part of it."""
        entries = self._entries
        if entries and at < entries[-1][0]:
            # Overtaken: its bytes count, at the time of what came before it.
            at = entries[-1][0]
        entries.append((at, sent_at, octets))
        self._octets += octets
        oldest = at - _WINDOW
        while entries[0][0] < oldest:
            self._octets -= entries.popleft()[2]

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._octets = 0

    @property
    def bit_rate(self) -> float | None:
        """Over the whole window; None until enough has arrived."""
        if not self._entries:
            return None
        span = self._entries[-1][0] - self._entries[0][0]
        if span < _SHORTEST:
            return None
        if span > 0.9 * _WINDOW:
            return 8 * self._octets / _WINDOW
        return 8 * (self._octets - self._entries[0][2]) / span

    def latest(self, window: float) -> Delivery | None:
        """Over the last `window` seconds as far as sending did not pause in them; None when that is too little."""
        octets = held_back = 0
        entries = reversed(self._entries)
        last = next(entries, None)
        if last is None:
            return None
        begin, sent_first, held_back = last
        for arrived_at, sent_at, size in entries:
            if arrived_at < last[0] - window or sent_first - sent_at > _PAUSE:
                break
            octets += held_back
            begin, sent_first, held_back = arrived_at, sent_at, size
        span, sent_span = last[0] - begin, last[1] - sent_first
        if span < _SHORTEST or sent_span <= 0:
            return None
        return Delivery(8 * octets / span, span / sent_span)

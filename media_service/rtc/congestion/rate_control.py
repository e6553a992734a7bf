"""The delay-based bit rate: careful increase, decrease to what arrives (draft-ietf-rmcat-gcc-02 section 5.5)."""

import math

from media_service.rtc.bandwidth import RateLimits
from media_service.rtc.congestion.acknowledged_rate import Delivery

_BACK_OFF = 0.85
"""Share of what arrives while the path is overused that is sent then, so that the queue drains."""
_STRONGEST_BACK_OFF = 0.5
_DRAIN_TIME = 1.5
"""Seconds in which a long queue is to drain."""
_CONGESTING_STRETCH = 1.1
_CONGESTING_QUEUE = 0.1
"""Seconds. When arrivals take no longer than this times their sending, and the queue is no longer than this, what
arrives is all that was sent and says nothing of what the path carries."""
_GROWTH = 1.08
"""Per second, far from any rate known to be too high."""
_NEAR_GROWTH = 0.02
"""Share of the bit rate that is added per second, at least, near such a rate."""
_HEADROOM = 1.25
"""The bit rate grows by itself to so many times what arrives; beyond that it takes a probe."""
_PACKET = 1200 * 8
_RESPONSE = 0.1
"""Seconds beside the round trip until a change shows."""
_CAPACITY_WEIGHT = 0.3
_CAPACITY_MARGIN = 1.2
"""What differs from the known capacity by more shows that it has changed."""


class RateControl:
    """What the delay lets us send, in bits per second."""

    def __init__(self, limits: RateLimits, now: float) -> None:
        self._limits = limits
        self.bit_rate = float(limits.start)
        self.capacity: float | None = None
        """What arrived when the path was last overused: near it the bit rate grows slowly."""
        self._after_drain = 0.0
        """What the bit rate becomes when the queue has gone."""
        self._updated_at = now

    def overused(self, delivery: Delivery | None, queueing: float, is_limited_by_us: bool, now: float) -> None:
        """Back off to `delivery`, what arrived lately; `is_limited_by_us`: less was sent than could be."""
        self._updated_at = now
        if delivery is None:
            # Nothing is known but that this is too much.
            self._set(0.7 * self.bit_rate)
            return
        arriving = delivery.bit_rate
        if is_limited_by_us and delivery.stretch < _CONGESTING_STRETCH and queueing < _CONGESTING_QUEUE:
            self._set(max(_BACK_OFF * self.bit_rate, min(arriving, self.bit_rate)))
            return
        if self.capacity is None or not 1 / _CAPACITY_MARGIN < arriving / self.capacity < _CAPACITY_MARGIN:
            self.capacity = arriving
        else:
            self.capacity += _CAPACITY_WEIGHT * (arriving - self.capacity)
        self._after_drain = min(_BACK_OFF * arriving, max(self.bit_rate, self._after_drain))
        self.queue_grew(queueing)

    def queue_grew(self, queueing: float) -> None:
        """Send as little as lets a queue of `queueing` seconds drain, by what is known of the path."""
        if self._after_drain:
            share = min(max(1 - queueing / _DRAIN_TIME, _STRONGEST_BACK_OFF), _BACK_OFF)
            self._set(min(share / _BACK_OFF * self._after_drain, self.bit_rate))

    def drained(self) -> None:
        """Stop sending less than fits: the queue has gone."""
        if self._after_drain > self.bit_rate:
            self._set(self._after_drain)
        self._after_drain = 0.0

    def arrived(self, acknowledged: float | None, round_trip: float, now: float) -> None:
        """Grow by what arrives without a queue."""
        elapsed = min(now - self._updated_at, 1.0)
        self._updated_at = now
        if acknowledged is None:
            return
        capacity = self.capacity
        if capacity is not None and acknowledged > _CAPACITY_MARGIN * capacity:
            capacity = self.capacity = None
        ceiling = _HEADROOM * acknowledged
        if self.bit_rate >= ceiling:
            return
        if capacity is None or self.bit_rate < 0.8 * capacity:
            grown = self.bit_rate * math.pow(_GROWTH, elapsed)
        else:
            grown = self.bit_rate + max(_PACKET / (round_trip + _RESPONSE), _NEAR_GROWTH * self.bit_rate) * elapsed
        # What has arrived without a queue needs no further proof.
        self._set(max(min(grown, ceiling), min(acknowledged, ceiling)))

    def carries(self, bit_rate: float, *, is_all: bool) -> None:
        """Take a probe's result: so much arrived; `is_all` says that the path carried no more."""
        if is_all:
            self.capacity = bit_rate
        elif self.capacity is not None and bit_rate > _CAPACITY_MARGIN * self.capacity:
            self.capacity = None
        if bit_rate > self.bit_rate:
            self._set(bit_rate)

    def _set(self, bit_rate: float) -> None:
        self.bit_rate = min(max(bit_rate, self._limits.lowest), self._limits.highest)

"""Bandwidth estimation by the receiver (draft-alvestrand-rmcat-remb), bounded by the losses it reports. Pure."""

from media_service.rtc.bandwidth import Probe, RateLimits
from media_service.rtc.congestion.loss_control import LossControl
from media_service.rtc.rtcp import TransportFeedback

_FELL = 0.95
"""An estimate below this share of the last one is a fall: the receiver found the path overused."""
_RECOVERY = 1.0
"""Seconds after the last fall until the queue counts as gone: we are not told."""
_AFTER_CONGESTION = 2.0
_PACKETS_IN_REPORT = 30
"""What a report is taken to be about; it does not say."""
_EARLY = 2.0
"""Seconds from the first estimate on in which short and steep probes are tried: nothing is known yet."""
_EARLY_STEP, _EARLY_SECONDS, _EARLY_PAUSE = 2.0, 0.1, 0.3
_STEP, _PROBE_SECONDS, _PROBE_PAUSE = 1.1, 1.0, 1.0
"""How many times the estimate a probe is, how long, and how long nothing is tried after it."""
_REACH = 1.5
"""Nothing above so many times the wanted rate is tried."""


class RembEstimator:
    """A `BandwidthEstimator` that believes the receiver.

    Chromium lets its estimate grow by 8 % a second to one and a half times what it receives, so pictures that need less
    than the path carries hold it down. Filling up to it for a second lets it grow.
    """

    numbers_packets = False

    def __init__(self, limits: RateLimits, now: float) -> None:
        self.bit_rate = limits.start
        self.is_congested = False
        self._limits = limits
        self._loss = LossControl()
        self._received: int | None = None
        """The receiver's last estimate."""
        self._first_at = now
        self._congested_until = now
        self._not_before = now

    def packets_sent(self, first: int, sizes: tuple[int, ...], now: float) -> None:
        """Not used: packets carry no numbers."""

    def feedback_received(self, feedback: TransportFeedback, now: float) -> None:
        """Not used: the receiver was not asked for feedback."""

    def remb_received(self, bit_rate: int, now: float) -> None:
        last = self._received
        if last is None:
            self._first_at = now
        self._received = bit_rate
        if last is not None and bit_rate < _FELL * last and bit_rate < self.bit_rate:
            self._congest(now)
        self._combine(now)

    def loss_reported(self, fraction_lost: float, round_trip: float | None, now: float) -> None:
        lost = fraction_lost * _PACKETS_IN_REPORT
        if self._loss.reported(_PACKETS_IN_REPORT - lost, lost, now) and self._loss.decide(self._by_receiver, None):
            self._congest(now)
        self._combine(now)

    def next_probe(self, wanted: int, now: float) -> Probe | None:
        self._combine(now)
        wanted = min(wanted, self._limits.highest)
        if self._received is None or now < self._not_before or self.is_congested or self.bit_rate >= wanted:
            return None
        is_early = now - self._first_at < _EARLY
        step = _EARLY_STEP if is_early else _STEP
        tried = min(step * self.bit_rate, _REACH * wanted, self._limits.highest)
        seconds, pause = (_EARLY_SECONDS, _EARLY_PAUSE) if is_early else (_PROBE_SECONDS, _PROBE_PAUSE)
        self._not_before = now + seconds + pause
        return Probe(int(tried), seconds)

    @property
    def _by_receiver(self) -> int:
        return self._limits.start if self._received is None else self._received

    def _congest(self, now: float) -> None:
        self._congested_until = now + _RECOVERY
        self._not_before = now + _AFTER_CONGESTION

    def _combine(self, now: float) -> None:
        self.is_congested = now < self._congested_until
        bit_rate = min(self._by_receiver, self._loss.ceiling, self._limits.highest)
        self.bit_rate = int(max(bit_rate, self._limits.lowest))

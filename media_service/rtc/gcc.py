"""Send-side bandwidth estimation from transport-wide feedback (draft-ietf-rmcat-gcc-02). Pure."""

from media_service.rtc.bandwidth import Probe, RateLimits
from media_service.rtc.congestion.acknowledged_rate import AcknowledgedRate
from media_service.rtc.congestion.delay_trend import DelayTrend, Usage
from media_service.rtc.congestion.loss_control import LossControl
from media_service.rtc.congestion.probing import Probing
from media_service.rtc.congestion.rate_control import RateControl
from media_service.rtc.congestion.sent_packets import Reception, SentPackets, WholeBurst
from media_service.rtc.rtcp import TransportFeedback

_FIRST_ROUND_TRIP = 0.1
_ROUND_TRIP_WEIGHT = 0.1
_LONGEST_ROUND_TRIP = 2.0
_DELIVERY_WINDOW = 0.25
"""Seconds of arrivals that tell what an overused path carries: few, because it may have changed just now."""
_FAR_BELOW = 0.8
"""What arrives at less than this share of the bit rate while the path is overused asks for a decrease at once."""
_USED = 0.8
"""Who sends less than this share of the bit rate is limited by what there is to send."""
_REACTION = 0.15
"""Seconds beside the round trip that a decrease needs until it can show."""
_QUEUE_IS_GONE = 0.03
_QUEUE_STANDS = 0.08
"""Seconds of queue below which the path has recovered, and above which one decrease was not enough."""
_LONGEST_RECOVERY = 3.0
"""Seconds after the last overuse when a longer delay is the path's own."""
_FIRST_LOOK = 0.3
"""Seconds of feedback before anything is probed."""
_SILENCE = 0.6
"""Seconds beside two round trips without feedback after which the path may be gone."""
_LOOK_INTERVAL = 0.25
"""Seconds between decisions while there is nothing new."""
_DEMAND = 0.25
"""Seconds after `next_probe` was asked for more in which more still counts as wanted."""


class GccEstimator:
    """A `BandwidthEstimator` that times every packet."""

    numbers_packets = True

    def __init__(self, limits: RateLimits, now: float) -> None:
        self.bit_rate = limits.start
        self.is_congested = False
        self._limits = limits
        self._sent = SentPackets()
        self._acknowledged = AcknowledgedRate()
        self._trend = DelayTrend()
        self._loss = LossControl()
        self._rate = RateControl(limits, now)
        self._probing = Probing(limits)
        self._round_trip = _FIRST_ROUND_TRIP
        self._has_round_trip = False
        self._decreased_at = float("-inf")
        self._overused_at = float("-inf")
        self._feedback_at: float | None = None
        self._silent_since: float | None = None
        """When the first packet left that no feedback followed."""
        self._uncounted = 0
        """Packets that have arrived and were not thought of yet."""
        self._look_at = now
        """When to decide again, whatever feedback tells."""
        self._in_demand_until = float("-inf")

    def packets_sent(self, first: int, sizes: tuple[int, ...], now: float) -> None:
        self._probing.sent(self._sent.add(first, sizes, now))
        if self._feedback_at is None:
            return
        if self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since > _SILENCE + 2 * self._round_trip:
            self.is_congested = True
            self._overused_at = now

    def feedback_received(self, feedback: TransportFeedback, now: float) -> None:
        bursts = self._uneventful(feedback, now)
        if not bursts:
            if self._uncounted:
                # What was usual until now must not hide what is not.
                self._decide(0, 0, now)
            self._take(feedback, now)
            return
        trend, acknowledged = self._trend, self._acknowledged
        for sent_at, begin, end, octets in bursts:
            trend.began(begin, sent_at)
            acknowledged.arrived(end, sent_at, octets)
        self._sent.forget(feedback, end, now)
        self._feedback_at = now
        self._silent_since = None
        self._uncounted += len(feedback.arrivals)
        if now >= self._look_at:
            self._note_round_trip(now - sent_at)
            self._decide(0, 0, now)

    def _uneventful(self, feedback: TransportFeedback, now: float) -> list[WholeBurst]:
        """What `feedback` tells of, if that is: all has arrived without a queue, on a path asked for no more than that.

        Nearly all feedback is of this kind. It cannot change the estimate but slowly, so that it costs little to take
        note of it, and to think of it now and then is enough.
        """
        if self.is_congested or now < self._in_demand_until or self._probing.is_busy(now):
            return []
        bursts = self._sent.whole_bursts(feedback)
        return bursts if bursts and self._trend.is_usual(bursts) else []

    def _take(self, feedback: TransportFeedback, now: float) -> None:
        news = self._sent.reported(feedback, now)
        if not (news.receptions or news.lost):
            return
        if self._feedback_at is None:
            self._probing.wait(now, _FIRST_LOOK)
        self._feedback_at = now
        self._silent_since = None
        trend, acknowledged, probing = self._trend, self._acknowledged, self._probing
        if news.clock_jumped:
            trend.clear()
            acknowledged.clear()
        receptions = news.receptions
        if receptions:
            acknowledged.add(*receptions)
            if probing.is_over(receptions[0].sent_at):
                trend.add(*receptions)
            else:
                self._follow_probe(receptions)
            self._note_round_trip(now - receptions[-1].sent_at)
        self._decide(news.received, news.lost, now)
        result = probing.result(news.end, self.bit_rate, now)
        if result is not None and not self.is_congested:
            self._rate.carries(result.bit_rate, is_all=result.is_all)
            self._loss.raise_to(result.bit_rate)
            self._combine()

    def remb_received(self, bit_rate: int, now: float) -> None:
        """Not used: the receiver was asked for feedback instead."""

    def loss_reported(self, fraction_lost: float, round_trip: float | None, now: float) -> None:
        """Take the round trip; feedback tells the losses better."""
        if round_trip is not None:
            self._note_round_trip(round_trip)

    def next_probe(self, wanted: int, now: float) -> Probe | None:
        if self._feedback_at is None or self.is_congested or self._trend.usage is Usage.OVERUSED:
            return None
        if wanted > self.bit_rate:
            self._in_demand_until = now + _DEMAND
        return self._probing.next(self.bit_rate, wanted, self._round_trip, now)

    def _follow_probe(self, receptions: list[Reception]) -> None:
        """Take what arrived while a probe may have been under way."""
        probing, trend = self._probing, self._trend
        for reception in receptions:
            probing.received(reception)
            if probing.covers(reception.sent_at):
                trend.add_base(reception)
            else:
                trend.add(reception)

    def _decide(self, received: int, lost: int, now: float) -> None:
        """Make an estimate of what was noted; `received` and `lost` packets are news."""
        self._look_at = now + _LOOK_INTERVAL
        received += self._uncounted
        self._uncounted = 0
        self._follow_delay(now)
        if self.is_congested and self._trend.queueing > _QUEUE_STANDS:
            # What a full queue loses, the delay has answered.
            self._loss.begin_again(now)
        elif self._loss.reported(received, lost, now):
            self._follow_loss(now)
        self._combine()

    def _note_round_trip(self, seconds: float) -> None:
        if not 0 <= seconds <= _LONGEST_ROUND_TRIP:
            return
        if self._has_round_trip:
            self._round_trip += _ROUND_TRIP_WEIGHT * (seconds - self._round_trip)
        else:
            self._round_trip, self._has_round_trip = seconds, True

    def _follow_delay(self, now: float) -> None:
        usage, trend, rate = self._trend.update(now), self._trend, self._rate
        may_decrease = now - self._decreased_at > self._round_trip + _REACTION
        # A queue that neither grows nor drains after a decrease asks for another one.
        stands = self.is_congested and trend.queueing > _QUEUE_STANDS and usage is Usage.NORMAL
        if usage is Usage.OVERUSED or (stands and may_decrease):
            if usage is Usage.OVERUSED:
                self._overused_at = now
                self.is_congested = True
            self._probing.wait(now)
            delivery = self._acknowledged.latest(_DELIVERY_WINDOW)
            if may_decrease or (delivery is not None and delivery.bit_rate < _FAR_BELOW * rate.bit_rate):
                self._decreased_at = now
                self._loss.begin_again(now + self._round_trip)
                is_limited_by_us = delivery is not None and delivery.bit_rate * delivery.stretch < _USED * rate.bit_rate
                rate.overused(delivery, trend.queueing, is_limited_by_us, now)
            else:
                rate.queue_grew(trend.queueing)
            return
        if self.is_congested:
            self._probing.wait(now)
            if trend.queueing < _QUEUE_IS_GONE or now - self._overused_at > _LONGEST_RECOVERY:
                self.is_congested = False
                rate.drained()
        elif usage is Usage.NORMAL:
            rate.arrived(self._acknowledged.bit_rate, self._round_trip, now)

    def _follow_loss(self, now: float) -> None:
        loss, sent = self._loss, self._acknowledged.bit_rate
        if sent is not None:
            sent /= max(1 - loss.fraction_lost, 0.1)
        if loss.decide(self._rate.bit_rate, sent):
            self._probing.wait(now)

    def _combine(self) -> None:
        self.bit_rate = int(max(min(self._rate.bit_rate, self._loss.ceiling), self._limits.lowest))

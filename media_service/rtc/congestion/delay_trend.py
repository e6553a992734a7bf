"""Whether the queue on the path grows: the slope of the one-way delay, and how long the queue is.

The trendline filter of draft-ietf-rmcat-gcc and of libwebrtc, with three differences. The delay of a group is that of
its first packet and not of its last, because a picture leaves in one go and its own length on the wire is no queue,
unless it is longer than a pacer lets it be on a path that is not overused. The slope is looked at once per feedback,
over a stretch of time and not over a number of groups, because a picture may be one group or ten. And it has to stand
out from the points' own scatter, which on a radio link can be all there is to it.
"""

import math
from collections import deque
from collections.abc import Iterable
from enum import Enum
from operator import mul

from media_service.rtc.congestion.sent_packets import Reception, WholeBurst

_GROUP = 0.01
"""Seconds of sending that make one group. The draft's 5 ms would double the points and tell no more."""
_WINDOW = 0.4
"""Seconds of arrivals that the slope is fitted to."""
_FEWEST = 4
"""Groups without which there is no slope."""
_SHORTEST = 0.1
"""Seconds of arrivals without which there is no slope."""
_FULL = 0.3
"""Seconds of arrivals from which on a slope counts fully: over a shorter time jitter alone makes steep ones."""
_FIRST_THRESHOLD = 0.052
_LOWEST_THRESHOLD = 0.025
_HIGHEST_THRESHOLD = 2.5
"""Slopes in seconds of delay per second: 12.5, 6 and 600 in the draft's units, in which 60 groups and a gain of 4
make 240 of one."""
_OUTLIER = 0.0625
"""A slope this far above the threshold does not move it (the draft's 15 ms): it is no jitter."""
_CERTAIN = 3.0
"""A slope of fewer standard errors than this may be chance."""
_RISE, _FALL = 8.7, 39.0
"""How fast the threshold follows a slope above and below it, per second."""
_AHEAD = 0.06
"""Seconds that the path may take for what a pacer sends at once: 40 ms of one and a half times the bit rate."""
_LEAST_QUEUE = 0.012
"""Seconds. A path whose queue is shorter is not overused, however it got there."""
_BASE_WINDOW = 6.0
"""Seconds after which the shortest delay is looked for anew; the one before is kept beside it for as long."""
_LONGEST_STEP = 0.3
"""Seconds that the threshold follows a slope at once, however long ago the last one was."""
_OTHER_CLOCK = 1.0
"""Seconds. A delay that much shorter than the shortest is no delay."""
_STALE = 2.0
"""Seconds without arrivals after which the trend begins anew."""


class Usage(Enum):
    """What the delay says of the path (draft-ietf-rmcat-gcc-02 section 5.4)."""

    NORMAL = "normal"
    OVERUSED = "overused"
    UNDERUSED = "underused"


class DelayTrend:
    """Follows the one-way delay. All times in seconds; the two clocks need not agree, only run alike."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self.slope = 0.0
        """Seconds of delay per second."""
        self.queueing = 0.0
        """Seconds that the packets of the last feedback waited at least, beyond the shortest delay known."""
        self._points: deque[tuple[float, float]] = deque()
        """Arrival and delay of each group's first packet."""
        self._group_begin = -math.inf
        self._threshold = _FIRST_THRESHOLD
        self._updated_at: float | None = None
        self._shortest_new: float | None = None
        """The shortest delay since the last feedback."""
        self._base = self._base_before = math.inf
        self._base_since = -math.inf

    def add(self, *receptions: Reception) -> None:
        """Take what arrived of bursts, in the order of sending."""
        for reception in receptions:
            sent_at = reception.sent_at
            if reception.is_start:
                self.began(reception.begin, sent_at)
            if reception.end - reception.burst_begin > _AHEAD:
                # Had it been paced, its last packet would have left that much later.
                delay = reception.end - sent_at - _AHEAD
                if self._shortest_new is None:
                    self._shortest_new = delay
                self._point(reception.end, delay)

    def began(self, arrived_at: float, sent_at: float) -> None:
        """Take when the first packet of a burst arrived."""
        delay = arrived_at - sent_at
        if self._shortest_new is None or delay < self._shortest_new:
            self._shortest_new = delay
        if sent_at - self._group_begin >= _GROUP:
            self._group_begin = sent_at
            self._point(arrived_at, delay)

    def _point(self, arrived_at: float, delay: float) -> None:
        points = self._points
        if points and arrived_at - points[-1][0] > _STALE:
            points.clear()
        points.append((arrived_at, delay))
        while points[0][0] < arrived_at - _WINDOW:
            points.popleft()

    def add_base(self, reception: Reception) -> None:
        """Take what only a short delay says something of, as a part of a probe."""
        delay = reception.begin - reception.sent_at
        if delay < self._base:
            self._base = delay

    def is_usual(self, bursts: Iterable[WholeBurst]) -> bool:
        """Whether these bursts, all since the last `update`, rule out that there is a queue now."""
        longest = min(self._base, self._base_before) + _LEAST_QUEUE
        has_room = False
        for sent_at, begin, end, _ in bursts:
            if end - begin > _AHEAD or begin - sent_at < longest - _OTHER_CLOCK:
                return False
            has_room = has_room or begin - sent_at <= longest
        return has_room and self.usage is Usage.NORMAL

    def clear(self) -> None:
        """Forget all delays, as when the receiver's clock has jumped."""
        self._points.clear()
        self._group_begin = -math.inf
        self._base = self._base_before = math.inf
        self._base_since = -math.inf
        self._shortest_new = None
        self.usage = Usage.NORMAL
        self.slope = self.queueing = 0.0

    def update(self, now: float) -> Usage:
        """Judge what was added since the last time."""
        shortest = self._shortest_new
        if shortest is None:
            return self.usage
        self._shortest_new = None
        if now - self._base_since > _BASE_WINDOW:
            self._base_before, self._base, self._base_since = self._base, shortest, now
        elif shortest < self._base:
            self._base = shortest
        self.queueing = shortest - min(self._base, self._base_before)
        elapsed = 0.0 if self._updated_at is None else min(now - self._updated_at, _LONGEST_STEP)
        self._updated_at = now
        previous = self.slope
        self.slope, error = self._fitted()
        if self.slope > max(self._threshold, _CERTAIN * error) and self.queueing > _LEAST_QUEUE:
            # A slope that flattens is a queue about to stop growing.
            if self.slope >= 0.8 * previous or self.usage is Usage.OVERUSED:
                self.usage = Usage.OVERUSED
        elif self.slope < -self._threshold:
            self.usage = Usage.UNDERUSED
        else:
            self.usage = Usage.NORMAL
        if abs(self.slope) <= self._threshold + _OUTLIER:
            speed = _RISE if abs(self.slope) > self._threshold else _FALL
            self._threshold += (abs(self.slope) - self._threshold) * (1 - math.exp(-speed * elapsed))
            self._threshold = min(max(self._threshold, _LOWEST_THRESHOLD), _HIGHEST_THRESHOLD)
        return self.usage

    def _fitted(self) -> tuple[float, float]:
        """The slope of the least-squares line through the points, and its standard error."""
        count = len(self._points)
        if count < _FEWEST:
            return 0.0, 0.0
        origin, level = self._points[0]
        span = self._points[-1][0] - origin
        if span < _SHORTEST:
            return 0.0, 0.0
        times = [arrived_at - origin for arrived_at, _ in self._points]
        delays = [delay - level for _, delay in self._points]
        sum_of_times, sum_of_delays = sum(times), sum(delays)
        # Sums of squares and products about the means, times the count.
        spread: float = count * sum(map(mul, times, times)) - sum_of_times * sum_of_times
        if spread <= 0:
            return 0.0, 0.0
        common: float = count * sum(map(mul, times, delays)) - sum_of_times * sum_of_delays
        scatter: float = count * sum(map(mul, delays, delays)) - sum_of_delays * sum_of_delays
        slope = common / spread
        error = math.sqrt(max(scatter / spread - slope * slope, 0.0) / (count - 2))
        share = min(1.0, span / _FULL)
        return slope * share, error * share

"""What was sent with transport-wide numbers, and what feedback says became of it."""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TypeGuard

from media_service.rtc.rtcp import TRANSPORT_FEEDBACK_PERIOD, TransportFeedback

_KEPT = 3.0
"""Seconds. What has not been reported by then is no longer news."""
_MOST_BURSTS = 4096
_SHORTEST_TRIM = 256
"""Bursts that are forgotten at once, so that forgetting costs little."""
_LARGEST_STEP = 3.0
"""Seconds by which the receiver's clock and ours may disagree on the time between two feedbacks."""


class Burst:
    """Packets that left at one moment."""

    __slots__ = ("all", "arrived", "begin", "end", "first", "missing", "octets", "sent_at", "sizes")

    def __init__(self, first: int, sizes: tuple[int, ...], sent_at: float) -> None:
        self.first = first
        self.end = first + len(sizes)
        self.sizes = sizes
        self.octets = sum(sizes)
        self.sent_at = sent_at
        self.all = (1 << len(sizes)) - 1
        """A bit for each packet."""
        self.arrived = 0
        """A bit for each packet that was reported to have arrived."""
        self.missing = 0
        """A bit for each packet that was reported not to have arrived, as far as it was not seen later."""
        self.begin = 0.0
        """When the first of what was reported first arrived, on the receiver's clock, unwrapped."""


@dataclass(slots=True)
class Reception:
    """The part of a burst that one feedback first tells of."""

    first: int
    """The number of the burst's first packet."""
    sent_at: float
    octets: int
    first_octets: int
    """Size of the packet that arrived first."""
    begin: float
    """When the first packet arrived, in seconds on the receiver's clock, unwrapped."""
    end: float
    """When the last one did."""
    is_start: bool
    """Whether nothing of the burst was known to have arrived before."""
    burst_begin: float
    """When the first of the burst arrived, as far as that was reported at first."""


WholeBurst = tuple[float, float, float, int]
"""When a burst left, when its first and its last packet arrived on the receiver's clock, unwrapped, and its octets."""


@dataclass(slots=True)
class Reported:
    """What one feedback tells that was not known."""

    receptions: list[Reception]
    """In the order of sending."""
    received: int
    """Packets newly known to have arrived."""
    lost: int
    """Packets newly known to be missing, less those found to have arrived after all."""
    end: int
    """The number after the last packet told of."""
    clock_jumped: bool
    """Whether the arrival times cannot be compared with those of earlier feedback."""


class SentPackets:
    """A bounded memory of bursts."""

    def __init__(self) -> None:
        self.end = 0
        """The unwrapped number after the last one sent."""
        self._firsts: list[int] = []
        self._bursts: list[Burst] = []
        self._last_arrival: float | None = None
        self._last_feedback_at = 0.0
        self._offset = 0.0
        """What is added to times on the wire, which begin anew every 12 days."""

    def add(self, first: int, sizes: tuple[int, ...], now: float) -> Burst:
        """Note that packets of `sizes` bytes, numbered from `first` on, left at `now`."""
        burst = Burst(first, sizes, now)
        self._firsts.append(first)
        self._bursts.append(burst)
        self.end = burst.end
        if len(self._bursts) >= _MOST_BURSTS or self._bursts[0].sent_at < now - 2 * _KEPT:
            oldest = now - _KEPT
            kept_from = bisect_right(self._bursts, oldest, key=lambda kept: kept.sent_at)
            kept_from = max(kept_from, _SHORTEST_TRIM if len(self._bursts) >= _MOST_BURSTS else 0)
            del self._firsts[:kept_from], self._bursts[:kept_from]
        return burst

    def whole_bursts(self, feedback: TransportFeedback) -> list[WholeBurst]:
        """The bursts that `feedback` tells of, if it says of all their packets, for the first time, that they arrived.

        Empty in any other case. Nothing is noted: `forget` does that.
        """
        arrivals, bursts, offset = feedback.arrivals, self._bursts, self._offset
        number = following = self.end - 1 - (self.end - 1 - feedback.first & 0xFFFF)
        end = number + len(arrivals)
        found: list[WholeBurst] = []
        if end > self.end or None in arrivals:
            return found
        for index in range(bisect_left(self._firsts, number), len(bursts)):
            burst = bursts[index]
            if burst.first != following or burst.end > end or burst.arrived or burst.missing:
                break
            following = burst.end
            begin, last = arrivals[burst.first - number], arrivals[following - 1 - number]
            if begin is None or last is None:
                break
            found.append((burst.sent_at, begin + offset, last + offset, burst.octets))
            if following == end:
                return found
        return []

    def forget(self, feedback: TransportFeedback, last_arrival: float, now: float) -> None:
        """Note that the `whole_bursts` of `feedback` were taken; `last_arrival` is that of the last one."""
        number = self.end - 1 - (self.end - 1 - feedback.first & 0xFFFF)
        begin = bisect_left(self._firsts, number)
        end = bisect_left(self._firsts, number + len(feedback.arrivals), begin)
        del self._firsts[begin:end], self._bursts[begin:end]
        self._last_arrival = last_arrival
        self._last_feedback_at = now

    def reported(self, feedback: TransportFeedback, now: float) -> Reported:
        """What `feedback` says that was not known; nothing when it tells of packets never sent."""
        arrivals = feedback.arrivals
        # The number meant is the nearest one that is not beyond the last sent.
        number = self.end - 1 - (self.end - 1 - feedback.first & 0xFFFF)
        end = min(number + len(arrivals), self.end)
        news = Reported([], 0, 0, end, clock_jumped=False)
        offset: float | None = None
        bursts = self._bursts
        for index in range(max(bisect_right(self._firsts, number) - 1, 0), len(bursts)):
            burst = bursts[index]
            first = burst.first
            if first >= end:
                break
            low = max(number, first)
            high = min(end, burst.end)
            if low >= high:
                continue
            part = arrivals[low - number : high - number]
            was_unknown = not burst.arrived
            if was_unknown and not burst.missing and len(part) == len(burst.sizes) and _have_arrived(part):
                # All of it at once: nearly always so, and five times as fast as packet by packet.
                burst.arrived = burst.all
                news.received += len(part)
                begin, last = min(part), max(part)
                octets, first_octets = burst.octets, burst.sizes[part.index(begin)]
            else:
                octets, first_octets, begin, last = _take(burst, low - first, part, news)
            if octets:
                if offset is None:
                    offset = self._offset = self._clock_offset(begin, now, news)
                begin += offset
                if was_unknown:
                    burst.begin = begin
                news.receptions.append(
                    Reception(
                        first, burst.sent_at, octets, first_octets, begin, last + offset, was_unknown, burst.begin
                    )
                )
        if news.receptions:
            self._last_arrival = news.receptions[-1].end
            self._last_feedback_at = now
            self._forget_arrived()
        return news

    def _forget_arrived(self) -> None:
        """Forget the oldest bursts as far as nothing is left to be told of them: a good path has few others."""
        count = 0
        for burst in self._bursts:
            if burst.arrived != burst.all:
                break
            count += 1
        del self._firsts[:count], self._bursts[:count]

    def _clock_offset(self, arrival: float, now: float, news: Reported) -> float:
        """What to add to wire times to continue those before, which begin anew every 12 days."""
        last = self._last_arrival
        if last is None:
            return 0.0
        period = TRANSPORT_FEEDBACK_PERIOD
        offset = round((last - arrival) / period) * period
        elapsed = arrival + offset - last
        if not -_LARGEST_STEP < elapsed - (now - self._last_feedback_at) < _LARGEST_STEP:
            news.clock_jumped = True
        return offset


def _have_arrived(arrivals: tuple[float | None, ...]) -> TypeGuard[tuple[float, ...]]:
    return None not in arrivals


def _take(burst: Burst, position: int, part: tuple[float | None, ...], news: Reported) -> tuple[int, int, float, float]:
    """Note what `part` says of the burst's packets from `position` on.

    Returns the octets that are news, those of the packet among them that arrived first, and when the first and the
    last one did.
    """
    octets = first_octets = 0
    begin = last = 0.0
    bit = 1 << position
    for size, arrival in zip(burst.sizes[position:], part, strict=False):
        if arrival is None:
            if not (burst.arrived | burst.missing) & bit:
                burst.missing |= bit
                news.lost += 1
        elif not burst.arrived & bit:
            burst.arrived |= bit
            if burst.missing & bit:
                burst.missing ^= bit
                news.lost -= 1
            news.received += 1
            if not octets:
                begin = last = arrival
                first_octets = size
            elif arrival < begin:
                begin = arrival
                first_octets = size
            elif arrival > last:
                last = arrival
            octets += size
        bit <<= 1
    return octets, first_octets, begin, last

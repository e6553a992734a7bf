"""Sending more than the pictures need for a moment: when, how much, and what it has shown."""

from dataclasses import dataclass

from media_service.rtc.bandwidth import Probe, RateLimits
from media_service.rtc.congestion.sent_packets import Burst, Reception

_STEP = 2.0
"""Each probe tries so many times the estimate."""
_REACH = 2.0
"""Nothing above so many times the wanted rate is tried."""
_PACKETS = 12
_PACKET = 1200 * 8
_SHORTEST, _LONGEST = 0.04, 0.1
"""Seconds that a probe takes: the number of packets above, within these."""
_AFTER_SUCCESS = 0.1
_AFTER_NOTHING = 1.0
_AFTER_FAILURE = 4.0
_AFTER_CONGESTION = 2.0
"""Seconds to wait before the next one."""
_PATIENCE = 1.0
"""Seconds beside the round trip after which a probe's packets are not waited for."""
_SATURATED = 0.9
"""What arrives at less than so much of the speed of its sending shows all that the path carries."""
_OF_SATURATED = 0.95
_FILLED = 0.7
"""A probe sent at less than so much of its bit rate was not really one."""
_REPORTED = 0.5
"""Share of the bytes that must be known to have arrived."""
_LOSS_OF_RADIO = 0.75
"""Share of the bytes above which those missing were lost by chance and not for want of room."""
_FEWEST_PACKETS = 4


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a probe has shown."""

    bit_rate: float
    """Bits per second that arrived."""
    is_all: bool
    """Whether the path carried no more than that."""


@dataclass(slots=True)
class _Cluster:
    """The packets sent between the beginning of a probe and its end."""

    probe: Probe
    began_at: float
    ends_at: float
    first: int = -1
    """The number of its first packet; -1 before there is one."""
    end: int = -1
    """The number after its last packet."""
    sent_octets: int = 0
    last_burst: int = 0
    """Bytes of the last burst."""
    first_sent_at: float = 0.0
    last_sent_at: float = 0.0
    received_octets: int = 0
    first_size: int = 0
    first_arrival: float = 0.0
    last_arrival: float = 0.0


class Probing:
    """Decides on probes and measures them. One at a time."""

    def __init__(self, limits: RateLimits) -> None:
        self._limits = limits
        self._not_before = 0.0
        self._cluster: _Cluster | None = None
        self._shadow_begin = self._shadow_end = -1.0

    @property
    def is_measuring(self) -> bool:
        """Whether a probe runs or its result is awaited."""
        return self._cluster is not None

    def wait(self, now: float, seconds: float = _AFTER_CONGESTION) -> None:
        """Do not probe for that long: the path is congested."""
        self._not_before = max(self._not_before, now + seconds)

    def next(self, bit_rate: float, wanted: float, round_trip: float, now: float) -> Probe | None:
        """The probe to begin now, towards `wanted` from an estimate of `bit_rate`."""
        cluster = self._cluster
        if cluster is not None:
            if now < cluster.ends_at + round_trip + _PATIENCE:
                return None
            self._cluster = None
            self.wait(now, _AFTER_NOTHING)
        wanted = min(wanted, self._limits.highest)
        if now < self._not_before or bit_rate >= wanted:
            return None
        tried = min(_STEP * bit_rate, _REACH * wanted, self._limits.highest)
        seconds = min(max(_PACKETS * _PACKET / tried, _SHORTEST), _LONGEST)
        probe = Probe(int(tried), seconds)
        self._cluster = _Cluster(probe, now, now + seconds)
        self._shadow_begin, self._shadow_end = now, now + 2 * seconds
        return probe

    def sent(self, burst: Burst) -> None:
        """Note a burst; those sent while a probe runs are its cluster."""
        cluster = self._cluster
        if cluster is None or burst.sent_at > cluster.ends_at:
            return
        if cluster.first < 0:
            cluster.first = burst.first
            cluster.first_sent_at = burst.sent_at
        cluster.end = burst.end
        cluster.sent_octets += burst.octets
        cluster.last_burst = burst.octets
        cluster.last_sent_at = burst.sent_at

    def is_over(self, sent_at: float) -> bool:
        """Whether what leaves from `sent_at` on has nothing to do with any probe that was begun."""
        return self._cluster is None and sent_at > self._shadow_end

    def is_busy(self, now: float) -> bool:
        """Whether a probe runs, its result is awaited, or its queue may still show in feedback."""
        return self._cluster is not None or now < self._shadow_end + _PATIENCE

    def covers(self, sent_at: float) -> bool:
        """Whether what left at `sent_at` is of the last probe, or so soon after that the probe's queue delayed it."""
        return self._shadow_begin <= sent_at <= self._shadow_end

    def received(self, reception: Reception) -> None:
        """Count what arrived of the cluster."""
        cluster = self._cluster
        if cluster is None or not cluster.first <= reception.first < cluster.end:
            return
        if not cluster.received_octets or reception.begin < cluster.first_arrival:
            cluster.first_arrival = reception.begin
            cluster.first_size = reception.first_octets
        cluster.last_arrival = max(cluster.last_arrival, reception.end) if cluster.received_octets else reception.end
        cluster.received_octets += reception.octets

    def result(self, reported_end: int, bit_rate: float, now: float) -> ProbeResult | None:
        """What the probe has shown, once feedback has told of all packets below `reported_end`."""
        cluster = self._cluster
        if cluster is None or now < cluster.ends_at or cluster.first < 0 or reported_end < cluster.end:
            return None
        self._cluster = None
        sending = cluster.last_sent_at - cluster.first_sent_at
        receiving = cluster.last_arrival - cluster.first_arrival
        if (
            sending <= 0
            or receiving <= 0
            or cluster.received_octets < max(_REPORTED * cluster.sent_octets, _FEWEST_PACKETS * cluster.first_size)
        ):
            self.wait(now, _AFTER_NOTHING)
            return None
        sent_rate = 8 * (cluster.sent_octets - cluster.last_burst) / sending
        received_rate = 8 * (cluster.received_octets - cluster.first_size) / receiving
        arrived = cluster.received_octets / cluster.sent_octets
        slowed = received_rate / max(arrived, _LOSS_OF_RADIO)
        if slowed < _SATURATED * sent_rate:
            self.wait(now, _AFTER_FAILURE)
            return ProbeResult(_OF_SATURATED * received_rate, is_all=True)
        shown = min(sent_rate, received_rate, cluster.probe.bit_rate)
        self.wait(now, _AFTER_SUCCESS if shown > max(bit_rate, _FILLED * cluster.probe.bit_rate) else _AFTER_NOTHING)
        return ProbeResult(shown, is_all=False)

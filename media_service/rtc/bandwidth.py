"""How much a viewer's path carries: what those who estimate it are told and asked."""

from dataclasses import dataclass
from typing import Protocol

from media_service.rtc.rtcp import TransportFeedback


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Between which bit rates a viewer's estimate lies, and where it begins; bits per second."""

    start: int = 3_000_000
    lowest: int = 100_000
    highest: int = 50_000_000


@dataclass(frozen=True, slots=True)
class Probe:
    """More than the pictures need, for a moment, to learn whether the path carries it."""

    bit_rate: int
    """Bits per second, the pictures' own among them."""
    seconds: float


class BandwidthEstimator(Protocol):
    """Estimates one path from what its receiver reports. Pure: every time is passed in, in monotonic seconds."""

    bit_rate: int
    """The estimate, in bits per second of whole RTP packets."""
    is_congested: bool
    """Whether the path was found to be overused and has not recovered: nothing may be sent ahead of the estimate."""
    numbers_packets: bool
    """Whether packets have to carry transport-wide sequence numbers, and `packets_sent` is to be called."""

    def packets_sent(self, first: int, sizes: tuple[int, ...], now: float) -> None:
        """Packets of `sizes` bytes left at `now`, with unwrapped transport-wide numbers from `first` on."""
        ...

    def feedback_received(self, feedback: TransportFeedback, now: float) -> None:
        """Take transport-wide feedback."""
        ...

    def remb_received(self, bit_rate: int, now: float) -> None:
        """Take the receiver's own estimate."""
        ...

    def loss_reported(self, fraction_lost: float, round_trip: float | None, now: float) -> None:
        """Take a receiver report: the share of packets lost since the one before, and the round trip time if known."""
        ...

    def next_probe(self, wanted: int, now: float) -> Probe | None:
        """What to try now to learn whether `wanted` bits per second fit; None when it is not the time for that.

        Asked some twenty times a second. What it returns counts as begun.
        """
        ...

"""A bandwidth estimator that says what the test wants it to, and remembers what it was told."""

from media_service.rtc.bandwidth import Probe
from media_service.rtc.rtcp import TransportFeedback


class SetEstimator:
    """A `bandwidth.BandwidthEstimator` whose estimate is set."""

    def __init__(self, bit_rate: int, *, is_congested: bool = False, numbers_packets: bool = False) -> None:
        self.bit_rate = bit_rate
        self.is_congested = is_congested
        self.numbers_packets = numbers_packets
        self.sent: list[tuple[int, tuple[int, ...], float]] = []
        self.feedback: list[TransportFeedback] = []
        self.rembs: list[tuple[int, float]] = []
        self.losses: list[tuple[float, float | None, float]] = []
        self.probes: list[Probe] = []
        """What is asked to be tried, one at a time."""
        self.asked: list[tuple[int, float]] = []

    def packets_sent(self, first: int, sizes: tuple[int, ...], now: float) -> None:
        self.sent.append((first, sizes, now))

    def feedback_received(self, feedback: TransportFeedback, now: float) -> None:
        self.feedback.append(feedback)

    def remb_received(self, bit_rate: int, now: float) -> None:
        self.rembs.append((bit_rate, now))

    def loss_reported(self, fraction_lost: float, round_trip: float | None, now: float) -> None:
        self.losses.append((fraction_lost, round_trip, now))

    def next_probe(self, wanted: int, now: float) -> Probe | None:
        self.asked.append((wanted, now))
        return self.probes.pop(0) if self.probes else None

"""The estimator of a path that is not looked at."""

from typing import Final

from media_service.rtc.bandwidth import Probe
from media_service.rtc.rtcp import TransportFeedback

_MORE_THAN_ANY_PATH: Final = 1_000_000_000_000


class Unlimited:
    """A `BandwidthEstimator` with which everything leaves at once, whatever the receiver reports."""

    def __init__(self) -> None:
        self.bit_rate = _MORE_THAN_ANY_PATH
        self.is_congested = False
        self.numbers_packets = False

    def packets_sent(self, first: int, sizes: tuple[int, ...], now: float) -> None:
        pass

    def feedback_received(self, feedback: TransportFeedback, now: float) -> None:
        pass

    def remb_received(self, bit_rate: int, now: float) -> None:
        pass

    def loss_reported(self, fraction_lost: float, round_trip: float | None, now: float) -> None:
        pass

    def next_probe(self, wanted: int, now: float) -> Probe | None:
        return None

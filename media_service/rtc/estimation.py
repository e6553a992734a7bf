"""How viewers' paths are estimated: which feedback browsers are asked for, and what reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from media_service.rtc.bandwidth import BandwidthEstimator, RateLimits
from media_service.rtc.gcc import GccEstimator
from media_service.rtc.remb_estimator import RembEstimator
from media_service.rtc.unlimited import Unlimited
from signaling.jsep import BandwidthFeedback, VideoTrack


@dataclass(frozen=True, slots=True)
class Estimation:
    """One way to estimate."""

    feedback: BandwidthFeedback
    """What is asked for; a browser may not have it."""
    open: Callable[[VideoTrack, RateLimits, float], BandwidthEstimator]
    """Makes the estimator of one viewer, by what was negotiated for it; the last is the time."""


def _by_what_there_is(track: VideoTrack, limits: RateLimits, now: float) -> BandwidthEstimator:
    return GccEstimator(limits, now) if track.transport_cc else RembEstimator(limits, now)


SEND_SIDE: Final = Estimation(BandwidthFeedback.TRANSPORT, _by_what_there_is)
"""From the arrival times of all packets, for browsers that report them."""

RECEIVE_SIDE: Final = Estimation(BandwidthFeedback.REMB, lambda _, limits, now: RembEstimator(limits, now))
"""From the receiver's own estimate."""

NONE: Final = Estimation(BandwidthFeedback.REMB, lambda _, limits, now: Unlimited())
"""Every path carries everything: for comparison."""

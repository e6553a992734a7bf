"""What Prometheus is told (contract.md section 6). No session id, user id or raw path is a label.

What is observed as it happens is in `Histograms`; the rest is read when Prometheus asks, by the collectors in
`session_metrics`, `sending_metrics`, `capture_metrics`, `encoding_metrics`, `process_metrics`, `http_requests` and
`connection_metrics`.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.monitoring.sliced import sliced

_MILLISECONDS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0,
)  # fmt: skip
_JOIN_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_ROUND_TRIPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0)
_RATIOS: Final = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
_WAITS: Final = (0.0, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0)


class Histograms:
    """What is observed as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"media_service_{name}", text, buckets=buckets, registry=registry)

        self.egress_latency = histogram(
            "egress_latency_seconds",
            "From an access unit's being ready to its last packet's being sent to the last viewer.",
            _MILLISECONDS,
        )
        self.loop_lag = histogram("event_loop_lag_seconds", "How late the event loop ran what was due.", _MILLISECONDS)
        self.join = histogram("join_seconds", "From a session's creation to its connection.", _JOIN_SECONDS)
        self.first_picture = histogram(
            "first_picture_seconds", "From a session's creation to its first picture's being sent.", _JOIN_SECONDS
        )
        self.round_trip = histogram(
            "viewer_round_trip_seconds", "Round trips to viewers; of each, every five seconds.", _ROUND_TRIPS
        )
        self.loss = histogram(
            "viewer_loss_ratio", "Share of packets that viewers reported lost; of each, every five seconds.", _RATIOS
        )
        self.queue = histogram(
            "viewer_queue_seconds",
            "How long what waits for a viewer would take, by what its path is taken to carry; every five seconds.",
            _WAITS,
        )


async def exposition(registry: CollectorRegistry) -> bytes:
    """The text that Prometheus reads. The event loop gets its turn in between: there may be hundreds of viewers."""
    return b"".join([generate_latest(_Only(family)) async for family in sliced(registry.collect())])


class _Only(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family

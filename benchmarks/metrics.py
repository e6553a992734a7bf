"""What a sender says about itself at /metrics, and the difference between two moments. Pure but for `scrape`."""

import math
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

EGRESS_LATENCY = "media_service_egress_latency_seconds"
"""Access unit ready to last viewer's last packet sent."""
LOOP_LAG = "media_service_event_loop_lag_seconds"
DROPPED = "media_service_packets_dropped_total"
SESSIONS = "media_service_active_sessions"
STREAMS = "media_service_streams"
TASKS = "media_service_goroutines"
OPEN_FILES = "process_open_fds"


@dataclass(frozen=True, slots=True)
class Histogram:
    """A Prometheus histogram: cumulative counts by upper bound, bounds ascending, the last one infinite."""

    buckets: tuple[tuple[float, float], ...]

    @property
    def count(self) -> float:
        return self.buckets[-1][1] if self.buckets else 0.0

    def since(self, earlier: "Histogram") -> "Histogram":
        """What was observed after `earlier`."""
        before = dict(earlier.buckets)
        return Histogram(tuple((bound, count - before.get(bound, 0.0)) for bound, count in self.buckets))

    def quantile(self, fraction: float) -> float:
        """As Prometheus's histogram_quantile: linear within the bucket; NaN when nothing was observed."""
        if self.count == 0:
            return math.nan
        rank, lower, below = fraction * self.count, 0.0, 0.0
        for bound, count in self.buckets:
            if count >= rank and count > below:
                return lower if math.isinf(bound) else lower + (bound - lower) * (rank - below) / (count - below)
            lower, below = (lower if math.isinf(bound) else bound), count
        return lower

    def over(self, bound: float) -> float:
        """Share of what was observed that is above `bound`, one of the histogram's; NaN when nothing was observed."""
        if self.count == 0:
            return math.nan
        return 1 - dict(self.buckets)[bound] / self.count

    def maximum(self) -> float:
        """The upper bound of the highest bucket that holds anything; NaN when none does."""
        below = 0.0
        highest = math.nan
        for bound, count in self.buckets:
            if count > below:
                highest = bound
            below = count
        return highest


@dataclass(frozen=True, slots=True)
class Metrics:
    """One scrape."""

    totals: Mapping[str, float]
    """Counters and gauges by sample name, summed over their labels."""
    histograms: Mapping[str, Histogram]

    def total(self, name: str) -> float:
        """The metric's value over all labels, 0 when there is none."""
        return self.totals.get(name, 0.0)

    def histogram_since(self, earlier: "Metrics", name: str) -> Histogram:
        """What the histogram observed between the scrapes; empty when there is no such metric."""
        empty = Histogram(())
        return self.histograms.get(name, empty).since(earlier.histograms.get(name, empty))


def parse(text: str) -> Metrics:
    """Read the text exposition format."""
    totals: dict[str, float] = {}
    buckets: dict[str, dict[float, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.endswith("_bucket") and family.type == "histogram":
                counts = buckets.setdefault(family.name, {})
                bound = float(sample.labels["le"])
                counts[bound] = counts.get(bound, 0.0) + sample.value
            else:
                totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
    return Metrics(totals, {name: Histogram(tuple(sorted(counts.items()))) for name, counts in buckets.items()})


def scrape(url: str, timeout: float = 10) -> Metrics:
    """Fetch and read. Raises `OSError` when the sender does not answer."""
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return parse(response.read().decode())

"""Families of metrics as Prometheus is told them; every name begins with `media_service_`."""

from collections.abc import Mapping
from typing import TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

_PREFIX = "media_service_"

Labels = TypeVar("Labels", bound=tuple[str, ...])


def gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


def counter(name: str, text: str, value: float) -> CounterMetricFamily:
    """Its sample is called `<name>_total`."""
    return CounterMetricFamily(_PREFIX + name, text, value=value)


def gauges(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> GaugeMetricFamily:
    """A value for each set of labels."""
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for each, value in sorted(values.items()):
        family.add_metric(each, value)
    return family


def counters(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> CounterMetricFamily:
    """A count for each set of labels."""
    family = CounterMetricFamily(_PREFIX + name, text, labels=labels)
    for each, value in sorted(values.items()):
        family.add_metric(each, value)
    return family


def by(values: Mapping[str, float]) -> dict[tuple[str], float]:
    """The same values, for families with one label."""
    return {(key,): value for key, value in values.items()}

import math

import pytest

from benchmarks.metrics import Histogram, parse

EXPOSITION = """\
# HELP things_total Things.
# TYPE things_total counter
things_total{reason="a"} 2.0
things_total{reason="b"} 3.0
# HELP wait_seconds Waiting.
# TYPE wait_seconds histogram
wait_seconds_bucket{le="0.01"} 1.0
wait_seconds_bucket{le="0.02"} 5.0
wait_seconds_bucket{le="+Inf"} 5.0
wait_seconds_count 5.0
wait_seconds_sum 0.07
"""


def test_totals_are_summed_over_labels() -> None:
    metrics = parse(EXPOSITION)

    assert metrics.total("things_total") == 5
    assert metrics.total("others_total") == 0


def test_a_histogram_is_read_and_subtracted() -> None:
    later, earlier = parse(EXPOSITION), parse(EXPOSITION.replace("5.0", "2.0"))
    histogram = later.histogram_since(earlier, "wait_seconds")

    assert histogram.buckets == ((0.01, 0.0), (0.02, 3.0), (math.inf, 3.0))
    assert later.histogram_since(earlier, "nothing_seconds").count == 0


def test_quantiles_are_linear_within_a_bucket() -> None:
    histogram = Histogram(((0.01, 10.0), (0.02, 20.0), (math.inf, 20.0)))

    assert histogram.quantile(0.25) == pytest.approx(0.005)
    assert histogram.quantile(0.75) == pytest.approx(0.015)
    assert histogram.maximum() == 0.02
    assert histogram.over(0.01) == 0.5


def test_what_is_beyond_the_last_bound_is_not_made_up() -> None:
    histogram = Histogram(((0.01, 1.0), (math.inf, 2.0)))

    assert histogram.quantile(0.99) == 0.01
    assert math.isinf(histogram.maximum())


def test_nothing_observed_is_not_a_number() -> None:
    assert math.isnan(Histogram(()).quantile(0.5))
    assert math.isnan(Histogram(((0.01, 0.0), (math.inf, 0.0))).quantile(0.5))
    assert math.isnan(Histogram(()).maximum())
    assert math.isnan(Histogram(()).over(0.01))

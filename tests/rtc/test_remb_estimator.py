"""Estimation by the receiver, against a model of Chromium's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.bandwidth import RateLimits
from media_service.rtc.remb_estimator import RembEstimator
from tests.rtc.simulated_link import MEGABIT, Path, RandomLoss, constant, simulated, steps

LIMITS = RateLimits()


def median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def test_before_the_first_estimate_the_start_rate_counts() -> None:
    estimator = RembEstimator(LIMITS, 0.0)
    assert (estimator.bit_rate, estimator.is_congested) == (LIMITS.start, False)
    assert estimator.next_probe(20 * MEGABIT, 1.0) is None


def test_the_receiver_is_believed_within_the_limits() -> None:
    estimator = RembEstimator(LIMITS, 0.0)
    found = []
    for now, bit_rate in enumerate((5 * MEGABIT, 1, 1000 * MEGABIT)):
        estimator.remb_received(bit_rate, float(now))
        found.append(estimator.bit_rate)
    assert found == [5 * MEGABIT, LIMITS.lowest, LIMITS.highest]


def test_an_estimate_that_falls_is_congestion_for_a_while() -> None:
    estimator = RembEstimator(LIMITS, 0.0)
    found = []
    for now, bit_rate in enumerate((2.0, 1.99, 1.0)):
        estimator.remb_received(int(bit_rate * MEGABIT), float(now))
        found.append(estimator.is_congested)
    assert found == [False, False, True]
    asked = [(estimator.next_probe(3 * MEGABIT, later) is not None, estimator.is_congested) for later in (2.5, 4.5)]
    assert asked == [(False, True), (True, False)]


def test_one_bad_report_is_not_enough_and_heavy_loss_is() -> None:
    estimator = RembEstimator(LIMITS, 0.0)
    estimator.remb_received(2 * MEGABIT, 0.0)
    for now in range(1, 20):
        estimator.loss_reported(0.3 if now == 5 else 0.02, 0.1, float(now))
    assert estimator.bit_rate == 2 * MEGABIT
    was_congested = False
    for now in range(20, 30):
        estimator.loss_reported(0.3, 0.1, float(now))
        was_congested |= estimator.is_congested
    assert estimator.bit_rate < 1.5 * MEGABIT
    assert was_congested


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("rate", [10, 3, 1, 0.5])
def test_it_settles_below_what_the_path_carries(rate: float, loss: float) -> None:
    path = Path(constant(rate * MEGABIT), 0.1, RandomLoss(loss))
    trace = simulated(path, 30, app_rate=8 * MEGABIT, open_estimator=RembEstimator)
    assert 0.45 * rate * MEGABIT <= median(trace.between(15, 30)) <= 1.35 * rate * MEGABIT
    assert trace.queueing(15, 30) < 0.25


def test_probes_raise_what_little_traffic_holds_down() -> None:
    path = Path(constant(20 * MEGABIT), 0.1)
    trace = simulated(path, 40, app_rate=MEGABIT, wanted=2.5 * MEGABIT, open_estimator=RembEstimator)
    held_down = simulated(path, 40, app_rate=MEGABIT, wanted=0, open_estimator=RembEstimator)
    assert max(held_down.between(10, 40)) < 2 * MEGABIT
    assert trace.reached(2.4 * MEGABIT, 10) is not None


def test_a_step_down_is_answered() -> None:
    path = Path(steps((0, 3 * MEGABIT), (15, MEGABIT)), 0.1, queue=1.0)
    trace = simulated(path, 25, app_rate=2.5 * MEGABIT, open_estimator=RembEstimator)
    assert trace.bit_rate(17, 25) < 1.1 * MEGABIT
    assert trace.queueing(19, 25) < 0.3


@given(st.lists(st.tuples(st.integers(0, 1 << 60), st.floats(0, 1), st.integers(0, 10**9)), max_size=40))
def test_whatever_is_reported_the_estimate_stays_within_its_limits(reports: list[tuple[int, float, int]]) -> None:
    estimator = RembEstimator(LIMITS, 0.0)
    for second, (bit_rate, lost, wanted) in enumerate(reports):
        estimator.remb_received(bit_rate, second)
        estimator.loss_reported(lost, None, second + 0.5)
        probe = estimator.next_probe(wanted, second + 0.7)
        assert LIMITS.lowest <= estimator.bit_rate <= LIMITS.highest
        assert probe is None or 0 < probe.bit_rate <= LIMITS.highest

"""Send-side estimation on simulated paths: what it settles at, how long queues get, how soon it is back."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.bandwidth import RateLimits
from media_service.rtc.gcc import GccEstimator
from media_service.rtc.rtcp import TRANSPORT_FEEDBACK_PERIOD, TransportFeedback
from tests.rtc.simulated_link import (
    MEGABIT,
    BurstLoss,
    Loss,
    Path,
    RandomLoss,
    Sender,
    Simulation,
    Trace,
    constant,
    simulated,
    steps,
)

LIMITS = RateLimits()
CELLS = [
    (rate, round_trip, loss)
    for rate, (round_trip, loss) in itertools.product(
        (10, 3, 1, 0.5), ((0.02, 0.0), (0.02, 0.05), (0.1, 0.02), (0.2, 0.0), (0.2, 0.05))
    )
]


def median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


@pytest.mark.parametrize(("rate", "round_trip", "loss"), CELLS)
def test_it_settles_near_what_the_path_carries(rate: float, round_trip: float, loss: float) -> None:
    capacity = rate * MEGABIT
    trace = simulated(Path(constant(capacity), round_trip, RandomLoss(loss)), 20, app_rate=0.8 * 10 * MEGABIT)
    settled = trace.between(6, 20)
    assert 0.72 * capacity <= median(settled) <= 1.08 * capacity
    assert min(settled) >= 0.4 * capacity
    assert trace.bit_rate(6, 20) >= 0.7 * min(capacity, 0.8 * 10 * MEGABIT)
    assert trace.queueing(6, 20, 0.5) < 0.04
    assert trace.queueing(6, 20) < 0.2


@pytest.mark.parametrize("rate", [10, 3, 1, 0.5])
def test_losses_in_bursts_are_borne(rate: float) -> None:
    trace = simulated(Path(constant(rate * MEGABIT), 0.1, BurstLoss()), 20, app_rate=8 * MEGABIT)
    assert trace.bit_rate(6, 20) >= 0.65 * min(rate, 8) * MEGABIT
    assert trace.queueing(6, 20) < 0.2


@pytest.mark.parametrize("loss", [RandomLoss(0.05), BurstLoss(0.02, 0.1, 0.5)], ids=["random", "bursts"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_loss_of_the_radio_alone_does_not_lower_it_below_the_pictures(loss: Loss, seed: int) -> None:
    trace = simulated(Path(constant(20 * MEGABIT), 0.1, loss), 30, app_rate=2 * MEGABIT, seed=seed)
    assert trace.bit_rate(2, 30) > 1.7 * MEGABIT


def test_heavy_loss_without_delay_lowers_it() -> None:
    """As behind a policer, which drops and does not queue."""
    trace = simulated(Path(constant(20 * MEGABIT), 0.1, RandomLoss(0.3)), 15, app_rate=3 * MEGABIT)
    assert median(trace.between(10, 15)) < 1.5 * MEGABIT


def step() -> Trace:
    path = Path(steps((0, 3 * MEGABIT), (11, MEGABIT), (25, 3 * MEGABIT)), 0.1, queue=1.0)
    return simulated(path, 40, app_rate=2.5 * MEGABIT, wanted=3 * MEGABIT)


def test_a_step_down_is_answered_in_less_than_a_second_and_drained_in_three() -> None:
    trace = step()
    assert min(trace.between(11.3, 11.8)) < MEGABIT
    assert trace.queueing(13, 14) < 0.3
    assert trace.queueing(14, 25) < 0.2
    assert 0.75 * MEGABIT < median(trace.between(14, 25)) < 1.08 * MEGABIT


def test_the_path_counts_as_congested_until_the_queue_has_gone() -> None:
    trace = step()
    congested = [now for now in trace.congested if 11 <= now < 14]
    assert congested[0] < 11.6
    # Once found, without a break until the delay is back.
    assert congested[-1] - congested[0] == pytest.approx(0.05 * (len(congested) - 1), abs=0.06)
    assert trace.queueing(congested[-1] + 0.1, congested[-1] + 0.6) < 0.1


def test_it_is_back_within_ten_seconds_of_the_rate() -> None:
    back = step().reached(2.5 * MEGABIT, 25)
    assert back is not None
    assert back < 10


def test_a_fast_path_is_found_within_two_seconds() -> None:
    found = simulated(Path(constant(30 * MEGABIT), 0.1), 3, app_rate=20 * MEGABIT).reached(20 * MEGABIT)
    assert found is not None
    assert found < 2


@pytest.mark.parametrize("start", [1, 3])
def test_pictures_that_need_little_are_not_limited(start: int) -> None:
    limits = RateLimits(start=start * MEGABIT)
    path = Path(constant(20 * MEGABIT), 0.1)
    trace = simulated(path, 10, app_rate=2 * MEGABIT, wanted=2.5 * MEGABIT, limits=limits)
    found = trace.reached(2.5 * MEGABIT)
    assert found is not None
    assert found < 2
    assert min(trace.between(2, 10)) >= 2.5 * MEGABIT


def test_pictures_that_need_little_prove_little() -> None:
    trace = simulated(Path(constant(20 * MEGABIT), 0.1), 20, app_rate=MEGABIT, wanted=MEGABIT)
    assert not trace.probes
    assert max(trace.between(0, 20)) <= 1.25 * 6 * MEGABIT  # its keyframes are six times its other pictures
    assert min(trace.between(0, 20)) >= LIMITS.start


def test_probes_that_fail_are_seconds_apart() -> None:
    path = Path(constant(1 * MEGABIT), 0.1)
    simulation = Simulation(path, GccEstimator(LIMITS, 0.0))
    Sender(simulation, 0.7 * MEGABIT, wanted=3 * MEGABIT)
    trace = simulation.run(40)
    assert len(trace.probes) >= 2
    assert all(after - before > 2 for (before, _), (after, _) in itertools.pairwise(trace.probes))
    assert trace.queueing(10, 40) < 0.2


def test_nothing_is_probed_while_the_path_is_congested() -> None:
    trace = step()
    assert not {now for now, _ in trace.probes} & set(trace.congested)


@pytest.mark.parametrize("drift", [-3e-4, 3e-4])
def test_clocks_that_run_differently_are_no_queue(drift: float) -> None:
    trace = simulated(Path(constant(10 * MEGABIT), 0.1, clock_drift=drift), 30, app_rate=2 * MEGABIT)
    assert not trace.congested
    assert min(trace.between(0, 30)) >= LIMITS.start


@pytest.mark.parametrize("jitter", [0.005, 0.02, 0.05])
def test_packets_that_overtake_each_other_are_no_queue(jitter: float) -> None:
    trace = simulated(Path(constant(20 * MEGABIT), 0.1, jitter=jitter), 20, app_rate=3 * MEGABIT)
    assert min(trace.between(2, 20)) >= 2.8 * MEGABIT


@pytest.mark.parametrize(
    "path",
    [
        Path(constant(3 * MEGABIT), 0.1, feedback_loss=0.1),
        Path(constant(3 * MEGABIT), 0.1, feedback_loss=0.4),
        Path(constant(3 * MEGABIT), 0.1, feedback_copies=3),
        Path(constant(3 * MEGABIT), 0.1, feedback_interval=0.05),
        Path(constant(3 * MEGABIT), 0.1, feedback_interval=0.25),
        Path(constant(3 * MEGABIT), 0.1, clock_offset=TRANSPORT_FEEDBACK_PERIOD - 8),
    ],
    ids=["some_lost", "many_lost", "repeated", "often", "seldom", "clock_wraps"],
)
def test_feedback_need_not_be_perfect(path: Path) -> None:
    trace = simulated(path, 20, app_rate=8 * MEGABIT)
    assert 0.6 * 3 * MEGABIT < median(trace.between(6, 20)) < 1.1 * 3 * MEGABIT
    assert trace.queueing(6, 20) < 0.2


@pytest.mark.parametrize("wanted", [1, 8], ids=["content", "in_demand"])
def test_a_queue_is_found_as_soon_whether_or_not_more_is_wanted(wanted: int) -> None:
    path = Path(steps((0, 20 * MEGABIT), (10.02, 0.7 * MEGABIT)), 0.05, queue=2.0)
    simulation = Simulation(path, GccEstimator(LIMITS, 0.0))
    Sender(simulation, MEGABIT, wanted=wanted * MEGABIT, obeys=lambda now: now > 20)
    trace = simulation.run(12)
    assert 10 < trace.congested[0] < 10.7


def test_silence_of_the_receiver_is_congestion_until_it_is_heard_again() -> None:
    estimator = GccEstimator(LIMITS, 0.0)
    found = []

    def told(first: int, now: float) -> None:
        arrivals = tuple(number / 100 + 5 for number in range(first, first + 20))
        estimator.feedback_received(TransportFeedback(first, arrivals, 1), now)

    for number in range(220):
        estimator.packets_sent(number, (1200,), number / 100)
        if number == 19:
            told(0, 0.2)
            found.append(estimator.is_congested)
    found.append(estimator.is_congested)
    for first in range(20, 220, 20):
        told(first, 2.3 + first / 400)
    found.append(estimator.is_congested)
    assert found == [False, True, False]


arrival_times = st.none() | st.floats(0, TRANSPORT_FEEDBACK_PERIOD + 2000, allow_nan=False)
feedbacks = st.builds(
    TransportFeedback,
    st.integers(0, 0xFFFF),
    st.lists(arrival_times, min_size=1, max_size=40).map(tuple),
    st.integers(0, 255),
)


@given(st.lists(st.tuples(feedbacks, st.integers(0, 20)), max_size=30))
def test_whatever_is_reported_the_estimate_stays_within_its_limits(
    reports: list[tuple[TransportFeedback, int]],
) -> None:
    limits = RateLimits(start=1_000_000, lowest=200_000, highest=4_000_000)
    estimator = GccEstimator(limits, 0.0)
    now, number = 0.0, 65_500
    for feedback, count in reports:
        estimator.packets_sent(number, (1200,) * (count + 1), now)
        number += count + 1
        now += 0.06
        estimator.feedback_received(feedback, now)
        estimator.loss_reported(0.5, -1.0, now)
        estimator.remb_received(0, now)
        probe = estimator.next_probe(10_000_000, now)
        assert limits.lowest <= estimator.bit_rate <= limits.highest
        assert probe is None or (0 < probe.bit_rate <= limits.highest and 0 < probe.seconds <= 0.1)


def test_packets_never_sent_are_not_believed() -> None:
    estimator = GccEstimator(LIMITS, 0.0)
    estimator.packets_sent(0, (1200,) * 10, 0.0)
    for count in range(50):
        estimator.feedback_received(TransportFeedback(1000, tuple(0.001 * each for each in range(1000)), count), 0.1)
    assert estimator.bit_rate == LIMITS.start
    assert estimator.next_probe(10 * MEGABIT, 1.0) is None


def test_a_clock_that_jumps_is_no_queue() -> None:
    estimator = GccEstimator(LIMITS, 0.0)
    for number in range(0, 4000, 10):
        now = number / 200
        estimator.packets_sent(number, (1200,) * 10, now)
        jump = 100.0 * (number // 500)
        arrivals = tuple(now + jump + 0.001 * each for each in range(10))
        estimator.feedback_received(TransportFeedback(number & 0xFFFF, arrivals, 0), now + 0.04)
        assert not estimator.is_congested
    assert estimator.bit_rate >= LIMITS.start


def test_numbers_wrap_on_the_wire() -> None:
    path = Path(constant(40 * MEGABIT), 0.05)
    trace = simulated(path, 40, app_rate=30 * MEGABIT)
    packets = sum(size for _, size in trace.sent) / 1200
    assert packets > 0x10000
    assert math.isclose(median(trace.between(35, 40)), 37 * MEGABIT, rel_tol=0.25)

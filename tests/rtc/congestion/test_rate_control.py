"""How the bit rate follows what arrives."""

import pytest

from media_service.rtc.bandwidth import RateLimits
from media_service.rtc.congestion.acknowledged_rate import Delivery
from media_service.rtc.congestion.rate_control import RateControl

MEGABIT = 1_000_000


def control(start: float = 3 * MEGABIT) -> RateControl:
    return RateControl(RateLimits(start=int(start)), 0.0)


def grown(rate: RateControl, acknowledged: float, seconds: int, begin: float = 0.0) -> RateControl:
    for tick in range(10 * seconds):
        rate.arrived(acknowledged, 0.1, begin + tick / 10)
    return rate


def test_it_backs_off_to_less_than_what_arrives() -> None:
    rate = control()
    rate.overused(Delivery(MEGABIT, 2.0), 0.05, False, 1.0)
    assert rate.bit_rate == pytest.approx(0.85 * MEGABIT)


def test_a_long_queue_drains_faster_and_then_the_rate_is_back() -> None:
    rate = control()
    rate.overused(Delivery(MEGABIT, 2.0), 0.05, False, 1.0)
    rate.queue_grew(0.6)
    assert rate.bit_rate == pytest.approx(0.6 * MEGABIT)
    rate.overused(Delivery(MEGABIT, 2.0), 5.0, False, 1.5)
    assert rate.bit_rate == pytest.approx(0.5 * MEGABIT)
    rate.drained()
    assert rate.bit_rate == pytest.approx(0.85 * MEGABIT)


def test_it_never_backs_off_upwards() -> None:
    rate = control(MEGABIT)
    rate.overused(Delivery(5 * MEGABIT, 2.0), 0.05, False, 1.0)
    rate.drained()
    assert rate.bit_rate == MEGABIT


def test_what_little_is_sent_does_not_say_what_fits() -> None:
    rate = control(20 * MEGABIT)
    rate.overused(Delivery(2 * MEGABIT, 1.02), 0.02, True, 1.0)
    assert rate.bit_rate == pytest.approx(17 * MEGABIT)
    rate.overused(Delivery(2 * MEGABIT, 1.3), 0.02, True, 2.0)
    assert rate.bit_rate == pytest.approx(1.7 * MEGABIT)


def test_without_a_measurement_it_backs_off_by_a_share() -> None:
    rate = control()
    rate.overused(None, 0.1, False, 1.0)
    assert rate.bit_rate == pytest.approx(0.7 * 3 * MEGABIT)


def test_it_grows_only_a_little_beyond_what_arrives() -> None:
    assert grown(control(), MEGABIT, 60).bit_rate == 3 * MEGABIT
    assert grown(control(), 2.8 * MEGABIT, 60).bit_rate == pytest.approx(1.25 * 2.8 * MEGABIT)


def test_it_grows_slowly_near_what_was_too_much() -> None:
    free, near = control(MEGABIT), control(MEGABIT)
    near.overused(Delivery(MEGABIT, 2.0), 0.05, False, 0.0)
    grown(free, 0.98 * MEGABIT, 2)
    grown(near, 0.98 * MEGABIT, 2)
    assert free.bit_rate > 1.1 * MEGABIT
    assert near.bit_rate < 1.1 * MEGABIT


def test_a_probe_counts_at_once_and_only_upwards() -> None:
    rate = control()
    rate.carries(8 * MEGABIT, is_all=False)
    assert rate.bit_rate == 8 * MEGABIT
    rate.carries(2 * MEGABIT, is_all=True)
    assert rate.bit_rate == 8 * MEGABIT
    rate.carries(900 * MEGABIT, is_all=False)
    assert rate.bit_rate == RateLimits().highest

"""Queues that grow, stand and drain, and jitter, which is none of these."""

import random

import pytest

from media_service.rtc.congestion.delay_trend import DelayTrend, Usage
from media_service.rtc.congestion.sent_packets import Reception


class Course:
    """Feeds a trend with a picture every 33 ms, and asks it three pictures later."""

    def __init__(self) -> None:
        self.trend = DelayTrend()
        self.now = 0.0
        self.delay = 0.0

    def go(self, seconds: float, slope: float, jitter: float = 0.0, duration: float = 0.0) -> list[Usage]:
        """Go on for so long with a delay that grows by `slope` a second, each burst arriving over `duration`."""
        rng, found = random.Random(3), []
        for picture in range(int(seconds * 30)):
            self.now += 1 / 30
            self.delay += slope / 30
            begin = self.now + 9.0 + self.delay + rng.random() * jitter
            end = begin + duration
            self.trend.add(Reception(picture, self.now, 1200, 1200, begin, end, is_start=True, burst_begin=begin))
            if picture % 3 == 2:
                found.append(self.trend.update(self.now))
        return found


def test_a_steady_delay_is_normal() -> None:
    assert set(Course().go(5, 0.0)) == {Usage.NORMAL}


@pytest.mark.parametrize("slope", [0.1, 0.5, 2.0])
def test_a_queue_that_grows_is_overuse_within_half_a_second(slope: float) -> None:
    course = Course()
    course.go(2, 0.0)
    assert Usage.OVERUSED in course.go(0.5, slope)


def test_a_queue_that_drains_is_underuse_and_is_measured() -> None:
    course = Course()
    course.go(2, 0.0)
    course.go(1, 0.4)
    assert course.trend.queueing == pytest.approx(0.4, abs=0.05)
    assert Usage.UNDERUSED in course.go(0.9, -0.4)
    course.go(1, 0.0)
    assert course.trend.usage is Usage.NORMAL
    assert course.trend.queueing == pytest.approx(0.04, abs=0.02)


@pytest.mark.parametrize("jitter", [0.005, 0.015, 0.03])
def test_jitter_is_no_queue(jitter: float) -> None:
    found = Course().go(30, 0.0, jitter)
    assert found.count(Usage.OVERUSED) <= 0.03 * len(found)


@pytest.mark.parametrize("drift", [-0.0005, 0.0005])
def test_clocks_that_drift_are_no_queue(drift: float) -> None:
    course = Course()
    assert set(course.go(60, drift)) == {Usage.NORMAL}
    assert course.trend.queueing < 0.012


def test_a_burst_that_goes_on_and_on_is_a_queue() -> None:
    """A keyframe on a path much slower than it was paced for: one burst, told of in many parts."""
    course = Course()
    course.go(2, 0.0)
    begin, found = course.now + 9.0, set()
    for part in range(1, 6):
        end = begin + 0.075 * part
        course.trend.add(Reception(100, course.now, 9600, 1200, end - 0.07, end, is_start=False, burst_begin=begin))
        found.add(course.trend.update(course.now + 0.075 * part))
    assert Usage.OVERUSED in found


@pytest.mark.parametrize(
    ("delays", "duration", "is_usual"),
    [
        ([9.0], 0.0, True),
        ([9.011], 0.0, True),
        ([9.013], 0.0, False),
        ([9.3, 9.01], 0.0, True),
        ([9.3, 7.0], 0.0, False),
        ([9.0], 0.05, True),
        ([9.0], 0.07, False),
    ],
    ids=["shortest", "hardly_longer", "longer", "one_delayed", "other_clock", "long", "too_long"],
)
def test_bursts_are_usual_of_which_one_did_not_wait(delays: list[float], duration: float, is_usual: bool) -> None:
    course = Course()
    bursts = [(2.0, 2.0 + delay, 2.0 + delay + duration, 1200) for delay in delays]
    assert not course.trend.is_usual(bursts)
    course.go(2, 0.0)
    assert course.trend.is_usual(bursts) is is_usual
    course.go(0.5, 0.5)
    assert not course.trend.is_usual(bursts)


def test_a_longer_way_is_the_usual_delay_after_a_while() -> None:
    course = Course()
    course.go(3, 0.0)
    course.delay += 0.2
    course.go(1, 0.0)
    assert course.trend.queueing == pytest.approx(0.2)
    course.go(15, 0.0)
    assert course.trend.queueing == pytest.approx(0.0, abs=1e-6)


def test_a_trend_begins_anew_after_a_pause() -> None:
    course = Course()
    course.go(1, 0.0)
    course.now += 5
    course.delay += 0.1
    assert Usage.OVERUSED not in course.go(1, 0.0)

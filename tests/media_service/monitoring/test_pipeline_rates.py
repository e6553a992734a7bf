"""What is captured per second, whatever streams come and go."""

from dataclasses import dataclass, field

import pytest

from media_service.capture_counters import CaptureCounters
from media_service.monitoring.pipeline_rates import PipelineRates


@dataclass(eq=False)
class Stream:
    captured: dict[str, CaptureCounters] = field(default_factory=dict)

    def capture(self, pictures: int, octets: int, kind: str = "scrcpy") -> None:
        self.captured.setdefault(kind, CaptureCounters()).add(CaptureCounters(pictures, octets))


def test_nothing_is_captured_at_first() -> None:
    rates = PipelineRates()
    assert (rates.pictures, rates.octets) == (0, 0)
    rates.sample([], 0.0)
    assert (rates.pictures, rates.octets) == (0, 0)


def test_the_rates_of_the_last_seconds() -> None:
    rates, first, second = PipelineRates(), Stream(), Stream()
    first.capture(10_000, 10_000_000)
    rates.sample([first, second], 0.0)
    for now in range(1, 21):
        first.capture(30, 200_000)
        second.capture(10, 50_000, "scrcpy" if now % 2 else "screenrecord")
        rates.sample([first, second], float(now))
        assert (rates.pictures, rates.octets) == (40, 250_000)
    for now in range(21, 26):
        rates.sample([first, second], float(now))
        assert rates.pictures == pytest.approx(8 * (25 - now))
    assert (rates.pictures, rates.octets) == (0, 0)


def test_a_stream_that_stops_takes_nothing_back_and_one_that_begins_counts_at_once() -> None:
    rates, first, second = PipelineRates(), Stream(), Stream()
    first.capture(10_000, 10_000_000)
    rates.sample([first], 0.0)
    first.capture(30, 1000)
    rates.sample([first], 1.0)
    rates.sample([], 2.0)
    assert (rates.pictures, rates.octets) == (15, 500)
    second.capture(30, 2000)
    rates.sample([second], 3.0)
    assert (rates.pictures, rates.octets) == (20, 1000)


def test_late_samples_do_not_make_it_faster() -> None:
    rates, stream = PipelineRates(), Stream()
    rates.sample([stream], 0.0)
    stream.capture(60, 6000)
    rates.sample([stream], 2.0)
    assert (rates.pictures, rates.octets) == (30, 3000)
    stream.capture(300, 0)
    rates.sample([stream], 100.0)
    assert rates.pictures == 0

import math
from collections.abc import Iterable

import pytest

from benchmarks.passage import Flow, Full, back_up_after, longest_freeze, passage, prompt_again_after, rate
from benchmarks.sightings import ShownPicture, Sightings


def shown(since: float, until: float, *, delay: float = 0.1, width: int = 720, rate: int = 30) -> list[ShownPicture]:
    """Pictures at an even pace."""
    moments = [since + number / rate for number in range(round((until - since) * rate))]
    return [ShownPicture(at, at - delay, width, 1280) for at in moments]


def seen(*parts: Iterable[ShownPicture]) -> Sightings:
    return Sightings([picture for part in parts for picture in part])


def test_a_window_is_summed_up() -> None:
    sightings = seen(shown(0, 10), shown(10, 11, delay=0.5, width=360), shown(11.4, 20))
    sightings.unreadable = [10.001, 25.0]
    summed_up = passage(sightings, 1.0, 11.2)
    assert summed_up.shown == 9 * 30 + 30 + 1
    assert summed_up.unreadable == 1
    assert summed_up.delay_p50 == pytest.approx(0.1)
    assert summed_up.delay_p95 == pytest.approx(0.5)
    assert summed_up.longest_freeze == pytest.approx(0.2 + 1 / 30)
    assert summed_up.width == 360


def test_nothing_shown_is_one_long_freeze() -> None:
    assert passage(Sightings(), 3.0, 8.0).longest_freeze == 5.0
    assert math.isnan(passage(Sightings(), 3.0, 8.0).delay_p50)


def test_a_picture_that_cannot_be_read_ends_a_freeze() -> None:
    sightings = seen(shown(0, 1), shown(2, 3))
    sightings.unreadable = [1.5]
    assert longest_freeze(sightings, 0.5, 2.5) == pytest.approx(0.5 + 1 / 30)


def test_prompt_pictures_are_prompt_from_the_beginning() -> None:
    assert prompt_again_after(seen(shown(0, 20)), 5.0, 20.0) == 0.0


def test_it_is_prompt_again_after_the_last_late_picture() -> None:
    sightings = seen(shown(0, 6), shown(6, 8, delay=0.9), shown(8, 20))
    assert prompt_again_after(sightings, 5.0, 20.0) == pytest.approx(3.0, abs=0.05)


def test_a_prompt_moment_between_late_ones_does_not_count() -> None:
    sightings = seen(shown(0, 6), shown(6, 8, delay=0.9), shown(8, 9), shown(9, 10, delay=0.9), shown(10, 20))
    assert prompt_again_after(sightings, 5.0, 20.0) == pytest.approx(5.0, abs=0.05)


def test_a_pause_is_late_too() -> None:
    sightings = seen(shown(0, 6), shown(6, 7, delay=0.9), shown(7, 8), shown(11, 20))
    assert prompt_again_after(sightings, 5.0, 20.0) == pytest.approx(6.0, abs=0.05)


@pytest.mark.parametrize(
    "end", [shown(6, 20, delay=0.9), shown(6, 19, delay=0.9) + shown(19, 20), []], ids=["late", "too short", "nothing"]
)
def test_it_may_never_be_prompt_again(end: list[ShownPicture]) -> None:
    assert math.isnan(prompt_again_after(seen(shown(0, 6), end), 5.0, 20.0))


def test_a_picture_that_cannot_be_read_is_not_a_pause() -> None:
    sightings = seen(shown(0, 6), shown(8, 20))
    sightings.unreadable = [6 + number / 10 for number in range(20)]
    assert prompt_again_after(sightings, 5.0, 20.0) == 0.0


FULL = Full(width=720, frames_per_second=30, bit_rate=8_000_000)


def flowing(*parts: tuple[float, float, int]) -> list[Flow]:
    """Bytes that came through by each tenth of a second; `parts` are until when at how many bytes per second."""
    flows, octets, at = [Flow(0.0, 0)], 0.0, 0.0
    for since, until, octets_per_second in parts:
        assert at == since
        while at < until:
            at = round(at + 0.1, 1)
            octets += octets_per_second / 10
            flows.append(Flow(at, round(octets)))
    return flows


def test_the_rate_is_taken_between_two_moments() -> None:
    flows = flowing((0, 10, 1000), (10, 20, 2000))
    assert rate(flows, 2.0, 8.0) == pytest.approx(8000)
    assert rate(flows, 12.0, 18.0) == pytest.approx(16000)
    assert math.isnan(rate(flows, 30.0, 40.0))


def test_it_is_back_up_when_size_pace_and_rate_are() -> None:
    pictures = shown(0, 6, width=360) + shown(6, 8, rate=10) + shown(8, 20)
    flows = flowing((0, 9, 100_000), (9, 20, 1_000_000))
    # Two seconds from then on have four fifths of the rate.
    assert back_up_after(pictures, flows, FULL, 5.0, 20.0) == pytest.approx(3.55, abs=0.1)


def test_it_may_never_be_back_up() -> None:
    flows = flowing((0, 20, 1_000_000))
    assert math.isnan(back_up_after(shown(0, 20, width=360), flows, FULL, 5.0, 20.0)), "too small"
    assert math.isnan(back_up_after(shown(0, 20, rate=15), flows, FULL, 5.0, 20.0)), "too few pictures"
    assert math.isnan(back_up_after(shown(0, 20), flowing((0, 20, 500_000)), FULL, 5.0, 20.0)), "too little"
    assert math.isnan(back_up_after(shown(19, 20), flows, FULL, 5.0, 20.0)), "too late"

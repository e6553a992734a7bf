"""Which coding a viewer gets: sizes, who goes down and up, and how soon."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rungs import LADDER, LEVELS, SOURCE, QualityControl, Supply, Wish, bit_rate_of, rungs_of, size_of

PHONE = rungs_of(720, 1280)
SUPPLY = Supply(PHONE, 2_000_000)
TICK = 0.2

sides = st.integers(16, 4096)


@given(sides, sides)
def test_a_rung_is_never_larger_than_the_stream(width: int, height: int) -> None:
    for rung in rungs_of(width, height):
        scaled = size_of(rung, width, height)
        assert scaled[0] <= width + 1
        assert scaled[1] <= height + 1
        assert not any(side % 2 for side in scaled)


@pytest.mark.parametrize(
    ("width", "height", "levels"),
    [
        (1080, 2400, ["1080p", "720p", "480p", "360p"]),
        (1280, 720, ["720p", "480p", "360p"]),
        (720, 1280, ["720p", "480p", "360p"]),
        (500, 900, ["480p", "360p"]),
        (240, 320, ["360p"]),
    ],
)
def test_the_rungs_of_a_stream(width: int, height: int, levels: list[str]) -> None:
    assert [rung.level for rung in rungs_of(width, height)] == levels


def test_sizes_keep_the_proportions() -> None:
    assert size_of(LADDER[2], 1080, 2400) == (480, 1066)
    assert size_of(LADDER[3], 1280, 720) == (640, 360)
    assert size_of(LADDER[3], 240, 320) == (240, 320)


def watch(control: QualityControl, estimate: int, seconds: float, since: float, supply: Supply = SUPPLY) -> list[str]:
    """The levels that a viewer had one after the other while its path carried `estimate`."""
    levels = [control.level]
    for tick in range(round(seconds / TICK)):
        level = control.look(estimate, supply, since + tick * TICK).level
        if level != levels[-1]:
            levels.append(level)
    return levels


def test_who_has_room_gets_the_stream_as_it_is() -> None:
    assert QualityControl().begin(3_000_000, SUPPLY).level == SOURCE


@pytest.mark.parametrize(
    ("estimate", "level"), [(1_500_000, "720p"), (800_000, "480p"), (400_000, "360p"), (50_000, "360p")]
)
def test_who_has_not_begins_on_the_rung_that_fits(estimate: int, level: str) -> None:
    choice = QualityControl().begin(estimate, SUPPLY)
    assert choice.level == level
    assert "Mbit/s" in choice.reason


def test_one_low_word_does_not_decide() -> None:
    control = QualityControl()
    control.begin(3_000_000, SUPPLY)
    assert control.look(900_000, SUPPLY, 10.0).level == SOURCE
    assert watch(control, 3_000_000, 5.0, 10.2) == [SOURCE]


def test_a_path_that_stays_too_narrow_is_given_less() -> None:
    control = QualityControl()
    control.begin(3_000_000, SUPPLY)
    assert watch(control, 900_000, 1.0, 10.0) == [SOURCE, "480p"]
    assert watch(control, 300_000, 1.0, 12.0) == ["480p", "360p"]


def test_dropped_pictures_decide_at_once() -> None:
    control = QualityControl()
    control.begin(3_000_000, SUPPLY)
    assert control.look(900_000, SUPPLY, 10.0, is_urgent=True).level == "480p"


def test_back_up_when_there_is_room_again() -> None:
    control = QualityControl()
    control.begin(900_000, SUPPLY)
    assert watch(control, 3_000_000, 3.0, 10.0) == ["480p", SOURCE]


def test_up_by_one_where_there_is_room_for_one() -> None:
    control = QualityControl()
    control.begin(400_000, SUPPLY)
    assert watch(control, 800_000, 3.0, 10.0) == ["360p", "480p"]


def test_a_little_more_room_is_not_enough_to_climb() -> None:
    control = QualityControl()
    control.begin(900_000, SUPPLY)
    assert watch(control, 1_050_000, 30.0, 10.0) == ["480p"]


def test_climbs_that_do_not_last_become_rare() -> None:
    """A path that carries what it is asked until it is given it."""
    control = QualityControl()
    control.begin(900_000, SUPPLY)
    climbs = 0
    for tick in range(round(300 / TICK)):
        before = control.level
        level = control.look(3_000_000 if before != SOURCE else 900_000, SUPPLY, tick * TICK).level
        climbs += level == SOURCE != before
    assert 3 <= climbs <= 10


def test_a_quiet_stream_is_had_as_it_is() -> None:
    control = QualityControl()
    control.begin(500_000, SUPPLY)
    assert watch(control, 700_000, 5.0, 10.0, replace(SUPPLY, source_rate=300_000)) == ["480p", SOURCE]


@pytest.mark.parametrize("level", LEVELS[:1] + LEVELS[2:])
def test_a_pinned_level_stays(level: str) -> None:
    control = QualityControl()
    control.wish = Wish(level)
    assert watch(control, 100_000, 10.0, 0.0)[-1] == level
    assert watch(control, 50_000_000, 10.0, 10.0) == [level]
    assert control.choice.reason == "it was asked for"


def test_who_is_let_go_is_not_said_to_have_asked() -> None:
    control = QualityControl()
    control.wish = Wish(SOURCE)
    control.look(50_000_000, SUPPLY, 0.0)
    control.wish = Wish()
    assert control.look(50_000_000, SUPPLY, 1.0).reason == ""


def test_a_level_that_there_is_not_is_no_pin() -> None:
    control = QualityControl()
    control.wish = Wish("1080p")
    assert control.begin(1_500_000, SUPPLY).level == "720p"


def test_without_the_level_that_was_asked_for_more_is_wanted_as_ever() -> None:
    control = QualityControl()
    control.wish = Wish("1080p")
    control.begin(900_000, SUPPLY)
    assert control.wanted_bit_rate(SUPPLY) * 0.9 > PHONE[0].floor


def test_a_largest_bit_rate_is_kept() -> None:
    control = QualityControl()
    control.wish = Wish(largest_bit_rate=700_000)
    assert watch(control, 50_000_000, 10.0, 0.0)[-1] == "480p"
    assert "asked" in control.choice.reason
    assert control.budget(50_000_000) == 700_000


def test_what_cannot_be_played_is_never_given() -> None:
    supply = replace(SUPPLY, unplayable="its encoder makes B-frames")
    control = QualityControl()
    assert control.begin(50_000_000, supply).level == "720p"
    assert control.choice.reason == "its encoder makes B-frames"
    assert watch(control, 50_000_000, 30.0, 0.0, supply) == ["720p"]


def test_a_stream_that_becomes_unplayable_is_left_at_once() -> None:
    control = QualityControl()
    control.begin(50_000_000, SUPPLY)
    assert control.look(50_000_000, replace(SUPPLY, unplayable="B-frames"), 1.0).level == "720p"


def test_a_rung_that_is_gone_is_left_at_once() -> None:
    control = QualityControl()
    control.begin(900_000, SUPPLY)
    assert control.look(900_000, replace(SUPPLY, rungs=PHONE[2:]), 1.0).level == "360p"
    assert control.look(900_000, replace(SUPPLY, rungs=()), 1.0).level == SOURCE


def test_who_has_room_leaves_a_rung_that_is_gone_for_the_stream_as_it_is() -> None:
    control = QualityControl()
    control.begin(900_000, SUPPLY)
    assert control.look(50_000_000, replace(SUPPLY, rungs=PHONE[2:]), 1.0).level == SOURCE


def test_what_cannot_be_coded_again_is_had_as_it_is_with_the_reason() -> None:
    control = QualityControl()
    supply = replace(SUPPLY, rungs=(), unplayable="it is interlaced")
    for choice in (control.begin(50_000_000, supply), control.look(50_000_000, supply, 1.0)):
        assert (choice.level, choice.reason) == (SOURCE, "it is interlaced")


def test_without_rungs_there_is_nothing_to_choose() -> None:
    control = QualityControl()
    assert control.begin(100_000, replace(SUPPLY, rungs=())).level == SOURCE
    assert watch(control, 100_000, 10.0, 0.0, replace(SUPPLY, rungs=())) == [SOURCE]


def test_more_is_wanted_than_the_next_better_needs() -> None:
    control = QualityControl()
    control.begin(50_000_000, SUPPLY)
    assert control.wanted_bit_rate(SUPPLY) * 0.9 > SUPPLY.source_rate
    control.begin(900_000, SUPPLY)
    assert control.wanted_bit_rate(SUPPLY) * 0.9 > PHONE[0].floor


@given(st.lists(st.integers(0, 10_000_000), max_size=20))
def test_a_rung_is_coded_for_the_poorest_within_its_bounds(budgets: list[int]) -> None:
    rung = PHONE[1]
    bit_rate = bit_rate_of(rung, budgets)
    assert rung.floor <= bit_rate <= rung.ceiling
    if budgets and rung.floor <= min(budgets) <= rung.ceiling:
        assert bit_rate == min(budgets)


@given(st.lists(st.tuples(st.integers(0, 20_000_000), st.booleans()), max_size=100))
def test_whatever_the_estimates_are_a_level_is_chosen_that_there_is(words: list[tuple[int, bool]]) -> None:
    control = QualityControl()
    known = {SOURCE, *(rung.level for rung in PHONE)}
    for tick, (estimate, is_urgent) in enumerate(words):
        assert control.look(estimate, SUPPLY, tick * TICK, is_urgent=is_urgent).level in known

"""What is tried, and when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.ladder import FIRST_PAUSE, LONGEST_PAUSE, STEADY_AFTER, CaptureMode, Ladder

SCRCPY, SCREENRECORD, RAWVIDEO, SCREENCAP = CaptureMode


def ladder_of_all() -> Ladder:
    return Ladder(CaptureMode, {})


def test_the_best_is_chosen_first() -> None:
    assert ladder_of_all().choose(0.0) is SCRCPY
    assert Ladder([SCREENCAP, RAWVIDEO], {}).choose(0.0) is RAWVIDEO


def test_a_ladder_without_a_way_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Ladder([], {SCRCPY: "no jar"})


def test_what_fails_at_once_is_left_alone_and_the_next_is_taken() -> None:
    ladder = ladder_of_all()
    ladder.failed(SCRCPY, "no such class", 100.0, lasted=0.5)
    assert ladder.choose(100.0) is SCREENRECORD
    assert ladder.climb_at(SCREENRECORD) == 100.0 + FIRST_PAUSE
    assert ladder.better_than(SCREENRECORD, 100.0) is None
    assert ladder.better_than(SCREENRECORD, 100.0 + FIRST_PAUSE) is SCRCPY


def test_what_was_steady_is_tried_again_at_once() -> None:
    ladder = ladder_of_all()
    ladder.failed(SCRCPY, "the server died", 100.0, lasted=STEADY_AFTER)
    assert ladder.choose(100.0) is SCRCPY


def test_pauses_double_up_to_a_limit_and_are_short_again_after_steady_pictures() -> None:
    ladder = ladder_of_all()
    pauses = []
    for _ in range(8):
        ladder.failed(SCRCPY, "no", 0.0, lasted=0.0)
        pauses.append(ladder.climb_at(SCREENRECORD))
    assert pauses == [10.0, 20.0, 40.0, 80.0, 160.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    ladder.failed(SCRCPY, "no", 0.0, lasted=60.0)
    ladder.failed(SCRCPY, "no", 0.0, lasted=0.0)
    assert ladder.climb_at(SCREENRECORD) == FIRST_PAUSE


def test_what_is_forgiven_may_be_tried_at_once() -> None:
    ladder = ladder_of_all()
    for _ in range(3):
        ladder.failed(SCRCPY, "it is dark", 100.0, lasted=0.0)
    ladder.forgive(101.0)
    assert ladder.choose(101.0) is SCRCPY
    ladder.failed(SCRCPY, "it is dark", 101.0, lasted=0.0)
    assert ladder.climb_at(SCREENRECORD) == 101.0 + FIRST_PAUSE


def test_the_last_way_is_the_last_that_may_be_tried() -> None:
    ladder = Ladder([SCRCPY, SCREENRECORD], {SCREENCAP: "not wanted"})
    assert [ladder.is_last(mode) for mode in (SCRCPY, SCREENRECORD)] == [False, True]


def test_nothing_is_left_when_all_have_failed() -> None:
    ladder = Ladder([SCREENRECORD, SCREENCAP], {SCRCPY: "no jar"})
    ladder.failed(SCREENRECORD, "no encoder", 0.0, lasted=0.0)
    ladder.failed(SCREENCAP, "not found", 0.0, lasted=0.0)
    assert ladder.choose(0.0) is None
    assert ladder.complaints() == "screenrecord: no encoder; screencap: not found; scrcpy: no jar"


def test_it_says_why_nothing_better_is_taken() -> None:
    ladder = Ladder([SCREENRECORD, RAWVIDEO, SCREENCAP], {SCRCPY: "no jar"})
    assert ladder.why_not_better(SCREENRECORD) == "not scrcpy: no jar"
    ladder.failed(SCREENRECORD, "no encoder", 0.0, lasted=0.0)
    assert ladder.why_not_better(RAWVIDEO) == "not scrcpy: no jar; not screenrecord: no encoder"
    assert Ladder(CaptureMode, {}).why_not_better(SCREENCAP) == ""


def test_the_best_has_nothing_to_climb_to() -> None:
    ladder = ladder_of_all()
    assert ladder.climb_at(SCRCPY) is None
    assert ladder.better_than(SCRCPY, 1e9) is None


@given(st.lists(st.tuples(st.sampled_from(CaptureMode), st.floats(0, 100), st.floats(0, 100))))
def test_every_way_comes_back_in_the_end(failures: list[tuple[CaptureMode, float, float]]) -> None:
    ladder = ladder_of_all()
    now = 0.0
    for mode, after, lasted in failures:
        now += after
        ladder.failed(mode, "no", now, lasted=lasted)
    assert ladder.choose(now + LONGEST_PAUSE) is SCRCPY

"""What may leave now, what waits, and what is given up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.bandwidth import Probe
from media_service.rtc.header_extensions import packet_shape
from media_service.rtc.pacer import PACING_INTERVAL, Backlog, Budget, Padding, Part, room
from media_service.rtc.picture import Picture
from tests.rtc.samples import TRACK, keyframe, predicted

SHAPE = packet_shape(TRACK, 16)
OVERHEAD = SHAPE.header_size + SHAPE.tag_size


def octets_of(picture: Picture) -> int:
    return sum(len(payload) + OVERHEAD for payload in picture.payloads)


def waiting(*pictures: Picture) -> Backlog:
    backlog = Backlog()
    for picture in pictures:
        backlog.append(picture, SHAPE, picture.number, octets_of(picture))
    return backlog


def numbers(backlog: Backlog) -> list[int]:
    """The pictures that wait, which then do no more."""
    found = []
    while (part := backlog.take(1e9, 0)) is not None:
        found.append(part.timestamp)
    return found


def picture(number: int, size: int = 5000, *, is_keyframe: bool = False) -> Picture:
    return Picture(keyframe(size) if is_keyframe else predicted(size), number, 0.0)


def test_a_budget_is_one_interval_at_most() -> None:
    budget = Budget()
    assert budget.earn(100_000, 10.0) == 100_000 * PACING_INTERVAL
    budget.spend(4000)
    assert budget.earn(100_000, 10.01) == pytest.approx(1000)
    assert budget.earn(100_000, 11.0) == 4000
    assert budget.earn(50_000, 11.0) == 2000, "the path carries less now"
    assert budget.spent == 4000


def test_what_was_overspent_is_made_up_for() -> None:
    budget = Budget()
    budget.earn(100_000, 10.0)
    budget.spend(7000)
    assert budget.earn(100_000, 10.02) == pytest.approx(-1000)
    assert budget.earn(100_000, 10.04) == pytest.approx(1000)
    assert budget.earn(100_000, 10.01) == pytest.approx(1000), "time does not go back"


@given(
    st.lists(st.tuples(st.floats(0, 0.2), st.integers(0, 5000)), max_size=100),
    st.integers(10_000, 1_000_000),
)
def test_nobody_is_ever_further_ahead(steps: list[tuple[float, int]], rate: int) -> None:
    budget, now = Budget(), 5.0
    left: list[tuple[float, int]] = []
    for delay, octets in steps:
        now += delay
        if octets <= budget.earn(rate, now):
            budget.spend(octets)
            left.append((now, octets))
    for index, (begin, _) in enumerate(left):
        for end in range(index, len(left)):
            sent = sum(octets for _, octets in left[index : end + 1])
            assert sent <= rate * (left[end][0] - begin + PACING_INTERVAL) + 1e-3


def test_a_picture_leaves_part_by_part() -> None:
    whole = picture(1, 5000)
    backlog = waiting(whole)
    parts: list[Part] = []
    while (part := backlog.take(2000, 100 + sum(len(each.payloads) for each in parts))) is not None:
        parts.append(part)
    assert [len(part.payloads) for part in parts] == [2, 2, 1]
    assert sum((part.payloads for part in parts), ()) == whole.payloads
    assert [part.is_last for part in parts] == [False, False, True]
    assert (backlog.octets, len(backlog)) == (0, 0)


def test_nothing_leaves_without_budget() -> None:
    backlog = waiting(picture(1))
    before = backlog.octets
    assert backlog.take(0, 1) is None
    assert backlog.take(-5, 1) is None
    assert backlog.octets == before


def test_the_smallest_budget_lets_one_packet_go() -> None:
    part = waiting(picture(1)).take(0.5, 1)
    assert part is not None
    assert len(part.payloads) == 1


def test_a_keyframe_overtakes_what_it_does_not_need() -> None:
    backlog = waiting(picture(1), picture(2), picture(3))
    backlog.take(2000, 1)
    assert backlog.overtake(10_000) == 3
    assert (backlog.octets, len(backlog)) == (0, 0)


def test_a_keyframe_that_has_begun_to_leave_goes_on() -> None:
    first = picture(1, 20_000, is_keyframe=True)
    backlog = waiting(first, picture(2), picture(3))
    assert waiting(first).begun_keyframe is None
    backlog.take(2000, 77)
    assert backlog.begun_keyframe == 77
    assert backlog.overtake(octets_of(first)) == 2
    assert backlog.octets == octets_of(first) - sum(len(payload) + OVERHEAD for payload in first.payloads[:3])
    backlog.append(picture(4, 20_000, is_keyframe=True), SHAPE, 4, octets_of(first))
    assert backlog.overtake(octets_of(first)) == 1, "that one had not begun"
    assert numbers(backlog) == [1]


def test_a_keyframe_that_is_through_before_the_rest_of_another_overtakes_it() -> None:
    backlog = waiting(picture(1, 20_000, is_keyframe=True))
    backlog.take(2000, 77)
    assert backlog.overtake(5000) == 1
    assert (backlog.octets, len(backlog)) == (0, 0)


def test_keyframes_are_kept_when_it_is_too_much() -> None:
    backlog = waiting(picture(1, is_keyframe=True), picture(2), picture(3))
    assert backlog.thin() == 2
    assert [backlog.has_keyframe, numbers(backlog), backlog.has_keyframe] == [True, [1], False]
    assert waiting(picture(1), picture(2)).thin() == 2


@given(st.lists(st.tuples(st.sampled_from("KPPTTTOC"), st.integers(1, 9000)), max_size=60))
def test_the_octets_are_those_of_what_waits(steps: list[tuple[str, int]]) -> None:
    backlog, expected = Backlog(), 0
    for number, (step, amount) in enumerate(steps):
        if step in "KP":
            added = picture(number, max(50, amount), is_keyframe=step == "K")
            backlog.append(added, SHAPE, number, octets_of(added))
            expected += octets_of(added)
        elif step == "T":
            part = backlog.take(amount, number)
            if part is not None:
                expected -= sum(len(payload) + OVERHEAD for payload in part.payloads)
        else:
            if step == "O":
                backlog.overtake(amount)
            else:
                backlog.thin()
            expected = backlog.octets
        assert backlog.octets == expected >= 0
        assert bool(backlog.octets) is bool(len(backlog))
    while (part := backlog.take(1000, 1)) is not None:
        expected -= sum(len(payload) + OVERHEAD for payload in part.payloads)
    assert expected == 0


def test_there_is_always_room_for_a_keyframe() -> None:
    assert room(1_000_000, 5000) == 1_000_000 / 8 * 0.25
    assert room(1_000_000, 100_000) == 150_000


def test_padding_is_what_is_missing_to_the_probe() -> None:
    padding = Padding(Probe(800_000, 0.1), 5000, 20.0)
    assert padding.rate == 100_000
    assert padding.due(5000, 20.01) == pytest.approx(1000)
    assert padding.due(6500, 20.01) < 0, "pictures took the place"
    assert padding.due(6500, 20.05) == pytest.approx(3500)
    assert padding.due(6500, 25.0) == pytest.approx(8500), "no more than the probe's time is worth"
    assert not padding.is_over(20.099)
    assert padding.is_over(20.101)

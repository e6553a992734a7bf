"""A viewer's way from the last keyframe to live: which pictures it gets, and at which timestamps."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_service.rtc.picture import CLOCK_RATE, GopCache, Picture
from media_service.rtc.replay import Replay
from media_service.rtc.viewer import Viewer
from tests.rtc.joined import JoinedEnds, StillOutlet
from tests.rtc.samples import TRACK, group

INTERVAL = CLOCK_RATE // 30


def filled(pictures: list[Picture], cache: GopCache | None = None) -> GopCache:
    cache = cache or GopCache()
    for picture in pictures:
        cache.add(picture)
    return cache


def taken(replay: Replay, count: int | None = None) -> list[tuple[int, int]]:
    """(number, timestamp) of the next pictures, which the viewer then has."""
    found: list[tuple[int, int]] = []
    while count is None or len(found) < count:
        following = replay.next_picture()
        if following is None:
            break
        picture, timestamp = following
        replay.viewer.last_timestamp = timestamp
        found.append((picture.number, timestamp))
    return found


@pytest.fixture
def viewer(joined: JoinedEnds) -> Viewer:
    return joined.viewer(TRACK, StillOutlet())


def test_a_new_viewer_ends_at_the_newest_pictures_own_timestamp(viewer: Viewer) -> None:
    pictures = group(100)
    found = taken(Replay(viewer, filled(pictures)))
    assert [number for number, _ in found] == list(range(1, 101))
    assert [timestamp for _, timestamp in found] == [pictures[-1].timestamp - 90 * back for back in range(99, -1, -1)]


@pytest.mark.parametrize("count", [1, 2, 30, 300, 900])
def test_a_viewer_that_was_live_is_through_before_the_next_live_picture(viewer: Viewer, count: int) -> None:
    pictures = group(count)
    last = viewer.last_timestamp = pictures[-1].timestamp
    stamps = [timestamp for _, timestamp in taken(Replay(viewer, filled(pictures)))]
    assert len(stamps) == count
    assert stamps == sorted(set(stamps))
    assert last < stamps[0]
    assert stamps[-1] < last + INTERVAL


def test_what_came_meanwhile_keeps_its_own_timestamp(viewer: Viewer) -> None:
    pictures = group(12)
    cache = filled(pictures[:10])
    replay = Replay(viewer, cache)
    taken(replay, 5)
    filled(pictures[10:], cache)
    found = taken(replay)
    assert [number for number, _ in found] == [6, 7, 8, 9, 10, 11, 12]
    assert [timestamp for _, timestamp in found[-2:]] == [picture.timestamp for picture in pictures[10:]]
    assert replay.next_picture() is None
    assert not replay.is_broken


def test_a_picture_that_follows_quickly_does_not_go_back_in_time(viewer: Viewer) -> None:
    pictures = group(10)
    cache = filled(pictures)
    last = viewer.last_timestamp = pictures[-1].timestamp
    replay = Replay(viewer, cache)
    squeezed_end = taken(replay)[-1][1]
    cache.add(group(2, first=10, begin=pictures[-1].captured_at, interval=1 / 240)[1])
    assert last + CLOCK_RATE // 240 < squeezed_end
    assert taken(replay) == [(11, squeezed_end + 1)]


def test_a_new_keyframe_shortens_the_way(viewer: Viewer) -> None:
    cache = filled(group(50))
    replay = Replay(viewer, cache)
    before = taken(replay, 20)
    filled(group(3, first=51, begin=102.0), cache)
    after = taken(replay)
    assert [number for number, _ in before + after] == [*range(1, 21), 51, 52, 53]
    stamps = [timestamp for _, timestamp in before + after]
    assert stamps == sorted(set(stamps))


def test_a_group_that_became_too_long_breaks_the_replay(viewer: Viewer) -> None:
    cache = filled(group(10))
    replay = Replay(viewer, cache)
    taken(replay, 3)
    cache.clear()
    assert replay.next_picture() is None
    assert replay.is_broken


@given(st.data())
@settings(max_examples=60)
def test_timestamps_always_rise_and_no_picture_is_left_out(data: st.DataObject) -> None:
    # A stand-in would do, but Hypothesis and the fixture's event loop do not mix: the attributes are all that is read.
    viewer = Viewer.__new__(Viewer)
    viewer.last_timestamp, viewer.picture_number, viewer.has_gap = None, -1, True
    cache, number, now = GopCache(), 0, 100.0
    replay: Replay | None = None
    stamps: list[int] = []
    numbers: list[int] = []
    for step in data.draw(st.lists(st.sampled_from("KPPPPTTTTTTR"), max_size=80)):
        if step in "KP" and (step == "K" or cache.pictures):
            number, now = number + 1, now + data.draw(st.sampled_from((0.0, 1 / 240, 1 / 30, 0.5)))
            cache.add(group(1, first=number, begin=now)[0] if step == "K" else group(2, first=number - 1, begin=now)[1])
        elif step == "R" and cache.pictures:
            replay = Replay(viewer, cache)
            numbers.clear()
        elif step == "T" and replay is not None:
            for taken_number, timestamp in taken(replay, 1):
                stamps.append(timestamp)
                is_keyframe = taken_number == cache.pictures[0].number
                assert is_keyframe or taken_number == numbers[-1] + 1
                numbers.append(taken_number)
    assert all(before < after for before, after in pairwise(stamps))


def test_a_viewer_who_has_all_that_was_sent_goes_on_where_it_was_left(viewer: Viewer) -> None:
    pictures = group(100)
    viewer.has_gap, viewer.picture_number = False, pictures[59].number
    last = viewer.last_timestamp = pictures[59].timestamp
    found = taken(Replay(viewer, filled(pictures)))
    assert [number for number, _ in found] == [picture.number for picture in pictures[60:]]
    assert last < found[0][1]
    assert [timestamp for _, timestamp in found] == sorted({timestamp for _, timestamp in found})


@pytest.mark.parametrize("number", [-1, 0, 150])
def test_a_viewer_who_was_left_outside_the_group_begins_with_its_keyframe(viewer: Viewer, number: int) -> None:
    pictures = group(10, first=20)
    viewer.has_gap, viewer.picture_number, viewer.last_timestamp = False, number, 5
    assert taken(Replay(viewer, filled(pictures)))[0][0] == 20


def test_a_viewer_who_misses_nothing_is_at_the_end_at_once(viewer: Viewer) -> None:
    pictures = group(10)
    viewer.has_gap, viewer.picture_number, viewer.last_timestamp = False, pictures[-1].number, pictures[-1].timestamp
    assert taken(Replay(viewer, filled(pictures))) == []


def test_what_is_left_of_it(viewer: Viewer) -> None:
    pictures = group(10)
    cache = filled(pictures)
    replay = Replay(viewer, cache)
    assert replay.octets_left == sum(picture.octets for picture in pictures)
    taken(replay, 4)
    assert replay.octets_left == sum(picture.octets for picture in pictures[4:])
    filled(group(3, first=11, begin=102.0), cache)
    assert replay.octets_left == cache.octets
    taken(replay)
    assert replay.octets_left == 0
    viewer.has_gap, viewer.picture_number = False, 12
    assert Replay(viewer, cache).octets_left == cache.pictures[-1].octets
    cache.clear()
    assert replay.octets_left == 0

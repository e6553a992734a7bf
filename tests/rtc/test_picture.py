"""Pictures on their way out, and the group that a new viewer needs."""

from media_service.rtc.packetizer import packetize
from media_service.rtc.picture import GopCache, Picture
from tests.rtc.samples import group, keyframe, predicted


def test_a_picture_knows_its_access_unit() -> None:
    access_unit = keyframe(3000, captured_at=2.5)
    picture = Picture(access_unit, 7, ready_at=2.6)
    assert (picture.number, picture.is_keyframe, picture.ready_at, picture.captured_at) == (7, True, 2.6, 2.5)
    assert picture.timestamp == 225_000
    assert picture.octets == access_unit.size
    assert picture.payloads == packetize(access_unit.nal_units)
    assert picture.payloads is picture.payloads


def test_the_cache_is_empty_until_a_keyframe() -> None:
    cache = GopCache()
    for number in range(3):
        cache.add(Picture(predicted(), number, 0.0))
    assert cache.pictures == []


def test_the_cache_holds_everything_since_the_keyframe() -> None:
    cache = GopCache()
    first, second = group(5), group(3, first=6)
    for picture in first:
        cache.add(picture)
    held = cache.pictures
    assert held == first
    assert cache.octets == sum(picture.octets for picture in first)
    for picture in second:
        cache.add(picture)
    assert cache.pictures == second
    assert cache.octets == sum(picture.octets for picture in second)
    assert held == first, "a replay that reads the old group keeps it"


def test_a_group_of_too_many_pictures_is_not_kept() -> None:
    cache = GopCache(largest_count=4)
    pictures = group(6)
    for picture in pictures[:4]:
        cache.add(picture)
    assert len(cache.pictures) == 4
    cache.add(pictures[4])
    assert (cache.pictures, cache.octets) == ([], 0)
    cache.add(pictures[5])
    assert cache.pictures == [], "without its keyframe a picture is worth nothing"
    cache.add(group(1)[0])
    assert len(cache.pictures) == 1


def test_a_group_of_too_many_bytes_is_not_kept() -> None:
    cache = GopCache(largest_size=10_000)
    cache.add(Picture(keyframe(8000), 1, 0.0))
    cache.add(Picture(predicted(1500), 2, 0.0))
    assert len(cache.pictures) == 2
    cache.add(Picture(predicted(1500), 3, 0.0))
    assert cache.pictures == []

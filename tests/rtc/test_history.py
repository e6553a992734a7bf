"""What can be sent again, and how often."""

from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.header_extensions import packet_shape
from media_service.rtc.history import HISTORY_SECONDS, History, SentBurst, SentPacket
from tests.rtc.samples import TRACK

ROUND_TRIP = 0.05


SHAPE = packet_shape(TRACK, 16)


def sent(first_sequence: int, count: int, at: float, *, ends_picture: bool = True) -> SentBurst:
    """A picture, or a part of one, whose payloads say which packet they are."""
    payloads = tuple(b"%d" % (first_sequence + index) for index in range(count))
    timestamp, number = first_sequence * 10, first_sequence + 7000
    return SentBurst(first_sequence, payloads, timestamp, b"\0\0\1", at, SHAPE, ends_picture, number)


def packet(sequence: int, timestamp: int, *, is_last: bool) -> SentPacket:
    """The packet as `sent` had it sent."""
    return SentPacket(sequence, b"%d" % sequence, timestamp, b"\0\0\1", is_last, SHAPE, sequence + 7000)


def test_nothing_was_sent() -> None:
    assert History().find(0) is None


def test_a_packet_is_found_as_it_was_sent() -> None:
    history = History()
    history.add(sent(100, 3, 1.0))
    history.add(sent(103, 1, 1.1))
    assert history.find(99) is None
    assert history.find(100) == packet(100, 1000, is_last=False)
    assert history.find(102) == packet(102, 1000, is_last=True)
    assert history.find(103) == packet(103, 1030, is_last=True)
    assert history.find(104) is None


@given(
    st.integers(0, 200_000),
    st.lists(st.integers(1, 40), min_size=1, max_size=60),
    st.integers(0, 0xFFFF),
)
def test_every_sequence_number_is_looked_up_right(first: int, counts: list[int], asked: int) -> None:
    history = History()
    by_number: dict[int, bytes] = {}
    sequence = first
    for index, count in enumerate(counts):
        picture = sent(sequence, count, index / 100)
        history.add(picture)
        by_number |= {sequence + at & 0xFFFF: payload for at, payload in enumerate(picture.payloads)}
        sequence += count
    for number in (asked, first & 0xFFFF, first - 1 & 0xFFFF, sequence - 1 & 0xFFFF, sequence & 0xFFFF):
        found = history.find(number)
        assert (found.payload if found else None) == by_number.get(number)


def test_a_gap_in_the_numbering_is_not_found() -> None:
    history = History()
    history.add(sent(10, 2, 1.0))
    history.add(sent(15, 2, 1.0))
    assert [number for number in range(8, 20) if history.find(number)] == [10, 11, 15, 16]


def test_it_is_kept_by_time_and_not_by_count() -> None:
    history = History()
    for number in range(1000):
        history.add(sent(number, 1, 1.0 + number / 1000))
    assert history.find(0) is not None
    history.add(sent(1000, 1, 1.0 + HISTORY_SECONDS + 0.0105))
    assert history.find(10) is None
    assert history.find(11) is not None


def test_a_packet_is_repeated_once_per_round_trip() -> None:
    history = History()
    assert history.may_repeat(7, 10.0, ROUND_TRIP)
    assert not history.may_repeat(7, 10.049, ROUND_TRIP)
    assert history.may_repeat(8, 10.049, ROUND_TRIP)
    assert history.may_repeat(7, 10.051, ROUND_TRIP)
    assert not history.may_repeat(7, 10.1, ROUND_TRIP)


def test_a_thousand_packets_per_second_are_repeated_in_all() -> None:
    history = History()
    granted = [number for number in range(3000) if history.may_repeat(number, 10.0, ROUND_TRIP)]
    assert granted == list(range(1000))
    later = [number for number in range(3000, 4000) if history.may_repeat(number, 10.125, ROUND_TRIP)]
    assert later == list(range(3000, 3125))


def test_a_steady_thousand_per_second_is_granted_for_ever() -> None:
    history = History()
    now = 10.0
    for number in range(20_000):
        now += 0.001
        assert history.may_repeat(number & 0xFFFF, now, ROUND_TRIP)
    assert not history.may_repeat(19_999, now, ROUND_TRIP)


def test_a_part_of_a_picture_has_no_last_packet() -> None:
    history = History()
    history.add(sent(100, 3, 1.0, ends_picture=False))
    history.add(sent(103, 2, 1.1))
    assert history.find(102) == packet(102, 1000, is_last=False)
    assert history.find(104) == packet(104, 1030, is_last=True)


def test_what_is_given_up_is_known_as_such() -> None:
    history = History()
    assert not history.is_abandoned(5)
    history.add(sent(0xFFFE, 4, 1.0))
    history.abandon(0x10000)
    history.abandon(0xFFFF)
    abandoned = [number & 0xFFFF for number in range(0xFFF0, 0x10002) if history.is_abandoned(number & 0xFFFF)]
    assert abandoned == [*range(0xFFF0, 0x10000)]


def test_large_packets_of_late_are_found() -> None:
    history = History()
    for number in range(50):
        payloads = (bytes(1180), bytes(1180), bytes(100 + number))
        history.add(SentBurst(3 * number, payloads, number, b"", 1 + number / 100, SHAPE, True, 0))
    found = history.large_packets(6)
    assert [len(each.payload) for each in found] == [1180] * 6
    assert min(each.sequence for each in found) >= 3 * 47
    history.abandon(3 * 49)
    assert [each.sequence for each in history.large_packets(6)] == [148, 147, 149]
    history.abandon(3 * 50)
    assert history.large_packets(6) == []


def test_small_packets_are_better_than_none() -> None:
    history = History()
    for number in range(2000):
        history.add(SentBurst(number, (bytes(1 + number % 200),), number, b"", 1.0, SHAPE, True, 0))
    found = history.large_packets(5)
    assert [len(each.payload) for each in found] == [200, 200, 199, 199, 198]
    assert min(each.sequence for each in found) > 1500

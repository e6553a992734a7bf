"""What feedback says of what was sent, each packet once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.congestion.sent_packets import Reported, SentPackets
from media_service.rtc.rtcp import TRANSPORT_FEEDBACK_PERIOD, TransportFeedback


def feedback(first: int, *arrivals: float | None) -> TransportFeedback:
    return TransportFeedback(first & 0xFFFF, arrivals, 0)


def counts(reported: Reported) -> tuple[int, int]:
    return reported.received, reported.lost


def test_a_burst_is_told_of_whole() -> None:
    sent = SentPackets()
    sent.add(10, (100, 200, 300), 1.0)
    sent.add(13, (400,), 1.1)
    reported = sent.reported(feedback(10, 5.0, 5.2, 5.1, None), 1.3)
    assert counts(reported) == (3, 1)
    assert reported.end == 14
    (reception,) = reported.receptions
    assert (reception.first, reception.sent_at, reception.octets, reception.first_octets) == (10, 1.0, 600, 100)
    assert (reception.begin, reception.end, reception.is_start) == (5.0, 5.2, True)


def test_a_burst_may_be_told_of_in_parts() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 4, 1.0)
    assert sent.reported(feedback(0, 5.0, 5.1), 1.2).receptions[0].is_start
    rest = sent.reported(feedback(2, 5.2, 5.3), 1.3).receptions[0]
    assert (rest.octets, rest.is_start, rest.burst_begin) == (200, False, 5.0)


def test_what_is_told_twice_counts_once() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 4, 1.0)
    told = feedback(0, 5.0, None, 5.1, 5.1)
    assert counts(sent.reported(told, 1.2)) == (3, 1)
    assert counts(sent.reported(told, 1.3)) == (0, 0)


def test_what_arrives_late_was_not_lost() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 3, 1.0)
    assert counts(sent.reported(feedback(0, 5.0, None, 5.1), 1.2)) == (2, 1)
    assert counts(sent.reported(feedback(1, 5.2), 1.3)) == (1, -1)


@pytest.mark.parametrize("first", [500, -500, 0x8000, 4])
def test_what_was_never_sent_is_not_told_of(first: int) -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 4, 1.0)
    assert counts(sent.reported(feedback(first, *[5.0] * 100), 1.2)) == (0, 0)


def test_numbers_and_times_go_on_over_their_wraps() -> None:
    sent = SentPackets()
    sent.add(0x1FFFE, (100, 100), 1.0)
    sent.add(0x20000, (100, 100), 1.1)
    late = TRANSPORT_FEEDBACK_PERIOD - 0.05
    before = sent.reported(feedback(0xFFFE, late, late), 1.2)
    after = sent.reported(feedback(0, 0.05, 0.06), 1.3)
    assert counts(before) == counts(after) == (2, 0)
    assert after.receptions[0].begin - before.receptions[0].begin == pytest.approx(0.1)
    assert not after.clock_jumped


def test_a_clock_that_jumps_is_noticed() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 3, 1.0)
    assert not sent.reported(feedback(0, 50.0), 1.1).clock_jumped
    assert not sent.reported(feedback(1, 50.5), 1.6).clock_jumped
    assert sent.reported(feedback(2, 90.0), 1.7).clock_jumped


def test_whole_bursts_are_told_of_without_taking_note() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 3, 1.0)
    sent.add(3, (100, 50), 1.1)
    sent.add(5, (100,), 1.2)
    told = feedback(0, 5.0, 5.01, 5.02, 5.125, 5.13)
    for _ in range(2):
        assert sent.whole_bursts(told) == [(1.0, 5.0, 5.02, 300), (1.1, 5.125, 5.13, 150)]
    assert counts(sent.reported(told, 1.3)) == (5, 0)
    assert sent.whole_bursts(told) == []


def test_what_is_forgotten_is_no_news() -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 3, 1.0)
    sent.add(3, (100,) * 2, 1.1)
    told = feedback(0, 5.0, 5.0, 5.0)
    sent.forget(told, 5.0, 1.2)
    assert counts(sent.reported(told, 1.3)) == (0, 0)
    assert counts(sent.reported(feedback(0, 5.0, 5.0, 5.0, 5.1, 5.1), 1.3)) == (2, 0)


@pytest.mark.parametrize(
    "told",
    [
        feedback(0, 5.0, None, 5.0),
        feedback(0, 5.0, 5.0),
        feedback(1, 5.0, 5.0),
        feedback(0, 5.0, 5.0, 5.0, 5.0),
        feedback(0, *[5.0] * 7),
        feedback(900, 5.0),
        feedback(-1, *[5.0] * 4),
    ],
    ids=["lost", "cut", "begun_before", "next_one_cut", "beyond", "unsent", "before"],
)
def test_of_bursts_in_part_none_is_told(told: TransportFeedback) -> None:
    sent = SentPackets()
    sent.add(0, (100,) * 3, 1.0)
    sent.add(3, (100,) * 3, 1.1)
    assert sent.whole_bursts(told) == []


def test_the_memory_is_bounded() -> None:
    sent = SentPackets()
    for number in range(20_000):
        sent.add(number, (100,), number / 1e6)
    assert counts(sent.reported(feedback(0, *[1.0] * 20_000), 1.0))[0] <= 4096
    sent = SentPackets()
    for number in range(100):
        sent.add(number, (100,), float(number))
    assert 3 <= counts(sent.reported(feedback(0, *[1.0] * 100), 1.0))[0] <= 7


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 60), st.lists(st.booleans(), min_size=1, max_size=40)), max_size=10),
)
def test_whatever_the_order_each_packet_counts_as_it_was_last_seen(
    bursts: list[int], reports: list[tuple[int, list[bool]]]
) -> None:
    sent = SentPackets()
    for size in bursts:
        sent.add(sent.end, (100,) * size, 1.0)
    arrived: set[int] = set()
    told: set[int] = set()
    received = lost = octets = 0
    for first, seen in reports:
        first %= sent.end
        reported = sent.reported(feedback(first, *[5.0 if each else None for each in seen]), 1.2)
        numbers = [(number, each) for number, each in enumerate(seen, first) if number < sent.end]
        told.update(number for number, _ in numbers)
        arrived.update(number for number, each in numbers if each)
        received, lost = received + reported.received, lost + reported.lost
        octets += sum(each.octets for each in reported.receptions)
    assert (received, octets, lost) == (len(arrived), 100 * len(arrived), len(told - arrived))

import math
from collections.abc import Sequence
from itertools import groupby, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.link.impairment import Direction, Impairment, queue_bytes
from benchmarks.link.wire import Answer, Ask, Change, parse_answer, parse_request, serialize

MEGABIT = 1_000_000
PACKET = bytes(1250)
"""10,000 bits: 10 ms at a megabit per second."""


def direction(impairment: Impairment) -> Direction:
    return Direction(impairment, Random(1))


def arrivals(tried: Direction, until: float = math.inf) -> list[float]:
    return [at for at, _ in tried.take(until)]


def test_without_faults_a_packet_arrives_at_once() -> None:
    tried = direction(Impairment())
    tried.put(PACKET, 5.0)
    assert tried.due() == 5.0
    assert tried.take(5.0) == [(5.0, PACKET)]
    assert tried.due() is None


def test_a_delay_is_added_to_each_packet() -> None:
    tried = direction(Impairment(delay=0.05))
    tried.put(PACKET, 1.0)
    tried.put(PACKET, 1.01)
    assert arrivals(tried, 1.055) == [1.05]
    assert tried.due() == pytest.approx(1.06)
    assert arrivals(tried) == [pytest.approx(1.06)]


def test_a_shorter_delay_does_not_overtake() -> None:
    tried = direction(Impairment(delay=0.5))
    tried.put(b"first", 1.0)
    tried.change(Impairment(delay=0.1), 1.1)
    tried.put(b"second", 1.1)
    assert tried.take(9.0) == [(1.5, b"first"), (1.5, b"second")]


def test_packets_pass_the_bottleneck_one_after_the_other() -> None:
    tried = direction(Impairment(delay=0.1, bit_rate=MEGABIT))
    for _ in range(3):
        tried.put(PACKET, 1.0)
    tried.put(PACKET, 2.0)
    assert arrivals(tried) == pytest.approx([1.11, 1.12, 1.13, 2.11])


def test_what_finds_the_queue_full_is_dropped() -> None:
    tried = direction(Impairment(bit_rate=MEGABIT, queue=2 * len(PACKET)))
    for _ in range(5):
        tried.put(PACKET, 1.0)
    assert (tried.counts.packets, tried.counts.dropped) == (5, 2)
    assert arrivals(tried) == pytest.approx([1.01, 1.02, 1.03])
    assert tried.counts.delivered_octets == 3 * len(PACKET)


def test_an_idle_bottleneck_takes_a_packet_even_without_a_queue() -> None:
    tried = direction(Impairment(bit_rate=MEGABIT, queue=0))
    tried.put(PACKET, 1.0)
    tried.put(PACKET, 1.005)
    tried.put(PACKET, 1.02)
    assert tried.counts.dropped == 1
    assert arrivals(tried) == pytest.approx([1.01, 1.03])


def test_who_waits_when_the_rate_falls_passes_at_the_new_rate() -> None:
    tried = direction(Impairment(bit_rate=MEGABIT))
    tried.put(PACKET, 1.0)
    tried.put(PACKET, 1.0)
    tried.change(Impairment(bit_rate=MEGABIT // 10), 1.005)
    assert arrivals(tried) == pytest.approx([1.055, 1.155])


def test_who_waits_when_the_bottleneck_goes_passes_at_once() -> None:
    tried = direction(Impairment(bit_rate=MEGABIT))
    for _ in range(3):
        tried.put(PACKET, 1.0)
    tried.change(Impairment(delay=0.1), 1.005)
    assert arrivals(tried) == pytest.approx([1.105, 1.105, 1.105])


@pytest.mark.parametrize("burst", [None, 1.0, 8.0])
def test_as_many_are_lost_as_it_says(burst: float | None) -> None:
    tried = direction(Impairment(loss=0.05, burst=burst))
    for number in range(100_000):
        tried.put(b"", float(number))
        tried.take(float(number))
    assert tried.counts.lost / tried.counts.packets == pytest.approx(0.05, rel=0.1)
    assert tried.counts.delivered + tried.counts.lost == tried.counts.packets


def test_bursts_are_as_long_as_it_says() -> None:
    tried = direction(Impairment(loss=0.05, burst=8.0))
    losses = lost_in_order(tried, 100_000)
    runs = [len(list(run)) for is_lost, run in groupby(losses) if is_lost]
    assert sum(runs) / len(runs) == pytest.approx(8.0, rel=0.1)


def test_the_same_seed_loses_the_same_packets() -> None:
    first, second = (lost_in_order(direction(Impairment(loss=0.3)), 200) for _ in range(2))
    assert first == second
    assert 0 < sum(first) < 200


def lost_in_order(tried: Direction, count: int) -> list[bool]:
    losses = []
    for number in range(count):
        before = tried.counts.lost
        tried.put(b"", float(number))
        tried.take(float(number))
        losses.append(tried.counts.lost > before)
    return losses


def test_a_line_without_a_rate_is_bounded_too() -> None:
    tried = direction(Impairment(delay=1.0))
    for _ in range(20_001):
        tried.put(b"", 1.0)
    assert tried.counts.overflowed == 1


impairments = st.builds(
    Impairment,
    delay=st.floats(0, 2),
    loss=st.floats(0, 0.9),
    burst=st.none() | st.floats(1, 20),
    bit_rate=st.none() | st.integers(10_000, 10**9),
    queue=st.integers(0, 10**6),
)


@given(st.lists(st.tuples(st.floats(0, 0.1), st.integers(0, 1500) | impairments), max_size=60), impairments)
def test_whatever_happens_packets_arrive_in_order_or_are_counted(
    events: Sequence[tuple[float, int | Impairment]], begin: Impairment
) -> None:
    tried, now, number, taken = direction(begin), 0.0, 0, list[tuple[float, bytes]]()
    for pause, event in events:
        now += pause
        if isinstance(event, Impairment):
            tried.change(event, now)
        else:
            tried.put(number.to_bytes(4, "big") + bytes(event), now)
            number += 1
        taken += tried.take(now)
        due = tried.due()
        assert due is None or due >= now
    while (due := tried.due()) is not None:
        taken += tried.take(due)
    counts = tried.counts
    assert counts.delivered == len(taken)
    assert counts.delivered + counts.lost + counts.dropped + counts.overflowed == counts.packets == number
    assert all(earlier[0] <= later[0] and earlier[1][:4] < later[1][:4] for earlier, later in pairwise(taken))


@pytest.mark.parametrize(
    ("name", "value"), [("loss", 1.0), ("loss", -0.1), ("burst", 0.5), ("delay", -1.0), ("bit_rate", 0), ("queue", -1)]
)
def test_what_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        Impairment(**{name: value})  # type: ignore[arg-type]  # int and float are both tried


def test_a_queue_is_as_long_as_it_takes_to_empty() -> None:
    assert queue_bytes(MEGABIT, 0.3) == 37_500


@given(impairments, impairments)
def test_requests_and_answers_survive_the_wire(down: Impairment, up: Impairment) -> None:
    for request in (Change(down, up), Ask()):
        assert parse_request(serialize(request)) == request
    counts = direction(down).snapshot()
    answer = Answer(1.5, 2.5, counts, counts, 3, 0.25, 0.5)
    assert parse_answer(serialize(answer)) == answer

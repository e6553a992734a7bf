"""When probes are asked for, and what their arrival shows."""

import pytest

from media_service.rtc.bandwidth import Probe, RateLimits
from media_service.rtc.congestion.probing import ProbeResult, Probing
from media_service.rtc.congestion.sent_packets import SentPackets
from media_service.rtc.rtcp import TransportFeedback

MEGABIT = 1_000_000
TICK = 0.005


def begun(bit_rate: float = 3 * MEGABIT, wanted: float = 20 * MEGABIT) -> tuple[Probing, Probe]:
    probing = Probing(RateLimits())
    probe = probing.next(bit_rate, wanted, 0.1, 1.0)
    assert probe is not None
    return probing, probe


def carried(
    probing: Probing, probe: Probe, capacity: float, *, filled: float = 1.0, lost: int = 0
) -> ProbeResult | None:
    """What it shows on a path of `capacity` that was sent `filled` of the probe; every `lost`th packet is lost."""
    sent, now, free_at, due = SentPackets(), 1.0, 0.0, 0.0
    arrivals: list[float | None] = []
    while now < 1.0 + probe.seconds:
        due += filled * probe.bit_rate * TICK / 8
        count = int(due // 1200)
        due -= 1200 * count
        if count:
            probing.sent(sent.add(sent.end, (1200,) * count, now))
        for _ in range(count):
            free_at = max(free_at, now) + 9600 / capacity
            arrivals.append(None if lost and len(arrivals) % lost == lost - 1 else free_at)
        now += TICK
    reported = sent.reported(TransportFeedback(0, tuple(arrivals), 0), 1.2)
    for reception in reported.receptions:
        probing.received(reception)
    return probing.result(reported.end, 3 * MEGABIT, 1.2)


@pytest.mark.parametrize(
    ("bit_rate", "wanted", "tried"), [(3, 20, 6), (3, 2.9, None), (3, 3, None), (3, 3.1, 6), (1, 1.1, 2), (40, 49, 50)]
)
def test_it_tries_twice_the_estimate_towards_what_is_wanted(
    bit_rate: float, wanted: float, tried: float | None
) -> None:
    probe = Probing(RateLimits()).next(bit_rate * MEGABIT, wanted * MEGABIT, 0.1, 1.0)
    assert (probe and probe.bit_rate) == (tried and tried * MEGABIT)


@pytest.mark.parametrize("lost", [0, 20, 5])
def test_a_path_that_carries_it_shows_that(lost: int) -> None:
    probing, probe = begun()
    result = carried(probing, probe, 50 * MEGABIT, lost=lost)
    assert result is not None
    assert not result.is_all
    assert result.bit_rate == pytest.approx(probe.bit_rate, rel=0.3 if lost == 5 else 0.15)
    assert result.bit_rate <= probe.bit_rate


def test_a_path_that_does_not_shows_all_it_carries_and_is_left_alone() -> None:
    probing, probe = begun()
    result = carried(probing, probe, 4 * MEGABIT)
    assert result is not None
    assert result.is_all
    assert result.bit_rate == pytest.approx(0.95 * 4 * MEGABIT, rel=0.05)
    assert probing.next(3 * MEGABIT, 20 * MEGABIT, 0.1, 4.0) is None
    assert probing.next(3 * MEGABIT, 20 * MEGABIT, 0.1, 5.5) is not None


def test_after_a_success_the_next_follows_at_once() -> None:
    probing, probe = begun()
    assert carried(probing, probe, 50 * MEGABIT) is not None
    following = probing.next(6 * MEGABIT, 20 * MEGABIT, 0.1, 1.4)
    assert following is not None
    assert following.bit_rate == 12 * MEGABIT


def test_what_was_hardly_sent_shows_no_more_than_it_was() -> None:
    probing, probe = begun()
    result = carried(probing, probe, 50 * MEGABIT, filled=0.5)
    assert result is not None
    assert result.bit_rate < 0.6 * probe.bit_rate


def test_one_at_a_time_and_a_lost_one_is_given_up() -> None:
    probing, _ = begun()
    asked = [
        (probing.next(3 * MEGABIT, 20 * MEGABIT, 0.1, now) is not None, probing.is_measuring) for now in (1.1, 2.5, 3.6)
    ]
    assert asked == [(False, True), (False, False), (True, True)]


def test_its_own_queue_is_not_taken_for_anothers() -> None:
    probing, probe = begun()
    assert [probing.covers(at) for at in (0.99, 1.0, 1.0 + 1.5 * probe.seconds, 1.0 + 2.1 * probe.seconds)] == [
        False, True, True, False,
    ]  # fmt: skip

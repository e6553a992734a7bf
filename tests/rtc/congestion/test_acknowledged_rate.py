"""The rate of what arrives."""

import pytest

from media_service.rtc.congestion.acknowledged_rate import AcknowledgedRate
from media_service.rtc.congestion.sent_packets import Reception


def arrived(*times: tuple[float, float], octets: int = 1250) -> AcknowledgedRate:
    """Packets sent and arrived at those times."""
    rate = AcknowledgedRate()
    for sent_at, at in times:
        rate.add(Reception(0, sent_at, octets, octets, at, at, is_start=True, burst_begin=at))
    return rate


def test_too_little_tells_nothing() -> None:
    assert arrived().bit_rate is None
    assert arrived((0, 5), (0.01, 5.01)).bit_rate is None
    assert arrived((0, 5), (0.01, 5.01)).latest(0.25) is None
    assert arrived().latest(0.25) is None


def test_a_megabit_a_second() -> None:
    rate = arrived(*[(number / 100, 7 + number / 100) for number in range(200)])
    assert rate.bit_rate == pytest.approx(1_000_000, rel=0.03)
    delivery = rate.latest(0.25)
    assert delivery is not None
    assert delivery.bit_rate == pytest.approx(1_000_000, rel=0.03)
    assert delivery.stretch == pytest.approx(1.0)


def test_a_change_shows_sooner_in_the_latest() -> None:
    fast = [(number / 100, number / 100) for number in range(100)]
    slow = [(1 + number / 100, 1 + number / 50) for number in range(13)]
    rate = arrived(*fast, *slow)
    delivery = rate.latest(0.2)
    assert delivery is not None
    assert delivery.bit_rate == pytest.approx(500_000, rel=0.05)
    assert delivery.stretch == pytest.approx(2.0, rel=0.05)
    assert rate.bit_rate is not None
    assert rate.bit_rate > 700_000


def test_a_pause_of_sending_is_no_slow_path() -> None:
    before = [(number / 100, number / 100) for number in range(100)]
    after = [(1.3 + number / 100, 1.3 + number / 100) for number in range(15)]
    delivery = arrived(*before, *after).latest(0.4)
    assert delivery is not None
    assert delivery.bit_rate == pytest.approx(1_000_000, rel=0.05)


def test_what_was_overtaken_counts() -> None:
    times = [(number / 100, number / 100 + (0.05 if number % 7 == 0 else 0)) for number in range(100)]
    assert arrived(*times).bit_rate == pytest.approx(1_000_000, rel=0.05)

"""How busy a stream was of late."""

import pytest

from media_service.bit_rate_meter import BitRateMeter


def fill(meter: BitRateMeter, began_at: float, seconds: float, bit_rate: int) -> None:
    for picture in range(round(30 * seconds)):
        meter.add(bit_rate // 240, began_at + picture / 30)


def test_nothing_is_nothing() -> None:
    assert BitRateMeter().busiest(100.0) == 0


@pytest.mark.parametrize("seconds", [1.5, 3.0, 10.0, 60.0])
def test_a_steady_stream(seconds: float) -> None:
    meter = BitRateMeter()
    fill(meter, 50.0, seconds, 2_000_000)
    assert meter.busiest(50.0 + seconds) == pytest.approx(2_000_000, rel=0.05)


def test_a_moment_of_stillness_does_not_count() -> None:
    meter = BitRateMeter()
    fill(meter, 0.0, 6.0, 2_000_000)
    fill(meter, 6.0, 12.0, 20_000)
    assert meter.busiest(18.0) == pytest.approx(2_000_000, rel=0.05)


def test_long_stillness_does() -> None:
    meter = BitRateMeter()
    fill(meter, 0.0, 6.0, 2_000_000)
    fill(meter, 6.0, 66.0, 20_000)
    assert meter.busiest(72.0) == pytest.approx(20_000, rel=0.1)


def test_pictures_that_do_not_come_are_forgotten_too() -> None:
    meter = BitRateMeter()
    fill(meter, 0.0, 6.0, 2_000_000)
    assert meter.busiest(100.0) == 0


def test_one_keyframe_does_not_make_a_stream_fast() -> None:
    meter = BitRateMeter()
    meter.add(60_000, 0.0)
    fill(meter, 0.03, 2.9, 1_000_000)
    assert meter.busiest(3.0) < 1_250_000

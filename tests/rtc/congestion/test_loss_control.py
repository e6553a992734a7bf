"""Which losses count."""

import math

import pytest

from media_service.rtc.congestion.loss_control import LossControl


def after(loss: float, seconds: float, packets: int = 20, control: LossControl | None = None) -> LossControl:
    """Ten feedbacks a second of so many packets each."""
    control = control or LossControl()
    for tick in range(int(seconds * 10)):
        if control.reported(packets * (1 - loss), packets * loss, tick / 10):
            control.decide(1_000_000, None)
    return control


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.05, 0.09])
def test_what_radio_links_lose_counts_for_nothing(loss: float) -> None:
    assert after(loss, 30).ceiling == math.inf


def test_heavy_loss_lowers_the_ceiling_by_half_of_it_each_second() -> None:
    assert after(0.2, 1.2).ceiling == pytest.approx(900_000)
    assert after(0.2, 2.4).ceiling == pytest.approx(810_000)


def test_a_few_packets_decide_nothing() -> None:
    control = LossControl()
    assert not control.reported(0, 22, 0.0)
    assert not control.reported(1, 21, 1.5)
    assert not control.reported(0, 10, 6.0)
    assert control.fraction_lost == 0.0


def test_it_counts_anew_from_when_it_is_told() -> None:
    control = LossControl()
    control.begin_again(1.0)
    assert not control.reported(0, 1000, 0.9)
    assert not control.reported(100, 0, 1.5)
    assert control.reported(100, 0, 2.1)
    assert control.fraction_lost == 0.0


def test_the_ceiling_falls_from_what_was_sent() -> None:
    control = LossControl()
    control.reported(100, 100, 0.0)
    control.reported(100, 100, 1.0)
    assert control.decide(20_000_000, 2_000_000)
    assert control.ceiling == pytest.approx(1_500_000)
    control.raise_to(1_800_000)
    control.raise_to(1_000_000)
    assert control.ceiling == 1_800_000


def test_without_loss_the_ceiling_rises_out_of_sight() -> None:
    control = after(0.5, 1.2)
    lowered = control.ceiling
    control.begin_again(0.0)
    assert lowered < after(0.0, 3, control=control).ceiling < math.inf
    control.begin_again(0.0)
    assert after(0.0, 30, control=control).ceiling == math.inf

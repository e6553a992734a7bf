"""How long a viewer that needs help again and again is left alone. The times are sums of powers of two: exact."""

import pytest

from media_service.rtc.patience import Patience


def helped(*times: float) -> Patience:
    patience = Patience()
    for now in times:
        patience.take(now)
    return patience


@pytest.mark.parametrize("now", [0.0, 5.0, 1e9])
def test_the_first_help_is_given_at_once(now: float) -> None:
    patience = Patience()
    assert patience.is_over(now)
    assert patience.take(now) == 0.5


def test_asking_is_not_being_helped() -> None:
    patience = Patience()
    assert [patience.is_over(64.0) for _ in range(3)] == [True] * 3
    patience.take(64.0)
    assert [patience.is_over(65.0) for _ in range(3)] == [True] * 3


def test_the_time_between_helps_doubles_up_to_eight_seconds() -> None:
    patience, now = Patience(), 64.0
    delays = []
    for _ in range(7):
        assert patience.is_over(now)
        delay = patience.take(now)
        delays.append(delay)
        assert not patience.is_over(now)
        assert not patience.is_over(now + delay - 1 / 64)
        now += delay
    assert delays == [0.5, 1, 2, 4, 8, 8, 8]


def test_help_that_was_not_waited_for_counts_too() -> None:
    patience = helped(64.0, 64.125)
    assert not patience.is_over(65.0), "a second after the later one"
    assert patience.is_over(65.125)


def test_a_while_without_help_is_forgiven_and_begins_when_the_delay_is_over() -> None:
    # The second help left it alone for a second: until 65.
    assert helped(63.5, 64.0).take(75.0) == 2
    assert helped(63.5, 64.0).take(75.0 + 1 / 64) == 0.5


def test_the_longer_it_was_left_alone_the_longer_forgiving_takes() -> None:
    worn_out = (64.0,) * 5
    assert helped(*worn_out).take(82.0) == 8
    forgiven = helped(*worn_out)
    assert forgiven.take(82.0 + 1 / 64) == 0.5
    assert forgiven.take(83.0) == 1

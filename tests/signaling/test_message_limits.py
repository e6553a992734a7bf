"""How many messages are let in, with the time in hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.allowance import Allowance
from signaling.errors import TooMany
from signaling.message_limits import (
    INPUTS_PER_SECOND,
    OTHERS_AT_ONCE,
    OTHERS_PER_SECOND,
    REFUSALS_AT_ONCE,
    REFUSALS_PER_SECOND,
    MessageLimits,
)


def admitted(limits: MessageLimits, count: int, now: float, *, is_input: bool = False) -> int:
    """How many of `count` messages that come at `now` are let in."""
    let_in = 0
    for _ in range(count):
        try:
            limits.admit(now, is_input=is_input)
        except TooMany:
            continue
        let_in += 1
    return let_in


@given(st.lists(st.floats(0, 2), max_size=60), st.integers(1, 20), st.integers(1, 20))
def test_no_more_than_the_burst_and_what_time_gives(pauses: list[float], per_second: int, burst: int) -> None:
    allowance = Allowance(per_second, burst)
    now, taken = 100.0, 0
    for pause in pauses:
        now += pause
        taken += allowance.take(now)
    assert taken <= burst + (now - 100.0) * per_second + 1e-6


def test_without_a_burst_a_second_s_worth_comes_at_once() -> None:
    allowance = Allowance(3)
    assert [allowance.take(5.0) for _ in range(4)] == [True, True, True, False]
    assert not allowance.take(5.2)
    assert allowance.take(5.4)


def test_input_and_the_rest_are_counted_apart() -> None:
    limits = MessageLimits()
    assert admitted(limits, INPUTS_PER_SECOND + 5, 0.0, is_input=True) == INPUTS_PER_SECOND
    assert admitted(limits, OTHERS_AT_ONCE + 5, 0.0) == OTHERS_AT_ONCE
    assert admitted(limits, 2 * OTHERS_PER_SECOND, 1.0) == OTHERS_PER_SECOND
    assert not limits.is_flooded


def test_what_is_refused_says_what_is_allowed_and_when() -> None:
    limits = MessageLimits()
    admitted(limits, INPUTS_PER_SECOND, 0.0, is_input=True)
    with pytest.raises(TooMany) as caught:
        limits.admit(0.0, is_input=True)
    assert caught.value.detail == "one connection sends at most 1000 input messages per second"
    assert (caught.value.code, caught.value.retry_after) == ("too_many_requests", 1)


def test_only_who_goes_on_sending_floods() -> None:
    patient = MessageLimits()
    for second in range(60):
        # Twice as many as allowed, for a minute: all of it is answered.
        admitted(patient, OTHERS_PER_SECOND + REFUSALS_PER_SECOND, float(second))
    assert not patient.is_flooded
    flood = MessageLimits()
    admitted(flood, OTHERS_AT_ONCE + REFUSALS_AT_ONCE, 0.0)
    assert not flood.is_flooded
    admitted(flood, 1, 0.0)
    assert flood.is_flooded

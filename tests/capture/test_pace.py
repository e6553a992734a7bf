"""The clocks of sources, without waiting for any."""

import asyncio
import math
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.pace import Alarm, Metronome, Playhead


def ticks(metronome: Metronome, moments: Sequence[float]) -> list[float]:
    """When the next picture is due after one was taken at each of these moments."""
    due = []
    for now in moments:
        metronome.take(now)
        due.append(metronome.due)
    return due


class TestMetronome:
    def test_the_first_picture_is_due_at_once(self) -> None:
        assert Metronome(0.1).due < 0

    def test_even_and_without_drift(self) -> None:
        late = [100.0 + 0.1 * number + (0.03 if number else 0.0) for number in range(1000)]
        assert ticks(Metronome(0.1), late) == pytest.approx([100.1 + 0.1 * number for number in range(1000)])

    def test_a_little_early_changes_nothing(self) -> None:
        assert ticks(Metronome(0.1), [0.0, 0.099, 0.199]) == pytest.approx([0.1, 0.2, 0.3])

    def test_missed_ticks_are_left_out_and_not_made_up_for(self) -> None:
        assert ticks(Metronome(0.1), [0.0, 0.55, 0.61]) == pytest.approx([0.1, 0.6, 0.7])

    @given(period=st.floats(0.005, 1), delays=st.lists(st.floats(0, 5), max_size=50))
    def test_never_in_the_past_never_more_than_a_period_ahead(self, period: float, delays: list[float]) -> None:
        metronome = Metronome(period)
        now = 50.0
        for delay in delays:
            metronome.take(now)
            assert now - 1e-6 <= metronome.due <= now + period + 1e-6
            now = metronome.due + delay


class TestPlayhead:
    def test_each_picture_after_the_one_before(self) -> None:
        playhead = Playhead()
        shown = [playhead.show(now, duration) for now, duration in ((7.0, 0.1), (7.1, 0.5), (7.61, 0.1), (7.7, 0.1))]
        assert shown == pytest.approx([7.0, 7.1, 7.6, 7.7])

    def test_a_short_delay_is_made_up_for(self) -> None:
        playhead = Playhead()
        assert [playhead.show(now, 0.1) for now in (0.0, 0.4, 0.4, 0.4)] == pytest.approx([0.0, 0.1, 0.2, 0.3])
        assert playhead.due == pytest.approx(0.4)

    def test_a_long_delay_is_not(self) -> None:
        playhead = Playhead()
        assert [playhead.show(now, 0.1) for now in (0.0, 60.0, 60.1)] == pytest.approx([0.0, 60.0, 60.1])

    @given(st.lists(st.tuples(st.floats(-0.01, 2), st.floats(0.001, 1)), max_size=50))
    def test_never_back_and_never_in_the_future(self, steps: list[tuple[float, float]]) -> None:
        playhead = Playhead()
        now, last = 10.0, playhead.show(10.0, 0.1)
        for late, duration in steps:
            now = max(now, playhead.due + late)
            captured_at = playhead.show(now, duration)
            assert last <= captured_at <= now
            assert now - captured_at <= 0.5
            last = captured_at


class TestAlarm:
    async def test_a_moment_that_has_passed(self) -> None:
        assert await Alarm().sleep_until(0.0)

    async def test_at_once_before_any_beginning(self) -> None:
        assert await Alarm().sleep_until(-math.inf)

    async def test_never_early(self) -> None:
        deadline = time.monotonic() + 0.012
        assert await Alarm().sleep_until(deadline)
        assert time.monotonic() >= deadline

    async def test_the_end_comes_first(self) -> None:
        alarm = Alarm()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            sleeping = tasks.create_task(alarm.sleep_until(1e9))
            await asyncio.sleep(0)
            alarm.end()
        assert sleeping.result() is False

    async def test_after_the_end(self) -> None:
        alarm = Alarm()
        alarm.end()
        assert not await alarm.sleep_until(1e9)

    async def test_a_sleeper_who_was_cancelled_leaves_no_timer_that_matters(self) -> None:
        alarm = Alarm()
        sleeping = asyncio.get_running_loop().create_task(alarm.sleep_until(1e9))
        await asyncio.sleep(0)
        sleeping.cancel()
        await asyncio.gather(sleeping, return_exceptions=True)
        assert await alarm.sleep_until(0.0)

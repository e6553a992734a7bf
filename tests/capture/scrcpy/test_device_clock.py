"""The device's times told in ours: by packets whose delays are known."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.scrcpy.device_clock import SLEW, WINDOW, DeviceClock, StreamTime

OFFSET = 1000.0
"""What our clock shows when the device's shows 0."""

FRAME = 1 / 30


def microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def test_the_first_packet_is_taken_to_be_captured_when_it_came() -> None:
    assert StreamTime(DeviceClock()).captured_at(5_000_000, 77.0) == pytest.approx(77.0)


def test_the_least_delay_is_the_guess_and_what_comes_later_keeps_its_time() -> None:
    stream = StreamTime(DeviceClock())
    delays = [0.050, 0.020, 0.120, 0.035, 0.300, 0.021]
    times = [
        stream.captured_at(microseconds(index * FRAME), OFFSET + index * FRAME + delay)
        for index, delay in enumerate(delays)
    ]
    # From the second packet on, whose delay is the least, the distances are those of the device's own clock.
    assert [later - earlier for earlier, later in pairwise(times[2:])] == pytest.approx([FRAME] * 3, abs=1e-5)
    assert times[2] == pytest.approx(OFFSET + 2 * FRAME + 0.020)


def test_video_and_sound_share_the_clock() -> None:
    clock = DeviceClock()
    video, audio = StreamTime(clock), StreamTime(clock)
    audio.captured_at(microseconds(0.0), OFFSET + 0.010)
    # The encoder of pictures takes longer; what was captured at one moment has one time all the same.
    for index in range(1, 20):
        shown = video.captured_at(microseconds(index * FRAME), OFFSET + index * FRAME + 0.080)
        heard = audio.captured_at(microseconds(index * FRAME), OFFSET + index * FRAME + 0.012)
        assert shown == pytest.approx(heard) == pytest.approx(OFFSET + index * FRAME + 0.010, abs=0.001)


@pytest.mark.parametrize("drift", [-200e-6, 200e-6])
def test_drift_is_followed(drift: float) -> None:
    chance = random.Random(1)
    stream = StreamTime(DeviceClock())
    worst = 0.0
    for index in range(30 * 600):
        captured_at = OFFSET + index * FRAME
        came_at = captured_at + 0.010 + chance.random() ** 4 * 0.1
        guess = stream.captured_at(microseconds(index * FRAME * (1 + drift)), came_at)
        worst = max(worst, abs(guess - captured_at - 0.010))
    assert worst < 0.005  # In ten minutes the clocks went 120 ms apart.


def test_a_stall_of_the_network_moves_no_time() -> None:
    stream = StreamTime(DeviceClock())
    for index in range(300):
        captured_at = OFFSET + index * FRAME
        came_at = max(captured_at + 0.010, OFFSET + 6.5 if 4.0 < index * FRAME < 6.5 else 0.0)
        guess = stream.captured_at(microseconds(index * FRAME), came_at)
        assert guess == pytest.approx(captured_at + 0.010, abs=SLEW * 10)


def test_one_late_packet_on_a_still_screen_moves_no_time() -> None:
    stream = StreamTime(DeviceClock())
    for index in range(10):
        captured_at = OFFSET + index * 10.0
        late = 1.7 if index == 5 else 0.010
        guess = stream.captured_at(microseconds(index * 10.0), captured_at + late)
        assert guess == pytest.approx(captured_at + 0.010, abs=0.2)


def test_a_device_that_slept_is_believed_after_two_windows() -> None:
    stream = StreamTime(DeviceClock())
    for index in range(30):
        stream.captured_at(microseconds(index * FRAME), OFFSET + index * FRAME)
    behind = []
    for index in range(30, 30 + round(3 * WINDOW / FRAME)):
        came_at = OFFSET + 3600.0 + index * FRAME
        behind.append(came_at - stream.captured_at(microseconds(index * FRAME), came_at))
    assert behind[0] == pytest.approx(3600.0, abs=0.1)
    assert behind[-1] == pytest.approx(0.0, abs=0.1)


def test_a_clock_that_was_set_back_is_believed_at_once() -> None:
    stream = StreamTime(DeviceClock())
    before = stream.captured_at(microseconds(7000.0), 50.0)
    after = stream.captured_at(microseconds(1.0), 50.1)
    assert before == pytest.approx(50.0)
    assert after == pytest.approx(50.1)


def test_times_that_were_too_late_are_made_up_for_without_standing_still() -> None:
    stream = StreamTime(DeviceClock())
    stream.captured_at(0, OFFSET + 0.9)
    times = [stream.captured_at(microseconds(index * FRAME), OFFSET + index * FRAME) for index in range(27, 100)]
    assert all(later > earlier for earlier, later in pairwise(times))
    assert times[1] - times[0] <= FRAME
    assert times[-1] == pytest.approx(OFFSET + 99 * FRAME)


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 2**61 - 1) | st.integers(0, 10_000_000), st.floats(0, 100)),
        max_size=60,
    )
)
def test_whatever_comes_times_go_forward_and_not_into_the_future(packets: list[tuple[int, int, float]]) -> None:
    clock = DeviceClock()
    streams = [StreamTime(clock), StreamTime(clock)]
    last = [float("-inf")] * 2
    now = 10.0
    for number, pts, pause in packets:
        now += pause
        captured_at = streams[number].captured_at(pts, now)
        assert last[number] <= captured_at <= now
        last[number] = captured_at

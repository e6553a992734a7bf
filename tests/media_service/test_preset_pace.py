from itertools import pairwise

import pytest

from encoders.codec_options import PRESETS
from media_service.preset_pace import Pace


class Clock:
    """Pictures of one rung at 30 per second."""

    def __init__(self, preset: str = "faster", codec: str = "libx264") -> None:
        self.pace = Pace(preset, 30)
        self.now = 1000.0
        self.changes: list[tuple[float, str, str]] = []
        """When, in seconds since the beginning, to what, and why."""
        self._codec = codec
        self._dropped = 0

    def run(self, seconds: float, taken: float, *, rate: int = 30, dropped_per_second: float = 0.0) -> None:
        begun_at, before = self.now, self._dropped
        for number in range(1, round(seconds * rate) + 1):
            self.now = begun_at + number / rate
            self._dropped = before + int(number / rate * dropped_per_second)
            reason = self.pace.coded(taken, self._dropped, self.now, self._codec)
            if reason is not None:
                self.changes.append((self.now - 1000, self.pace.preset, reason))


def test_a_preset_that_keeps_up_stays() -> None:
    clock = Clock()
    clock.run(60, 0.022)
    assert not clock.changes
    assert clock.pace.preset == "faster"


def test_pictures_that_take_too_long_end_in_a_faster_preset_within_three_seconds() -> None:
    clock = Clock()
    clock.run(3, 0.025)
    [(when, preset, reason)] = clock.changes
    assert when < 3
    assert preset == clock.pace.preset == "veryfast"
    assert reason == "a picture takes 25 ms, and one may come every 33 ms"


def test_pictures_that_find_the_queue_full_do_so_too_however_quickly_they_are_coded() -> None:
    clock = Clock()
    clock.run(3, 0.005, rate=20, dropped_per_second=10)
    [(_, preset, reason)] = clock.changes
    assert preset == "veryfast"
    assert reason.endswith("pictures found the queue full")


def test_it_goes_on_step_by_step_and_ends_with_the_fastest() -> None:
    clock = Clock("medium")
    clock.run(60, 0.05)
    assert [preset for _, preset, _ in clock.changes] == ["fast", "faster", "veryfast", "superfast", "ultrafast"]
    times = [when for when, _, _ in clock.changes]
    assert min(later - earlier for earlier, later in pairwise(times)) >= 3


def test_one_bad_second_is_forgiven() -> None:
    clock = Clock()
    for _ in range(10):
        clock.run(1, 0.04, dropped_per_second=5)
        clock.run(3, 0.01)
    assert not clock.changes


def test_it_never_goes_back() -> None:
    clock = Clock()
    clock.run(3, 0.03)
    clock.run(60, 0.001)
    assert clock.pace.preset == "veryfast"


def test_few_pictures_say_nothing() -> None:
    clock = Clock()
    clock.run(60, 0.1, rate=5)
    assert not clock.changes


def test_what_was_dropped_while_an_encoder_was_opened_is_not_held_against_it() -> None:
    clock = Clock()
    clock.pace.coded(2.0, 50, clock.now, "libx264")
    clock._dropped = 50
    clock.run(10, 0.01)
    assert not clock.changes


@pytest.mark.parametrize("preset", PRESETS)
def test_a_codec_without_presets_keeps_its_own(preset: str) -> None:
    clock = Clock(preset, "h264_vaapi")
    clock.run(20, 0.05)
    assert not clock.changes
    assert clock.pace.preset == preset


def test_presets_that_are_the_same_to_a_codec_are_one_step() -> None:
    clock = Clock("fast", "h264_qsv")
    clock.run(60, 0.05)
    assert [preset for _, preset, _ in clock.changes] == ["faster", "veryfast"]

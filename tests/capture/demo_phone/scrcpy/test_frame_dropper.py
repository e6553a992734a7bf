"""Pictures that are too many for `max_fps`."""

from capture.demo_phone.scrcpy.frame_dropper import FrameDropper


def kept(max_fps: float, times: list[float]) -> list[float]:
    dropper = FrameDropper(max_fps)
    return [at for at in times if not dropper.drops(at)]


def test_without_a_limit_all_are_kept() -> None:
    times = [n / 120 for n in range(50)]
    assert kept(0, times) == times


def test_a_third_of_the_rate() -> None:
    assert len(kept(10, [100 + n / 30 for n in range(300)])) == 100


def test_a_rate_that_does_not_divide() -> None:
    assert 199 <= len(kept(20, [100 + n / 30 for n in range(300)])) <= 201


def test_a_little_too_early_is_kept() -> None:
    assert kept(10, [0.0, 0.099, 0.2]) == [0.0, 0.099, 0.2]


def test_after_a_pause_it_goes_on_at_once_without_a_burst() -> None:
    times = [0.0, 5.0, *(5.0 + n / 100 for n in range(1, 100))]
    assert len(kept(10, times)) <= 12

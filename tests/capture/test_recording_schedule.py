import pytest

from capture.recording_schedule import ATTEMPTS, SILENT_ATTEMPTS, RecordingSchedule, RecordingTimes

TIMES = RecordingTimes(
    renew_after=100.0,
    keyframe_interval=2.0,
    first_picture=10.0,
    short_life=1.0,
    first_delay=0.5,
    longest_delay=2.0,
    silence=10.0,
    longest_silence=35.0,
)


@pytest.fixture
def schedule() -> RecordingSchedule:
    return RecordingSchedule(TIMES)


def test_a_recorder_is_replaced_before_its_limit(schedule: RecordingSchedule) -> None:
    assert schedule.due(1000.0, 1099.0, wants_keyframe=False) == 1100.0
    endless = RecordingSchedule(RecordingTimes(silence=10.0))
    assert endless.due(1000.0, 9000.0, wants_keyframe=False) == 9010.0


def test_a_keyframe_is_not_had_at_any_time(schedule: RecordingSchedule) -> None:
    assert schedule.due(1000.0, 1001.0, wants_keyframe=True) == 1002.0


def test_silence_is_looked_into_ever_more_rarely(schedule: RecordingSchedule) -> None:
    for silence in (10.0, 20.0, 35.0, 35.0):
        assert schedule.due(1000.0, 1000.0, wants_keyframe=False) == 1000.0 + silence
        schedule.replacing(1000.0, 1000.0 + silence)
    schedule.moved(since=1.0)
    assert schedule.due(1000.0, 1000.0, wants_keyframe=False) == 1035.0
    schedule.moved(since=1.1)
    assert schedule.due(1000.0, 1000.0, wants_keyframe=False) == 1010.0


def test_a_recorder_that_is_replaced_for_another_reason_was_not_silent(schedule: RecordingSchedule) -> None:
    schedule.replacing(1000.0, 1009.0)
    assert schedule.due(1000.0, 1000.0, wants_keyframe=False) == 1010.0


def test_pauses_grow_with_failures(schedule: RecordingSchedule) -> None:
    pauses = []
    for _ in range(ATTEMPTS):
        assert not schedule.is_over
        pauses.append(schedule.pause)
        schedule.failed()
    assert pauses == [0.0, 0.5, 1.0, 2.0, 2.0]
    assert schedule.is_over


def test_one_that_works_makes_up_for_failures(schedule: RecordingSchedule) -> None:
    for _ in range(ATTEMPTS - 1):
        schedule.failed(waited=9.0)
    schedule.worked()
    assert (schedule.failures, schedule.pause) == (0, 0.0)
    schedule.failed()
    assert not schedule.is_over


def test_recorders_that_give_nothing_are_not_waited_for_often(schedule: RecordingSchedule) -> None:
    for _ in range(SILENT_ATTEMPTS):
        assert not schedule.is_over
        schedule.failed(waited=10.0)
    assert schedule.is_over

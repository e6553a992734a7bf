"""Which streams run, and for how long."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from capture.errors import CaptureError, DeviceNotFound
from capture.source import Source
from media_service.rtc.egress import Egress
from media_service.stream import Stream, StreamState
from media_service.streams import Streams
from media_service.tasks import Tasks
from tests.media_service.pushed_source import PushedSource
from tests.waiting import until


class Scene:
    """Streams with a short grace, and the sources they opened."""

    def __init__(self, grace: float) -> None:
        self.tasks = Tasks()
        self.egress = Egress(lambda _: None)
        self.stopped: list[str] = []
        self.streams = Streams(self.tasks, self.egress, self._state_changed, grace=grace)
        self.sources: list[PushedSource] = []
        self.failures: list[CaptureError] = []
        """What opening a source raises before it succeeds."""

    def hold(self, device_id: str = "phone-1") -> Stream:
        return self.streams.hold(device_id, self._open)

    async def close(self) -> None:
        await self.tasks.aclose()
        self.egress.close()
        assert all(source.is_closed for source in self.sources)

    async def _open(self) -> Source:
        if self.failures:
            raise self.failures.pop(0)
        source = PushedSource()
        self.sources.append(source)
        return source

    def _state_changed(self, stream: Stream) -> None:
        if stream.state is StreamState.STOPPED:
            self.stopped.append(stream.device_id)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene(grace=0.02)
    yield made
    await made.close()


@pytest.fixture
async def patient_scene() -> AsyncIterator[Scene]:
    made = Scene(grace=60.0)
    yield made
    await made.close()


async def test_all_viewers_of_a_device_share_one_stream(patient_scene: Scene) -> None:
    streams = patient_scene.streams
    first, second, other = patient_scene.hold(), patient_scene.hold(), patient_scene.hold("phone-2")
    assert first is second is streams.get("phone-1")
    assert first is not other
    assert list(streams) == [first, other]
    assert len(streams) == 2
    await until(lambda: len(patient_scene.sources) == 2)


async def test_the_last_viewer_ends_the_capture_after_the_grace(scene: Scene) -> None:
    stream = scene.hold()
    scene.hold()
    other = scene.hold("phone-2")
    await until(lambda: len(scene.sources) == 2)
    scene.streams.release(stream)
    scene.streams.release(other)
    await until(lambda: scene.sources[1].is_closed)
    assert not scene.sources[0].is_closed, "one still watches"
    scene.streams.release(stream)
    assert scene.streams.get("phone-1") is stream
    await until(lambda: scene.sources[0].is_closed)
    await until(lambda: scene.stopped == ["phone-2", "phone-1"])
    assert scene.streams.get("phone-1") is None
    assert len(scene.streams) == 0


async def test_who_comes_within_the_grace_finds_the_stream_running(patient_scene: Scene) -> None:
    stream = patient_scene.hold()
    patient_scene.streams.release(stream)
    assert patient_scene.hold() is stream
    await until(lambda: patient_scene.sources)
    assert not patient_scene.sources[0].is_closed


async def test_a_stop_that_was_called_off_does_not_happen(scene: Scene) -> None:
    stream = scene.hold()
    scene.streams.release(stream)
    scene.hold()
    passing = scene.hold("phone-2")
    scene.streams.release(passing)
    # Its grace began later, so the other one's would be over too.
    await until(lambda: scene.stopped == ["phone-2"])
    assert scene.streams.get("phone-1") is stream


async def test_who_comes_after_the_grace_gets_a_new_stream(scene: Scene) -> None:
    stream = scene.hold()
    await until(lambda: scene.sources)
    scene.streams.release(stream)
    await until(lambda: scene.stopped)
    again = scene.hold()
    assert again is not stream
    await until(lambda: len(scene.sources) == 2)
    scene.streams.release(stream)
    scene.streams.release(scene.hold("phone-2"))
    await until(lambda: scene.stopped == ["phone-1", "phone-2"])
    assert scene.streams.get("phone-1") is again, "what is not held any more cannot be given back"


async def turns() -> None:
    """Let the tasks do what they can do without waiting."""
    for _ in range(20):
        await asyncio.sleep(0)


async def state(stream: Stream, wanted: StreamState) -> Stream:
    """The stream, once its state is the wanted one."""
    await until(lambda: stream.state is wanted)
    return stream


async def closing_source(scene: Scene) -> PushedSource:
    """The source of a stream of phone-1 that nobody watches any more, and that takes its time to close."""
    stream = scene.hold()
    await until(lambda: scene.sources)
    (source,) = scene.sources
    source.may_close.clear()
    scene.streams.release(stream)
    await until(lambda: scene.streams.get("phone-1") is None)
    return source


async def test_a_new_stream_waits_until_the_former_one_has_ended(scene: Scene) -> None:
    former = await closing_source(scene)
    scene.hold()
    scene.hold("phone-2")
    await until(lambda: len(scene.sources) == 2)
    await turns()
    assert len(scene.sources) == 2, "the other phone's is opened at once, this one's is not"
    former.may_close.set()
    await until(lambda: len(scene.sources) == 3)
    assert former.is_closed


async def test_a_new_stream_that_is_given_up_meanwhile_opens_nothing(scene: Scene) -> None:
    former = await closing_source(scene)
    scene.streams.release(scene.hold())
    await until(lambda: scene.stopped == ["phone-1"])
    await turns()
    again = scene.hold()
    await turns()
    assert len(scene.sources) == 1, "the third one waits for the first one"
    former.may_close.set()
    await until(lambda: len(scene.sources) == 2)
    assert former.is_closed
    assert scene.streams.get("phone-1") is again
    # The fourth one waits for the third one, not for what has long ended.
    scene.sources[1].may_close.clear()
    scene.streams.release(again)
    await until(lambda: scene.streams.get("phone-1") is None)
    scene.hold()
    await turns()
    assert len(scene.sources) == 2
    scene.sources[1].may_close.set()
    await until(lambda: len(scene.sources) == 3)


async def test_a_former_stream_that_crashes_while_it_ends_is_no_obstacle(scene: Scene) -> None:
    stream = scene.hold()
    await until(lambda: scene.sources)
    with structlog.testing.capture_logs() as logs:
        scene.sources[0].failure_at_close = RuntimeError("a bug")
        scene.streams.release(stream)
        await until(lambda: scene.streams.get("phone-1") is None)
        scene.hold()
        await until(lambda: len(scene.sources) == 2)
    assert [log["task"] for log in logs] == ["stream phone-1"]


async def test_a_trouble_that_lasts_is_told_once(scene: Scene) -> None:
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            scene.failures.append(DeviceNotFound("no such phone"))
            scene.streams.release(await state(scene.hold(), StreamState.RECONNECTING))
            await until(lambda: scene.streams.get("phone-1") is None)
            await turns()
        assert [log["reason"] for log in logs] == ["no such phone"]
        stream = scene.hold()
        await until(lambda: scene.sources)
        scene.sources[0].keyframe()
        await state(stream, StreamState.RUNNING)
        scene.sources[0].fail(DeviceNotFound("no such phone"))
        await state(stream, StreamState.RECONNECTING)
    assert [log["reason"] for log in logs] == ["no such phone", "no such phone"]


async def test_a_stream_that_crashes_makes_room_for_another(patient_scene: Scene) -> None:
    stream = patient_scene.hold()
    await until(lambda: patient_scene.sources)
    with structlog.testing.capture_logs() as logs:
        patient_scene.sources[0].fail(RuntimeError("a bug"))
        await until(lambda: logs)
    assert logs[0]["task"] == "stream phone-1"
    assert patient_scene.stopped == ["phone-1"]
    assert patient_scene.sources[0].is_closed
    again = patient_scene.hold()
    assert again is not stream
    patient_scene.streams.release(stream)
    assert patient_scene.streams.get("phone-1") is again


async def test_closing_the_tasks_ends_every_stream(patient_scene: Scene) -> None:
    patient_scene.hold()
    patient_scene.hold("phone-2")
    await until(lambda: len(patient_scene.sources) == 2)
    await patient_scene.tasks.aclose()
    assert all(source.is_closed for source in patient_scene.sources)
    assert sorted(patient_scene.stopped) == ["phone-1", "phone-2"]
    assert asyncio.all_tasks() == {asyncio.current_task()}

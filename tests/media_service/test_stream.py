"""One source shared by its viewers: starting, joining, catching up, and going on when the source does not."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
import structlog
from aiortc.codecs.h264 import H264PayloadDescriptor

from capture.errors import DeviceOffline, SourceEnded
from capture.source import ScreenCondition, Source
from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.errors import EncoderError
from media_service.rtc.egress import Egress
from media_service.rtc.picture import Picture
from media_service.rtc.viewer import Following, Viewer
from media_service.stream import Stream, StreamState
from signaling.errors import DeviceUnavailable
from tests.media_service.pushed_source import PushedSource
from tests.rtc.joined import JoinedEnds, RecordingPath, joined_ends
from tests.rtc.samples import predicted, video_track
from tests.waiting import until

PATIENCE = 10.0
BROWSER = ("42e01f", "640c1f")
"""What its viewers take."""


class Watcher:
    """A viewer of the stream, and what its browser made of what came."""

    def __init__(self, viewer: Viewer, path: RecordingPath, ends: JoinedEnds) -> None:
        self.viewer = viewer
        self.path = path
        self._ends = ends

    @property
    def following(self) -> Following:
        return self.viewer.following

    def arrived(self) -> bytes:
        """The byte stream since the last call."""
        packets = self._ends.received(self.path)
        return b"".join(H264PayloadDescriptor.parse(packet.payload)[1] for packet in packets)


class Scene:
    """A stream, the sources it opened so far, and its viewers."""

    def __init__(self, ends: JoinedEnds) -> None:
        self.egress = Egress(lambda _: None)
        self.states: list[tuple[StreamState, str]] = []
        self.sources: list[PushedSource] = []
        self.failures: list[Exception] = []
        """What opening a source raises before it succeeds."""
        self.keyframe_on_demand = False
        self.stream = Stream("phone-1", self._open, self.egress, self._state_changed)
        self._ends = ends
        self._watchers = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self.stream.run())

    async def source(self, number: int = 1) -> PushedSource:
        """The source that the stream opens as its first, second, …"""
        await until(lambda: len(self.sources) >= number)
        return self.sources[number - 1]

    async def running(self, count: int = 1) -> PushedSource:
        """The stream's source, after `count` pictures, the first of them a keyframe."""
        self.start()
        source = await self.source()
        source.keyframe()
        source.predicted(count - 1)
        await self.pushed(count)
        return source

    async def pushed(self, count: int) -> None:
        """Wait until the stream has taken `count` pictures and sent what it sends at once."""
        await until(lambda: self.stream.pictures == count and not self.egress.waiting)

    def join(self) -> Watcher:
        self._watchers += 1
        track = video_track(ssrc=2 * self._watchers + 1000, rtx_ssrc=2 * self._watchers + 1001)
        path = RecordingPath()
        viewer = self._ends.viewer(track, self.egress, path, self.stream.renditions.lagging)
        self.stream.renditions.add(viewer, BROWSER)
        return Watcher(viewer, path, self._ends)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.egress.close()
        assert all(source.is_closed for source in self.sources)

    async def _open(self) -> Source:
        if self.failures:
            raise self.failures.pop(0)
        source = PushedSource(keyframe_on_demand=self.keyframe_on_demand)
        self.sources.append(source)
        return source

    def _state_changed(self, stream: Stream) -> None:
        assert stream is self.stream
        self.states.append((stream.state, stream.reason))


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    ends = await joined_ends()
    made = Scene(ends)
    yield made
    await made.close()
    await ends.dtls.aclose()


def byte_stream(*access_units: AccessUnit) -> bytes:
    return b"".join(to_annexb(access_unit.nal_units) for access_unit in access_units)


async def turns_of_the_loop() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(50):
        await asyncio.sleep(0)


async def failure_of(waiting: Awaitable[object]) -> DeviceUnavailable:
    with pytest.raises(DeviceUnavailable) as raised:
        await waiting
    return raised.value


async def test_it_is_ready_with_the_first_picture(scene: Scene) -> None:
    scene.start()
    assert scene.stream.state is StreamState.STARTING
    async with asyncio.TaskGroup() as group:
        waiting = [group.create_task(scene.stream.ready(PATIENCE)) for _ in range(2)]
        (await scene.source()).keyframe(width=64, height=96)
    sps = scene.stream.sps
    assert sps is not None
    assert (sps.width, sps.height) == (64, 96)
    assert {profile.result() for profile in waiting} == {sps.profile_level_id}
    assert (await scene.stream.ready(PATIENCE)) == sps.profile_level_id
    assert scene.states == [(StreamState.RUNNING, "a test pushes")]
    assert scene.stream.facts is not None
    counters = scene.stream.captured["pushed"]
    assert counters.pictures == 1
    assert counters.octets > 3000


async def test_a_source_that_sends_nothing(scene: Scene) -> None:
    scene.start()
    error = await failure_of(scene.stream.ready(0.01))
    assert (error.code, error.retry_after) == ("no_picture", 5)
    assert str(error) == "'phone-1' sent no picture within 0.01 s"


@pytest.mark.parametrize(
    ("condition", "why"),
    [(ScreenCondition.OFF, "its screen is off"), (ScreenCondition.BOOTING, "it is starting")],
)
async def test_a_device_that_has_nothing_to_show_says_why(scene: Scene, condition: ScreenCondition, why: str) -> None:
    scene.start()
    source = await scene.source()
    source.facts = replace(source.facts, screen=condition)
    scene.stream.look(time.monotonic())
    error = await failure_of(scene.stream.ready(0.01))
    assert str(error) == f"'phone-1' sent no picture within 0.01 s: {why}"


async def test_a_source_that_cannot_be_opened_says_why_and_is_tried_again(scene: Scene) -> None:
    scene.failures = [DeviceOffline("the phone is offline")]
    scene.start()
    error = await failure_of(scene.stream.ready(PATIENCE))
    assert (error.code, error.retry_after) == ("device_offline", 5)
    assert str(error) == "'phone-1' cannot be watched: the phone is offline"
    assert scene.states == [(StreamState.RECONNECTING, "the phone is offline")]
    (await scene.source()).keyframe()
    await scene.stream.ready(PATIENCE)


@pytest.mark.parametrize(
    ("failure", "code"),
    [(OSError(24, "Too many open files"), "host_error"), (EncoderError("libx264 failed"), "broken_video")],
)
async def test_what_fails_here_is_tried_again_too(scene: Scene, failure: Exception, code: str) -> None:
    scene.failures = [failure]
    scene.start()
    assert (await failure_of(scene.stream.ready(PATIENCE))).code == code
    source = await scene.source()
    source.keyframe()
    await scene.pushed(1)
    source.fail(failure)
    (await scene.source(2)).keyframe()
    await scene.pushed(2)
    assert scene.states == 2 * [(StreamState.RECONNECTING, str(failure)), (StreamState.RUNNING, "a test pushes")]


async def test_the_same_trouble_is_told_once(scene: Scene) -> None:
    scene.failures = [DeviceOffline("unplugged"), DeviceOffline("unplugged"), DeviceOffline("gone")]
    with structlog.testing.capture_logs() as logs:
        scene.start()
        while scene.failures:
            scene.stream.retry()
            await asyncio.sleep(0)
        await scene.source()
    assert scene.states == [(StreamState.RECONNECTING, "unplugged"), (StreamState.RECONNECTING, "gone")]
    assert [entry["reason"] for entry in logs] == ["unplugged", "gone"]


async def test_a_device_that_comes_back_during_an_attempt_is_tried_at_once(scene: Scene) -> None:
    source = await scene.running(3)
    scene.failures = [DeviceOffline("not yet"), DeviceOffline("not yet")]
    source.may_close.clear()
    source.end()
    await turns_of_the_loop()
    assert len(scene.failures) == 2
    scene.stream.retry()
    source.may_close.set()
    await turns_of_the_loop()
    assert len(scene.failures) == 1


async def test_pictures_are_counted_by_the_way_they_came(scene: Scene) -> None:
    source = await scene.running(3)
    source.facts = replace(source.facts, kind="another way")
    source.predicted(2)
    await scene.pushed(5)
    counted = {kind: counters.pictures for kind, counters in scene.stream.captured.items()}
    assert counted == {"pushed": 3, "another way": 2}


async def test_video_that_cannot_be_read(scene: Scene) -> None:
    scene.start()
    (await scene.source()).broken_keyframe()
    error = await failure_of(scene.stream.ready(PATIENCE))
    assert error.code == "broken_video"
    assert scene.sources[0].is_closed


async def test_b_frames_are_refused(scene: Scene) -> None:
    scene.start()
    (await scene.source()).keyframe(b_frames=True)
    error = await failure_of(scene.stream.ready(PATIENCE))
    assert (error.code, error.retry_after) == ("unplayable_video", None)
    assert "2 out of order" in str(error)


async def test_a_turned_screen_changes_the_size(scene: Scene) -> None:
    source = await scene.running()
    source.keyframe(width=96, height=64)
    await scene.pushed(2)
    sps = scene.stream.sps
    assert sps is not None
    assert (sps.width, sps.height) == (96, 64)


async def test_a_viewer_who_joins_gets_everything_since_the_keyframe(scene: Scene) -> None:
    scene.start()
    source = await scene.source()
    pictures = [source.keyframe(), *source.predicted(9)]
    await scene.pushed(10)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    pictures += source.predicted(2)
    await scene.pushed(12)
    assert watcher.arrived() == byte_stream(*pictures)
    assert source.keyframe_requests == 0


async def test_a_long_group_is_replayed_where_there_is_no_other_way(scene: Scene) -> None:
    source = await scene.running(100)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed == 100
    assert source.keyframe_requests == 0


async def test_a_keyframe_on_demand_is_better_than_a_long_group(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    source = await scene.running(331)
    watchers = [scene.join(), scene.join()]
    source.predicted()
    await scene.pushed(332)
    assert [watcher.following for watcher in watchers] == [Following.WAITING] * 2
    requested = scene.stream.captured["pushed"].keyframes_requested
    assert source.keyframe_requests == requested == 1, "one is enough for both"
    keyframe = source.keyframe()
    await scene.pushed(333)
    for watcher in watchers:
        assert watcher.arrived() == byte_stream(keyframe)
        assert watcher.viewer.counters.pictures_replayed == 0


async def test_what_a_phone_leaves_between_keyframes_is_replayed_even_so(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    source = await scene.running(330)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed == 330
    assert source.keyframe_requests == 0


async def test_a_group_too_long_to_keep_needs_a_keyframe(scene: Scene) -> None:
    source = await scene.running(901)
    watcher = scene.join()
    assert source.keyframe_requests == 1
    keyframe = source.keyframe()
    await scene.pushed(902)
    assert watcher.arrived() == byte_stream(keyframe)


async def test_a_decoder_that_lost_track_gets_the_group_again(scene: Scene) -> None:
    await scene.running(5)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    everything = watcher.arrived()
    watcher.viewer.request_keyframe("pli", 10.0)
    assert watcher.following is Following.REPLAYING
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.arrived() == everything


async def test_a_live_viewer_goes_on_until_the_keyframe_it_asked_for(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    source = await scene.running(1)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    source.predicted(40)
    await scene.pushed(41)
    watcher.arrived()
    watcher.viewer.request_keyframe("pli", 10.0)
    assert source.keyframe_requests == 1
    following = [*source.predicted(2), source.keyframe()]
    await scene.pushed(44)
    assert watcher.arrived() == byte_stream(*following)


async def test_a_request_during_a_replay_does_not_end_it(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    source = await scene.running(30)
    watcher = scene.join()
    assert watcher.following is Following.REPLAYING
    watcher.viewer.request_keyframe("pli", 10.0)
    assert watcher.following is Following.REPLAYING
    source.predicted(5)
    await scene.pushed(35)
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed >= 30
    assert source.keyframe_requests == 0, "what it asks for is on its way"


async def test_who_fell_behind_is_brought_in_after_a_while_unless_a_keyframe_came(scene: Scene) -> None:
    source = await scene.running(3)
    first, second = scene.join(), scene.join()
    await until(lambda: first.following is second.following is Following.LIVE)
    first.path.is_full = True
    source.predicted()
    await scene.pushed(4)
    first.path.is_full = False
    assert (first.following, second.following) == (Following.WAITING, Following.LIVE)
    source.keyframe()
    await scene.pushed(5)
    assert first.following is Following.LIVE
    second.path.is_full = True
    source.predicted()
    await scene.pushed(6)
    second.path.is_full = False
    assert second.following is Following.WAITING
    # The second one's turn comes after the first one's.
    await until(lambda: second.following is Following.LIVE)
    assert second.viewer.counters.pictures_replayed == 3 + 2
    assert first.viewer.counters.pictures_replayed == 3, "the keyframe was enough"
    assert (first.viewer.drops, second.viewer.drops) == ({"buffer_full": 1}, {"buffer_full": 1})


async def test_who_falls_behind_again_and_again_is_left_alone_longer(scene: Scene) -> None:
    source = await scene.running(3)
    often, first_time = scene.join(), scene.join()
    await until(lambda: often.following is first_time.following is Following.LIVE)
    for _ in range(2):
        often.viewer.patience.take(time.monotonic())
    for watcher in (often, first_time):
        watcher.path.is_full = True
    source.predicted()
    await scene.pushed(4)
    for watcher in (often, first_time):
        watcher.path.is_full = False
        watcher.arrived()
    assert not often.viewer.patience.is_over(time.monotonic()), "what it falls behind by counts as help"
    assert not first_time.viewer.patience.is_over(time.monotonic())
    await until(lambda: first_time.following is Following.LIVE)
    assert often.following is Following.WAITING
    assert often.path.datagrams == []


async def test_a_keyframe_that_does_not_come_is_asked_for_again_while_a_viewer_waits(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    source = await scene.running(331)
    gone = scene.join()
    assert source.keyframe_requests == 1
    scene.stream.renditions.remove(gone.viewer)
    helped = scene.join()
    keyframe = source.keyframe()
    source.predicted(330)
    await scene.pushed(662)
    assert helped.following is Following.LIVE
    source.predicted()
    await scene.pushed(663)
    waiting = scene.join()
    assert waiting.following is Following.WAITING
    assert source.keyframe_requests == 1, "the last request was a moment ago"
    await until(lambda: source.keyframe_requests == 3)
    assert gone.path.datagrams == []
    assert helped.arrived().startswith(byte_stream(keyframe))
    assert helped.viewer.counters.pictures_replayed == 0
    assert waiting.following is Following.WAITING
    assert waiting.path.datagrams == []
    again = source.keyframe()
    await scene.pushed(664)
    assert waiting.arrived() == byte_stream(again)
    assert scene.stream.captured["pushed"].keyframes_requested == 3


async def test_a_viewer_that_asks_often_is_looked_at_once(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    await scene.running(331)
    watcher = scene.join()
    pending = scene.stream.renditions.source.viewers[watcher.viewer]
    assert pending is not None
    for _ in range(3):
        scene.stream.renditions.lagging(watcher.viewer, "pli")
        replaced, pending = pending, scene.stream.renditions.source.viewers[watcher.viewer]
        assert pending is not None
        assert (replaced.cancelled(), pending.cancelled()) == (True, False)
    scene.stream.renditions.remove(watcher.viewer)
    assert pending.cancelled()


async def test_who_falls_behind_while_it_waits_for_a_keyframe_is_left_alone_as_long_as_others(scene: Scene) -> None:
    scene.keyframe_on_demand = True
    await scene.running(331)
    watcher = scene.join()
    reminder = scene.stream.renditions.source.viewers[watcher.viewer]
    watcher.viewer.fell_behind("buffer_full")
    pending = scene.stream.renditions.source.viewers[watcher.viewer]
    assert reminder is not None
    assert pending is not None
    assert reminder.cancelled()
    assert not pending.cancelled()


async def test_nobody_is_caught_up_while_live_pictures_are_late(scene: Scene) -> None:
    source = await scene.running(3)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    loop = asyncio.get_running_loop()
    is_late = True

    def another_late_picture() -> None:
        # After this turn's work of the egress and before its next: timers find it waiting.
        if is_late:
            scene.egress.submit(Picture(predicted(), 0, time.monotonic() - 1), ())
            loop.call_soon(another_late_picture)

    watcher.path.is_full = True
    source.predicted()
    await scene.pushed(4)
    watcher.path.is_full = False
    watcher.arrived()
    pending = scene.stream.renditions.source.viewers[watcher.viewer]
    another_late_picture()
    await until(lambda: scene.stream.renditions.source.viewers[watcher.viewer] is not pending)
    assert watcher.following is Following.WAITING
    is_late = False
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed == 3 + 4


async def test_a_viewer_who_left_gets_nothing(scene: Scene) -> None:
    source = await scene.running(3)
    gone, staying = scene.join(), scene.join()
    await until(lambda: gone.following is staying.following is Following.LIVE)
    gone.arrived()
    scene.stream.renditions.remove(gone.viewer)
    source.keyframe()
    source.predicted()
    await scene.pushed(5)
    for reason in ("pli", "buffer_full"):
        scene.stream.renditions.lagging(gone.viewer, reason)
    assert gone.following is not Following.REPLAYING
    assert list(scene.stream.renditions.viewers) == [staying.viewer]
    assert gone.path.datagrams == []
    assert staying.viewer.counters.pictures_sent == 5


@pytest.mark.parametrize(
    ("break_off", "reason"),
    [
        (PushedSource.end, "the source ended"),
        (lambda source: source.fail(SourceEnded("the recorder crashed")), "the recorder crashed"),
    ],
)
async def test_viewers_stay_when_the_source_is_opened_again(
    scene: Scene, break_off: Callable[[PushedSource], None], reason: str
) -> None:
    source = await scene.running(3)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    watcher.arrived()
    last_timestamp = watcher.viewer.last_timestamp
    scene.failures = [DeviceOffline("not yet")]
    break_off(source)
    again = await scene.source(2)
    assert source.is_closed
    assert scene.states == [
        (StreamState.RUNNING, "a test pushes"),
        (StreamState.RECONNECTING, reason),
        (StreamState.RECONNECTING, "not yet"),
    ]
    pictures = [again.keyframe(), *again.predicted(2)]
    await scene.pushed(6)
    assert watcher.arrived() == byte_stream(*pictures)
    assert scene.states[-1] == (StreamState.RUNNING, "a test pushes")
    assert last_timestamp is not None
    assert watcher.viewer.last_timestamp is not None
    assert watcher.viewer.last_timestamp > last_timestamp


async def test_a_stream_that_reconnects_is_ready_when_pictures_come_again(scene: Scene) -> None:
    source = await scene.running(3)
    source.end()
    await until(lambda: scene.stream.state is StreamState.RECONNECTING)
    assert (await failure_of(scene.stream.ready(0.01))).code == "no_picture"
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(scene.stream.ready(PATIENCE))
        again = await scene.source(2)
        assert not waiting.done()
        again.keyframe(width=96, height=64)
    sps = scene.stream.sps
    assert sps is not None
    assert (sps.width, sps.height) == (96, 64), "what comes now, not what came before"
    assert waiting.result() == sps.profile_level_id
    assert scene.stream.state is StreamState.RUNNING


async def test_a_stream_that_cannot_be_opened_again_says_why(scene: Scene) -> None:
    source = await scene.running(3)
    scene.failures = [DeviceOffline("unplugged")]
    source.end()
    await until(lambda: scene.stream.state is StreamState.RECONNECTING)
    error = await failure_of(scene.stream.ready(PATIENCE))
    assert (error.code, error.retry_after) == ("device_offline", 5)
    assert str(error) == "'phone-1' cannot be watched: unplugged"


async def test_who_waits_for_a_stream_that_is_stopped_is_told(scene: Scene) -> None:
    scene.start()
    await scene.source()
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(failure_of(scene.stream.ready(PATIENCE)))
        await asyncio.sleep(0)
        scene.stream.stopped()
    error = waiting.result()
    assert (error.code, error.retry_after) == (SourceEnded.code, 5)
    assert str(error) == "'phone-1' cannot be watched: its stream was stopped"


async def test_a_viewer_who_connects_meanwhile_sees_the_last_picture(scene: Scene) -> None:
    source = await scene.running(3)
    source.end()
    await until(lambda: scene.stream.state is StreamState.RECONNECTING)
    watcher = scene.join()
    await until(lambda: watcher.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed == 3


async def test_a_stopped_stream_says_so_and_keeps_no_pictures(scene: Scene) -> None:
    source = await scene.running(3)
    await scene.close()
    scene.stream.stopped()
    assert scene.states[-1] == (StreamState.STOPPED, "nobody watches")
    assert source.is_closed
    watcher = scene.join()
    assert watcher.following is Following.WAITING

"""Whose turn it is: fan-out in slices, replays, and what happens to those who left or fell behind."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from media_service.rtc.bandwidth import Probe
from media_service.rtc.egress import Egress
from media_service.rtc.picture import GopCache, Picture
from media_service.rtc.replay import Replay
from media_service.rtc.stun import TransportAddress
from media_service.rtc.template import Run
from media_service.rtc.viewer import Following, Viewer
from tests.rtc.estimators import SetEstimator
from tests.rtc.joined import JoinedEnds, RecordingPath
from tests.rtc.samples import keyframe, predicted, video_track
from tests.waiting import until


class LightPath:
    """A `path.Path` that keeps the RTP timestamps of what is sent, and no packets."""

    protocol = "udp"
    backlog = 0

    def __init__(self) -> None:
        self.remote: TransportAddress = ("192.0.2.7", 50_007)
        self.timestamps: list[int] = []

    def send(self, datagram: bytes) -> bool:
        raise AssertionError("only pictures are sent here")

    def send_run(self, run: Run) -> bool:
        timestamp = int.from_bytes(run.view[4:8], "big")
        if not self.timestamps or self.timestamps[-1] != timestamp:
            self.timestamps.append(timestamp)
        return True


class Stage:
    """An egress, and a stream's worth of pictures and viewers."""

    def __init__(self, ends: JoinedEnds) -> None:
        self.ends = ends
        self.latencies: list[float] = []
        self.egress = Egress(self.latencies.append)
        self.cache = GopCache()
        self.viewers: dict[Viewer, None] = {}
        self.sent: list[AccessUnit] = []

    def add_viewer(self, path: Any, estimator: SetEstimator | None = None) -> Viewer:
        """A viewer that waits for a keyframe; without an `estimator` its path carries everything."""
        ssrc = 2 * len(self.viewers) + 1000
        viewer = self.ends.viewer(video_track(ssrc=ssrc, rtx_ssrc=ssrc + 1), self.egress, path, estimator=estimator)
        self.viewers[viewer] = None
        return viewer

    def picture(self, *, is_keyframe: bool = False, age: float = 0.0, size: int = 800) -> Picture:
        """The stream's next picture."""
        now = time.monotonic() - age
        access_unit = keyframe(5 * size, now) if is_keyframe else predicted(size + len(self.sent), now)
        self.sent.append(access_unit)
        picture = Picture(access_unit, len(self.sent), now)
        self.cache.add(picture)
        return picture

    def push(self, *, is_keyframe: bool = False, age: float = 0.0, size: int = 800) -> Picture:
        """Hand on the stream's next picture."""
        picture = self.picture(is_keyframe=is_keyframe, age=age, size=size)
        self.egress.submit(picture, self.viewers)
        return picture

    async def idle(self) -> None:
        """Wait until every live picture is out and nobody is replaying."""
        await until(
            lambda: (
                not self.egress.waiting and all(viewer.following is not Following.REPLAYING for viewer in self.viewers)
            )
        )

    def following(self, viewer: Viewer) -> Following:
        """As it is now; mypy would believe that it stays."""
        return viewer.following

    def arrived(self, path: RecordingPath) -> bytes:
        """The byte stream that the browser behind `path` made of what came."""
        return b"".join(H264PayloadDescriptor.parse(packet.payload)[1] for packet in self.ends.received(path))

    def expected(self, *numbers: int) -> bytes:
        """The byte stream of the pictures with these numbers."""
        return b"".join(to_annexb(self.sent[number - 1].nal_units) for number in numbers)


@pytest.fixture
async def stage(joined: JoinedEnds) -> AsyncIterator[Stage]:
    made = Stage(joined)
    yield made
    made.egress.close()


async def test_every_viewer_gets_every_picture_in_order(stage: Stage) -> None:
    paths = [RecordingPath() for _ in range(5)]
    for path in paths:
        stage.add_viewer(path)
    stage.push(is_keyframe=True)
    for _ in range(9):
        stage.push()
    await stage.idle()
    for path in paths:
        assert stage.arrived(path) == stage.expected(*range(1, 11))
    assert all(viewer.following is Following.LIVE for viewer in stage.viewers)
    assert len(stage.latencies) == 10
    assert min(stage.latencies) >= 0


async def test_a_waiting_viewer_gets_nothing_before_a_keyframe(stage: Stage) -> None:
    path = RecordingPath()
    stage.add_viewer(path)
    for is_keyframe in (False, False, True, False):
        stage.push(is_keyframe=is_keyframe)
    await stage.idle()
    assert stage.arrived(path) == stage.expected(3, 4)
    assert stage.ends.lagging.reasons == []


async def test_viewers_of_different_shapes_share_a_picture(stage: Stage) -> None:
    with_extensions, without = RecordingPath(), RecordingPath()
    stage.add_viewer(with_extensions)
    bare = video_track(ssrc=5000, mid_extension=None, absolute_send_time_extension=None, playout_delay_extension=None)
    stage.viewers[stage.ends.viewer(bare, stage.egress, without)] = None
    stage.push(is_keyframe=True)
    await stage.idle()
    assert stage.arrived(with_extensions) == stage.arrived(without) == stage.expected(1)


async def test_the_loop_gets_its_turn_between_slices(stage: Stage) -> None:
    paths = [LightPath() for _ in range(500)]
    for path in paths:
        stage.add_viewer(path)
    loop = asyncio.get_running_loop()
    served: list[int] = []

    def another_turn() -> None:
        served.append(sum(bool(path.timestamps) for path in paths))
        if stage.egress.waiting:
            loop.call_soon(another_turn)

    pictures = [stage.push(is_keyframe=True, size=6000), stage.push(), stage.push()]
    loop.call_soon(another_turn)
    await stage.idle()
    assert any(0 < count < len(paths) for count in served), "all viewers were served without a break"
    for viewer, path in zip(stage.viewers, paths, strict=True):
        offset = path.timestamps[0] - pictures[0].timestamp
        assert path.timestamps == [picture.timestamp + offset & 0xFFFFFFFF for picture in pictures]
        assert viewer.counters.pictures_sent == 3


async def test_a_viewer_that_leaves_between_slices_gets_nothing(stage: Stage) -> None:
    paths = [LightPath() for _ in range(500)]
    viewers = [stage.add_viewer(path) for path in paths]
    loop = asyncio.get_running_loop()
    gone: list[int] = []

    def leave() -> None:
        served = [bool(path.timestamps) for path in paths]
        if 0 < sum(served) < len(paths):
            for index, was_served in enumerate(served):
                if not was_served:
                    gone.append(index)
                    del stage.viewers[viewers[index]]
                    stage.egress.forget(viewers[index])
        elif stage.egress.waiting:
            loop.call_soon(leave)

    stage.push(is_keyframe=True, size=6000)
    loop.call_soon(leave)
    await stage.idle()
    assert gone
    assert not any(paths[index].timestamps for index in gone)


async def test_a_viewer_that_missed_a_picture_waits_for_the_next_keyframe(stage: Stage) -> None:
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.push(is_keyframe=True)
    stage.picture()  # lost between capture and egress
    stage.push()
    stage.push()
    await stage.idle()
    assert stage.arrived(path) == stage.expected(1)
    assert viewer.following is Following.WAITING
    assert viewer.drops == {"picture_missed": 1}
    assert stage.ends.lagging.reasons == ["picture_missed"]
    stage.push(is_keyframe=True)
    stage.push()
    await stage.idle()
    assert stage.arrived(path) == stage.expected(5, 6)


async def test_a_keyframe_that_waits_behind_other_pictures_helps_a_waiting_viewer(stage: Stage) -> None:
    path = RecordingPath()
    stage.push(is_keyframe=True)
    await stage.idle()
    viewer = stage.add_viewer(path)
    stage.push()
    stage.push(is_keyframe=True)
    stage.push()
    await stage.idle()
    assert stage.arrived(path) == stage.expected(3, 4)
    assert not viewer.drops


async def test_a_picture_that_waited_too_long_is_not_sent(stage: Stage) -> None:
    live, waiting = RecordingPath(), RecordingPath()
    stage.add_viewer(live)
    stage.push(is_keyframe=True)
    await stage.idle()
    newcomer = stage.add_viewer(waiting)
    stage.push(age=2.1)
    stage.push()
    await stage.idle()
    assert stage.egress.pictures_dropped == 1
    assert stage.arrived(live) == stage.expected(1)
    assert stage.ends.lagging.reasons == ["picture_too_late"], "even when the screen stands still from now on"
    assert not newcomer.drops
    stage.push(is_keyframe=True)
    await stage.idle()
    assert stage.arrived(live) == stage.arrived(waiting) == stage.expected(4)


async def test_a_late_picture_is_better_than_none(stage: Stage) -> None:
    path = RecordingPath()
    stage.add_viewer(path)
    for is_keyframe in (True, False):
        stage.push(is_keyframe=is_keyframe, age=1.0)
    await stage.idle()
    assert stage.arrived(path) == stage.expected(1, 2)
    assert stage.egress.pictures_dropped == 0


async def test_a_keyframe_that_waited_too_long_is_asked_for_again(stage: Stage) -> None:
    viewer = stage.add_viewer(RecordingPath())
    stage.push(is_keyframe=True, age=2.1)
    await stage.idle()
    assert viewer.drops == {"picture_too_late": 1}
    assert stage.ends.lagging.reasons == ["picture_too_late"]


async def test_a_picture_that_cannot_be_packetised_costs_only_itself(stage: Stage) -> None:
    path = RecordingPath()
    for each in (path, LightPath(), LightPath()):
        stage.add_viewer(each)
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    stage.push(is_keyframe=True)
    await stage.idle()
    stage.egress.submit(Picture(AccessUnit((b"", b""), 0.0, is_keyframe=True), 2, time.monotonic()), stage.viewers)
    await until(lambda: reported)
    stage.sent.append(AccessUnit((), 0.0, is_keyframe=True))
    stage.push(is_keyframe=True)
    await stage.idle()
    assert stage.arrived(path) == stage.expected(1, 3)
    assert len(reported) == 1


async def test_a_replay_brings_a_viewer_to_live(stage: Stage) -> None:
    stage.push(is_keyframe=True)
    for _ in range(59):
        stage.push()
    await stage.idle()
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.egress.replay(Replay(viewer, stage.cache))
    assert stage.following(viewer) is Following.REPLAYING
    await stage.idle()
    assert stage.following(viewer) is Following.LIVE
    stage.push()
    await stage.idle()
    assert stage.arrived(path) == stage.expected(*range(1, 62))
    assert viewer.counters.pictures_replayed == 60


async def test_a_running_stream_and_a_replay_give_each_picture_once(stage: Stage) -> None:
    watching, joining = RecordingPath(), RecordingPath()
    stage.add_viewer(watching)
    stage.push(is_keyframe=True)
    for _ in range(79):
        stage.push()
    await stage.idle()
    viewer = stage.add_viewer(joining)
    stage.egress.replay(Replay(viewer, stage.cache))
    for _ in range(40):
        stage.push()
        await asyncio.sleep(0)
    await stage.idle()
    stage.push()
    await stage.idle()
    everything = stage.expected(*range(1, len(stage.sent) + 1))
    assert stage.arrived(watching) == stage.arrived(joining) == everything
    assert len({viewer.last_timestamp for viewer in stage.viewers}) == 1, "both are at the same moment"


@pytest.mark.parametrize("is_keyframe", [True, False])
async def test_a_replay_that_overtakes_a_waiting_picture_sends_it_once(stage: Stage, is_keyframe: bool) -> None:
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.push(is_keyframe=True)
    await stage.idle()
    stage.push(is_keyframe=is_keyframe)
    viewer.has_gap = True
    stage.egress.replay(Replay(viewer, stage.cache))
    await stage.idle()
    stage.push()
    await stage.idle()
    assert stage.arrived(path) == stage.expected(*((1, 2, 3) if is_keyframe else (1, 1, 2, 3)))
    assert not viewer.drops


async def test_a_picture_handed_on_twice_is_sent_once(stage: Stage) -> None:
    path = RecordingPath()
    stage.add_viewer(path)
    for is_keyframe in (True, False):
        picture = stage.push(is_keyframe=is_keyframe)
        stage.egress.submit(picture, stage.viewers)
    await stage.idle()
    assert stage.arrived(path) == stage.expected(1, 2)


async def test_a_second_replay_takes_the_place_of_the_first(stage: Stage) -> None:
    stage.push(is_keyframe=True)
    for _ in range(19):
        stage.push()
    await stage.idle()
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.egress.replay(Replay(viewer, stage.cache))
    stage.egress.replay(Replay(viewer, stage.cache))
    await stage.idle()
    assert stage.arrived(path) == stage.expected(*range(1, 21))


async def test_a_replay_ends_when_its_viewer_leaves(stage: Stage) -> None:
    stage.push(is_keyframe=True)
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.egress.replay(Replay(viewer, stage.cache))
    stage.egress.forget(viewer)
    del stage.viewers[viewer]
    await stage.idle()
    other = RecordingPath()
    stage.egress.replay(Replay(stage.add_viewer(other), stage.cache))
    await stage.idle()
    assert path.datagrams == []
    assert stage.arrived(other) == stage.expected(1)


async def test_a_replay_stops_at_a_full_buffer(stage: Stage) -> None:
    stage.push(is_keyframe=True)
    for _ in range(9):
        stage.push()
    path = RecordingPath()
    path.is_full = True
    viewer = stage.add_viewer(path)
    stage.egress.replay(Replay(viewer, stage.cache))
    await stage.idle()
    assert viewer.following is Following.WAITING
    assert viewer.counters.pictures_sent == 1
    assert stage.ends.lagging.reasons == ["buffer_full"]


async def test_a_replay_waits_for_what_is_not_sent_yet(stage: Stage) -> None:
    live, waiting, other = RecordingPath(), RecordingPath(), RecordingPath()
    stage.add_viewer(live)
    stage.push(is_keyframe=True)
    for _ in range(9):
        stage.push()
    await stage.idle()
    viewer, another = stage.add_viewer(waiting), stage.add_viewer(other)
    waiting.backlog = (64 << 10) + 1
    for each in (viewer, another):
        stage.egress.replay(Replay(each, stage.cache))
    await until(lambda: another.following is Following.LIVE)
    assert waiting.datagrams == []
    assert stage.following(viewer) is Following.REPLAYING
    # Nobody else waits for it, and the backlog of a live viewer counts for nothing: what it has is sent or dropped.
    live.backlog = 1 << 20
    stage.push()
    await until(lambda: another.counters.pictures_sent == 11)
    assert waiting.datagrams == []
    waiting.backlog = 64 << 10
    await stage.idle()
    assert stage.following(viewer) is Following.LIVE
    stage.push()
    await stage.idle()
    everything = stage.expected(*range(1, 13))
    assert stage.arrived(live) == stage.arrived(waiting) == stage.arrived(other) == everything


async def test_a_replay_looks_at_the_backlog_before_each_turn(stage: Stage) -> None:
    stage.push(is_keyframe=True, size=60_000)  # more packets than one turn of a replay sends
    for _ in range(9):
        stage.push(size=60_000)
    await stage.idle()
    path, other = RecordingPath(), LightPath()
    viewer = stage.add_viewer(path)
    stage.egress.replay(Replay(viewer, stage.cache))
    await until(lambda: viewer.counters.pictures_sent, pause=0)
    path.backlog = 1 << 20
    count = viewer.counters.pictures_sent
    another = stage.add_viewer(other)
    stage.egress.replay(Replay(another, stage.cache))
    await until(lambda: another.following is Following.LIVE)
    assert viewer.counters.pictures_sent == count < 10
    path.backlog = 0
    await stage.idle()
    assert stage.arrived(path) == stage.expected(*range(1, 11))


async def test_a_group_that_became_too_long_to_keep_ends_the_replay(stage: Stage) -> None:
    stage.push(is_keyframe=True, size=60_000)  # more packets than one turn of a replay sends
    for _ in range(9):
        stage.push(size=60_000)
    await stage.idle()
    viewer = stage.add_viewer(RecordingPath())
    stage.egress.replay(Replay(viewer, stage.cache))
    await until(lambda: viewer.counters.pictures_sent, pause=0)
    stage.cache.clear()
    await stage.idle()
    assert viewer.following is Following.WAITING
    assert viewer.drops == {"replay_too_long": 1}


async def test_replays_take_turns(stage: Stage) -> None:
    stage.push(is_keyframe=True)
    for _ in range(199):
        stage.push()
    viewers = [stage.add_viewer(LightPath()) for _ in range(3)]
    for viewer in viewers:
        stage.egress.replay(Replay(viewer, stage.cache))
    await until(lambda: viewers[-1].counters.pictures_sent, pause=0)
    assert viewers[0].counters.pictures_sent < 200, "the first was done before the last began"
    await stage.idle()
    assert {viewer.counters.pictures_sent for viewer in viewers} == {200}


async def test_the_lateness_is_that_of_the_oldest_picture_that_waits(stage: Stage) -> None:
    stage.add_viewer(RecordingPath())
    assert stage.egress.lateness == 0
    oldest = stage.push(is_keyframe=True, age=1.0)
    stage.push(age=0.5)
    before = time.monotonic()
    lateness = stage.egress.lateness
    assert before <= oldest.ready_at + lateness <= time.monotonic()
    await stage.idle()
    assert stage.egress.lateness == 0


async def test_nothing_is_sent_after_the_end(stage: Stage) -> None:
    path = RecordingPath()
    viewer = stage.add_viewer(path)
    stage.push(is_keyframe=True)
    stage.egress.replay(Replay(viewer, stage.cache))
    stage.egress.close()
    stage.push(is_keyframe=True)
    for _ in range(5):
        await asyncio.sleep(0)
    assert path.datagrams == []


async def test_what_a_path_does_not_carry_at_once_follows(stage: Stage) -> None:
    fast, slow = RecordingPath(), RecordingPath()
    stage.add_viewer(fast)
    viewer = stage.add_viewer(slow, SetEstimator(2_000_000))
    stage.push(is_keyframe=True, size=10_000)
    stage.push()
    await stage.idle()
    assert stage.arrived(fast) == stage.expected(1, 2)
    assert viewer.counters.pictures_sent == 0
    await until(lambda: not viewer.waiting_seconds)
    assert stage.arrived(slow) == stage.expected(1, 2)
    assert not viewer.drops


async def test_a_keyframe_is_asked_for_until_it_comes(stage: Stage) -> None:
    path = RecordingPath()
    estimator = SetEstimator(2_000_000)
    viewer = stage.add_viewer(path, estimator)
    stage.push(is_keyframe=True)
    await stage.idle()
    estimator.bit_rate = 100_000
    stage.push(size=40_000)
    await until(lambda: len(stage.ends.lagging.reasons) >= 2)
    assert set(stage.ends.lagging.reasons) == {"congested"}
    estimator.bit_rate = 2_000_000
    stage.push(is_keyframe=True)
    await until(lambda: viewer.counters.pictures_sent == 2)
    assert stage.arrived(path) == stage.expected(1, 3)


async def test_a_replay_goes_as_fast_as_the_path(stage: Stage) -> None:
    stage.push(is_keyframe=True, size=5000)
    for _ in range(29):
        stage.push()
    path = RecordingPath()
    viewer = stage.add_viewer(path, SetEstimator(2_000_000))
    stage.egress.replay(Replay(viewer, stage.cache))
    most = 0.0
    while viewer.following is Following.REPLAYING:
        most = max(most, viewer.waiting_seconds)
        await asyncio.sleep(0)
    assert 0 < most < 0.25, "the rest of the keyframe is the most that waits"
    assert stage.following(viewer) is Following.LIVE
    stage.push()
    await until(lambda: not viewer.waiting_seconds and viewer.counters.pictures_sent == 31)
    assert stage.arrived(path) == stage.expected(*range(1, 32))
    assert not viewer.drops


async def test_a_replay_that_turns_out_to_take_too_long_is_given_up(stage: Stage) -> None:
    stage.push(is_keyframe=True, size=5000)
    for _ in range(29):
        stage.push(size=10_000)
    path, estimator = RecordingPath(), SetEstimator(10_000_000)
    viewer = stage.add_viewer(path, estimator)
    stage.egress.replay(Replay(viewer, stage.cache))
    await until(lambda: viewer.counters.pictures_sent, pause=0)
    estimator.bit_rate = 500_000
    await until(lambda: stage.following(viewer) is Following.WAITING)
    assert viewer.has_gap
    assert set(stage.ends.lagging.reasons) <= {"congested"}
    await until(lambda: stage.ends.lagging.reasons)
    stage.push(is_keyframe=True, size=500)
    await until(lambda: viewer.picture_number == 31 and not viewer.waiting_seconds)
    assert stage.following(viewer) is Following.LIVE
    assert stage.arrived(path).endswith(stage.expected(31))


async def test_a_replay_that_is_all_there_is_goes_on_however_long_it_takes(stage: Stage) -> None:
    """The next keyframe may never come."""
    stage.push(is_keyframe=True, size=5000)
    for _ in range(29):
        stage.push(size=10_000)
    path, estimator = RecordingPath(), SetEstimator(500_000)
    viewer = stage.add_viewer(path, estimator)
    assert viewer.seconds_for(stage.cache.octets) > 2
    stage.egress.replay(Replay(viewer, stage.cache, is_only_help=True))
    await until(lambda: viewer.counters.pictures_sent, pause=0)
    assert stage.following(viewer) is Following.REPLAYING
    estimator.bit_rate = 50_000_000
    await until(lambda: stage.following(viewer) is Following.LIVE)
    await until(lambda: not viewer.waiting_seconds)
    assert stage.arrived(path) == stage.expected(*range(1, 31))


async def test_whoever_has_something_to_gain_is_probed(stage: Stage) -> None:
    path, other = RecordingPath(), RecordingPath()
    estimator, content = SetEstimator(2_000_000), SetEstimator(2_000_000)
    viewer, contented = stage.add_viewer(path, estimator), stage.add_viewer(other, content)
    stage.push(is_keyframe=True)
    await stage.idle()
    estimator.probes.append(Probe(4_000_000, 0.05))
    viewer.wanted_bit_rate = 4_000_000
    await until(lambda: len(estimator.asked) >= 2)
    assert viewer.counters.padding_packets_sent > 2
    viewer.close()
    asked = len(estimator.asked)
    contented.wanted_bit_rate = 5_000_000
    await until(lambda: len(content.asked) >= 2)
    assert len(estimator.asked) == asked


async def test_nobody_is_served_after_the_end(stage: Stage) -> None:
    path = RecordingPath()
    viewer = stage.add_viewer(path, SetEstimator(1_000_000))
    stage.push(is_keyframe=True, size=10_000)
    await stage.idle()
    stage.egress.close()
    before = len(path.datagrams)
    await asyncio.sleep(0.02)
    assert viewer.waiting_seconds > 0
    assert len(path.datagrams) == before

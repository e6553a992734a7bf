"""Viewers of one stream in several codings: real pictures, decoded and coded by the real codecs in a real pool."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence

import av
import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.rtp import RtpPacket

from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from encoders.errors import EncoderError
from encoders.h264_encoder import H264Encoder
from encoders.pool import EncoderPool
from encoders.video_encoder import VideoCoding, VideoEncoder
from media_service.renditions import Renditions
from media_service.rtc.egress import Egress
from media_service.rtc.unlimited import Unlimited
from media_service.rtc.viewer import Following, Viewer
from media_service.rungs import SOURCE, Wish
from media_service.transcoding import Transcoding
from signaling.errors import Conflict
from tests.fixtures.media import encode_x264
from tests.rtc.joined import JoinedEnds, RecordingPath, joined_ends
from tests.rtc.samples import video_track
from tests.waiting import until

BROWSER = ("42e01f", "4d001f")
WIDTH, HEIGHT = 480, 640
PLENTY, LITTLE = 50_000_000, 400_000
"""Bits per second: enough for the stream as it is; for the 360p rung only."""


class Estimate(Unlimited):
    """A path that carries what the test says."""

    def __init__(self, bit_rate: int) -> None:
        super().__init__()
        self.bit_rate = bit_rate


class Watcher:
    """A viewer and what its browser got."""

    def __init__(self, viewer: Viewer, estimate: Estimate, path: RecordingPath, ends: JoinedEnds) -> None:
        self.viewer = viewer
        self.estimate = estimate
        self.changes = 0
        self.packets: list[RtpPacket] = []
        self._path = path
        self._ends = ends

    def take(self) -> list[RtpPacket]:
        """All packets so far."""
        self.packets += self._ends.received(self._path)
        return self.packets

    def sizes(self) -> list[tuple[int, int]]:
        """The sizes of the pictures that a decoder makes of all that came."""
        decoder = av.CodecContext.create("h264", "r")
        data = b"".join(H264PayloadDescriptor.parse(packet.payload)[1] for packet in self.take())
        packets = [*decoder.parse(data), *decoder.parse(b"")]
        return [(frame.width, frame.height) for packet in [*packets, None] for frame in decoder.decode(packet)]

    def changed(self) -> None:
        self.changes += 1


class Scene:
    """A stream of real pictures, and its viewers."""

    def __init__(self, ends: JoinedEnds) -> None:
        self.egress = Egress(lambda _: None)
        self.pool = EncoderPool(workers=2, input_limit=10, timeout=5.0)
        self.refusals = 0
        """How many more encoders cannot be opened."""
        self.requests = 0
        self.opened: list[VideoCoding] = []
        transcoding = Transcoding(self.pool, self._open_encoder, 30, "ultrafast", 20)
        self.renditions = Renditions("phone-1", self.egress, self._asked, transcoding)
        self._ends = ends
        self._watchers = 0
        self._captured_at = 0.0

    def push(self, pictures: Sequence[bytes]) -> None:
        """Push coded pictures, of which the first is a keyframe."""
        self._captured_at = max(self._captured_at, time.monotonic())
        for number, coded in enumerate(pictures):
            self.renditions.push(AccessUnit(tuple(picture_nal_units(coded)), self._captured_at, number == 0))
            self._captured_at += 1 / 30

    def join(self, bit_rate: int, playable: Sequence[str] = BROWSER) -> Watcher:
        self._watchers += 1
        track = video_track(ssrc=2 * self._watchers + 1000, rtx_ssrc=2 * self._watchers + 1001)
        path, estimate = RecordingPath(), Estimate(bit_rate)
        viewer = self._ends.viewer(track, self.egress, path, self.renditions.lagging, estimator=estimate)
        watcher = Watcher(viewer, estimate, path, self._ends)
        self.renditions.add(viewer, playable, watcher.changed)
        return watcher

    def level(self, watcher: Watcher) -> str:
        return self.renditions.quality(watcher.viewer).level

    def wait(self, seconds: float) -> None:
        """Look as often as the service does while so much time passes."""
        now = time.monotonic()
        for tick in range(round(seconds / 0.2)):
            self.renditions.look(now + tick * 0.2)

    async def shown(self, watcher: Watcher, count: int) -> None:
        """Wait until so many pictures were sent to a viewer."""
        await until(lambda: watcher.viewer.counters.pictures_sent >= count)

    async def aclose(self) -> None:
        self.renditions.close()
        await self.pool.aclose()
        self.egress.close()

    def _open_encoder(self, coding: VideoCoding) -> VideoEncoder:
        if self.refusals:
            self.refusals -= 1
            raise EncoderError("the card is full")
        self.opened.append(coding)
        return H264Encoder.of(coding)

    def _asked(self) -> None:
        self.requests += 1


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    ends = await joined_ends()
    made = Scene(ends)
    yield made
    await made.aclose()
    await ends.dtls.aclose()


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    return encode_x264(WIDTH, HEIGHT, 8, profile="baseline")


async def test_who_has_room_gets_the_stream_as_it_is(scene: Scene, pictures: list[bytes]) -> None:
    watcher = scene.join(PLENTY)
    scene.push(pictures)
    await scene.shown(watcher, 8)
    assert watcher.sizes() == [(WIDTH, HEIGHT)] * 8
    assert not scene.pool.lanes


async def test_who_has_little_room_gets_a_rung(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    scene.push(pictures)
    await scene.shown(watcher, 3)
    assert set(watcher.sizes()) == {(360, 480)}
    quality = scene.renditions.quality(watcher.viewer)
    assert (quality.level, quality.levels) == ("360p", ("source", "480p", "360p"))
    assert quality.sps is not None
    assert (quality.sps.width, quality.sps.height) == (360, 480)


async def test_on_a_still_screen_too_there_is_a_picture_at_once(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    first = scene.join(LITTLE)
    await scene.shown(first, 1)
    second = scene.join(LITTLE)
    await scene.shown(second, 1)
    assert second.sizes()[:1] == [(360, 480)]


async def test_a_rung_is_coded_once_for_all_who_need_it(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watchers = [scene.join(LITTLE) for _ in range(5)]
    for watcher in watchers:
        await scene.shown(watcher, 1)
    assert [lane.name for lane in scene.pool.lanes if "decoder" in lane.name] == ["phone-1 decoder"]
    assert len(scene.pool.lanes) == 2
    assert len(scene.opened) == 1


async def test_a_path_that_narrows_changes_to_a_rung_at_its_keyframe(scene: Scene, pictures: list[bytes]) -> None:
    """One numbering, timestamps that grow, and pictures that a decoder takes without a fault."""
    watcher = scene.join(PLENTY)
    scene.push(pictures)
    await scene.shown(watcher, 8)
    watcher.estimate.bit_rate = LITTLE
    scene.wait(1.0)
    await until(lambda: scene.level(watcher) == "360p")
    assert watcher.changes == 1
    scene.push(pictures)
    await scene.shown(watcher, 12)
    packets = watcher.take()
    numbers = [packet.sequence_number for packet in packets]
    assert numbers == [(numbers[0] + index) & 0xFFFF for index in range(len(numbers))]
    times = list(dict.fromkeys(packet.timestamp for packet in packets))
    assert all(0 < (later - earlier) & 0xFFFFFFFF < 1 << 31 for earlier, later in itertools.pairwise(times))
    sizes = watcher.sizes()
    assert sizes[:8] == [(WIDTH, HEIGHT)] * 8
    assert set(sizes[8:]) == {(360, 480)}


async def test_until_the_rungs_keyframe_comes_the_stream_goes_on(scene: Scene, pictures: list[bytes]) -> None:
    watcher = scene.join(PLENTY)
    scene.push(pictures)
    await scene.shown(watcher, 8)
    watcher.estimate.bit_rate = LITTLE
    scene.wait(1.0)
    assert scene.level(watcher) == SOURCE
    assert watcher.viewer.following is Following.LIVE
    await until(lambda: scene.level(watcher) == "360p")


async def test_a_path_that_widens_goes_back_with_the_streams_next_keyframe(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    watcher.estimate.bit_rate = PLENTY
    scene.wait(3.0)
    assert scene.requests == 1
    assert scene.level(watcher) == "360p"
    scene.push(pictures)
    assert scene.level(watcher) == SOURCE
    await until(lambda: watcher.sizes()[-1] == (WIDTH, HEIGHT))


async def test_a_rung_that_nobody_needs_ends_after_a_while(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    scene.renditions.remove(watcher.viewer)
    scene.wait(1.0)
    assert scene.pool.lanes
    scene.wait(4.0)
    await until(lambda: not scene.pool.lanes)


async def test_the_poorest_of_a_rung_sets_its_bit_rate(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watchers = [scene.join(LITTLE), scene.join(LITTLE - 150_000)]
    for watcher in watchers:
        await scene.shown(watcher, 1)
    scene.wait(0.2)
    ((_, encoder, _),) = scene.renditions.running
    assert encoder.bit_rate == round(0.9 * (LITTLE - 150_000))


async def test_dropped_pictures_do_not_wait_for_the_estimate(scene: Scene, pictures: list[bytes]) -> None:
    watcher = scene.join(PLENTY)
    scene.push(pictures)
    await scene.shown(watcher, 8)
    watcher.estimate.bit_rate = LITTLE
    scene.renditions.lagging(watcher.viewer, "congested")
    await until(lambda: scene.level(watcher) == "360p")


async def test_what_no_browser_shows_is_coded_again(scene: Scene) -> None:
    watcher = scene.join(PLENTY)
    scene.push(encode_x264(WIDTH, HEIGHT, 16, x264="bframes=2"))
    await until(lambda: scene.level(watcher) == "480p")
    quality = scene.renditions.quality(watcher.viewer)
    assert "B-frames" in quality.reason
    assert quality.levels == ("480p", "360p")
    await scene.shown(watcher, 2)


async def test_a_browser_that_lacks_the_profile_is_coded_for(scene: Scene, pictures: list[bytes]) -> None:
    high = encode_x264(WIDTH, HEIGHT, 8, profile="high10", pix_fmt="yuv420p10le", x264="bframes=0")
    scene.push(high)
    watcher = scene.join(PLENTY)
    await scene.shown(watcher, 1)
    assert scene.level(watcher) == "480p"
    assert "high 10" in scene.renditions.quality(watcher.viewer).reason
    scene.push(pictures)
    scene.wait(3.0)
    scene.push(pictures)
    assert scene.level(watcher) == SOURCE


async def test_a_viewer_may_choose(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(PLENTY)
    scene.renditions.choose(watcher.viewer, Wish("480p"))
    await until(lambda: scene.level(watcher) == "480p")
    assert scene.renditions.quality(watcher.viewer).reason == "it was asked for"
    with pytest.raises(Conflict, match="'phone-1' now: only auto, source, 480p, 360p"):
        scene.renditions.choose(watcher.viewer, Wish("720p"))
    assert scene.level(watcher) == "480p"
    scene.renditions.choose(watcher.viewer, Wish())
    scene.wait(3.0)
    scene.push(pictures)
    assert scene.level(watcher) == SOURCE


async def test_an_encoder_that_cannot_be_opened_leaves_the_stream_as_it_is(scene: Scene, pictures: list[bytes]) -> None:
    scene.refusals = 100
    scene.push(pictures)
    watcher = scene.join(LITTLE)

    def picture_comes() -> bool:
        scene.push(pictures)
        return scene.level(watcher) == SOURCE

    await until(picture_comes)
    await until(lambda: watcher.viewer.counters.pictures_sent > 0)
    assert set(watcher.sizes()) == {(WIDTH, HEIGHT)}


async def test_a_turned_screen_turns_the_rung(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    scene.push(encode_x264(HEIGHT, WIDTH, 8, profile="baseline"))
    await until(lambda: watcher.sizes()[-1:] == [(480, 360)])
    sps = scene.renditions.quality(watcher.viewer).sps
    assert sps is not None
    assert (sps.width, sps.height) == (480, 360)


async def test_broken_pictures_cost_a_keyframe_and_no_more(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    requests = scene.requests
    scene.push([pictures[0], b"\0\0\0\1\x41" + bytes(range(200))])
    await until(lambda: scene.requests > requests)
    sent = watcher.viewer.counters.pictures_sent
    scene.push(pictures)
    await scene.shown(watcher, sent + 2)


async def test_who_leaves_while_it_changes_is_gone(scene: Scene, pictures: list[bytes]) -> None:
    watcher = scene.join(PLENTY)
    scene.push(pictures)
    await scene.shown(watcher, 8)
    watcher.estimate.bit_rate = LITTLE
    scene.wait(1.0)
    scene.renditions.remove(watcher.viewer)
    scene.wait(4.0)
    await until(lambda: not scene.pool.lanes)
    assert not scene.renditions.viewers
    await asyncio.sleep(0)
    assert watcher.changes == 0

"""Viewers of one stream in several codings: real pictures, decoded and coded by the real codecs in a real pool."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence

import av
import numpy as np
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
from media_service.rung_encoder import Transcoding
from media_service.rungs import SOURCE, Wish
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


def decoded(data: bytes) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    packets = [*decoder.parse(data), *decoder.parse(b"")]
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


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

    def frames(self) -> list[av.VideoFrame]:
        """The pictures that a decoder makes of all that came."""
        return decoded(b"".join(H264PayloadDescriptor.parse(packet.payload)[1] for packet in self.take()))

    def sizes(self) -> list[tuple[int, int]]:
        """Their sizes."""
        return [(frame.width, frame.height) for frame in self.frames()]

    def changed(self) -> None:
        self.changes += 1


class Scene:
    """A stream of real pictures, and its viewers."""

    def __init__(self, ends: JoinedEnds, *, encodes: bool = True) -> None:
        self.egress = Egress(lambda _: None)
        self.pool = EncoderPool(workers=2, input_limit=10, timeout=5.0)
        self.refusals = 0
        """How many more encoders cannot be opened."""
        self.requests = 0
        self.opened: list[VideoCoding] = []
        transcoding = Transcoding(self.pool, self._open_encoder, 30, "ultrafast", 20) if encodes else None
        self.renditions = Renditions("phone-1", self.egress, self._asked, transcoding)
        self._ends = ends
        self._watchers = 0
        self._captured_at = 0.0

    def push(self, pictures: Sequence[bytes], *, apart: float = 1 / 30, begins_anew: bool = True) -> None:
        """Push coded pictures, captured so many seconds `apart`; with `begins_anew` the first one is a keyframe."""
        self._captured_at = max(self._captured_at, time.monotonic())
        for number, coded in enumerate(pictures):
            is_keyframe = begins_anew and number == 0
            self.renditions.push(AccessUnit(tuple(picture_nal_units(coded)), self._captured_at, is_keyframe))
            self._captured_at += apart

    def join(self, bit_rate: int, playable: Sequence[str] = BROWSER, *, path: RecordingPath | None = None) -> Watcher:
        self._watchers += 1
        track = video_track(ssrc=2 * self._watchers + 1000, rtx_ssrc=2 * self._watchers + 1001)
        path, estimate = path or RecordingPath(), Estimate(bit_rate)
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

    async def looked_until(self, condition: Callable[[], object]) -> None:
        """Look after everybody until `condition` holds."""

        def holds() -> object:
            self.renditions.look(time.monotonic())
            return condition()

        await until(holds, pause=0.01)

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


@pytest.fixture
async def passthrough() -> AsyncIterator[Scene]:
    """One that codes nothing."""
    ends = await joined_ends()
    made = Scene(ends, encodes=False)
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


async def test_who_wants_a_rung_just_after_its_keyframe_gets_another(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    first, second = scene.join(PLENTY), scene.join(PLENTY)
    scene.renditions.choose(first.viewer, Wish("480p"))
    await until(lambda: scene.level(first) == "480p")
    scene.renditions.choose(second.viewer, Wish("480p"))
    assert scene.level(second) == SOURCE
    await scene.looked_until(lambda: scene.level(second) == "480p")


async def test_who_waits_for_the_stream_is_still_helped_where_it_is(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    await scene.shown(scene.join(LITTLE), 1)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    watcher.estimate.bit_rate = PLENTY
    scene.wait(3.0)
    assert scene.requests == 1, "a keyframe of the stream was asked for, and does not come"
    sent = watcher.viewer.counters.pictures_sent
    watcher.viewer.fell_behind("buffer_full")
    watcher.viewer.request_keyframe("pli", time.monotonic())
    await scene.shown(watcher, sent + 1)
    assert watcher.sizes()[-1] == (360, 480)


async def test_a_replay_outlives_the_rung_that_its_viewer_was_to_go_to(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    scene.refusals = 3
    path = RecordingPath()
    path.backlog = 1 << 20
    watcher = scene.join(PLENTY, path=path)
    await until(lambda: watcher.viewer.following is Following.REPLAYING)
    scene.renditions.choose(watcher.viewer, Wish("360p"))
    await scene.looked_until(lambda: not scene.renditions.running)
    path.backlog = 0
    await scene.shown(watcher, 8)
    await until(lambda: watcher.viewer.following is Following.LIVE)


async def test_a_rung_that_is_begun_when_the_decoder_fails_is_decoded_for(scene: Scene) -> None:
    pictures = encode_x264(720, 960, 8, profile="baseline")
    scene.push(pictures)
    watcher, other = scene.join(PLENTY), scene.join(LITTLE)
    for each, level in ((watcher, "720p"), (other, "360p")):
        scene.renditions.choose(each.viewer, Wish(level))
    await scene.looked_until(lambda: (scene.level(watcher), scene.level(other)) == ("720p", "360p"))
    watcher.estimate.bit_rate = 700_000
    for _ in range(3):
        # No decoder takes what is not even bytes.
        nal_units = (*picture_nal_units(pictures[0]), "nothing")
        scene.renditions.push(AccessUnit(nal_units, time.monotonic(), True))  # type: ignore[arg-type]
    scene.push(pictures)
    await until(lambda: "480p" in [level for level, _, _ in scene.renditions.running])
    await scene.looked_until(lambda: watcher.sizes()[-1:] == [(480, 640)])
    sent = watcher.viewer.counters.pictures_sent
    scene.push(pictures)
    await scene.shown(watcher, sent + 4)


async def test_the_last_picture_before_the_screen_stands_still_is_coded(scene: Scene, pictures: list[bytes]) -> None:
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.shown(watcher, 1)
    encoder = scene.renditions.running[0][1]
    done = encoder.lane.done
    scene.push(pictures[:3], apart=0.001)
    await until(lambda: encoder.lane.done == done + 3)
    sent = watcher.viewer.counters.pictures_sent
    await scene.looked_until(lambda: watcher.viewer.counters.pictures_sent == sent + 1)
    scene.wait(1.0)
    await until(lambda: not encoder.lane.waiting)
    assert watcher.viewer.counters.pictures_sent == sent + 1


async def test_a_picture_that_an_encoder_lost_is_coded_by_the_next(scene: Scene, pictures: list[bytes]) -> None:
    scene.refusals = 1
    scene.push(pictures)
    watcher = scene.join(LITTLE)
    await scene.looked_until(lambda: watcher.viewer.counters.pictures_sent)
    assert scene.level(watcher) == "360p"


async def test_without_rungs_a_path_that_was_full_is_shown_what_there_is(
    passthrough: Scene, pictures: list[bytes]
) -> None:
    """The next keyframe may be long in coming, or never come."""
    passthrough.push(pictures)
    watcher = passthrough.join(PLENTY)
    await until(lambda: watcher.viewer.following is Following.LIVE)
    watcher.viewer.give_up(time.monotonic())
    assert watcher.viewer.following is Following.WAITING
    await until(lambda: watcher.viewer.following is Following.LIVE)
    assert watcher.viewer.counters.pictures_replayed == 16


async def test_without_rungs_it_is_said_why_a_browser_shows_nothing(passthrough: Scene) -> None:
    passthrough.push(encode_x264(WIDTH, HEIGHT, 4, profile="high10", pix_fmt="yuv420p10le", x264="bframes=0"))
    watcher = passthrough.join(PLENTY)
    quality = passthrough.renditions.quality(watcher.viewer)
    assert (quality.level, quality.levels) == (SOURCE, (SOURCE,))
    assert "high 10" in quality.reason


async def test_a_screen_that_stands_still_is_shown_in_spite_of_b_frames(scene: Scene) -> None:
    """The decoder holds pictures back until others come; these do not come."""
    pictures = encode_x264(WIDTH, HEIGHT, 16, x264="bframes=2:keyint=100")
    scene.push(pictures[:7])
    watcher = scene.join(PLENTY)
    await scene.looked_until(lambda: shows_last_of(watcher, pictures[:7]))
    requests = scene.requests
    scene.push(pictures[7:], begins_anew=False)
    await scene.looked_until(lambda: shows_last_of(watcher, pictures))
    assert scene.requests == requests, "it goes on where it was"


def shows_last_of(watcher: Watcher, pictures: Sequence[bytes]) -> bool:
    """Whether the last picture that a browser got is the last one of these, coded again."""
    shown = watcher.frames()[-1:]
    last = decoded(b"".join(pictures))[-1]
    return bool(shown) and np.abs(luma(shown[0]) - luma(last)).mean() < 10


def luma(frame: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return frame.to_ndarray(format="gray8").astype(np.int16)

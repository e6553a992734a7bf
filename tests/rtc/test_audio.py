"""Sound to one viewer and to many: what arrives is decrypted by the browser's keys and read by aiortc."""

from itertools import pairwise
from random import Random

import pytest
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from encoders.audio_packet import CLOCK_RATE, AudioPacket
from media_service.rtc.audio import LARGEST_PACKET, AudioTimeline, Soundtrack, Stamp
from media_service.rtc.viewer import Viewer
from signaling.jsep import AudioTrack
from tests.rtc.joined import JoinedEnds, RecordingPath, StillOutlet
from tests.rtc.samples import TRACK, video_track

AUDIO = AudioTrack(mid="2", ssrc=0x33333333, payload_type=111, mid_extension=4)
LENGTH = 0.02
STEP = 960


def packet(index: int, *, begin: float = 100.0, size: int = 80, off: float = 0.0) -> AudioPacket:
    """The packet with this number of an even 20 ms stream, captured `off` seconds beside its time."""
    return AudioPacket(Random(index).randbytes(size), begin + index * LENGTH + off, LENGTH)


class TestTimeline:
    def stamps(self, packets: list[AudioPacket]) -> list[Stamp]:
        timeline = AudioTimeline()
        return [timeline.stamp(each) for each in packets]

    def moment(self, stamp: Stamp, timestamp: int) -> float:
        """The capture time that the mapping gives a timestamp."""
        return (timestamp - stamp.shift) / CLOCK_RATE

    def test_packets_that_follow_one_another(self) -> None:
        stamps = self.stamps([packet(index) for index in range(50)])
        assert [after.timestamp - before.timestamp for before, after in pairwise(stamps)] == [STEP] * 49
        assert [stamp.follows_gap for stamp in stamps] == [True] + [False] * 49
        assert self.moment(stamps[-1], stamps[-1].timestamp) == pytest.approx(packet(49).captured_at, abs=1e-4)

    @given(st.integers(0, 1 << 32))
    def test_jitter_is_in_no_timestamp_and_hardly_in_the_mapping(self, seed: int) -> None:
        random = Random(seed)
        jitter = [random.uniform(-0.01, 0.01) for _ in range(500)]
        stamps = self.stamps([packet(index, off=off) for index, off in enumerate(jitter)])
        assert {after.timestamp - before.timestamp for before, after in pairwise(stamps)} == {STEP}
        last = packet(499).captured_at
        assert self.moment(stamps[-1], stamps[-1].timestamp) == pytest.approx(last, abs=0.003)

    def test_a_clock_that_is_off_is_followed(self) -> None:
        """200 ppm: after ten minutes a mapping that did not follow would be off by 120 ms."""
        stamps = self.stamps([packet(index, off=index * LENGTH * 2e-4) for index in range(30_000)])
        assert {after.timestamp - before.timestamp for before, after in pairwise(stamps)} == {STEP}
        assert self.moment(stamps[-1], stamps[-1].timestamp) == pytest.approx(
            packet(29_999).captured_at + 0.12, abs=1e-3
        )

    def test_a_gap_is_one_on_both_clocks(self) -> None:
        stamps = self.stamps([packet(0), packet(1), packet(2, off=1.5), packet(3, off=1.5)])
        assert [after.timestamp - before.timestamp for before, after in pairwise(stamps)] == [STEP, STEP + 72_000, STEP]
        assert [stamp.follows_gap for stamp in stamps] == [True, False, True, False]
        assert self.moment(stamps[-1], stamps[-1].timestamp) == pytest.approx(packet(3, off=1.5).captured_at)

    def test_a_source_that_begins_before_the_last_one_ended_never_runs_backwards(self) -> None:
        stamps = self.stamps([packet(0), packet(1), packet(2, off=-0.3), packet(3, off=-0.3)])
        assert [after.timestamp - before.timestamp for before, after in pairwise(stamps)] == [STEP] * 3
        assert [stamp.follows_gap for stamp in stamps] == [True, False, True, False]
        assert self.moment(stamps[-1], stamps[-1].timestamp) == pytest.approx(packet(3, off=-0.3).captured_at)

    @given(st.lists(st.tuples(st.floats(-5, 5), st.sampled_from([0.0025, 0.01, 0.02, 0.06, 0.12])), min_size=2))
    def test_whatever_comes_timestamps_rise(self, steps: list[tuple[float, float]]) -> None:
        at, packets = 1000.0, []
        for step, duration in steps:
            at += step
            packets.append(AudioPacket(b"", at, duration))
        stamps = self.stamps(packets)
        for (before, after), one in zip(pairwise(stamps), packets, strict=False):
            assert after.timestamp - before.timestamp >= round(one.duration * CLOCK_RATE)


class Scene:
    """A stream's sound and one who listens to it."""

    def __init__(self, ends: JoinedEnds, audio: AudioTrack | None = AUDIO) -> None:
        self.ends = ends
        self.outlet = StillOutlet()
        self.viewer = ends.viewer(TRACK, self.outlet, audio=audio)
        self.soundtrack = Soundtrack(self.outlet.buffer)

    def push(self, *packets: AudioPacket, viewers: list[Viewer] | None = None) -> None:
        for each in packets:
            self.soundtrack.push(each, viewers or [self.viewer])


@pytest.fixture
def scene(joined: JoinedEnds) -> Scene:
    return Scene(joined)


def test_each_packet_arrives_as_it_was(scene: Scene) -> None:
    packets = [packet(index, size=size) for index, size in enumerate((80, 3, 200, 1, LARGEST_PACKET))]
    scene.push(*packets)
    received = scene.ends.received()
    assert [each.payload for each in received] == [each.data for each in packets]
    assert {each.ssrc for each in received} == {AUDIO.ssrc}
    assert {each.payload_type for each in received} == {111}
    assert {each.extensions.mid for each in received} == {"2"}
    assert [each.marker for each in received] == [1, 0, 0, 0, 0]
    assert {after.sequence_number - before.sequence_number & 0xFFFF for before, after in pairwise(received)} == {1}
    assert {after.timestamp - before.timestamp & 0xFFFFFFFF for before, after in pairwise(received)} == {STEP}
    assert scene.viewer.audio is not None
    assert scene.viewer.audio.counters.packets_sent == 5
    assert scene.viewer.audio.counters.bytes_sent == sum(len(each.data) for each in packets)


def test_a_packet_larger_than_any_is_left_out(scene: Scene) -> None:
    scene.push(packet(0), packet(1, size=LARGEST_PACKET + 1), packet(2))
    first, second = scene.ends.received()
    assert second.timestamp - first.timestamp & 0xFFFFFFFF == 2 * STEP
    assert scene.soundtrack.too_large == 1


def test_the_numbering_goes_on_over_the_wrap(scene: Scene) -> None:
    path = scene.ends.path
    numbers: list[int] = []
    for index in range(66_000):
        scene.push(packet(index, size=1))
        numbers.append(int.from_bytes(path.datagrams[-1][2:4], "big"))
        if index % 10_000:
            path.datagrams.clear()
        else:
            assert scene.ends.received()[0].payload == packet(index, size=1).data
    assert {after - before & 0xFFFF for before, after in pairwise(numbers)} == {1}


async def test_all_viewers_get_it_each_by_its_own_numbers(scene: Scene, joined: JoinedEnds) -> None:
    others = []
    for number in range(3):
        path = RecordingPath()
        audio = AudioTrack("2", 0x40 + number, 96 + number, 4 if number else None)
        others.append((path, audio, joined.viewer(video_track(ssrc=number), scene.outlet, path, audio=audio)))
    without = joined.viewer(video_track(ssrc=9), scene.outlet, RecordingPath())
    scene.push(packet(0), packet(1), viewers=[scene.viewer, without, *(viewer for _, _, viewer in others)])
    assert len(joined.received()) == 2
    for path, audio, _ in others:
        received = joined.received(path)
        assert [each.payload for each in received] == [packet(0).data, packet(1).data]
        assert {(each.ssrc, each.payload_type) for each in received} == {(audio.ssrc, audio.payload_type)}
    assert without.path.datagrams == []  # type: ignore[attr-defined]  # a recording one


def markers(received: list[RtpPacket]) -> list[int]:
    return [each.marker for each in received]


def test_a_gap_in_the_sound_is_marked(scene: Scene) -> None:
    scene.push(packet(0), packet(1), packet(2, off=0.5), packet(3, off=0.5))
    assert markers(scene.ends.received()) == [1, 0, 1, 0]


def test_what_a_full_path_does_not_take_is_dropped_and_counted(scene: Scene) -> None:
    path = scene.ends.path
    scene.push(packet(0))
    path.is_full = True
    scene.push(packet(1), packet(2))
    path.is_full = False
    scene.push(packet(3), packet(4))
    received = scene.ends.received()
    assert [each.payload for each in received] == [packet(index).data for index in (0, 3, 4)]
    assert markers(received) == [1, 1, 0]
    assert received[1].timestamp - received[0].timestamp & 0xFFFFFFFF == 3 * STEP
    assert scene.viewer.audio is not None
    assert scene.viewer.audio.drops == {"audio_buffer_full": 2}
    assert not scene.viewer.drops, "the pictures have nothing to do with it"


def test_nothing_is_queued_behind_a_long_backlog(scene: Scene) -> None:
    scene.ends.path.backlog = 1 << 20
    scene.push(packet(0))
    scene.ends.path.backlog = 0
    scene.push(packet(1))
    (received,) = scene.ends.received()
    assert (received.payload, received.marker) == (packet(1).data, 1)
    assert scene.viewer.audio is not None
    assert scene.viewer.audio.drops == {"audio_backlog": 1}


def test_what_cannot_be_encrypted_is_never_sent_in_clear(scene: Scene) -> None:
    scene.push(packet(0))
    (first,) = scene.ends.received()
    ahead = RtpPacket(111, 0, first.sequence_number + 5000 & 0xFFFF, 0, AUDIO.ssrc)
    scene.ends.dtls.protect(ahead.serialize())
    scene.push(packet(1))
    assert scene.ends.path.datagrams == []
    assert scene.viewer.audio is not None
    assert scene.viewer.audio.drops == {"audio_srtp_error": 1}


def test_nobody_who_does_not_listen_is_sent_to(scene: Scene) -> None:
    scene.push(packet(0))
    scene.viewer.choose_sound(is_wanted=False)
    scene.push(packet(1), packet(2))
    scene.viewer.choose_sound(is_wanted=True)
    scene.push(packet(3), packet(4))
    received = scene.ends.received()
    assert [each.payload for each in received] == [packet(index).data for index in (0, 3, 4)]
    assert markers(received) == [1, 1, 0]
    assert received[1].sequence_number - received[0].sequence_number & 0xFFFF == 1, "nothing was lost"
    assert scene.viewer.audio is not None
    assert not scene.viewer.audio.drops

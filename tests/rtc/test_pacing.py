"""A viewer whose path carries only so much: what leaves when, what never does, and what is sent besides pictures."""

from itertools import pairwise

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtpPacket,
    pack_remb_fci,
    unpack_header_extensions,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.audio_packet import AudioPacket
from media_service.rtc.audio import Soundtrack
from media_service.rtc.bandwidth import Probe
from media_service.rtc.header_extensions import absolute_send_time
from media_service.rtc.pacer import PACING_INTERVAL
from media_service.rtc.picture import Picture
from media_service.rtc.rtcp import TransportFeedback
from media_service.rtc.template import templates
from media_service.rtc.viewer import Following, Viewer, ntp_time
from signaling.jsep import AudioTrack, VideoTrack
from tests.rtc.estimators import SetEstimator
from tests.rtc.joined import JoinedEnds, StillOutlet
from tests.rtc.samples import TRACK, keyframe, nal_unit, video_track

AUDIO = AudioTrack(mid="2", ssrc=0x33333333, payload_type=111, mid_extension=4)
THEIRS = 0x99999999
NTP = ntp_time(1_800_000_000.0)
TURN = 0.005
LARGEST_PACKET = 1250
TRANSPORT_SEQUENCE = 7


class Scene:
    """A viewer, what it is sent and when that arrives; the egress' part is played on a clock of the test's own."""

    def __init__(
        self,
        ends: JoinedEnds,
        estimator: SetEstimator,
        track: VideoTrack = TRACK,
        audio: AudioTrack | None = None,
    ) -> None:
        self.ends = ends
        self.estimator = estimator
        self.track = track
        self.outlet = StillOutlet()
        self.viewer: Viewer = ends.viewer(track, self.outlet, audio=audio, estimator=estimator)
        self.now = 10.0
        self.number = 0
        self.pictures: dict[int, AccessUnit] = {}
        self.arrived: list[tuple[float, RtpPacket, int]] = []
        """When, what, and of how many octets encrypted."""

    def push(self, size: int = 1000, *, is_keyframe: bool = False) -> int:
        """Hand on the stream's next picture as the egress does; its number."""
        self.number += 1
        slices = nal_unit(5 if is_keyframe else 1, size, self.number)
        parameters = (nal_unit(7, 12), nal_unit(8, 5)) if is_keyframe else ()
        access_unit = AccessUnit((*parameters, slices), 100 + self.number / 30, is_keyframe=is_keyframe)
        self.pictures[self.number] = access_unit
        if is_keyframe:
            self.viewer.following = Following.LIVE
        if self.viewer.following is Following.LIVE:
            picture = Picture(access_unit, self.number, self.now)
            send_time = absolute_send_time(self.now)
            batches = templates(picture.payloads, self.viewer.shape, self.outlet.buffer, send_time)
            self.viewer.send(picture, batches, picture.timestamp, send_time, self.now)
            self.note()
        return self.number

    def run(self, seconds: float) -> None:
        """Let time go by, and have the viewer served as often as it says."""
        end = self.now + seconds
        due = self.now + TURN
        while due <= end:
            self.now = due
            due += min(self.viewer.serve(self.now), 1.0)
            self.note()
        self.now = end

    def note(self) -> None:
        sizes = [len(datagram) for datagram in self.ends.path.datagrams if datagram[1] & 0x7F not in range(64, 96)]
        for size, packet in zip(sizes, self.ends.received(), strict=True):
            self.arrived.append((self.now, packet, size))

    def nack(self, *sequence_numbers: int) -> None:
        reports = [RtcpRtpfbPacket(1, THEIRS, self.track.ssrc, lost=[number]) for number in sequence_numbers]
        packets = [packet for report in reports for packet in self.ends.feedback(report)]
        self.viewer.rtcp_received(packets, self.now, NTP)
        self.note()

    def video(self) -> list[RtpPacket]:
        return [packet for _, packet, _ in self.arrived if packet.ssrc == self.track.ssrc]

    def repeated(self) -> list[RtpPacket]:
        return [packet for _, packet, _ in self.arrived if packet.ssrc == self.track.rtx_ssrc]

    def shown(self) -> list[int]:
        """The pictures that arrived whole, in order."""
        by_stream = {to_annexb(each.nal_units): number for number, each in self.pictures.items()}
        numbers, data = [], b""
        last: RtpPacket | None = None
        for packet in self.video():
            assert last is None or packet.sequence_number - last.sequence_number & 0xFFFF == 1
            if last is None or packet.timestamp != last.timestamp:
                data = b""
            data += H264PayloadDescriptor.parse(packet.payload)[1]
            if packet.marker:
                numbers.append(by_stream[data])
            last = packet
        return numbers

    def octets(self, since: float = 0.0) -> int:
        return sum(size for at, _, size in self.arrived if at > since)


@pytest.fixture
async def scene(joined: JoinedEnds) -> Scene:
    """A path of 1 Mbit/s, found to be full: 125 octets a millisecond."""
    return Scene(joined, SetEstimator(1_000_000, is_congested=True))


@pytest.mark.parametrize(("is_congested", "rate"), [(True, 125_000), (False, 187_500)])
async def test_a_large_keyframe_is_spread(joined: JoinedEnds, is_congested: bool, rate: int) -> None:
    scene = Scene(joined, SetEstimator(1_000_000, is_congested=is_congested))
    assert scene.viewer.pacing_rate == rate
    scene.push(60_000, is_keyframe=True)
    begin = scene.now
    assert 0 < len(scene.video()) < 10
    assert scene.outlet.attended == [scene.viewer]
    at_once = scene.octets()
    waiting = scene.viewer.waiting_seconds
    scene.run(0.25)
    assert scene.shown() == []
    scene.run(1.0)
    assert scene.shown() == [1]
    assert waiting == pytest.approx((scene.octets() - at_once) * 8 / 1e6)
    sent = 0
    for at, _, size in scene.arrived:
        assert sent <= rate * (at - begin + PACING_INTERVAL), "one interval ahead, and the packet that is begun"
        sent += size
    assert scene.arrived[-1][0] == pytest.approx(begin + sent / rate - PACING_INTERVAL, abs=2 * TURN)
    assert scene.viewer.waiting_seconds == 0
    assert scene.viewer.serve(scene.now) == float("inf"), "nobody has to come back"


async def test_each_part_says_when_it_left(scene: Scene) -> None:
    scene.push(60_000, is_keyframe=True)
    scene.run(1.0)
    packets = scene.video()
    assert len({packet.timestamp for packet in packets}) == 1
    assert [packet.marker for packet in packets] == [0] * (len(packets) - 1) + [1]
    for at, packet, _ in scene.arrived:
        assert packet.extensions.abs_send_time == int.from_bytes(absolute_send_time(at), "big")
    assert scene.viewer.counters.packets_sent == len(packets)
    assert scene.viewer.counters.bytes_sent == sum(len(packet.payload) for packet in packets)
    assert scene.viewer.counters.pictures_sent == 1


async def test_pictures_that_fit_leave_at_once(scene: Scene) -> None:
    scene.push(1000, is_keyframe=True)
    for _ in range(30):
        scene.run(1 / 30)
        before = len(scene.arrived)
        scene.push(3500)
        assert len(scene.arrived) == before + 3
    assert scene.outlet.attended == []
    assert scene.shown() == list(range(1, 32))


async def test_what_comes_later_waits_its_turn(scene: Scene) -> None:
    scene.push(20_000, is_keyframe=True)
    for _ in range(9):
        scene.run(1 / 30)
        scene.push(500)
    scene.run(0.5)
    assert scene.shown() == list(range(1, 11))
    assert not scene.viewer.drops


async def test_sound_does_not_wait_and_pictures_pay_for_it(joined: JoinedEnds) -> None:
    scene = Scene(joined, SetEstimator(1_000_000, is_congested=True), audio=AUDIO)
    soundtrack = Soundtrack(scene.outlet.buffer)
    scene.push(60_000, is_keyframe=True)
    for index in range(10):
        before = len(scene.arrived)
        soundtrack.push(AudioPacket(bytes(1000), 50 + index * 0.02, 0.02), [scene.viewer])
        scene.note()
        assert [packet.ssrc for _, packet, _ in scene.arrived[before:]] == [AUDIO.ssrc]
        scene.run(0.02)
    scene.run(1.0)
    total = sum(size for _, _, size in scene.arrived)
    last = max(at for at, _, _ in scene.arrived)
    assert last - 10.0 == pytest.approx(total / 125_000 - PACING_INTERVAL, abs=2 * TURN)


def overflowing(scene: Scene) -> int:
    """Pictures that the path does not carry, until they are dropped; how many were pushed."""
    scene.push(2000, is_keyframe=True)
    while scene.viewer.following is Following.LIVE:
        scene.run(1 / 30)
        scene.push(15_000)
        assert scene.number < 100
    return scene.number


async def test_too_much_that_waits_is_dropped_and_a_keyframe_asked_for(scene: Scene) -> None:
    count = overflowing(scene)
    viewer = scene.viewer
    assert (viewer.following, viewer.has_gap, viewer.waiting_seconds) == (Following.WAITING, True, 0)
    begun = count - 1 - len(scene.shown())
    assert 1 <= begun <= 3
    assert viewer.drops == {"congested": begun + 1}
    assert scene.ends.lagging.reasons == ["congested"]
    scene.run(0.74)
    assert scene.ends.lagging.reasons == ["congested"] * 3, "at once and every 250 ms"
    scene.push(4000)
    keyframe_number = scene.push(20_000, is_keyframe=True)
    assert not viewer.has_gap
    scene.run(0.5)
    scene.push(500)
    assert scene.shown()[-2:] == [keyframe_number, keyframe_number + 1]
    assert scene.ends.lagging.reasons == ["congested"] * 3
    assert viewer.drops == {"congested": begun + 1}


async def test_less_than_a_quarter_of_a_second_may_wait(scene: Scene) -> None:
    scene.push(1000, is_keyframe=True)
    scene.push(5000)
    for _ in range(5):
        scene.push(5000)
    assert 0.2 < scene.viewer.waiting_seconds < 0.25
    assert not scene.viewer.drops
    scene.push(5000)
    assert scene.viewer.drops["congested"]


async def test_what_belongs_to_dropped_pictures_is_not_repeated(scene: Scene) -> None:
    overflowing(scene)
    abandoned = [packet.sequence_number for packet in scene.video()]
    scene.run(1.0)
    scene.nack(abandoned[-1], abandoned[-2])
    assert scene.repeated() == []
    assert scene.viewer.drops["nack_abandoned"] == 2
    scene.push(2000, is_keyframe=True)
    scene.run(0.1)
    scene.nack(abandoned[-1], scene.video()[-1].sequence_number)
    assert len(scene.repeated()) == 1
    assert scene.viewer.drops["nack_abandoned"] == 3


async def test_no_keyframe_is_too_large(scene: Scene) -> None:
    scene.push(100_000, is_keyframe=True)
    while scene.viewer.following is Following.LIVE:
        scene.run(1 / 30)
        scene.push(10_000)
    # Once and a half the keyframe may wait.
    assert scene.viewer.drops["congested"] == scene.number - 1 > 5
    assert scene.ends.lagging.reasons == [], "the keyframe is on its way"
    scene.run(2.0)
    assert scene.shown() == [1]
    assert scene.ends.lagging.reasons[:2] == ["congested"] * 2, "now another one would help"
    first = scene.video()[0].sequence_number
    scene.nack(first)
    assert len(scene.repeated()) == 1, "the keyframe itself was not given up"


async def test_a_keyframe_that_is_on_its_way_is_not_asked_for(scene: Scene) -> None:
    scene.push(60_000, is_keyframe=True)
    scene.viewer.request_keyframe("pli", scene.now)
    assert scene.ends.lagging.reasons == []
    scene.run(1.0)
    scene.viewer.request_keyframe("pli", scene.now)
    assert scene.ends.lagging.reasons == ["pli"]


async def test_a_keyframe_overtakes_what_waits(scene: Scene) -> None:
    scene.push(2000, is_keyframe=True)
    for _ in range(3):
        scene.push(9000)
    assert scene.shown() == [1]
    half_sent = scene.video()[-1].sequence_number
    keyframe_number = scene.push(3000, is_keyframe=True)
    scene.run(0.1)
    assert scene.shown() == [1, keyframe_number]
    assert scene.viewer.drops == {"overtaken": 3}
    scene.nack(half_sent)
    assert scene.viewer.drops["nack_abandoned"] == 1
    assert scene.ends.lagging.reasons == []


async def test_keyframes_that_come_faster_than_they_leave_arrive_all_the_same(scene: Scene) -> None:
    for _ in range(20):
        scene.push(60_000, is_keyframe=True)
        scene.run(0.25)
    # Half a second each, and every other one is left out.
    assert len(scene.shown()) >= 9
    assert scene.viewer.drops["overtaken"] >= 9


async def test_another_coding_goes_on_where_the_first_ended(scene: Scene) -> None:
    scene.push(2000, is_keyframe=True)
    scene.push(20_000)
    scene.viewer.change_coding()
    assert (scene.viewer.following, scene.viewer.has_gap) == (Following.WAITING, True)
    assert scene.viewer.picture_number == -1
    scene.run(0.02)
    last = scene.viewer.last_timestamp
    before = len(scene.video())
    assert before > 3, "what waits goes on"
    keyframe_number = scene.push(3000, is_keyframe=True)
    scene.run(0.2)
    assert scene.shown() == [1, keyframe_number]
    assert last is not None
    timestamps = [packet.timestamp for packet in scene.video()]
    assert all(0 <= after - before & 0xFFFFFFFF < 1 << 31 for before, after in pairwise(timestamps))


async def test_what_waits_on_the_path_counts_and_is_not_added_to(scene: Scene) -> None:
    scene.push(2000, is_keyframe=True)
    scene.run(0.2)
    scene.ends.path.backlog = 6000
    assert scene.viewer.waiting_seconds == pytest.approx(0.048)
    before = len(scene.arrived)
    scene.push(3000)
    scene.run(0.1)
    assert len(scene.arrived) == before, "that much is more than one interval ahead"
    scene.ends.path.backlog = 4000
    scene.run(0.1)
    assert scene.shown() == [1, 2]
    scene.ends.path.backlog = 31_000
    scene.push(1000)
    assert scene.viewer.drops["congested"] == 1


async def test_how_long_something_takes(scene: Scene) -> None:
    assert scene.viewer.seconds_for(125_000) == 1.0
    scene.estimator.is_congested = False
    assert scene.viewer.seconds_for(187_500) == 1.0


async def test_who_leaves_is_sent_nothing_more(scene: Scene) -> None:
    scene.viewer.wanted_bit_rate = 5_000_000
    scene.push(60_000, is_keyframe=True)
    before = len(scene.arrived)
    scene.viewer.close()
    scene.run(1.0)
    assert len(scene.arrived) == before
    assert scene.viewer.serve(scene.now) == float("inf")


async def test_a_buffer_that_is_full_meanwhile_ends_the_sending(scene: Scene) -> None:
    scene.push(60_000, is_keyframe=True)
    scene.push(1000)
    scene.ends.path.is_full = True
    scene.run(0.1)
    assert scene.viewer.following is Following.WAITING
    assert scene.viewer.drops == {"buffer_full": 2}
    assert scene.viewer.waiting_seconds == 0
    assert scene.ends.lagging.reasons == ["buffer_full"]


async def test_what_is_repeated_comes_before_pictures(scene: Scene) -> None:
    scene.push(2000, is_keyframe=True)
    lost = scene.video()[0].sequence_number
    scene.push(9000)
    assert scene.viewer.waiting_seconds > 0
    scene.nack(lost)
    assert scene.repeated() == [], "there is no budget for it yet"
    scene.nack(lost)
    assert scene.viewer.drops == {"nack_too_soon": 1}
    before = len(scene.arrived)
    scene.run(0.2)
    assert scene.arrived[before][1].ssrc == TRACK.rtx_ssrc
    assert scene.shown() == [1, 2]
    assert scene.viewer.counters.retransmitted_packets_sent == 1


async def test_no_more_waits_to_be_repeated_than_the_path_carries(scene: Scene) -> None:
    scene.push(120_000, is_keyframe=True)
    scene.run(1.1)
    numbers = [packet.sequence_number for packet in scene.video()]
    scene.nack(*numbers[:100])
    assert scene.viewer.drops["nack_congested"] > 60
    scene.run(0.3)
    repeated = len(scene.repeated())
    assert repeated + scene.viewer.drops["nack_congested"] == 100
    assert 20 < repeated < 40


async def test_what_waits_to_be_repeated_is_given_up_with_its_group(scene: Scene) -> None:
    scene.push(2000, is_keyframe=True)
    lost = scene.video()[0].sequence_number
    scene.push(9000)
    scene.nack(lost)
    scene.push(2000, is_keyframe=True)
    scene.run(0.2)
    assert scene.shown() == [1, 3]
    assert scene.repeated() == []
    assert scene.viewer.drops == {"overtaken": 1, "nack_abandoned": 1}


def transport_number(packet: bytes | bytearray) -> int | None:
    """The transport-wide sequence number in a packet's header, by aiortc's parser."""
    words = int.from_bytes(packet[14:16], "big")
    profile = int.from_bytes(packet[12:14], "big")
    values = dict(unpack_header_extensions(profile, bytes(packet[16 : 16 + 4 * words])))
    number = values.get(TRANSPORT_SEQUENCE)
    return int.from_bytes(number, "big") if number is not None else None


NUMBERED = video_track(transport_sequence_extension=TRANSPORT_SEQUENCE)


async def test_every_packet_has_its_transport_wide_number(joined: JoinedEnds) -> None:
    estimator = SetEstimator(4_000_000, is_congested=True, numbers_packets=True)
    scene = Scene(joined, estimator, NUMBERED)
    scene.push(3000, is_keyframe=True)
    scene.push(40_000)
    scene.run(0.05)
    scene.nack(scene.video()[1].sequence_number)
    scene.run(0.5)
    assert len(scene.repeated()) == 1
    told = {first + index: (size, at) for first, sizes, at in estimator.sent for index, size in enumerate(sizes)}
    assert sorted(told) == list(range(len(scene.arrived)))
    assert [told[number] for number in sorted(told)] == [(size, at) for at, _, size in scene.arrived]
    assert scene.shown() == [1, 2]


async def test_the_numbers_are_in_the_headers_and_wrap(joined: JoinedEnds) -> None:
    estimator = SetEstimator(10_000_000_000, numbers_packets=True)
    scene = Scene(joined, estimator, NUMBERED)
    found: list[int | None] = []
    while len(found) < 0x10000 + 10:
        picture = Picture(keyframe(2_400_000), 1, 0.0)
        batches = templates(picture.payloads, scene.viewer.shape, scene.outlet.buffer, bytes(3))
        scene.viewer.send(picture, batches, len(found), bytes(3), scene.now + len(found))
        found += [transport_number(datagram) for datagram in joined.path.datagrams]
        joined.path.datagrams.clear()
    assert found == [number & 0xFFFF for number in range(len(found))]
    assert [first for first, _, _ in estimator.sent] == sorted({first for first, _, _ in estimator.sent})
    assert estimator.sent[-1][0] + len(estimator.sent[-1][1]) == len(found)


async def test_without_a_retransmission_stream_a_packet_keeps_its_number(joined: JoinedEnds) -> None:
    estimator = SetEstimator(10_000_000, numbers_packets=True)
    scene = Scene(joined, estimator, video_track(rtx_payload_type=None, transport_sequence_extension=7))
    scene.viewer.send_report(scene.now, NTP)
    picture = Picture(keyframe(4000), 1, 0.0)
    batches = templates(picture.payloads, scene.viewer.shape, scene.outlet.buffer, bytes(3))
    scene.viewer.send(picture, batches, 1, bytes(3), scene.now)
    sent = list(joined.path.datagrams)
    numbers = [int.from_bytes(datagram[2:4], "big") for datagram in sent]
    joined.path.datagrams.clear()
    scene.viewer.rtcp_received(
        joined.feedback(RtcpRtpfbPacket(1, THEIRS, TRACK.ssrc, lost=[numbers[1]])), scene.now, NTP
    )
    # Another plaintext under the same sequence number would break the cipher.
    assert joined.path.datagrams == [sent[1]]
    assert len(estimator.sent) == 1


@pytest.mark.parametrize(("numbers", "extension"), [(False, TRANSPORT_SEQUENCE), (True, None)])
async def test_packets_are_numbered_only_where_both_ends_want_it(
    joined: JoinedEnds, numbers: bool, extension: int | None
) -> None:
    estimator = SetEstimator(10_000_000, numbers_packets=numbers)
    scene = Scene(joined, estimator, video_track(transport_sequence_extension=extension))
    picture = Picture(keyframe(4000), 1, 0.0)
    batches = templates(picture.payloads, scene.viewer.shape, scene.outlet.buffer, bytes(3))
    scene.viewer.send(picture, batches, 1, bytes(3), scene.now)
    assert {transport_number(datagram) for datagram in joined.path.datagrams} == {None}
    assert estimator.sent == []


async def test_a_probe_is_packets_that_were_sent_before(joined: JoinedEnds) -> None:
    estimator = SetEstimator(1_000_000, numbers_packets=True)
    scene = Scene(joined, estimator, NUMBERED)
    scene.push(8000, is_keyframe=True)
    scene.run(1.0)
    estimator.probes.append(Probe(4_000_000, 0.1))
    scene.viewer.wanted_bit_rate = 6_000_000
    assert scene.outlet.attended == [scene.viewer]
    scene.viewer.serve(scene.now)
    begin = scene.now
    scene.push(3000)  # the pictures' own are part of it
    scene.run(0.3)
    originals = {packet.sequence_number: packet for packet in scene.video()}
    padding = scene.repeated()
    for packet in padding:
        original = originals[int.from_bytes(packet.payload[:2], "big")]
        assert packet.payload[2:] == original.payload
        assert (packet.timestamp, packet.marker) == (original.timestamp, original.marker)
    assert scene.octets(begin - 0.001) == pytest.approx(4_000_000 / 8 * 0.1, abs=LARGEST_PACKET)
    times = [at for at, packet, _ in scene.arrived if packet.ssrc == TRACK.rtx_ssrc]
    assert begin < times[0] < times[-1] <= begin + 0.1 + TURN
    assert len(set(times)) >= 15, "it is no burst"
    counters = scene.viewer.counters
    assert counters.padding_packets_sent == len(padding)
    sizes = [size for _, packet, size in scene.arrived if packet.ssrc == TRACK.rtx_ssrc]
    assert counters.padding_bytes_sent == sum(sizes)
    assert counters.retransmitted_packets_sent == 0
    assert sum(len(each) for _, each, _ in estimator.sent) == len(scene.arrived)
    assert {wanted for wanted, _ in estimator.asked} == {6_000_000}
    assert all(after - before >= 0.045 for (_, before), (_, after) in pairwise(estimator.asked))


async def test_a_probe_ends_with_congestion(joined: JoinedEnds) -> None:
    estimator = SetEstimator(1_000_000)
    scene = Scene(joined, estimator)
    scene.push(8000, is_keyframe=True)
    scene.run(1.0)
    estimator.probes.append(Probe(4_000_000, 1.0))
    scene.viewer.wanted_bit_rate = 6_000_000
    scene.run(0.2)
    assert scene.repeated()
    estimator.is_congested = True
    before = len(scene.arrived)
    scene.run(0.2)
    assert len(scene.arrived) == before
    estimator.is_congested = False
    scene.run(1.0)
    assert len(scene.arrived) == before, "it is over for good"


async def test_a_picture_does_not_wait_for_padding(joined: JoinedEnds) -> None:
    estimator = SetEstimator(1_000_000)
    scene = Scene(joined, estimator)
    scene.push(8000, is_keyframe=True)
    scene.run(1.0)
    estimator.probes.append(Probe(4_000_000, 1.0))
    scene.viewer.wanted_bit_rate = 6_000_000
    scene.run(0.2)
    for _ in range(20):
        scene.push(5000)
        assert scene.viewer.waiting_seconds == 0
        scene.run(0.033)


@pytest.mark.parametrize("lacks", ["a retransmission stream", "a live picture", "anything to gain"])
async def test_there_is_no_probe_without(joined: JoinedEnds, lacks: str) -> None:
    estimator = SetEstimator(1_000_000)
    scene = Scene(
        joined, estimator, video_track(rtx_payload_type=None) if lacks == "a retransmission stream" else TRACK
    )
    if lacks != "a live picture":
        scene.push(3000, is_keyframe=True)
    scene.run(0.1)
    before = len(scene.arrived)
    estimator.probes.append(Probe(4_000_000, 1.0))
    scene.viewer.wanted_bit_rate = 1_000_000 if lacks == "anything to gain" else 6_000_000
    if scene.outlet.attended:
        scene.run(1.0)
    assert len(scene.arrived) == before
    assert estimator.probes, "nobody asked for it"


async def test_the_estimator_hears_what_the_receiver_says(scene: Scene) -> None:
    info = RtcpReceiverInfo(TRACK.ssrc, 64, 12, 1000, 900, 0, 0)
    sound = RtcpReceiverInfo(AUDIO.ssrc, 128, 12, 1000, 900, 0, 0)
    remb = RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, 0, fci=pack_remb_fci(1_500_000, [TRACK.ssrc]))
    packets = scene.ends.feedback(RtcpRrPacket(THEIRS, [sound, info]), remb)
    arrivals = TransportFeedback(5, (1.0, None), 3)
    scene.viewer.rtcp_received([*packets, arrivals], 20.0, NTP)
    assert scene.estimator.losses == [(0.25, None, 20.0)]
    ((bit_rate, at),) = scene.estimator.rembs
    assert bit_rate == pytest.approx(1_500_000, rel=1e-4)
    assert at == 20.0
    assert scene.estimator.feedback == [arrivals]


async def test_whatever_happens_what_arrives_can_be_decoded(joined: JoinedEnds) -> None:
    """Each picture that arrives whole follows the one before it, and nobody is sent more than the path carries."""
    ssrc = 10_000

    @given(
        st.integers(100_000, 3_000_000),
        st.lists(st.tuples(st.sampled_from("PPPPPPKTTLRCN"), st.integers(1, 60)), max_size=80),
    )
    @settings(max_examples=60)
    def check(bit_rate: int, steps: list[tuple[str, int]]) -> None:
        nonlocal ssrc
        ssrc += 2
        estimator = SetEstimator(bit_rate, is_congested=True)
        scene = Scene(joined, estimator, video_track(ssrc=ssrc, rtx_ssrc=ssrc + 1))
        keyframes = {scene.push(5000, is_keyframe=True)}
        for step, amount in steps:
            if step == "P":
                scene.push(200 * amount)
                scene.run(1 / 30)
            elif step == "K":
                keyframes.add(scene.push(1000 * amount, is_keyframe=True))
            elif step == "T":
                scene.run(amount / 100)
            elif step == "L" and scene.video():
                scene.nack(scene.video()[-1 - amount % len(scene.video())].sequence_number)
            elif step == "R":
                estimator.bit_rate = min(bit_rate, 50_000 * amount)
            elif step == "C":
                scene.viewer.change_coding()
            elif step == "N":
                joined.path.backlog = 500 * amount * (amount % 2)
        joined.path.backlog = 0
        scene.run(0.5)
        shown = scene.shown()
        for before, after in pairwise(shown):
            assert after == before + 1 or (after > before and after in keyframes)
        timestamps = [packet.timestamp for packet in scene.video()]
        assert all(0 <= after - before & 0xFFFFFFFF < 1 << 31 for before, after in pairwise(timestamps))
        for index, (begin, _, _) in enumerate(scene.arrived):
            window = [size for at, _, size in scene.arrived[index:] if at - begin < 0.2]
            most = bit_rate / 8 * (0.2 + PACING_INTERVAL) + LARGEST_PACKET
            assert sum(window) <= most
        scene.viewer.close()

    check()

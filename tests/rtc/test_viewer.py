"""One viewer on a real DTLS-SRTP association: what arrives is decrypted by the browser's keys and read by aiortc."""

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
)

from encoders.annexb import to_annexb
from encoders.audio_packet import CLOCK_RATE as AUDIO_CLOCK_RATE
from encoders.audio_packet import AudioPacket
from media_service.rtc import rtcp
from media_service.rtc.audio import Soundtrack
from media_service.rtc.header_extensions import absolute_send_time
from media_service.rtc.history import HISTORY_SECONDS
from media_service.rtc.picture import CLOCK_RATE, Picture
from media_service.rtc.template import templates
from media_service.rtc.viewer import Following, Viewer, ntp_time
from signaling.jsep import AudioTrack, VideoTrack
from tests.rtc.estimators import SetEstimator
from tests.rtc.joined import CHROMIUM_PROFILES, SHA1_ONLY, JoinedEnds, StillOutlet, joined_ends
from tests.rtc.samples import TRACK, group, keyframe, predicted, video_track

THEIRS = 0x99999999
AUDIO = AudioTrack(mid="2", ssrc=0x33333333, payload_type=111, mid_extension=4)
NTP = ntp_time(1_800_000_000.0)


class Scene:
    """A viewer that is sent pictures as the egress would, and its browser."""

    def __init__(self, ends: JoinedEnds, track: VideoTrack, audio: AudioTrack | None = None) -> None:
        self.ends = ends
        self.track = track
        self.outlet = StillOutlet()
        self.viewer: Viewer = ends.viewer(track, self.outlet, audio=audio)

    def send(self, picture: Picture, now: float = 10.0, timestamp: int | None = None) -> None:
        send_time = absolute_send_time(now)
        # The templates were made for another viewer a moment ago: their send time is not this one's.
        batches = templates(picture.payloads, self.viewer.shape, self.outlet.buffer, absolute_send_time(now - 1))
        at = picture.timestamp if timestamp is None else timestamp
        self.viewer.send(picture, batches, at, send_time, now)

    def nack(self, *sequence_numbers: int, now: float) -> None:
        packets: list[rtcp.RtcpPacket] = []
        for number in sequence_numbers:
            packets += self.ends.feedback(RtcpRtpfbPacket(1, THEIRS, self.track.ssrc, lost=[number]))
        self.viewer.rtcp_received(packets, now, NTP)


@pytest.fixture(params=[CHROMIUM_PROFILES, SHA1_ONLY], ids=["GCM", "SHA1"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    ends = await joined_ends(profiles=request.param)
    yield Scene(ends, TRACK)
    await ends.dtls.aclose()


@pytest.fixture
async def plain_scene(joined: JoinedEnds) -> Scene:
    """A browser that takes neither RTX nor header extensions."""
    track = video_track(
        rtx_payload_type=None, mid_extension=None, absolute_send_time_extension=None, playout_delay_extension=None
    )
    return Scene(joined, track)


def depayloaded(packets: list[RtpPacket]) -> bytes:
    return b"".join(H264PayloadDescriptor.parse(packet.payload)[1] for packet in packets)


def test_pictures_arrive_as_they_were(scene: Scene) -> None:
    for access_unit in (keyframe(5000, 100.0), predicted(900, 100.033), predicted(2500, 100.066), predicted(40, 100.1)):
        scene.send(Picture(access_unit, 1, 0.0), now=12.25)
        packets = scene.ends.received()
        assert depayloaded(packets) == to_annexb(access_unit.nal_units)
        assert [packet.marker for packet in packets] == [0] * (len(packets) - 1) + [1]
        assert {packet.ssrc for packet in packets} == {TRACK.ssrc}
        assert {packet.payload_type for packet in packets} == {TRACK.payload_type}
        assert {packet.extensions.mid for packet in packets} == {TRACK.mid}
        send_time = int.from_bytes(absolute_send_time(12.25), "big")
        assert {packet.extensions.abs_send_time for packet in packets} == {send_time}


def test_the_numbering_goes_on_over_pictures_and_the_wrap(scene: Scene) -> None:
    numbers: list[int] = []
    path = scene.ends.path
    while len(numbers) <= 0x10000:
        scene.send(Picture(keyframe(2_400_000), 1, 0.0))
        numbers += [int.from_bytes(datagram[2:4], "big") for datagram in path.datagrams]
        # One of each picture is enough for the receiver to follow the roll-over counter.
        path.datagrams = path.datagrams[:1]
        (packet,) = scene.ends.received()
        assert packet.payload[0] & 0x1F == 24
    assert {after - before & 0xFFFF for before, after in pairwise(numbers)} == {1}
    assert numbers[0] < 0x8000, "libsrtp guesses the roll-over counter from the first packet"


def test_timestamps_keep_their_distances(scene: Scene) -> None:
    stamps = []
    for picture in group(5, begin=1000.0, interval=0.04):
        scene.send(picture)
        stamps += [packet.timestamp for packet in scene.ends.received() if packet.marker]
    differences = [after - before & 0xFFFFFFFF for before, after in pairwise(stamps)]
    assert all(abs(difference - 3600) <= 1 for difference in differences)


def test_it_counts_what_it_sends(scene: Scene) -> None:
    pictures = group(3)
    for picture in pictures:
        scene.send(picture)
    counters = scene.viewer.counters
    assert counters.packets_sent == len(scene.ends.received())
    assert counters.bytes_sent == sum(picture.octets for picture in pictures)
    assert counters.pictures_sent == 3
    assert scene.viewer.picture_number == 3
    assert scene.viewer.last_timestamp == pictures[-1].timestamp


def test_a_lost_packet_comes_again_on_the_retransmission_stream(scene: Scene) -> None:
    scene.send(group(1)[0], now=10.0)
    originals = scene.ends.received()
    scene.nack(originals[1].sequence_number, originals[-1].sequence_number, now=10.5)
    again = scene.ends.received()
    for original, packet in zip((originals[1], originals[-1]), again, strict=True):
        # RFC 4588 section 4: own SSRC and payload type, the original sequence number, then the original payload.
        assert (packet.ssrc, packet.payload_type) == (TRACK.rtx_ssrc, TRACK.rtx_payload_type)
        assert packet.payload == original.sequence_number.to_bytes(2, "big") + original.payload
        assert (packet.timestamp, packet.marker) == (original.timestamp, original.marker)
        assert packet.extensions.abs_send_time == int.from_bytes(absolute_send_time(10.5), "big")
        assert packet.extensions.mid == TRACK.mid
    assert again[1].sequence_number - again[0].sequence_number & 0xFFFF == 1
    assert scene.viewer.counters.retransmitted_packets_sent == 2
    assert scene.viewer.counters.nack_count == 2


@pytest.mark.parametrize("has_send_time", [True, False])
async def test_without_rtx_the_very_same_packet_comes_again(joined: JoinedEnds, has_send_time: bool) -> None:
    track = video_track(rtx_payload_type=None, absolute_send_time_extension=2 if has_send_time else None)
    scene = Scene(joined, track)
    scene.send(group(1)[0], now=10.0)
    sent = list(joined.path.datagrams)
    sequence_numbers = [packet.sequence_number for packet in joined.received()]
    scene.nack(*sequence_numbers, now=11.0)
    # Another plaintext under the same sequence number would break the cipher.
    assert joined.path.datagrams == sent


def test_a_packet_of_long_ago_cannot_come_again_without_rtx(plain_scene: Scene) -> None:
    plain_scene.send(Picture(keyframe(3000), 1, 0.0))
    oldest = plain_scene.ends.received()[0].sequence_number
    plain_scene.send(Picture(keyframe(1_300_000), 2, 0.0))
    plain_scene.ends.received()
    plain_scene.nack(oldest, now=10.5)
    assert plain_scene.ends.received() == []
    assert plain_scene.viewer.drops["nack_too_old"] == 1


def test_without_extensions_the_header_is_twelve_bytes(plain_scene: Scene) -> None:
    plain_scene.send(Picture(predicted(100), 1, 0.0))
    (datagram,) = plain_scene.ends.path.datagrams
    assert len(datagram) == 12 + 100 + 16
    assert datagram[0] == 0x80


def test_a_packet_is_repeated_once_per_round_trip(scene: Scene) -> None:
    scene.send(group(1)[0])
    number = scene.ends.received()[0].sequence_number
    scene.nack(number, number, now=10.5)
    assert len(scene.ends.received()) == 1
    assert scene.viewer.drops["nack_too_soon"] == 1
    scene.nack(number, now=10.6)
    assert len(scene.ends.received()) == 1


def test_a_packet_that_is_not_kept_is_counted(scene: Scene) -> None:
    first, second = group(2)
    scene.send(first, now=10.0)
    number = scene.ends.received()[0].sequence_number
    scene.send(second, now=10.1 + HISTORY_SECONDS)
    scene.ends.received()
    scene.nack(number, number - 1 & 0xFFFF, now=12.0)
    assert scene.ends.received() == []
    assert scene.viewer.drops["nack_too_old"] == 2


def test_a_nack_for_another_stream_is_counted_only(scene: Scene) -> None:
    scene.send(group(1)[0])
    number = scene.ends.received()[0].sequence_number
    scene.viewer.rtcp_received(scene.ends.feedback(RtcpRtpfbPacket(1, THEIRS, 5, lost=[number])), 10.5, NTP)
    assert scene.ends.received() == []
    assert scene.viewer.counters.nack_count == 1


def test_keyframe_requests_are_granted_more_and_more_seldom(scene: Scene) -> None:
    pli = RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, TRACK.ssrc)
    fir = RtcpPsfbPacket(RTCP_PSFB_FIR, THEIRS, 0, fci=TRACK.ssrc.to_bytes(4, "big") + bytes(4))
    granted = []
    for packet, now in ((pli, 20.0), (pli, 20.1), (fir, 20.4), (fir, 20.5), (pli, 21.4), (pli, 21.5), (pli, 23.4)):
        scene.viewer.rtcp_received(scene.ends.feedback(packet), now, NTP)
        granted.append(len(scene.ends.lagging.reasons))
    assert granted == [1, 1, 1, 2, 2, 3, 3]
    assert scene.ends.lagging.reasons == ["pli", "fir", "pli"]
    assert (scene.viewer.counters.pli_count, scene.viewer.counters.fir_count) == (5, 2)
    scene.viewer.request_keyframe("request", 23.5)
    assert scene.ends.lagging.reasons[3:] == ["request"]


def report(scene: Scene, highest: int, now: float) -> None:
    info = RtcpReceiverInfo(TRACK.ssrc, 0, 0, highest, 0, 0, 0)
    scene.viewer.rtcp_received(scene.ends.feedback(RtcpRrPacket(THEIRS, [info])), now, NTP)


@pytest.mark.parametrize(
    ("lacks", "granted"),
    [
        ("nothing", []),
        ("the last packet", ["pli"]),
        ("a packet", ["pli"]),
        ("a report", ["pli"]),
        ("patience", ["pli"]),
    ],
)
def test_who_has_everything_and_only_waits_is_not_shown_it_again(scene: Scene, lacks: str, granted: list[str]) -> None:
    scene.viewer.following = Following.LIVE
    scene.send(group(1)[0], now=10.0)
    newest = scene.ends.received()[-1].sequence_number
    if lacks == "a packet":
        scene.nack(newest, now=10.1)
    if lacks != "a report":
        report(scene, newest - (lacks == "the last packet"), now=11.0)
    pli = RtcpPsfbPacket(RTCP_PSFB_PLI, THEIRS, TRACK.ssrc)
    scene.viewer.rtcp_received(scene.ends.feedback(pli), 11.0 if lacks == "patience" else 13.0, NTP)
    assert scene.ends.lagging.reasons == granted
    assert scene.viewer.counters.pli_count == 1


def test_a_request_during_a_replay_is_not_passed_on_and_costs_nothing(scene: Scene) -> None:
    scene.viewer.following = Following.REPLAYING
    scene.viewer.request_keyframe("pli", 20.0)
    assert scene.ends.lagging.reasons == []
    scene.viewer.following = Following.LIVE
    scene.viewer.request_keyframe("pli", 20.1)
    assert scene.ends.lagging.reasons == ["pli"]
    scene.viewer.following = Following.WAITING
    scene.viewer.request_keyframe("pli", 20.6)
    assert scene.ends.lagging.reasons == ["pli", "pli"]


def test_requests_have_to_wait_after_other_help_too(scene: Scene) -> None:
    scene.viewer.patience.take(20.0)
    scene.viewer.request_keyframe("pli", 20.4)
    assert scene.ends.lagging.reasons == []
    scene.viewer.request_keyframe("pli", 20.5)
    assert scene.ends.lagging.reasons == ["pli"]


def test_the_estimate_of_the_receiver_is_taken(scene: Scene) -> None:
    scene.viewer.estimator = estimator = SetEstimator(3_000_000)
    remb = RtcpPsfbPacket(RTCP_PSFB_APP, THEIRS, 0, fci=pack_remb_fci(1_500_000, [TRACK.ssrc]))
    scene.viewer.rtcp_received(scene.ends.feedback(remb), 20.0, NTP)
    ((bit_rate, received_at),) = estimator.rembs
    assert bit_rate == pytest.approx(1_500_000, rel=1e-4)
    assert received_at == 20.0


def test_a_sender_report_says_when_and_how_much(scene: Scene) -> None:
    scene.viewer.send_report(10.0, NTP)
    assert scene.ends.received_rtcp() == [], "nothing was sent yet, so there is nothing to report"
    picture = group(1, begin=10.0)[0]
    scene.send(picture)
    packets = scene.ends.received()
    scene.viewer.send_report(10.5, NTP)
    report, description = scene.ends.received_rtcp()
    assert isinstance(report, RtcpSrPacket)
    assert report.ssrc == TRACK.ssrc
    # The picture was captured half a second before the report.
    stamp = packets[0].timestamp + CLOCK_RATE // 2 & 0xFFFFFFFF
    assert report.sender_info == RtcpSenderInfo(NTP, stamp, len(packets), picture.octets)
    assert isinstance(description, RtcpSdesPacket)
    (chunk,) = description.chunks
    assert chunk.ssrc == TRACK.ssrc
    assert len(chunk.items) == 1


def test_picture_and_sound_are_reported_for_the_same_moment(joined: JoinedEnds) -> None:
    """What lip sync is made of: by both reports, what was captured together belongs together, to the millisecond."""
    scene = Scene(joined, TRACK, AUDIO)
    soundtrack = Soundtrack(scene.outlet.buffer)
    soundtrack.push(AudioPacket(b"a", 50.0, 0.02), [scene.viewer])
    scene.viewer.send_report(50.01, NTP)
    report, _ = joined.received_rtcp()
    assert isinstance(report, RtcpSrPacket)
    assert report.ssrc == AUDIO.ssrc, "no picture was sent yet"
    for index in range(1, 100):
        soundtrack.push(AudioPacket(b"a", 50.0 + index * 0.02 + index % 3 * 0.004, 0.02), [scene.viewer])
    # A replay squeezes its pictures' timestamps, the live one after it has its own.
    for picture in group(30, begin=51.0, interval=0.01):
        scene.send(picture, timestamp=picture.timestamp - 500 + picture.number)
    picture = group(1, begin=51.5)[0]
    scene.send(picture)
    packets = joined.received()
    sound = [packet for packet in packets if packet.ssrc == AUDIO.ssrc][-1]
    shown = packets[-1]
    scene.viewer.send_report(52.5, NTP)
    video_report, video_name, audio_report, audio_name = joined.received_rtcp()
    assert isinstance(video_report, RtcpSrPacket)
    assert isinstance(audio_report, RtcpSrPacket)
    assert isinstance(video_name, RtcpSdesPacket)
    assert isinstance(audio_name, RtcpSdesPacket)
    assert (video_report.ssrc, audio_report.ssrc) == (TRACK.ssrc, AUDIO.ssrc)
    assert video_report.sender_info.ntp_timestamp == audio_report.sender_info.ntp_timestamp == NTP
    assert audio_report.sender_info.packet_count == 100
    assert audio_report.sender_info.octet_count == 100
    assert [chunk.items for chunk in video_name.chunks] == [chunk.items for chunk in audio_name.chunks], "one CNAME"
    video_age = (video_report.sender_info.rtp_timestamp - shown.timestamp & 0xFFFFFFFF) / CLOCK_RATE
    audio_age = (audio_report.sender_info.rtp_timestamp - sound.timestamp & 0xFFFFFFFF) / AUDIO_CLOCK_RATE
    assert video_age == pytest.approx(52.5 - 51.5, abs=0.001)
    # The last packet by the even clock; the jitter, 4 ms on average, is in all of them.
    assert audio_age == pytest.approx(52.5 - (50.0 + 99 * 0.02 + 0.004), abs=0.001)


def test_pictures_wait_for_sound_only_where_it_is_heard(joined: JoinedEnds) -> None:
    scene = Scene(joined, TRACK, AUDIO)
    silent = Scene(joined, TRACK).viewer.shape
    with_sound = scene.viewer.shape
    assert with_sound is not silent
    scene.viewer.choose_sound(is_wanted=False)
    assert scene.viewer.shape is silent
    scene.viewer.choose_sound(is_wanted=True)
    assert scene.viewer.shape is with_sound


def test_no_packet_is_repeated_in_another_shape_under_its_number(joined: JoinedEnds) -> None:
    scene = Scene(joined, video_track(rtx_payload_type=None), AUDIO)
    scene.send(group(1)[0], now=10.0)
    sent = list(joined.path.datagrams)
    numbers = [packet.sequence_number for packet in joined.received()]
    scene.viewer.choose_sound(is_wanted=False)
    scene.nack(*numbers, now=10.5)
    assert joined.path.datagrams == sent


def test_what_the_receiver_says_of_the_sound(joined: JoinedEnds) -> None:
    scene = Scene(joined, TRACK, AUDIO)
    scene.viewer.rtcp_received(joined.feedback(receiver_report(AUDIO.ssrc)), 20.0, NTP)
    assert scene.viewer.audio is not None
    assert scene.viewer.audio.fraction_lost == 0.25
    assert scene.viewer.reception.fraction_lost == 0
    assert scene.viewer.counters.receiver_reports == 0


def receiver_report(ssrc: int = TRACK.ssrc, *, last_report: int = 0, delay: int = 0) -> RtcpRrPacket:
    return RtcpRrPacket(THEIRS, [RtcpReceiverInfo(ssrc, 64, 12, 1000, 900, last_report, delay)])


def test_the_receiver_says_how_it_is(scene: Scene) -> None:
    scene.viewer.rtcp_received(scene.ends.feedback(receiver_report()), 20.0, NTP)
    reception = scene.viewer.reception
    assert (reception.fraction_lost, reception.packets_lost, reception.round_trip_time) == (0.25, 12, None)
    assert reception.jitter == pytest.approx(0.01)
    assert scene.viewer.counters.receiver_reports == 1


def test_the_round_trip_is_what_is_not_delay(scene: Scene) -> None:
    # RFC 3550 section 6.4.1: the report came back 120 ms after we sent ours, 50 of which the receiver kept it.
    sent, back = NTP, NTP + int(0.12 * 2**32)
    report = receiver_report(last_report=sent >> 16 & 0xFFFFFFFF, delay=int(0.05 * 65536))
    scene.viewer.rtcp_received(scene.ends.feedback(report), 20.0, back)
    assert scene.viewer.reception.round_trip_time == pytest.approx(0.07, abs=1e-4)
    clock_was_set_back = NTP - (3600 << 32)
    scene.viewer.rtcp_received(scene.ends.feedback(report), 21.0, clock_was_set_back)
    assert scene.viewer.reception.round_trip_time == pytest.approx(0.07, abs=1e-4)


def test_a_report_about_another_stream_says_nothing(scene: Scene) -> None:
    scene.viewer.rtcp_received(scene.ends.feedback(receiver_report(TRACK.rtx_ssrc)), 20.0, NTP)
    assert scene.viewer.counters.receiver_reports == 0


def test_the_round_trip_limits_how_often_a_packet_is_repeated(scene: Scene) -> None:
    report = receiver_report(last_report=NTP >> 16 & 0xFFFFFFFF)
    scene.viewer.rtcp_received(scene.ends.feedback(report), 20.0, NTP + (1 << 32))
    assert scene.viewer.reception.round_trip_time == pytest.approx(1.0, abs=1e-4)
    scene.send(group(1)[0], now=20.0)
    number = scene.ends.received()[0].sequence_number
    for now in (20.1, 20.9, 21.2):
        scene.nack(number, now=now)
    assert scene.viewer.counters.retransmitted_packets_sent == 2


def test_a_goodbye_names_both_streams(scene: Scene) -> None:
    scene.viewer.send_goodbye()
    *_, bye = scene.ends.received_rtcp()
    assert bye == RtcpByePacket(sources=[TRACK.ssrc, TRACK.rtx_ssrc])


def test_a_goodbye_names_the_sound_too(joined: JoinedEnds) -> None:
    Scene(joined, TRACK, AUDIO).viewer.send_goodbye()
    *_, bye = joined.received_rtcp()
    assert bye == RtcpByePacket(sources=[TRACK.ssrc, TRACK.rtx_ssrc, AUDIO.ssrc])


def test_a_goodbye_without_rtx(plain_scene: Scene) -> None:
    plain_scene.viewer.send_goodbye()
    *_, bye = plain_scene.ends.received_rtcp()
    assert bye == RtcpByePacket(sources=[TRACK.ssrc])


def test_a_full_buffer_ends_the_sending(scene: Scene) -> None:
    scene.viewer.following = Following.LIVE
    scene.ends.path.is_full = True
    scene.send(group(1)[0])
    assert scene.viewer.following is Following.WAITING
    assert scene.viewer.drops == {"buffer_full": 1}
    assert scene.ends.lagging.reasons == ["buffer_full"]


def test_what_cannot_be_encrypted_is_never_sent_in_clear(scene: Scene) -> None:
    scene.send(Picture(predicted(100), 1, 0.0))
    (first,) = scene.ends.received()
    # The cipher has gone far ahead of the viewer's numbering, so libsrtp refuses what comes now.
    ahead = RtpPacket(TRACK.payload_type, 0, first.sequence_number + 5000 & 0xFFFF, 0, TRACK.ssrc)
    scene.ends.dtls.protect(ahead.serialize())
    scene.viewer.following = Following.LIVE
    scene.send(Picture(keyframe(3000), 2, 0.0))
    assert scene.ends.path.datagrams == []
    assert scene.viewer.following is Following.WAITING
    assert scene.viewer.drops == {"srtp_error": 1}

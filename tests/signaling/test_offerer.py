"""Our offer and a browser's answer; the golden offer in descriptions/ is the documentation of the format."""

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.errors import MalformedSdp, NoCommonCodec
from signaling.jsep import AudioTrack, BandwidthFeedback, DataChannels, OfferedMedia
from signaling.offerer import accept_answer, create_offer
from tests.signaling.samples import LOCAL, description, edited


def offer(profile_level_id: str = "640033", *, audio_ssrc: int | None = None) -> tuple[str, OfferedMedia]:
    return create_offer(profile_level_id, LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001, audio_ssrc=audio_ssrc)


OFFER, OFFERED = offer()
ANSWER = description("offer_high.chromium_answer")
SOUND_OFFER, SOUND_OFFERED = offer(audio_ssrc=1002)
SOUND_ANSWER = description("offer_high_with_sound.chromium_answer")


def test_the_offer_of_a_high_stream_is_the_golden_one() -> None:
    assert description("offer_high") == OFFER


TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def test_transport_wide_feedback_is_offered_beside_remb_when_it_is_wanted() -> None:
    assert "transport-cc" not in OFFER
    assert TRANSPORT_SEQUENCE not in OFFER
    text, offered = create_offer(
        "640033",
        LOCAL,
        session_id=7,
        ssrc=1000,
        rtx_ssrc=1001,
        feedback=BandwidthFeedback.TRANSPORT,
    )
    assert set(text.split("\r\n")) - set(OFFER.split("\r\n")) == {
        "a=rtcp-fb:96 transport-cc",
        "a=rtcp-fb:98 transport-cc",
        f"a=extmap:4 {TRANSPORT_SEQUENCE}",
    }
    assert "a=rtcp-fb:98 goog-remb" in text.split("\r\n")

    declined = accept_answer(offered, ANSWER).video
    assert (declined.goog_remb, declined.transport_cc, declined.transport_sequence_extension) == (True, False, None)

    taken = edited(ANSWER, "a=rtcp-fb:98 goog-remb", "a=rtcp-fb:98 goog-remb\r\na=rtcp-fb:98 transport-cc")
    taken = edited(taken, "a=recvonly", f"a=extmap:4 {TRANSPORT_SEQUENCE}\r\na=recvonly")
    video = accept_answer(offered, taken).video
    assert (video.goog_remb, video.transport_cc, video.transport_sequence_extension) == (False, True, 4)
    unasked = accept_answer(OFFERED, taken).video
    assert (unasked.goog_remb, unasked.transport_cc, unasked.transport_sequence_extension) == (True, False, None)


def test_what_the_browser_takes_is_kept() -> None:
    assert accept_answer(OFFERED, ANSWER).video.playable_profiles == ("42e01f",)


def test_the_common_profile_is_offered_once() -> None:
    assert [one.profile_level_id for one in offer("42c01f")[1].formats] == ["42c01f"]
    assert [one.profile_level_id for one in offer("4D4028")[1].formats] == ["4d4028", "42e01f"]


def test_aiortc_reads_our_offer() -> None:
    video, data = SessionDescription.parse(OFFER).media
    assert [codec.payloadType for codec in video.rtp.codecs] == [96, 97, 98, 99]
    assert (video.direction, video.rtcp_mux, data.sctp_port) == ("sendonly", True, 5000)
    assert video.ice is not None
    assert video.ice.iceLite


def test_what_was_negotiated_with_chromium() -> None:
    negotiated = accept_answer(OFFERED, ANSWER)
    video = negotiated.video
    assert (video.payload_type, video.rtx_payload_type, video.profile_level_id) == (98, 99, "42e01f")
    assert video.profile_reason.startswith("the browser chose 42e01f (constrained baseline): nothing that was offered")
    assert (video.mid_extension, video.absolute_send_time_extension, video.playout_delay_extension) == (1, 2, 3)
    assert (video.mid, video.ssrc, video.rtx_ssrc, video.nack, video.goog_remb) == ("0", 1000, 1001, True, True)
    assert negotiated.data_channels == DataChannels(mid="1", port=5000, max_message_size=65536)
    assert negotiated.remote.is_dtls_client


def test_the_offer_with_sound_has_it_last() -> None:
    sections, with_sound = OFFER.split("m="), SOUND_OFFER.split("m=")
    assert with_sound[1:3] == sections[1:]
    assert with_sound[0] == edited(sections[0], "BUNDLE 0 1", "BUNDLE 0 1 2")
    audio = with_sound[3].split("\r\n")
    assert audio[0] == "audio 9 UDP/TLS/RTP/SAVPF 111"
    for line in (
        "a=mid:2",
        "a=sendonly",
        "a=rtcp-mux",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
        "a=rtpmap:111 opus/48000/2",
        "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1",
        "a=msid:screen audio",
        "a=ssrc:1002 cname:000003e8",
    ):
        assert line in audio


def test_what_was_negotiated_with_chromium_about_sound() -> None:
    negotiated = accept_answer(SOUND_OFFERED, SOUND_ANSWER)
    assert negotiated.audio == AudioTrack(mid="2", ssrc=1002, payload_type=111, mid_extension=1)
    assert negotiated.data_channels is not None
    assert negotiated.video == accept_answer(OFFERED, ANSWER).video


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 9", "m=audio 0"),
        ("BUNDLE 0 1 2", "BUNDLE 0 1"),
        ("a=mid:2\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=recvonly", "a=mid:2\r\na=inactive"),
        ("opus/48000/2", "PCMU/8000"),
    ],
)
def test_an_answer_may_decline_the_sound(old: str, new: str) -> None:
    negotiated = accept_answer(SOUND_OFFERED, edited(SOUND_ANSWER, old, new))
    assert negotiated.audio is None
    assert negotiated.video.mid == "0"
    assert negotiated.data_channels is not None


async def test_an_aiortc_peer_answers_our_offer_with_sound() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        text, offered = offer("42c01f", audio_ssrc=1002)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        negotiated = accept_answer(offered, peer.localDescription.sdp)
        assert negotiated.audio is not None
        assert negotiated.data_channels is not None
    finally:
        await peer.close()


async def test_an_aiortc_peer_answers_our_offer() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        text, offered = offer("42c01f")
        await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        negotiated = accept_answer(offered, peer.localDescription.sdp)
        assert (negotiated.video.payload_type, negotiated.video.rtx_payload_type) == (96, 97)
        assert negotiated.data_channels is not None
        assert negotiated.remote.is_dtls_client
    finally:
        await peer.close()


def test_an_answer_may_take_less() -> None:
    lean = ANSWER
    for line in (
        "a=fmtp:99 apt=98\r\n",
        "a=rtcp-fb:98 goog-remb\r\n",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
    ):
        lean = edited(lean, line, "")
    lean = edited(edited(lean, "m=application 9", "m=application 0"), "BUNDLE 0 1", "BUNDLE 0")
    negotiated = accept_answer(OFFERED, edited(lean, "a=setup:active", "a=setup:passive"))
    assert (negotiated.video.rtx_payload_type, negotiated.video.mid_extension, negotiated.video.goog_remb) == (
        None,
        None,
        False,
    )
    assert negotiated.data_channels is None
    assert not negotiated.remote.is_dtls_client


def test_an_extension_under_an_id_that_was_not_offered_is_not_sent() -> None:
    moved = edited(ANSWER, "a=extmap:3 http", "a=extmap:7 http")
    assert accept_answer(OFFERED, moved).video.playout_delay_extension is None


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("m=video 9", "m=video 0", "the answer rejects the video; offered was H264 640033 and 42e01f"),
        ("a=recvonly", "a=inactive", "the answer rejects the video"),
        ("H264/90000", "VP8/90000", "the answer takes 'VP8'; offered was"),
        ("m=video 9 UDP/TLS/RTP/SAVPF 98 99", "m=video 9 UDP/TLS/RTP/SAVPF 120", "the answer takes ''"),
    ],
)
def test_an_answer_without_our_video(old: str, new: str, text: str) -> None:
    with pytest.raises(NoCommonCodec) as caught:
        accept_answer(OFFERED, edited(ANSWER, old, new))
    assert text in caught.value.detail


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("a=recvonly", "a=sendrecv", "the answer to a sendonly video is recvonly or inactive, not sendrecv"),
        ("a=setup:active", "a=setup:actpass", "a=setup must be active or passive here, not 'actpass'"),
        ("a=mid:0", "a=mid:7", "a=group:BUNDLE names '0'"),
        ("m=application", "m=audio", "not 'video, audio'"),
        ("a=rtcp-mux\r\n", "", "a=rtcp-mux is missing"),
        ("a=fingerprint", "a=finger", "a=fingerprint with sha-256"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named(old: str, new: str, text: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        accept_answer(OFFERED, edited(ANSWER, old, new))
    assert text in caught.value.detail


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_answer_raises_only_documented_errors(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(SOUND_ANSWER)))
    length = data.draw(st.integers(0, 30))
    damage = data.draw(st.text(max_size=10))
    try:
        accept_answer(SOUND_OFFERED, SOUND_ANSWER[:start] + damage + SOUND_ANSWER[start + length :])
    except (MalformedSdp, NoCommonCodec):
        pass

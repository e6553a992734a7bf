"""A browser's offer and our answer; the golden answer in descriptions/ is the documentation of the format."""

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.answerer import create_answer, parse_offer
from signaling.errors import MalformedSdp, NoCommonCodec
from signaling.jsep import AudioTrack, BandwidthFeedback, Candidate, DataChannels, Negotiated
from signaling.sdp import MAX_DESCRIPTION_SIZE
from tests.signaling.samples import LOCAL, description, edited

VIDEO_DATA = description("chromium_video_data")
AUDIO_VIDEO_DATA = description("chromium_audio_video_data")


def answer(
    offer: str,
    profile_level_id: str = "42c01f",
    *,
    audio_ssrc: int | None = None,
    feedback: BandwidthFeedback = BandwidthFeedback.REMB,
) -> tuple[str, Negotiated]:
    return create_answer(
        parse_offer(offer),
        profile_level_id,
        LOCAL,
        session_id=7,
        ssrc=1000,
        rtx_ssrc=1001,
        audio_ssrc=audio_ssrc,
        feedback=feedback,
    )


def lines_of(text: str, kind: str) -> list[str]:
    """The lines of the only m-section of that kind."""
    (section,) = [part for part in text.split("m=")[1:] if part.startswith(kind)]
    return section.split("\r\n")


def test_the_answer_to_chromium_is_the_golden_one() -> None:
    text, _ = answer(AUDIO_VIDEO_DATA)
    assert text == description("chromium_audio_video_data.answer")


def test_what_was_negotiated_with_chromium() -> None:
    _, negotiated = answer(AUDIO_VIDEO_DATA)
    video = negotiated.video
    assert (video.payload_type, video.rtx_payload_type, video.profile_level_id) == (108, 109, "42e01f")
    assert (video.mid_extension, video.absolute_send_time_extension, video.playout_delay_extension) == (4, 2, 5)
    assert (video.mid, video.ssrc, video.rtx_ssrc, video.nack, video.goog_remb) == ("1", 1000, 1001, True, True)
    assert negotiated.data_channels == DataChannels(mid="2", port=5000, max_message_size=262144)
    remote = negotiated.remote
    assert remote.is_dtls_client
    assert remote.ice.username_fragment == "lS97"
    assert remote.candidates == ()  # .local names only
    assert [algorithm for algorithm, _ in remote.fingerprints] == ["sha-256"]


@pytest.mark.parametrize("name", ["chromium_video_data", "chromium_audio_video_data"])
def test_the_offer_is_read_as_aiortc_reads_it(name: str) -> None:
    ours, theirs = parse_offer(description(name)), SessionDescription.parse(description(name))
    assert [section.kind for section in ours.sections] == [media.kind for media in theirs.media]
    assert [section.mid for section in ours.sections] == [media.rtp.muxId for media in theirs.media]
    assert [section.direction for section in ours.sections if section.kind == "video"] == ["recvonly"]
    video = next(media for media in theirs.media if media.kind == "video")
    assert [one.payload_type for one in ours.video.h264] == [
        codec.payloadType
        for codec in video.rtp.codecs
        if codec.mimeType == "video/H264" and codec.parameters["packetization-mode"] == "1"
    ]
    assert video.ice is not None
    assert video.dtls is not None
    assert ours.remote.ice.username_fragment == video.ice.usernameFragment
    assert ours.remote.fingerprints == tuple((one.algorithm, one.value) for one in video.dtls.fingerprints)


def test_aiortc_reads_our_answer() -> None:
    text, _ = answer(AUDIO_VIDEO_DATA)
    parsed = SessionDescription.parse(text)
    audio, video, data = parsed.media
    assert (audio.port, audio.direction) == (9, "inactive")
    assert video.rtcp_mux
    assert [codec.name for codec in video.rtp.codecs] == ["H264", "rtx"]
    assert [(group.semantic, group.items) for group in parsed.group] == [("BUNDLE", ["0", "1", "2"])]
    assert [candidate.port for candidate in data.ice_candidates] == [50000]


async def test_an_aiortc_peer_takes_our_answer() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("audio", direction="recvonly")
        peer.addTransceiver("video", direction="recvonly")
        peer.createDataChannel("control")
        await peer.setLocalDescription(await peer.createOffer())
        text, negotiated = answer(peer.localDescription.sdp)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
        assert peer.signalingState == "stable"
        assert negotiated.video.rtx_payload_type is not None
        assert negotiated.remote.candidates  # aiortc gathers before it offers
        assert [transceiver.currentDirection for transceiver in peer.getTransceivers()] == ["inactive", "recvonly"]
    finally:
        await peer.close()


def test_only_the_first_video_that_can_be_sent_is_accepted() -> None:
    video = VIDEO_DATA[VIDEO_DATA.index("m=video") : VIDEO_DATA.index("m=application")]
    second = edited(video, "a=mid:0", "a=mid:second")
    offer = edited(VIDEO_DATA, "BUNDLE 0 1", "BUNDLE 0 second 1").replace("m=application", second + "m=application")
    text, negotiated = answer(offer)
    assert [line.split()[1] for line in text.split("\r\n") if line.startswith("m=")] == ["9", "0", "9"]
    assert "a=group:BUNDLE 0 1\r\n" in text
    assert negotiated.video.mid == "0"

    text, negotiated = answer(
        edited(offer, "BUNDLE 0 second", "BUNDLE second 0").replace("a=recvonly", "a=sendonly", 1)
    )
    assert [line.split()[1] for line in text.split("\r\n") if line.startswith("m=")] == ["0", "9", "9"]
    assert "a=group:BUNDLE second 1\r\n" in text
    assert negotiated.video.mid == "second"


def test_an_offer_without_bundle_gets_video_alone() -> None:
    text, negotiated = answer(edited(VIDEO_DATA, "a=group:BUNDLE 0 1\r\n", ""))
    assert "BUNDLE" not in text
    assert lines_of(text, "application")[0] == "application 0 UDP/DTLS/SCTP webrtc-datachannel"
    assert negotiated.data_channels is None


def test_bundle_only_is_no_rejection() -> None:
    offer = edited(VIDEO_DATA, "m=application 9", "m=application 0")
    assert answer(offer)[1].data_channels is None
    assert answer(edited(offer, "a=sctp-port", "a=bundle-only\r\na=sctp-port"))[1].data_channels is not None


def test_the_transport_is_that_of_the_tagged_section() -> None:
    """Each m-section may have credentials of its own; those of the first that is accepted count (RFC 9143 7.3.1)."""
    audio, rest = AUDIO_VIDEO_DATA.split("m=video")
    offer = edited(audio, "a=ice-ufrag:lS97", "a=ice-ufrag:audioOnly") + "m=video" + rest
    assert answer(offer)[1].remote.ice.username_fragment == "audioOnly"
    assert answer(edited(offer, "m=audio 9", "m=audio 0"))[1].remote.ice.username_fragment == "lS97"


def test_audio_is_held_inactive_where_it_is_tagged_and_rejected_elsewhere() -> None:
    text, _ = answer(AUDIO_VIDEO_DATA)
    audio = lines_of(text, "audio")
    assert audio[0] == "audio 9 UDP/TLS/RTP/SAVPF 111"
    assert "a=inactive" in audio
    assert "a=rtpmap:111 opus/48000/2" in audio
    text, _ = answer(edited(AUDIO_VIDEO_DATA, "BUNDLE 0 1 2", "BUNDLE 1 0 2"))
    assert lines_of(text, "audio")[0] == "audio 0 UDP/TLS/RTP/SAVPF 111"
    assert "a=group:BUNDLE 1 2\r\n" in text


def test_the_answer_with_sound_is_the_golden_one() -> None:
    text, negotiated = answer(AUDIO_VIDEO_DATA, audio_ssrc=1002)
    assert text == description("chromium_audio_video_data.answer_with_sound")
    assert negotiated.audio == AudioTrack(mid="0", ssrc=1002, payload_type=111, mid_extension=4)
    assert negotiated.video == answer(AUDIO_VIDEO_DATA)[1].video


def test_sound_that_is_not_tagged_is_taken_too() -> None:
    text, negotiated = answer(edited(AUDIO_VIDEO_DATA, "BUNDLE 0 1 2", "BUNDLE 1 2 0"), audio_ssrc=1002)
    assert "a=group:BUNDLE 1 2 0\r\n" in text
    assert lines_of(text, "audio")[0] == "audio 9 UDP/TLS/RTP/SAVPF 111"
    assert negotiated.audio is not None


def test_sound_and_picture_are_of_one_stream_and_one_name() -> None:
    text, _ = answer(AUDIO_VIDEO_DATA, audio_ssrc=1002)
    video, audio = lines_of(text, "video"), lines_of(text, "audio")
    assert "a=msid:screen video" in video
    assert "a=msid:screen audio" in audio
    names = {line.split("cname:")[1] for line in video + audio if "cname:" in line}
    assert len(names) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("m=audio 9", "m=audio 0"),
        ("a=recvonly", "a=sendonly"),
        ("a=rtcp-mux\r\n", ""),
        ("opus/48000/2", "opus/48000"),
        ("opus/48000/2", "L16/48000/2"),
        ("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"),
        ("BUNDLE 0 1 2", "BUNDLE 1 2"),
    ],
)
def test_sound_that_cannot_be_sent_is_not_negotiated(old: str, new: str) -> None:
    before_video, rest = AUDIO_VIDEO_DATA.split("m=video")
    offer = edited(before_video, old, new) + "m=video" + rest
    text, negotiated = answer(offer, audio_ssrc=1002)
    assert negotiated.audio is None
    assert "1002" not in text
    assert text == answer(offer)[0], "as without sound"


def test_a_mute_section_and_one_for_sound() -> None:
    """The tagged section is held although it takes nothing, and the second one gets the sound."""
    audio = AUDIO_VIDEO_DATA[AUDIO_VIDEO_DATA.index("m=audio") : AUDIO_VIDEO_DATA.index("m=video")]
    mute = edited(edited(audio, "a=mid:0", "a=mid:mute"), "a=recvonly", "a=inactive")
    offer = edited(edited(AUDIO_VIDEO_DATA, "m=audio", mute + "m=audio"), "BUNDLE 0 1 2", "BUNDLE mute 0 1 2")
    text, negotiated = answer(offer, audio_ssrc=1002)
    assert [line.split()[1] for line in text.split("\r\n") if line.startswith("m=")] == ["9", "9", "9", "9"]
    assert "a=group:BUNDLE mute 0 1 2\r\n" in text
    assert negotiated.audio is not None
    assert negotiated.audio.mid == "0"


async def test_an_aiortc_peer_takes_our_sound() -> None:
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        peer.addTransceiver("video", direction="recvonly")
        peer.addTransceiver("audio", direction="recvonly")
        await peer.setLocalDescription(await peer.createOffer())
        text, negotiated = answer(peer.localDescription.sdp, audio_ssrc=1002)
        await peer.setRemoteDescription(RTCSessionDescription(sdp=text, type="answer"))
        assert [transceiver.currentDirection for transceiver in peer.getTransceivers()] == ["recvonly", "recvonly"]
        assert negotiated.audio is not None
    finally:
        await peer.close()


def test_candidates_are_those_of_the_accepted_transport() -> None:
    # What Chromium writes when the page holds getUserMedia.
    candidates = (
        "a=candidate:1 1 udp 2122260223 192.0.2.7 49152 typ host generation 0 network-id 1\r\n"
        "a=candidate:2 1 udp 2122194687 2001:db8::7 49153 typ host generation 0\r\n"
        "a=candidate:3 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active generation 0\r\n"
        "a=candidate:4 1 UDP 1686052607 198.51.100.1 60000 typ srflx raddr 192.0.2.7 rport 49152\r\n"
    )
    offer = edited(VIDEO_DATA, "a=mid:0\r\n", "a=mid:0\r\n" + candidates)
    assert answer(offer)[1].remote.candidates == (
        Candidate("udp", "192.0.2.7", 49152, 2122260223, "host"),
        Candidate("udp", "2001:db8::7", 49153, 2122194687, "host"),
        Candidate("udp", "198.51.100.1", 60000, 1686052607, "srflx"),
    )


@pytest.mark.parametrize(
    ("offered", "is_dtls_client", "answered"),
    [("actpass", True, "passive"), ("active", True, "passive"), ("passive", False, "active")],
)
def test_the_dtls_role(offered: str, is_dtls_client: bool, answered: str) -> None:
    text, negotiated = answer(edited(VIDEO_DATA, "a=setup:actpass", f"a=setup:{offered}"))
    assert negotiated.remote.is_dtls_client is is_dtls_client
    assert text.count(f"a=setup:{answered}\r\n") == 2


def test_only_what_was_offered_is_answered() -> None:
    offer = VIDEO_DATA
    for line in (
        "a=fmtp:109 apt=108\r\n",
        "a=rtcp-fb:108 nack\r\n",
        "a=rtcp-fb:108 goog-remb\r\n",
        "a=rtcp-rsize\r\n",
    ):
        offer = edited(offer, line, "")
    text, negotiated = answer(offer)
    video = lines_of(text, "video")
    assert video[0] == "video 9 UDP/TLS/RTP/SAVPF 108"
    assert [line for line in video if line.startswith("a=rtcp")] == [
        "a=rtcp-mux",
        "a=rtcp-fb:108 nack pli",
        "a=rtcp-fb:108 ccm fir",
    ]
    assert not any("FID" in line or ":1001 " in line for line in video)
    assert negotiated.video.rtx_payload_type is None
    assert not negotiated.video.nack
    assert not negotiated.video.goog_remb


TRANSPORT_SEQUENCE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"


def test_one_kind_of_bandwidth_feedback_is_negotiated() -> None:
    remb_text, remb = answer(VIDEO_DATA)
    assert "a=rtcp-fb:108 goog-remb" in lines_of(remb_text, "video")
    assert "transport-cc" not in remb_text
    assert TRANSPORT_SEQUENCE not in remb_text
    assert (remb.video.goog_remb, remb.video.transport_cc, remb.video.transport_sequence_extension) == (
        True,
        False,
        None,
    )
    text, negotiated = answer(VIDEO_DATA, feedback=BandwidthFeedback.TRANSPORT)
    added = set(text.split("\r\n")) - set(remb_text.split("\r\n"))
    assert added == {"a=rtcp-fb:108 transport-cc", f"a=extmap:4 {TRANSPORT_SEQUENCE}"}
    assert set(remb_text.split("\r\n")) - set(text.split("\r\n")) == {"a=rtcp-fb:108 goog-remb"}
    video = negotiated.video
    assert (video.goog_remb, video.transport_cc, video.transport_sequence_extension) == (False, True, 4)
    assert (video.absolute_send_time_extension, video.playout_delay_extension, video.rtx_payload_type) == (2, 5, 109)


@pytest.mark.parametrize("missing", ["a=rtcp-fb:108 transport-cc\r\n", f"a=extmap:4 {TRANSPORT_SEQUENCE}\r\n"])
def test_who_cannot_give_transport_wide_feedback_is_asked_for_remb(missing: str) -> None:
    offer = edited(VIDEO_DATA, missing, "")
    text, negotiated = answer(offer, feedback=BandwidthFeedback.TRANSPORT)
    assert text == answer(offer)[0]
    assert (negotiated.video.goog_remb, negotiated.video.transport_sequence_extension) == (True, None)


def test_what_the_browser_takes_is_kept() -> None:
    assert answer(VIDEO_DATA)[1].video.playable_profiles == ("42001f", "42e01f", "4d001f", "f4001f")


def test_feedback_for_every_payload_type() -> None:
    offer = edited(VIDEO_DATA, "a=rtcp-fb:108 nack\r\n", "a=rtcp-fb:* nack\r\n")
    assert answer(offer)[1].video.nack


def test_header_extensions_that_a_one_byte_header_cannot_carry_are_left_out() -> None:
    playout_delay = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
    offer = edited(VIDEO_DATA, f":5 {playout_delay}" if f":5 {playout_delay}" in VIDEO_DATA else playout_delay, "")
    for extmap in (
        f"a=extmap:15 {playout_delay}",
        f"a=extmap:5/sendonly {playout_delay}",
        f"a=extmap:0 {playout_delay}",
    ):
        text, negotiated = answer(edited(offer, "a=recvonly", f"a=recvonly\r\n{extmap}"))
        assert negotiated.video.playout_delay_extension is None
        assert playout_delay not in text
    with_attributes = f"a=recvonly\r\na=extmap:14 {playout_delay} some attributes"
    assert answer(edited(offer, "a=recvonly", with_attributes))[1].video.playout_delay_extension == 14


def test_a_mid_too_long_for_its_header_extension() -> None:
    long_mid = "a-mid-of-twenty-char"
    offer = edited(edited(VIDEO_DATA, "a=mid:0", f"a=mid:{long_mid}"), "BUNDLE 0", f"BUNDLE {long_mid}")
    _, negotiated = answer(offer)
    assert (negotiated.video.mid, negotiated.video.mid_extension) == (long_mid, None)


FINGERPRINT = next(line for line in VIDEO_DATA.split("\r\n") if line.startswith("a=fingerprint"))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("v=0", "v=1", "begins with v=0"),
        ("m=video 9", "m=video nine", "line 8: the port must be a number from 0 to 65535, not 'nine'"),
        ("m=video 9", "m=video", "line 8: the protocol must read like UDP/TLS/RTP/SAVPF, not '96'"),
        ("UDP/TLS/RTP/SAVPF", "97", "line 8: the protocol must read like UDP/TLS/RTP/SAVPF, not '97'"),
        ("UDP/TLS/RTP/SAVPF", "RTP/AVPF", "m=video must be UDP/TLS/RTP/SAVPF, not 'RTP/AVPF'"),
        ("s=-", "nonsense", "line 3 is not of the form <letter>=<value>: 'nonsense'"),
        ("a=ice-ufrag:", "a=x-ufrag:", "a=ice-ufrag is missing"),
        ("a=ice-pwd:", "a=ice-pwd:x\r\na=old:", "a=ice-pwd must have 22 to 256 characters, this one has 1"),
        ("a=setup:actpass", "a=setup:holdconn", "a=setup must be actpass or active or passive here, not 'holdconn'"),
        ("a=setup:actpass\r\n", "", "a=setup is missing"),
        ("a=fingerprint:sha-256", "a=fingerprint:md5", "a=fingerprint with sha-256, sha-384 or sha-512 is missing"),
        (FINGERPRINT, "a=fingerprint:sha-256 AA:BB", "must have 32 hexadecimal octets, not 'AA:BB'"),
        ("a=rtcp-mux\r\n", "", "a=rtcp-mux is missing"),
        ("a=recvonly", "a=sendonly", "the offered video is sendonly"),
        ("a=recvonly", "a=inactive", "the offered video is inactive"),
        ("m=video 9", "m=video 0", "every m=video section of the offer has port 0"),
        ("m=video", "m=audio", "the offer has no m=video section"),
        ("BUNDLE 0 1", "BUNDLE 0 9", "a=group:BUNDLE names '9'"),
        ("a=msid-semantic", "a=ice-lite\r\na=msid-semantic", "a=ice-lite"),
        ("a=mid:0", "a=mid:0\r\na=candidate:1 1 udp x 192.0.2.1 9 typ host", "priority must be a number"),
        ("a=mid:0", "a=mid:0\r\na=candidate:1 1 udp 1", "a candidate reads <foundation>"),
        ("a=sctp-port:5000", "a=sctp-port:70000", "a=sctp-port must be a number from 1 to 65535, not '70000'"),
        ("profile-level-id=42e01f", "profile-level-id=baseline", "must be six hexadecimal digits, not 'baseline'"),
    ],
)
def test_what_is_wrong_with_an_offer_is_named(old: str, new: str, text: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        parse_offer(edited(VIDEO_DATA, old, new))
    assert text in caught.value.detail
    assert (caught.value.status, caught.value.code) == (400, "malformed_sdp")


@pytest.mark.parametrize("text", ["", "v=0", "hello", "{}", "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"])
def test_a_text_that_is_no_offer(text: str) -> None:
    with pytest.raises((MalformedSdp, NoCommonCodec)):
        parse_offer(text)


def test_a_description_too_long() -> None:
    with pytest.raises(MalformedSdp, match="at most 65536 are read"):
        parse_offer("v=0\r\n" + "a=x\r\n" * (MAX_DESCRIPTION_SIZE // 5))


def test_too_many_sections() -> None:
    with pytest.raises(MalformedSdp, match="more than 32 m-sections"):
        parse_offer("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" * 33)


def test_no_common_codec_names_what_was_offered_and_what_is_needed() -> None:
    with pytest.raises(NoCommonCodec) as caught:
        parse_offer(VIDEO_DATA.replace("H264/90000", "H265/90000"))
    assert caught.value.detail == (
        "the offered video codecs are 'VP8, VP9, H265, AV1', needed is H264 with packetization-mode=1"
    )
    assert (caught.value.status, caught.value.code) == (406, "no_common_codec")
    with pytest.raises(NoCommonCodec, match="H264 in packetization mode 0 only"):
        parse_offer(VIDEO_DATA.replace("packetization-mode=1", "packetization-mode=0"))


def test_a_client_cannot_put_lines_into_our_answer() -> None:
    with pytest.raises(MalformedSdp, match="a=mid must have"):
        parse_offer(edited(VIDEO_DATA, "a=mid:1", "a=mid:1\ra=candidate:x"))


LINES = sorted(set(AUDIO_VIDEO_DATA.split("\r\n")))


@settings(max_examples=150)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(LINES),
            st.sampled_from(LINES).flatmap(lambda line: st.integers(0, len(line)).map(lambda cut: line[:cut])),
            st.text(max_size=40),
        ),
        max_size=40,
    )
)
def test_garbage_raises_only_documented_errors(lines: list[str]) -> None:
    try:
        answer("v=0\r\n" + "\r\n".join(lines), audio_ssrc=1002)
    except (MalformedSdp, NoCommonCodec):
        pass


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_offer_raises_only_documented_errors(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(AUDIO_VIDEO_DATA)))
    length = data.draw(st.integers(0, 30))
    damage = data.draw(st.text(max_size=10))
    try:
        text, _ = answer(AUDIO_VIDEO_DATA[:start] + damage + AUDIO_VIDEO_DATA[start + length :], audio_ssrc=1002)
    except (MalformedSdp, NoCommonCodec):
        return
    SessionDescription.parse(text)

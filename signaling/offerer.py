"""We offer, the browser answers (RFC 9429 section 5.2)."""

from collections.abc import Mapping

from signaling.answerer import usable_extensions, video_track, with_feedback
from signaling.errors import MalformedSdp, NoCommonCodec
from signaling.h264_match import COMMON_PROFILE_LEVEL_ID, choose_format, playable_profiles, profile_if_known
from signaling.jsep import (
    AudioTrack,
    BandwidthFeedback,
    H264Format,
    LocalTransport,
    Negotiated,
    OfferedMedia,
    RemoteSection,
)
from signaling.local_description import (
    audio_lines,
    candidate_lines,
    data_lines,
    description_lines,
    joined,
    media_lines,
    payload_types,
    transport_lines,
    video_lines,
)
from signaling.remote_description import (
    EXTENSION_URIS,
    FEEDBACK,
    MID_URI,
    TRANSPORT_SEQUENCE_URI,
    bundled_sections,
    read_section,
    read_transport,
)
from signaling.sdp import parse_description, shown

_VIDEO_MID, _DATA_MID, _AUDIO_MID = "0", "1", "2"
"""Sound came last to these descriptions: clients that count m-sections find the others where they were."""
_FIRST_PAYLOAD_TYPE = 96
_AUDIO_PAYLOAD_TYPE = 111
_EXTENSIONS = {uri: number for number, uri in enumerate(EXTENSION_URIS, 1)}


def create_offer(
    stream_profile_level_id: str,
    local: LocalTransport,
    *,
    session_id: int,
    ssrc: int,
    rtx_ssrc: int,
    audio_ssrc: int | None = None,
    feedback: BandwidthFeedback = BandwidthFeedback.REMB,
) -> tuple[str, OfferedMedia]:
    """Our offer of the video, of data channels and, with `audio_ssrc`, of sound, and what is held against the answer.

    With transport-wide `feedback` REMB is offered too, for who knows nothing better.

    The stream's own profile comes first, then the one that every browser takes: Chromium knows no `64xxxx`, yet plays
    such a stream under the common profile.
    """
    profiles = [stream_profile_level_id.lower()]
    if profile_if_known(stream_profile_level_id) is not profile_if_known(COMMON_PROFILE_LEVEL_ID):
        profiles.append(COMMON_PROFILE_LEVEL_ID)
    unwished = () if feedback is BandwidthFeedback.TRANSPORT else (BandwidthFeedback.TRANSPORT,)
    offered_feedback = tuple(kind for kind in FEEDBACK if kind not in unwished)
    formats = tuple(
        H264Format(number, profile, True, feedback=offered_feedback, rtx_payload_type=number + 1)
        for number, profile in zip(range(_FIRST_PAYLOAD_TYPE, 128, 2), profiles, strict=False)
    )
    transport = transport_lines(local, "actpass") + candidate_lines(local)
    mids = [_VIDEO_MID, _DATA_MID] if audio_ssrc is None else [_VIDEO_MID, _DATA_MID, _AUDIO_MID]
    lines = [
        *description_lines(session_id, mids),
        *media_lines("video", "UDP/TLS/RTP/SAVPF", payload_types(formats), _VIDEO_MID),
        *transport,
        *video_lines(formats, _offered_extensions(feedback), ssrc, rtx_ssrc, reduced_size_rtcp=True),
        *media_lines("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"], _DATA_MID),
        *transport,
        *data_lines(),
    ]
    if audio_ssrc is not None:
        sound = AudioTrack(_AUDIO_MID, audio_ssrc, _AUDIO_PAYLOAD_TYPE, _EXTENSIONS[MID_URI])
        lines += media_lines("audio", "UDP/TLS/RTP/SAVPF", [_AUDIO_PAYLOAD_TYPE], _AUDIO_MID)
        lines += transport + audio_lines(sound, ssrc, reduced_size_rtcp=True)
    offered = OfferedMedia(
        _VIDEO_MID, _DATA_MID, ssrc, rtx_ssrc, formats, stream_profile_level_id, _AUDIO_MID, audio_ssrc, feedback
    )
    return joined(lines), offered


def accept_answer(offered: OfferedMedia, text: str) -> Negotiated:
    """What the browser's answer agrees to. Raises `MalformedSdp`, or `NoCommonCodec` when it takes no video of ours."""
    description = parse_description(text)
    bundled = bundled_sections(description)
    # One section that is alone needs no group (RFC 9143 section 7.3).
    own = bundled or description.sections[:1]
    sections = [read_section(section, description.attributes) for section in description.sections]
    kinds = [section.kind for section in sections]
    expected = ["video", "application"] if offered.audio_ssrc is None else ["video", "application", "audio"]
    if kinds != expected:
        raise MalformedSdp(
            f"the answer must have the m-sections of the offer, {' and '.join(expected)}, not {shown(', '.join(kinds))}"
        )
    video, data, *others = sections
    if video.mid != offered.video_mid:
        raise MalformedSdp(f"the answer's m=video must have a=mid:{offered.video_mid}, not {shown(video.mid)}")
    if video.is_rejected or video.direction == "inactive":
        raise NoCommonCodec(f"the answer rejects the video; offered was {_formats_offered(offered)}")
    if video.direction != "recvonly":
        raise MalformedSdp(f"the answer to a sendonly video is recvonly or inactive, not {video.direction}")
    if not video.rtcp_mux:
        raise MalformedSdp("a=rtcp-mux is missing: RTP and RTCP share one port here (RFC 8834 section 4.5)")
    chosen, reason = _answered_format(offered, video)
    chosen, extensions = with_feedback(chosen, _answered_extensions(video), offered.feedback)
    playable = playable_profiles(video.h264)
    track = video_track(video, chosen, reason, extensions, offered.ssrc, offered.rtx_ssrc, playable)
    mids = {section.first("mid") for section in bundled}
    return Negotiated(
        remote=read_transport(description, own, setups=("active", "passive")),
        video=track,
        data_channels=data.data_channels if offered.data_mid in mids and not data.is_rejected else None,
        audio=next((_answered_audio(offered, section) for section in others if section.mid in mids), None),
    )


def _answered_audio(offered: OfferedMedia, audio: RemoteSection) -> AudioTrack | None:
    """None when the answer wants no sound."""
    if offered.audio_ssrc is None or audio.mid != offered.audio_mid or audio.is_rejected:
        return None
    if audio.direction != "recvonly" or _AUDIO_PAYLOAD_TYPE not in audio.opus:
        return None
    return AudioTrack(audio.mid, offered.audio_ssrc, _AUDIO_PAYLOAD_TYPE, _answered_extensions(audio).get(MID_URI))


def _answered_format(offered: OfferedMedia, video: RemoteSection) -> tuple[H264Format, str]:
    """The payload type that the answer puts first decides (RFC 3264 section 6.1)."""
    by_payload_type = {one.payload_type: one for one in offered.formats}
    answered = next((one for one in video.h264 if one.payload_type in by_payload_type), None)
    if answered is None:
        taken = shown(", ".join(video.codecs), 200)
        raise NoCommonCodec(f"the answer takes {taken}; offered was {_formats_offered(offered)}")
    ours = by_payload_type[answered.payload_type]
    agreed = H264Format(
        payload_type=ours.payload_type,
        profile_level_id=ours.profile_level_id,
        level_asymmetry_allowed=answered.level_asymmetry_allowed,
        feedback=answered.feedback,
        rtx_payload_type=ours.rtx_payload_type if answered.rtx_payload_type == ours.rtx_payload_type else None,
    )
    _, reason = choose_format([agreed], offered.stream_profile_level_id)
    return agreed, f"the browser chose {reason}"


def _offered_extensions(feedback: BandwidthFeedback) -> Mapping[str, int]:
    is_transport = feedback is BandwidthFeedback.TRANSPORT
    return {uri: number for uri, number in _EXTENSIONS.items() if is_transport or uri != TRANSPORT_SEQUENCE_URI}


def _answered_extensions(video: RemoteSection) -> dict[str, int]:
    """Those that the answer keeps, under the ids that were offered (RFC 8285 section 7)."""
    return {uri: number for uri, number in usable_extensions(video).items() if _EXTENSIONS[uri] == number}


def _formats_offered(offered: OfferedMedia) -> str:
    profiles = " and ".join(one.profile_level_id for one in offered.formats)
    return f"H264 {profiles} with packetization-mode=1"

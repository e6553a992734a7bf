"""The browser offers, we answer (RFC 9429 section 5.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from signaling.errors import MalformedSdp, NoCommonCodec
from signaling.h264_match import choose_format, playable_profiles
from signaling.jsep import (
    AudioTrack,
    BandwidthFeedback,
    H264Format,
    LocalTransport,
    Negotiated,
    Offer,
    RemoteSection,
    VideoTrack,
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
    unused_lines,
    video_lines,
)
from signaling.remote_description import (
    ABSOLUTE_SEND_TIME_URI,
    MID_URI,
    PLAYOUT_DELAY_URI,
    TRANSPORT_SEQUENCE_URI,
    bundled_sections,
    read_section,
    read_transport,
)
from signaling.sdp import parse_description, shown

_LONGEST_MID = 16
"""Bytes that the value of a one-byte header extension can have (RFC 8285 section 4.2)."""


def parse_offer(text: str) -> Offer:
    """A browser's offer, with the choice of what we take of it.

    Raises `MalformedSdp` that names what is wrong, and `NoCommonCodec` that names what was offered.
    """
    description = parse_description(text)
    sections = tuple(read_section(section, description.attributes) for section in description.sections)
    group = bundled_sections(description)
    # Without a BUNDLE group each m-section has a transport of its own, and ours is that of the video.
    bundled = tuple(sections[section.index] for section in group)
    video = _choose_video(bundled or sections)
    data = _choose_data(bundled)
    if not video.rtcp_mux:
        raise MalformedSdp("a=rtcp-mux is missing: RTP and RTCP share one port here (RFC 8834 section 4.5)")
    audio = _choose_audio(bundled)
    held = _choose_held(bundled, video)
    taken_indexes = {section.index for section in (video, data, held) if section is not None}
    taken = [section for section in group or description.sections if section.index in taken_indexes]
    # The first of the group that is taken is the tagged one (RFC 9143 section 7.3.1); what it lacks because it is
    # bundle-only stands in the others.
    others = [section for section in group if section.index not in taken_indexes]
    return Offer(
        remote=read_transport(description, taken + others),
        sections=sections,
        video=video,
        data=data,
        audio=audio,
        held=held,
        group=bundled,
    )


def create_answer(
    offer: Offer,
    stream_profile_level_id: str,
    local: LocalTransport,
    *,
    session_id: int,
    ssrc: int,
    rtx_ssrc: int,
    audio_ssrc: int | None = None,
    feedback: BandwidthFeedback = BandwidthFeedback.REMB,
) -> tuple[str, Negotiated]:
    """Our answer, and what is agreed with it. `session_id` is only the number of the `o=` line.

    Without `audio_ssrc` there is no sound to send. `feedback` is what is wished for: a browser that did not offer
    transport-wide feedback is asked for REMB.
    """
    video, data = offer.video, offer.data
    audio = offer.audio if audio_ssrc is not None else None
    taken = [section for section in offer.group if section in (video, data, audio, offer.held)]
    sound = audio_track(audio, audio_ssrc) if audio is not None and audio_ssrc is not None else None
    chosen, reason = choose_format(video.h264, stream_profile_level_id)
    chosen, extensions = with_feedback(chosen, usable_extensions(video), feedback)
    transport = transport_lines(local, "passive" if offer.remote.is_dtls_client else "active")
    candidates = candidate_lines(local)
    lines = description_lines(session_id, [section.mid for section in taken])
    for section in offer.sections:
        if section is video:
            lines += media_lines("video", section.protocol, payload_types([chosen]), section.mid)
            lines += transport + candidates
            lines += video_lines([chosen], extensions, ssrc, rtx_ssrc, reduced_size_rtcp=section.reduced_size_rtcp)
        elif section is data:
            lines += media_lines("application", section.protocol, section.formats, section.mid)
            lines += transport + candidates + data_lines()
        elif section is audio and sound is not None:
            lines += media_lines("audio", section.protocol, [sound.payload_type], section.mid)
            lines += transport + candidates
            lines += audio_lines(sound, ssrc, reduced_size_rtcp=section.reduced_size_rtcp)
        elif section is offer.held:
            lines += unused_lines(section, is_rejected=False) + transport + candidates
        else:
            lines += unused_lines(section, is_rejected=True) + transport
    track = video_track(video, chosen, reason, extensions, ssrc, rtx_ssrc, playable_profiles(video.h264))
    return joined(lines), Negotiated(offer.remote, track, data.data_channels if data else None, sound)


def video_track(
    section: RemoteSection,
    chosen: H264Format,
    reason: str,
    extensions: Mapping[str, int],
    ssrc: int,
    rtx_ssrc: int,
    playable: tuple[str, ...],
) -> VideoTrack:
    """How the video of a negotiated m-section is sent."""
    return VideoTrack(
        mid=section.mid,
        ssrc=ssrc,
        payload_type=chosen.payload_type,
        profile_level_id=chosen.profile_level_id,
        profile_reason=reason,
        rtx_ssrc=rtx_ssrc,
        rtx_payload_type=chosen.rtx_payload_type,
        mid_extension=extensions.get(MID_URI),
        absolute_send_time_extension=extensions.get(ABSOLUTE_SEND_TIME_URI),
        playout_delay_extension=extensions.get(PLAYOUT_DELAY_URI),
        nack="nack" in chosen.feedback,
        goog_remb=BandwidthFeedback.REMB in chosen.feedback,
        transport_sequence_extension=extensions.get(TRANSPORT_SEQUENCE_URI),
        transport_cc=BandwidthFeedback.TRANSPORT in chosen.feedback,
        playable_profiles=playable,
    )


def with_feedback(
    chosen: H264Format, extensions: Mapping[str, int], wanted: BandwidthFeedback
) -> tuple[H264Format, dict[str, int]]:
    """Format and header extensions with one kind of bandwidth feedback: the wanted one if it can be had, or REMB."""
    offers_transport = BandwidthFeedback.TRANSPORT in chosen.feedback and TRANSPORT_SEQUENCE_URI in extensions
    is_transport = wanted is BandwidthFeedback.TRANSPORT and offers_transport
    unwanted = BandwidthFeedback.REMB if is_transport else BandwidthFeedback.TRANSPORT
    kept = {uri: number for uri, number in extensions.items() if is_transport or uri != TRANSPORT_SEQUENCE_URI}
    return replace(chosen, feedback=tuple(kind for kind in chosen.feedback if kind != unwanted)), kept


def audio_track(section: RemoteSection, ssrc: int) -> AudioTrack:
    """How the sound of a negotiated m-section that takes Opus is sent."""
    return AudioTrack(
        mid=section.mid,
        ssrc=ssrc,
        payload_type=section.opus[0],
        mid_extension=usable_extensions(section).get(MID_URI),
    )


def usable_extensions(section: RemoteSection) -> dict[str, int]:
    """The header extensions that are negotiated, with the other side's ids."""
    sends_mid = 0 < len(section.mid) <= _LONGEST_MID
    return {uri: number for uri, number in section.extensions.items() if uri != MID_URI or sends_mid}


def _choose_video(sections: Sequence[RemoteSection]) -> RemoteSection:
    """The first acceptable video; raises the error that fits the best of the others."""
    videos = [section for section in sections if section.kind == "video"]
    active = [section for section in videos if not section.is_rejected]
    receiving = [section for section in active if section.direction in ("recvonly", "sendrecv")]
    for section in receiving:
        if section.h264:
            return _checked_protocol(section)
    if not videos:
        raise MalformedSdp("the offer has no m=video section")
    if not active:
        raise MalformedSdp("every m=video section of the offer has port 0")
    if not receiving:
        raise MalformedSdp(
            f"the offered video is {active[0].direction}: pictures go to the browser, it must be recvonly or sendrecv"
        )
    codecs = list(dict.fromkeys(codec for section in receiving for codec in section.codecs))
    if not codecs:
        raise MalformedSdp("m=video has no a=rtpmap that says what it takes")
    only_mode_0 = any(codec.lower() == "h264" for codec in codecs)
    raise NoCommonCodec(
        f"the offered video codecs are {shown(', '.join(codecs), 200)}"
        f"{' (H264 in packetization mode 0 only)' if only_mode_0 else ''}, needed is H264 with packetization-mode=1"
    )


def _checked_protocol(section: RemoteSection) -> RemoteSection:
    # RFC 9429 section 5.1.2 lists what stands for RTP over DTLS-SRTP.
    if not section.protocol.endswith(("RTP/SAVPF", "RTP/SAVP")):
        raise MalformedSdp(
            f"m=video must be UDP/TLS/RTP/SAVPF, not {shown(section.protocol)}: media is always encrypted"
        )
    return section


def _choose_held(group: Sequence[RemoteSection], video: RemoteSection) -> RemoteSection | None:
    """The tagged section where it is not ours: with `max-bundle`, which WHEP asks for, all use its transport.

    Chromium fails to apply an answer that rejects it ("Failed to setup RTCP mux").
    """
    first = next((section for section in group if not section.is_rejected), video)
    return None if first is video or first.kind == "application" else first


def _choose_audio(group: Sequence[RemoteSection]) -> RemoteSection | None:
    """The first of the bundle that can be sent Opus; with a transport of its own it is not worth the trouble."""
    for section in group:
        is_wanted = not section.is_rejected and section.direction in ("recvonly", "sendrecv")
        is_encrypted = section.protocol.endswith(("RTP/SAVPF", "RTP/SAVP"))
        if section.opus and section.rtcp_mux and is_wanted and is_encrypted:
            return section
    return None


def _choose_data(sections: Sequence[RemoteSection]) -> RemoteSection | None:
    usable = (section for section in sections if section.data_channels is not None and not section.is_rejected)
    return next(usable, None)

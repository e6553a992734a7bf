"""The values of offers and answers (RFC 9429) of a server that sends one H.264 video track, Opus where the device has
sound, and takes data channels.

    text > sdp > remote_description > answerer   parse_offer, create_answer: the browser offers
                                      offerer    create_offer, accept_answer: we offer
    text > candidates                            trickled candidates and ICE restarts

All of it is pure: SDP text and values in, SDP text and values out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Candidate:
    """A transport address that can be checked (RFC 8839 section 5.1); `.local` names never become one."""

    protocol: str
    """`udp`, or `tcp` for passive ones of our own: those of browsers are active and nothing to connect to."""
    address: str
    """An IPv4 or IPv6 address in text."""
    port: int
    priority: int
    kind: str = "host"
    """`host`, `srflx`, `prflx` or `relay`."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """An ICE username fragment and password (RFC 8445 section 5.3)."""

    username_fragment: str
    password: str


@dataclass(frozen=True, slots=True)
class TrickleFragment:
    """An `application/trickle-ice-sdpfrag` body (RFC 8840 section 9)."""

    credentials: IceCredentials | None
    candidates: tuple[Candidate, ...]
    end_of_candidates: bool
    mid: str | None = None
    """The m-section that the candidates belong to; everything is bundled, so it is only repeated."""
    kind: str = "video"
    """What that m-section is for: `audio`, `video` or `application`."""


@dataclass(frozen=True, slots=True)
class LocalTransport:
    """What our side of a transport announces."""

    ice: IceCredentials
    fingerprint: str
    """SHA-256 of our certificate, `AA:BB:…`."""
    candidates: tuple[str, ...]
    """Values of `a=candidate:` lines, best first."""


@dataclass(frozen=True, slots=True)
class RemoteTransport:
    """What the browser announces about its side of the transport."""

    ice: IceCredentials
    fingerprints: tuple[tuple[str, str], ...]
    """(algorithm, value) pairs; at least one of SHA-256 or stronger."""
    is_dtls_client: bool
    """Whether the browser starts the DTLS handshake (`a=setup:active`, or `actpass` that we answered `passive`)."""
    candidates: tuple[Candidate, ...]


class BandwidthFeedback(StrEnum):
    """What a browser reports for us to learn how much its path carries, by the name of its `a=rtcp-fb` value.

    A browser gives one or the other: Chromium sends no REMB for video that has transport-wide feedback.
    """

    REMB = "goog-remb"
    """The receiver's own estimate (draft-alvestrand-rmcat-remb), out of absolute send times."""
    TRANSPORT = "transport-cc"
    """When each packet arrived (draft-holmer-rmcat-transport-wide-cc-extensions), for an estimate of ours."""


@dataclass(frozen=True, slots=True)
class VideoTrack:
    """How the video is sent: everything that was negotiated for its m-section."""

    mid: str
    ssrc: int
    payload_type: int
    profile_level_id: str
    """The one that was chosen from the offer, e.g. `42e01f`."""
    profile_reason: str
    """Why that one, in words."""
    rtx_ssrc: int
    rtx_payload_type: int | None
    """None when the browser takes no retransmission payload (RFC 4588)."""
    mid_extension: int | None
    """Header extension ids (RFC 8285), 1..14, None when not negotiated."""
    absolute_send_time_extension: int | None
    playout_delay_extension: int | None
    nack: bool
    goog_remb: bool
    transport_sequence_extension: int | None = None
    """Id of the transport-wide sequence number; None unless `transport_cc`."""
    transport_cc: bool = False
    """Whether the browser reports when each packet arrived, instead of an estimate of its own."""
    playable_profiles: tuple[str, ...] = ()
    """The profile-level-id of everything that the browser takes, for `h264_match.why_not_as_it_is`."""


@dataclass(frozen=True, slots=True)
class AudioTrack:
    """How the sound is sent: Opus at 48 kHz (RFC 7587), in the video's transport."""

    mid: str
    ssrc: int
    payload_type: int
    mid_extension: int | None
    """The header extension's id (RFC 8285), 1..14, None when not negotiated."""


def canonical_name(video_ssrc: int) -> str:
    """The CNAME that a session's tracks share (RFC 3550 section 6.5.1): what makes sound and picture one."""
    return f"{video_ssrc:08x}"


@dataclass(frozen=True, slots=True)
class DataChannels:
    """The SCTP association of the session (RFC 8841)."""

    mid: str
    port: int
    max_message_size: int


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on."""

    remote: RemoteTransport
    video: VideoTrack
    data_channels: DataChannels | None
    audio: AudioTrack | None = None
    """None when the device has no sound, or the browser takes none."""


@dataclass(frozen=True, slots=True)
class H264Format:
    """An H.264 payload type in packetization mode 1 (RFC 6184 section 8.1)."""

    payload_type: int
    profile_level_id: str
    level_asymmetry_allowed: bool
    feedback: tuple[str, ...]
    """Its `a=rtcp-fb` values, as `nack pli`."""
    rtx_payload_type: int | None
    """The retransmission payload type associated with it (RFC 4588 section 8.6)."""


@dataclass(frozen=True, slots=True)
class RemoteSection:
    """What the browser says about one m-section."""

    index: int
    """Its place in the description, from 0."""
    kind: str
    mid: str
    """Empty when it has none."""
    protocol: str
    formats: tuple[str, ...]
    first_codec: str | None
    """The `a=rtpmap` value of the first format."""
    is_rejected: bool
    direction: str
    codecs: tuple[str, ...]
    """Every codec by name, for the client that offered none of ours."""
    h264: tuple[H264Format, ...]
    """In the browser's order of preference."""
    opus: tuple[int, ...]
    """Payload types of Opus, in the browser's order of preference."""
    rtcp_mux: bool
    extensions: Mapping[str, int]
    """Ids of the header extensions that we send (RFC 8285), by URI."""
    reduced_size_rtcp: bool
    data_channels: DataChannels | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A browser's offer, as far as it concerns us."""

    remote: RemoteTransport
    sections: tuple[RemoteSection, ...]
    """Every m-section in the offer's order; those that are none of the following are rejected."""
    video: RemoteSection
    """The first one that can receive H.264 in packetization mode 1."""
    data: RemoteSection | None
    """The one whose data channels are taken."""
    audio: RemoteSection | None
    """The first one that can receive Opus; there has to be sound for it, or it is none of ours."""
    held: RemoteSection | None
    """One whose transport carries the others, so that it is accepted even where nothing is sent in it."""
    group: tuple[RemoteSection, ...]
    """The BUNDLE group that has the video, in its order; empty when there is none."""


@dataclass(frozen=True, slots=True)
class OfferedMedia:
    """What we offered, to be held against the browser's answer."""

    video_mid: str
    data_mid: str
    ssrc: int
    rtx_ssrc: int
    formats: tuple[H264Format, ...]
    """The stream's own profile first."""
    stream_profile_level_id: str
    audio_mid: str
    audio_ssrc: int | None
    """None when no sound was offered."""
    feedback: BandwidthFeedback = BandwidthFeedback.REMB
    """What was wished for; an answer that does not take transport-wide feedback gets REMB."""

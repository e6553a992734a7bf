"""Offers and answers (RFC 9429) for a server that sends one H.264 video track and takes data channels.

Pure: SDP text and values in, SDP text and values out. The syntax is `aiortc.sdp`'s work; what is chosen is ours.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Candidate:
    """A remote transport address that can be checked (RFC 8839 section 5.1); `.local` names never become one."""

    protocol: str
    """`udp`; TCP candidates of browsers are active and nothing to connect to."""
    address: str
    """An IPv4 or IPv6 address in text."""
    port: int
    priority: int


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

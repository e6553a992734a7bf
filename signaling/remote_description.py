"""What a browser's description means: its transport and, per m-section, what it takes."""

import re
from collections.abc import Sequence

from signaling.candidates import parse_candidates, parse_credentials
from signaling.errors import MalformedSdp
from signaling.jsep import BandwidthFeedback, DataChannels, H264Format, RemoteSection, RemoteTransport
from signaling.sdp import Attributes, Description, Section, parse_number, parse_token, shown

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABSOLUTE_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
PLAYOUT_DELAY_URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
TRANSPORT_SEQUENCE_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
EXTENSION_URIS = (MID_URI, ABSOLUTE_SEND_TIME_URI, PLAYOUT_DELAY_URI, TRANSPORT_SEQUENCE_URI)

FEEDBACK = ("nack", "nack pli", "ccm fir", *BandwidthFeedback)
"""The RTCP feedback that we act on."""

_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_DIGEST_SIZES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_HEX_OCTETS = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*")
_PROFILE_LEVEL_ID = re.compile(r"[0-9A-Fa-f]{6}")
_RTP_MAP = re.compile(r"([0-9]+) [\w.+-]+/[0-9]+(?:/[0-9]+)?", re.ASCII)
_EXTENSION_MAP = re.compile(r"([0-9]{1,5}) (\S+)")

# RFC 6184 section 8.1: Baseline at level 1 when the parameter is missing.
_INFERRED_PROFILE_LEVEL_ID = "42000a"


def bundled_sections(description: Description) -> tuple[Section, ...]:
    """The m-sections of the BUNDLE group that has the first video, in the group's order; empty when there is none.

    Raises `MalformedSdp` for a group that names what is not there (RFC 9143 section 5).
    """
    by_mid = {section.first("mid"): section for section in description.sections}
    for value in description.attributes.get("group", ()):
        semantics, *mids = value.split() or [""]
        if semantics != "BUNDLE":
            continue
        for mid in mids:
            if mid not in by_mid:
                raise MalformedSdp(f"a=group:BUNDLE names {shown(mid)}, which no m-section has as its a=mid")
        if any(by_mid[mid].kind == "video" for mid in mids):
            return tuple(by_mid[mid] for mid in mids)
    return ()


def read_transport(
    description: Description, sections: Sequence[Section], *, setups: Sequence[str] = ("actpass", "active", "passive")
) -> RemoteTransport:
    """The transport that `sections` share, the one whose word counts first. An `actpass` is made the DTLS client.

    Raises `MalformedSdp` when it cannot be served.
    """
    levels: list[Attributes] = [*(section.attributes for section in sections), description.attributes]

    def first_all(name: str) -> Sequence[str]:
        return next((level[name] for level in levels if name in level), ())

    def first(name: str) -> str:
        values = first_all(name)
        if not values:
            raise MalformedSdp(f"a={name} is missing")
        return values[0]

    # RFC 8445 section 6.1.1: of two lite agents nobody would send checks, and we never control.
    if "ice-lite" in description.attributes:
        raise MalformedSdp("a=ice-lite: this service is an ICE-lite agent itself, the other side must be a full one")
    setup = first("setup")
    if setup not in setups:
        raise MalformedSdp(f"a=setup must be {' or '.join(setups)} here, not {shown(setup)}")
    return RemoteTransport(
        ice=parse_credentials(first("ice-ufrag"), first("ice-pwd")),
        fingerprints=_fingerprints(first_all("fingerprint")),
        is_dtls_client=setup != "passive",
        candidates=parse_candidates(first_all("candidate")),
    )


def read_section(section: Section, session: Attributes) -> RemoteSection:
    """What the browser says about one m-section. Raises `MalformedSdp`."""
    attributes = section.attributes
    is_video, is_audio = section.kind == "video", section.kind == "audio"
    codecs = _codecs(section) if is_video else {}
    mid = section.first("mid")
    return RemoteSection(
        index=section.index,
        kind=section.kind,
        mid="" if mid is None else parse_token(mid, "a=mid"),
        protocol=section.protocol,
        formats=section.formats,
        first_codec=next(
            (value for value in attributes.get("rtpmap", ()) if _describes(value, section.formats[0])), None
        ),
        # Port 0 rejects, except with bundle-only, which says that the port is that of the bundle (RFC 9143 section 6).
        is_rejected=section.port == 0 and "bundle-only" not in attributes,
        direction=_direction(attributes) or _direction(session) or "sendrecv",
        codecs=tuple(dict.fromkeys(name for name in codecs.values() if name.lower() not in _NOT_VIDEO)),
        h264=_h264_formats(section, codecs) if is_video else (),
        opus=_opus_payload_types(section) if is_audio else (),
        rtcp_mux="rtcp-mux" in attributes,
        extensions=_extensions(attributes) if is_video or is_audio else {},
        reduced_size_rtcp="rtcp-rsize" in attributes,
        data_channels=_data_channels(section) if section.kind == "application" else None,
    )


def _direction(attributes: Attributes) -> str | None:
    return next((direction for direction in _DIRECTIONS if direction in attributes), None)


def _fingerprints(values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The fingerprints whose hash may be relied on."""
    found = []
    for value in values:
        algorithm, _, digest = value.partition(" ")
        algorithm, digest = algorithm.lower(), digest.strip()
        size = _DIGEST_SIZES.get(algorithm)
        if size is None:
            continue
        if len(digest) != 3 * size - 1 or not _HEX_OCTETS.fullmatch(digest):
            raise MalformedSdp(f"a=fingerprint:{algorithm} must have {size} hexadecimal octets, not {shown(digest)}")
        found.append((algorithm, digest.upper()))
    if not found:
        raise MalformedSdp("a=fingerprint with sha-256, sha-384 or sha-512 is missing")
    return tuple(found)


_NOT_VIDEO = ("rtx", "red", "ulpfec", "flexfec-03")


def _describes(rtp_map: str, payload_type: str) -> bool:
    match = _RTP_MAP.fullmatch(rtp_map)
    return match is not None and match[1] == payload_type


def _codecs(section: Section) -> dict[int, str]:
    """The codec's name of every payload type, in the order of the m-line, which is that of preference."""
    names = {}
    for value in section.attributes.get("rtpmap", ()):
        payload_type, _, codec = value.partition(" ")
        names[payload_type] = codec.partition("/")[0].strip()
    return {
        parse_number(payload_type, "a payload type of m=video", 0, 127): names[payload_type]
        for payload_type in section.formats
        if payload_type in names
    }


def _h264_formats(section: Section, codecs: dict[int, str]) -> tuple[H264Format, ...]:
    parameters = _format_parameters(section)
    feedback: dict[str, list[str]] = {}
    for value in section.attributes.get("rtcp-fb", ()):
        target, _, kind = value.partition(" ")
        feedback.setdefault(target, []).append(kind)
    retransmissions = {
        parameters[payload_type].get("apt"): payload_type
        for payload_type, name in codecs.items()
        if name.lower() == "rtx" and payload_type in parameters
    }
    formats = []
    for payload_type, name in codecs.items():
        values = parameters.get(payload_type, {})
        # Mode 0 takes whole NAL units only, no fragments (RFC 6184 section 6.2): no keyframe fits.
        if name.lower() != "h264" or values.get("packetization-mode") != "1":
            continue
        profile_level_id = values.get("profile-level-id", _INFERRED_PROFILE_LEVEL_ID)
        if not _PROFILE_LEVEL_ID.fullmatch(profile_level_id):
            raise MalformedSdp(
                f"profile-level-id of payload type {payload_type} must be six hexadecimal digits, "
                f"not {shown(profile_level_id)}"
            )
        offered_feedback = {*feedback.get(str(payload_type), ()), *feedback.get("*", ())}
        formats.append(
            H264Format(
                payload_type=payload_type,
                profile_level_id=profile_level_id.lower(),
                level_asymmetry_allowed=values.get("level-asymmetry-allowed") == "1",
                feedback=tuple(kind for kind in FEEDBACK if kind in offered_feedback),
                rtx_payload_type=retransmissions.get(str(payload_type)),
            )
        )
    return tuple(formats)


def _opus_payload_types(section: Section) -> tuple[int, ...]:
    """RFC 7587 section 7: always `opus/48000/2`, whatever is coded."""
    maps = (value.partition(" ") for value in section.attributes.get("rtpmap", ()))
    opus = {payload_type for payload_type, _, codec in maps if codec.lower() == "opus/48000/2"}
    return tuple(
        parse_number(payload_type, "a payload type of m=audio", 0, 127)
        for payload_type in section.formats
        if payload_type in opus
    )


def _format_parameters(section: Section) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for value in section.attributes.get("fmtp", ()):
        payload_type, _, text = value.partition(" ")
        parameters = found.setdefault(parse_number(payload_type, "the payload type of a=fmtp", 0, 127), {})
        for parameter in text.split(";"):
            name, _, setting = parameter.partition("=")
            parameters[name.strip().lower()] = setting.strip()
    return found


def _extensions(attributes: Attributes) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in attributes.get("extmap", ()):
        match = _EXTENSION_MAP.match(value)
        # One-byte headers have ids 1 to 14 (RFC 8285 section 4.2); a direction behind the id does not match either.
        if match and match[2] in EXTENSION_URIS and 1 <= int(match[1]) <= 14:
            found.setdefault(match[2], int(match[1]))
    return found


def _data_channels(section: Section) -> DataChannels | None:
    """The SCTP association over DTLS of RFC 8841; the older `a=sctpmap` form is not taken."""
    port = section.first("sctp-port")
    if section.protocol not in ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP") or port is None:
        return None
    return DataChannels(
        mid=section.first("mid") or "",
        port=parse_number(port, "a=sctp-port", 1, 65535),
        # RFC 8841 section 6.1: 64K when it is missing; 0 stands for any size.
        max_message_size=parse_number(section.first("max-message-size") or "65536", "a=max-message-size", 0, 2**63),
    )

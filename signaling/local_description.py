"""Descriptions of ours, line by line; what is said in them is decided by `answerer` and `offerer`."""

from collections.abc import Iterable, Mapping, Sequence

from signaling.jsep import AudioTrack, H264Format, LocalTransport, RemoteSection, canonical_name
from signaling.remote_description import MID_URI

MAX_MESSAGE_SIZE = 65536
"""The largest data channel message we take, in bytes."""

SCTP_PORT = 5000

_STREAM = "screen"
"""The MediaStream that picture and sound are in, which tells a browser to play them together."""


def description_lines(session_id: int, bundle: Sequence[str]) -> list[str]:
    """The session level. `session_id` is only a number that no other description has (RFC 8866 section 5.2)."""
    lines = ["v=0", f"o=- {session_id} 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    if bundle:
        lines.append(f"a=group:BUNDLE {' '.join(bundle)}")
    # We never control, whoever offers (RFC 8445 section 6.1.1): with a lite agent the full one does.
    lines += ["a=ice-lite", "a=msid-semantic:WMS *"]
    return lines


def transport_lines(local: LocalTransport, setup: str) -> list[str]:
    """Who we are. Every m-section repeats it for the simpler clients; aiortc reads even a rejected one to the end."""
    return [
        f"a=ice-ufrag:{local.ice.username_fragment}",
        f"a=ice-pwd:{local.ice.password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
    ]


def candidate_lines(local: LocalTransport) -> list[str]:
    """Where we are."""
    return [*(f"a=candidate:{candidate}" for candidate in local.candidates), "a=end-of-candidates"]


def media_lines(kind: str, protocol: str, formats: Iterable[int | str], mid: str, *, port: int = 9) -> list[str]:
    """The head of an m-section. The real addresses are candidates: port 9 is a placeholder (RFC 9429 section 5.2.1)."""
    lines = [f"m={kind} {port} {protocol} {' '.join(map(str, formats))}", "c=IN IP4 0.0.0.0"]
    if mid:
        lines.append(f"a=mid:{mid}")
    return lines


def unused_lines(section: RemoteSection, *, is_rejected: bool) -> list[str]:
    """An m-section that nothing is sent in; port 0 rejects it altogether (RFC 3264 section 6)."""
    lines = media_lines(section.kind, section.protocol, section.formats[:1], section.mid, port=0 if is_rejected else 9)
    if section.kind != "application":
        lines += ["a=inactive", "a=rtcp-mux"]
        if section.first_codec is not None:
            lines.append(f"a=rtpmap:{section.first_codec}")
    return lines


def video_lines(
    formats: Sequence[H264Format], extensions: Mapping[str, int], ssrc: int, rtx_ssrc: int, *, reduced_size_rtcp: bool
) -> list[str]:
    """What we send in a video m-section, after its head and its transport."""
    lines = ["a=sendonly", "a=rtcp-mux"]
    if reduced_size_rtcp:
        lines.append("a=rtcp-rsize")
    lines += [f"a=extmap:{number} {uri}" for uri, number in extensions.items()]
    for one in formats:
        lines += _format_lines(one)
    ssrcs = [ssrc]
    if any(one.rtx_payload_type is not None for one in formats):
        ssrcs.append(rtx_ssrc)
        lines.append(f"a=ssrc-group:FID {ssrc} {rtx_ssrc}")
    return lines + _source_lines("video", ssrcs, ssrc)


def audio_lines(track: AudioTrack, video_ssrc: int, *, reduced_size_rtcp: bool) -> list[str]:
    """What we send in an audio m-section, after its head and its transport: Opus (RFC 7587), never sent again."""
    lines = ["a=sendonly", "a=rtcp-mux"]
    if reduced_size_rtcp:
        lines.append("a=rtcp-rsize")
    if track.mid_extension is not None:
        lines.append(f"a=extmap:{track.mid_extension} {MID_URI}")
    lines += [
        f"a=rtpmap:{track.payload_type} opus/48000/2",
        f"a=fmtp:{track.payload_type} minptime=10;useinbandfec=1;sprop-stereo=1",
    ]
    return lines + _source_lines("audio", [track.ssrc], video_ssrc)


def _source_lines(track: str, ssrcs: Sequence[int], video_ssrc: int) -> list[str]:
    lines = [f"a=msid:{_STREAM} {track}"]
    for number in ssrcs:
        lines += [f"a=ssrc:{number} cname:{canonical_name(video_ssrc)}", f"a=ssrc:{number} msid:{_STREAM} {track}"]
    return lines


def payload_types(formats: Sequence[H264Format]) -> list[int]:
    """The payload types of an m-line, each followed by its retransmissions."""
    found = []
    for one in formats:
        found.append(one.payload_type)
        if one.rtx_payload_type is not None:
            found.append(one.rtx_payload_type)
    return found


def data_lines() -> list[str]:
    """What an application m-section says about SCTP (RFC 8841)."""
    return [f"a=sctp-port:{SCTP_PORT}", f"a=max-message-size:{MAX_MESSAGE_SIZE}"]


def joined(lines: Iterable[str]) -> str:
    """The text of a description."""
    return "".join(f"{line}\r\n" for line in lines)


def _format_lines(one: H264Format) -> list[str]:
    parameters = ["packetization-mode=1", f"profile-level-id={one.profile_level_id}"]
    if one.level_asymmetry_allowed:
        parameters.insert(0, "level-asymmetry-allowed=1")
    number = one.payload_type
    lines = [f"a=rtpmap:{number} H264/90000"]
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in one.feedback]
    lines.append(f"a=fmtp:{number} {';'.join(parameters)}")
    if one.rtx_payload_type is not None:
        lines += [f"a=rtpmap:{one.rtx_payload_type} rtx/90000", f"a=fmtp:{one.rtx_payload_type} apt={number}"]
    return lines

"""ICE candidates as text: in descriptions, in trickle fragments (RFC 8840) and alone in a JSON message."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address

from signaling.errors import MalformedSdp
from signaling.jsep import Candidate, IceCredentials, TrickleFragment
from signaling.sdp import Attributes, parse_fragment, parse_number, parse_token, shown

MAX_CANDIDATES = 64
"""Candidates that are taken from one description; more are ignored (RFC 8445 section 6.1.2.5 limits the pairs)."""


def parse_candidate(text: str) -> Candidate | None:
    """The candidate of a `candidate:` value, with or without `a=` or `candidate:` in front (RFC 8839 section 5.1).

    None for what nobody can send a check to from here: TCP (a browser's is active), `.local` and other names, and for
    the empty text that says "no more" in W3C's JSON. Raises `MalformedSdp`.
    """
    candidate = _read_candidate(text, ("udp",))
    return candidate if candidate is not None and _is_reachable(candidate.address) else None


def parse_candidates(values: Iterable[str]) -> tuple[Candidate, ...]:
    """The usable ones of many `candidate` values, each once, at most `MAX_CANDIDATES`. Raises `MalformedSdp`."""
    found: dict[Candidate, None] = {}
    for value in values:
        candidate = parse_candidate(value)
        if candidate is not None and len(found) < MAX_CANDIDATES:
            found[candidate] = None
    return tuple(found)


def own_candidates(values: Iterable[str]) -> tuple[Candidate, ...]:
    """Those that our descriptions announce by `candidate` values, TCP included. Raises `MalformedSdp`."""
    candidates = (_read_candidate(value, ("udp", "tcp")) for value in values)
    return tuple(candidate for candidate in candidates if candidate is not None)


def serialize_candidate(candidate: Candidate) -> str:
    """The value of an `a=candidate:` line."""
    # Equal foundations mean equal kind, protocol and base address (RFC 8445 section 5.1.1.3).
    foundation = f"{candidate.protocol[0]}{candidate.kind[0]}{candidate.address}".translate(_NOT_ICE_CHARACTERS)[:32]
    text = f"{foundation} 1 {candidate.protocol} {candidate.priority} {candidate.address} {candidate.port}"
    text += f" typ {candidate.kind}"
    if candidate.kind != "host":
        # RFC 8839 section 5.1 wants a related address; it is hidden as browsers hide theirs.
        text += " raddr 0.0.0.0 rport 0"
    # RFC 6544 section 4.5. We are who listens.
    return f"{text} tcptype passive" if candidate.protocol == "tcp" else text


def parse_trickle_fragment(text: str) -> TrickleFragment:
    """An `application/trickle-ice-sdpfrag` body. Raises `MalformedSdp`."""
    fragment = parse_fragment(text)
    levels = [fragment.attributes, *(section.attributes for section in fragment.sections)]
    mids = [mid for level in levels for mid in level.get("mid", ())]
    kinds = [section.kind for section in fragment.sections if section.kind in _PSEUDO_MEDIA_LINES]
    return TrickleFragment(
        credentials=_common_credentials(levels),
        candidates=parse_candidates(value for level in levels for value in level.get("candidate", ())),
        end_of_candidates=any("end-of-candidates" in level for level in levels),
        mid=parse_token(mids[0], "a=mid") if mids else None,
        kind=kinds[0] if kinds else "video",
    )


def serialize_trickle_fragment(fragment: TrickleFragment) -> str:
    """The answer to an ICE restart: our credentials and candidates (RFC 9725 section 4.3.3)."""
    lines = ["a=ice-lite", "a=ice-options:trickle", f"m={fragment.kind} {_PSEUDO_MEDIA_LINES[fragment.kind]}"]
    if fragment.mid is not None:
        lines.append(f"a=mid:{fragment.mid}")
    if fragment.credentials is not None:
        lines.append(f"a=ice-ufrag:{fragment.credentials.username_fragment}")
        lines.append(f"a=ice-pwd:{fragment.credentials.password}")
    lines += [f"a=candidate:{serialize_candidate(candidate)}" for candidate in fragment.candidates]
    if fragment.end_of_candidates:
        lines.append("a=end-of-candidates")
    return "".join(f"{line}\r\n" for line in lines)


def parse_credentials(username_fragment: str, password: str) -> IceCredentials:
    """Raises `MalformedSdp` when a length is out of range (RFC 8839 section 5.4).

    The characters are not held to the RFC's `ice-char`: other stacks use a few more. Only what would not survive a
    STUN USERNAME is refused.
    """
    if not (4 <= len(username_fragment) <= 256 and username_fragment.isascii() and username_fragment.isprintable()):
        raise MalformedSdp(f"a=ice-ufrag must have 4 to 256 characters, not {shown(username_fragment)}")
    if ":" in username_fragment or " " in username_fragment:
        raise MalformedSdp(f"a=ice-ufrag must have neither a colon nor a space: {shown(username_fragment)}")
    if not (22 <= len(password) <= 256 and password.isascii() and password.isprintable()):
        # The password is a secret: its value stays out of the text.
        raise MalformedSdp(f"a=ice-pwd must have 22 to 256 characters, this one has {len(password)}")
    return IceCredentials(username_fragment, password)


# Nothing but the kind of a fragment's m-line means anything (RFC 8840 section 4.4).
_PSEUDO_MEDIA_LINES = {
    "audio": "9 UDP/TLS/RTP/SAVPF 0",
    "video": "9 UDP/TLS/RTP/SAVPF 0",
    "application": "9 UDP/DTLS/SCTP webrtc-datachannel",
}

_NOT_ICE_CHARACTERS = str.maketrans({".": "+", ":": "/", "%": None})


def _read_candidate(text: str, protocols: Sequence[str]) -> Candidate | None:
    """None for the empty text, for other components than RTP's and for other protocols."""
    value = text.strip().removeprefix("a=").removeprefix("candidate:").strip()
    if not value:
        return None
    fields = value.split()
    if len(fields) < 8 or fields[6] != "typ":
        form = "<foundation> <component> udp <priority> <address> <port> typ <type>"
        raise MalformedSdp(f"a candidate reads {form}, not {shown(value)}")
    _, component, protocol, priority, address, port, _, kind = fields[:8]
    component_id = parse_number(component, "a candidate's component", 1, 256)
    if component_id != 1 or protocol.lower() not in protocols:
        return None
    return Candidate(
        protocol=protocol.lower(),
        address=address,
        port=parse_number(port, "a candidate's port", 1, 65535),
        priority=parse_number(priority, "a candidate's priority", 0, 2**32 - 1),
        kind=kind,
    )


def _common_credentials(levels: Sequence[Attributes]) -> IceCredentials | None:
    username_fragments = {value for level in levels for value in level.get("ice-ufrag", ())}
    passwords = {value for level in levels for value in level.get("ice-pwd", ())}
    if not username_fragments and not passwords:
        return None
    if len(username_fragments) != 1 or len(passwords) != 1:
        raise MalformedSdp(
            "a fragment has one a=ice-ufrag with its a=ice-pwd or neither, "
            f"not {len(username_fragments)} and {len(passwords)} different ones"
        )
    return parse_credentials(username_fragments.pop(), passwords.pop())


def _is_reachable(address: str) -> bool:
    """Whether it is an address that a check can be sent to: not a name, no group, no link-local without its link."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_multicast or parsed.is_unspecified or (parsed.version == 6 and parsed.is_link_local))

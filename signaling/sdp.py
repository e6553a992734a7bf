"""The syntax of a session description (RFC 8866): lines in, sections with their attributes out.

`aiortc.sdp` gives every attribute its meaning, which costs four times as much as all that we need of a browser's
5 kB, and answers bad input with bare assertions. This reads structure only and says which line is wrong.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from signaling.errors import MalformedSdp

MAX_DESCRIPTION_SIZE = 64 * 1024
"""Characters. A browser's description with many candidates has 15 000."""

MAX_SECTIONS = 32
"""A browser that takes audio, video and data of one device needs three."""

Attributes = Mapping[str, Sequence[str]]
"""The values of each `a=` line by attribute name, in their order; the value of a flag is empty."""


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section (RFC 8866 section 5.14)."""

    index: int
    """Its place in the description, from 0."""
    kind: str
    """`audio`, `video` or `application`."""
    port: int
    protocol: str
    formats: tuple[str, ...]
    attributes: Attributes

    def first(self, name: str) -> str | None:
        """The first value of the attribute; None when the section does not have it."""
        values = self.attributes.get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Description:
    """A whole session description."""

    attributes: Attributes
    """The attributes of the session level."""
    sections: tuple[Section, ...]


def parse_description(text: str) -> Description:
    """The sections of a session description. Raises `MalformedSdp` that names what is wrong."""
    _check_size(text)
    if not text.startswith("v=0"):
        raise MalformedSdp(f"a session description begins with v=0, this begins with {shown(text[:20])}")
    return _parse_lines(text)


def parse_fragment(text: str) -> Description:
    """The sections of an SDP fragment, which begins at once with its attributes (RFC 8840 section 9).

    Raises `MalformedSdp`.
    """
    _check_size(text)
    return _parse_lines(text)


def shown(value: str, limit: int = 60) -> str:
    """A client's value as an error text may repeat it."""
    return repr(value if len(value) <= limit else value[:limit] + "…")


def parse_number(text: str, name: str, lowest: int, highest: int) -> int:
    """A decimal number within its range. Raises `MalformedSdp` that names it."""
    # int() alone would also take signs, spaces, underscores and the digits of other scripts.
    if not (text.isascii() and text.isdecimal() and len(text) <= 20 and lowest <= int(text) <= highest):
        raise MalformedSdp(f"{name} must be a number from {lowest} to {highest}, not {shown(text)}")
    return int(text)


def parse_token(text: str, name: str) -> str:
    """A value that we may repeat in a description of our own. Raises `MalformedSdp` that names it."""
    if not _TOKEN.fullmatch(text):
        raise MalformedSdp(f"{name} must have 1 to 64 visible ASCII characters, not {shown(text)}")
    return text


_TOKEN = re.compile(r"[!-~]{1,64}")
_PROTOCOL = re.compile(r"[A-Z]+(?:/[A-Z]+)*")


def _check_size(text: str) -> None:
    if len(text) > MAX_DESCRIPTION_SIZE:
        raise MalformedSdp(f"the description has {len(text)} characters, at most {MAX_DESCRIPTION_SIZE} are read")


def _parse_lines(text: str) -> Description:
    session: dict[str, list[str]] = {}
    sections: list[Section] = []
    attributes = session
    # Lines end with CRLF; a bare LF is read too (RFC 8866 section 5). str.splitlines would also split at other marks.
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            values = attributes.get(name)
            if values is None:
                attributes[name] = [value.strip()]
            else:
                values.append(value.strip())
        elif line.startswith("m="):
            if len(sections) == MAX_SECTIONS:
                raise MalformedSdp(f"line {number}: more than {MAX_SECTIONS} m-sections")
            attributes = {}
            sections.append(_parse_media_line(line, number, len(sections), attributes))
        elif line and line[1:2] != "=":
            raise MalformedSdp(f"line {number} is not of the form <letter>=<value>: {shown(line)}")
    return Description(session, tuple(sections))


def _parse_media_line(line: str, number: int, index: int, attributes: Attributes) -> Section:
    fields = line[2:].split()
    if len(fields) < 4 or not (line.isascii() and line.isprintable()):
        raise MalformedSdp(f"line {number}: an m-line has kind, port, protocol and formats, not {shown(line)}")
    kind, port, protocol, *formats = fields
    if not _PROTOCOL.fullmatch(protocol):
        raise MalformedSdp(f"line {number}: the protocol must read like UDP/TLS/RTP/SAVPF, not {shown(protocol)}")
    port_number = parse_number(port, f"line {number}: the port", 0, 65535)
    return Section(index, kind, port_number, protocol, tuple(formats), attributes)

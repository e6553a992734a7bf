"""`stun:` and `turn:` URLs, which name the servers that help a viewer through NATs (RFC 7064, RFC 7065)."""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address
from typing import Self

from capture.adb.address import in_url

_URL = re.compile(
    r"(?P<scheme>stun|turns?):"
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
    r"(?:\?transport=(?P<transport>udp|tcp))?"
)
_DEFAULT_PORT = {"stun": 3478, "turn": 3478, "turns": 5349}


@dataclass(frozen=True, slots=True)
class IceUrl:
    """One server's URL, taken apart; as text it is the URL again, its port always written."""

    scheme: str
    """`stun`, `turn` or `turns`."""
    host: str
    """A name, an IPv4 address, or an IPv6 address without its brackets."""
    port: int
    transport: str | None = None
    """What `?transport=` says of a TURN server: `udp` or `tcp`."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL like `stun:192.0.2.1:3478` or `turn:[2001:db8::1]:3478?transport=tcp`. Raises `ValueError`."""
        match = _URL.fullmatch(text)
        if match is None or (match["scheme"] == "stun" and match["transport"]):
            raise ValueError(f"{text!r} is not stun:HOST:PORT or turn:HOST:PORT?transport=udp|tcp")
        port = int(match["port"] or _DEFAULT_PORT[match["scheme"]])
        if not 1 <= port <= 65535:
            raise ValueError(f"{text!r}: a port is from 1 to 65535")
        if match["ipv6"]:
            try:
                IPv6Address(match["ipv6"])
            except AddressValueError as error:
                raise ValueError(f"{text!r}: {match['ipv6']!r} is not an IPv6 address") from error
        return cls(match["scheme"], match["ipv6"] or match["name"], port, match["transport"])

    def __str__(self) -> str:
        query = f"?transport={self.transport}" if self.transport else ""
        return f"{self.scheme}:{in_url(self.host)}:{self.port}{query}"

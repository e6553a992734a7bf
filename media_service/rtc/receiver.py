"""What the media port and its connections ask of a viewer, and of each other."""

from collections import Counter
from typing import Protocol

from media_service.rtc import stun
from media_service.rtc.path import Path
from media_service.rtc.stun import TransportAddress

AddressKey = tuple[str, TransportAddress]
"""A local address, with `tcp:` before it for ICE-TCP, and the remote one it talks to."""


class Receiver(Protocol):
    """Whose datagrams these are."""

    def check_received(self, request: stun.StunMessage, path: Path) -> bool:
        """Take a binding request; whether it was authentic, and `path` is now known to lead to this viewer."""
        ...

    def datagram_received(self, datagram: bytes) -> None:
        """Take a DTLS, RTP or RTCP datagram (RFC 7983)."""
        ...


class Demultiplexer(Protocol):
    """Finds the viewer that a datagram is for."""

    drops: Counter[str]

    def stun_received(self, datagram: bytes, key: AddressKey, path: Path) -> Receiver | None:
        """Take a STUN message that came over `path`; the viewer whose authentic check it is."""
        ...

    def path_lost(self, key: AddressKey) -> None:
        """Forget an address whose connection ended."""
        ...

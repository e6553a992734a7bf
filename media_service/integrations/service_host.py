"""Where others reach this machine, when nobody says so. Pure."""

from collections.abc import Iterable
from ipaddress import ip_address

_LOOPBACK = "127.0.0.1"


def reachable_host(listening_on: str, addresses: Iterable[str]) -> str:
    """The address to tell others of a service that listens on `listening_on`, an IP address or `localhost`.

    That is the address itself, or where it listens on all of them the first of this machine's `addresses`, IPv4 before
    IPv6 and loopback last.
    """
    if listening_on == "localhost":
        return _LOOPBACK
    if not ip_address(listening_on).is_unspecified:
        return listening_on
    outside = [address for address in addresses if not ip_address(address).is_loopback]
    return min(outside, key=lambda address: ip_address(address).version, default=_LOOPBACK)

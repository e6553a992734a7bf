"""Who asks, by address: whether it lies in a network, and who stands behind the proxies that are trusted. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

UNKNOWN = "unknown"
"""The address of who hides behind a proxy that is trusted (RFC 7239 section 6.2)."""

_LONGEST_ADDRESS = 64
"""Characters; with a zone, which is the name of a network interface."""


def is_address(text: str) -> bool:
    """Whether the text is an IP address, and not a name."""
    return _address(text) is not None


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether the address lies in one of `networks` (`10.0.0.0/8`); what is no address lies in none."""
    parsed = _address(address)
    return parsed is not None and any(parsed in _network(network) for network in networks)


def client_address(peer: str, forwarded: Iterable[str], trusted: Sequence[str]) -> str:
    """The address of who asks: `peer`, which sent the request, or the one that proxies in `trusted` saw.

    `forwarded` are the values of `X-Forwarded-For`. Each proxy appends whom it saw, so they are read from the right for
    as long as a trusted one speaks; what stands left of that is a stranger's word. Where a trusted one says what is no
    address (`unknown`, `unix:`) nobody knows who asks, and that is what is returned: no network has it.
    """
    client = _address(peer)
    if client is None:
        return peer
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and any(client in _network(network) for network in trusted):
        seen = _address(_without_port(hops.pop().strip()))
        if seen is None:
            return UNKNOWN
        client = seen
    return str(client)


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """One form for each address: without a zone, and IPv4 also where a socket for both wrote it as IPv6."""
    return _read(text) if len(text) <= _LONGEST_ADDRESS else None


# The same few are read several times for every request, which took longer than all else that is done with them.
@lru_cache(maxsize=1024)
def _read(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return address.ipv4_mapped or IPv6Address(int(address))


def _without_port(hop: str) -> str:
    """Some proxies append the port that they saw, to IPv6 addresses behind brackets."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop

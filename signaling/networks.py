"""Who asks, by address: whether it lies in a network, and who stands behind the proxies that are trusted. Pure."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether the address lies in one of `networks` (`10.0.0.0/8`); what is no address lies in none."""
    parsed = _address(address)
    return parsed is not None and any(parsed in _network(network) for network in networks)


def client_address(peer: str, forwarded: Iterable[str], trusted: Sequence[str]) -> str:
    """The address of who asks: `peer`, which sent the request, or the one that proxies in `trusted` saw.

    `forwarded` are the values of `X-Forwarded-For`. Each proxy appends whom it saw, so they are read from the right for
    as long as a trusted one speaks; what stands left of that is a stranger's word, and what is no address ends it too.
    """
    client = _address(peer)
    if client is None:
        return peer
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and any(client in _network(network) for network in trusted):
        seen = _address(_without_port(hops.pop().strip()))
        if seen is None:
            break
        client = seen
    return str(client)


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network:
    return ip_network(text)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """One form for each address: without a zone, and IPv4 also where a socket for both wrote it as IPv6."""
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

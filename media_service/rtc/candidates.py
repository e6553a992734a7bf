"""The addresses we announce (RFC 8445 section 5.1, RFC 6544 section 4). Pure but for listing the interfaces."""

import ipaddress
import zlib
from collections.abc import Iterable, Sequence

import ifaddr

from media_service.rtc.stun import TransportAddress

_HOST_PREFERENCE = 126
_MAPPED_PREFERENCE = 120
_REFLEXIVE_PREFERENCE = 100
_TCP_HOST_PREFERENCE = 90
_CONTAINER_INTERFACES = ("docker", "br-", "veth", "virbr", "cni", "flannel", "cali")


def host_addresses() -> tuple[str, ...]:
    """This machine's addresses that a viewer may reach, loopback last; container bridges are left out."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        if adapter.name.startswith(_CONTAINER_INTERFACES):
            continue
        for entry in adapter.ips:
            text = entry.ip if isinstance(entry.ip, str) else entry.ip[0]
            address = ipaddress.ip_address(text)
            if not (address.is_link_local or address.is_multicast or address.is_unspecified):
                found.append(text)
    return tuple(sorted(dict.fromkeys(found), key=lambda text: ipaddress.ip_address(text).is_loopback))


def announced(
    hosts: Sequence[str],
    port: int,
    *,
    mapped: Iterable[str] = (),
    reflexive: Iterable[tuple[TransportAddress, TransportAddress]] = (),
) -> tuple[str, ...]:
    """Values of `a=candidate:` lines, best first.

    `mapped` are the addresses that a NAT in front of us maps one to one (`NAT_1TO1_IPS`), `reflexive` pairs of an
    address that a STUN server reported and the local address it was asked from.
    """
    lines: list[tuple[int, str]] = []

    def add(preference: int, protocol: str, ip: str, at_port: int, suffix: str) -> None:
        # Earlier addresses are preferred; IPv6 before IPv4 would be RFC 8421's wish, but phones' farms are IPv4.
        local_preference = 65535 - len(lines)
        priority = (preference << 24) + (local_preference << 8) + 255
        foundation = zlib.crc32(f"{suffix.split()[1]} {ip} {protocol}".encode())
        lines.append((priority, f"{foundation} 1 {protocol} {priority} {ip} {at_port} {suffix}"))

    reflexive = tuple(reflexive)
    for ip in mapped:
        add(_MAPPED_PREFERENCE, "udp", ip, port, "typ host")
        add(_TCP_HOST_PREFERENCE, "tcp", ip, port, "typ host tcptype passive")
    for ip in hosts:
        add(_HOST_PREFERENCE, "udp", ip, port, "typ host")
        add(_TCP_HOST_PREFERENCE, "tcp", ip, port, "typ host tcptype passive")
    for (ip, at_port), (base, base_port) in reflexive:
        add(_REFLEXIVE_PREFERENCE, "udp", ip, at_port, f"typ srflx raddr {base} rport {base_port}")
    return tuple(line for _, line in sorted(lines, reverse=True))

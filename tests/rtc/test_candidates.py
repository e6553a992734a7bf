"""The candidates we announce, read by aioice."""

import ipaddress
import socket
from itertools import pairwise

import aioice
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc.candidates import announced, host_addresses

HOSTS = ("192.0.2.5", "2001:db8::5", "127.0.0.1")


def read(*lines: str) -> list[aioice.Candidate]:
    return [aioice.Candidate.from_sdp(line) for line in lines]


def test_each_address_is_announced_for_udp_and_tcp() -> None:
    candidates = read(*announced(HOSTS, 50_000))
    assert [(each.host, each.transport, each.type, each.tcptype) for each in candidates] == [
        *((host, "udp", "host", None) for host in HOSTS),
        *((host, "tcp", "host", "passive") for host in HOSTS),
    ]
    assert {each.port for each in candidates} == {50_000}
    assert {each.component for each in candidates} == {1}


def test_an_address_mapped_one_to_one_is_a_host_address() -> None:
    candidates = read(*announced(("10.0.0.5",), 50_000, mapped=("203.0.113.9",)))
    mapped = [each for each in candidates if each.host == "203.0.113.9"]
    assert [(each.transport, each.type, each.port) for each in mapped] == [
        ("udp", "host", 50_000),
        ("tcp", "host", 50_000),
    ]


def test_a_reflexive_address_says_its_base() -> None:
    reflexive = [(("203.0.113.9", 61_000), ("10.0.0.5", 50_000))]
    found = [each for each in read(*announced(("10.0.0.5",), 50_000, reflexive=reflexive)) if each.type == "srflx"]
    assert [(each.host, each.port, each.related_address, each.related_port) for each in found] == [
        ("203.0.113.9", 61_000, "10.0.0.5", 50_000)
    ]


@given(
    st.lists(st.ip_addresses().map(str), max_size=6, unique=True),
    st.lists(st.ip_addresses().map(str), max_size=3, unique=True),
)
def test_every_priority_is_its_own_and_the_best_comes_first(hosts: list[str], mapped: list[str]) -> None:
    reflexive = [((host, 61_000), (host, 50_000)) for host in hosts]
    candidates = read(*announced(hosts, 50_000, mapped=mapped, reflexive=reflexive))
    assert len(candidates) == 3 * len(hosts) + 2 * len(mapped)
    assert all(before.priority > after.priority for before, after in pairwise(candidates))
    # RFC 8445 section 5.1.2.1 and RFC 8839 section 5.1.
    assert all(0 < each.priority < 2**31 for each in candidates)
    assert all(each.foundation.isalnum() and len(each.foundation) <= 32 for each in candidates)
    kinds = [each.type + each.transport for each in candidates]
    assert kinds == sorted(kinds, key=["hostudp", "srflxudp", "hosttcp"].index)


def test_this_machines_addresses_can_be_bound() -> None:
    hosts = host_addresses()
    assert "127.0.0.1" in hosts
    assert len(set(hosts)) == len(hosts)
    loopback = [ipaddress.ip_address(host).is_loopback for host in hosts]
    assert loopback == sorted(loopback), "loopback comes last"
    for host in hosts:
        assert not ipaddress.ip_address(host).is_link_local
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))

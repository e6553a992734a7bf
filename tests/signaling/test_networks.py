"""Whose address counts, and where it lies."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.networks import UNKNOWN, client_address, is_address, is_within

PRIVATE = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "fc00::/7")
PROXIES = ("127.0.0.0/8", "10.0.0.0/24", "2001:db8:1::/48")


@pytest.mark.parametrize(
    ("address", "is_inside"),
    [
        ("127.0.0.1", True),
        ("10.255.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("fd00::1%eth0", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:7f00:1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("2001:db8::1", False),
        ("", False),
        ("localhost", False),
        ("127.0.0.1:80", False),
        ("127.1", False),
        ("٣.0.0.1", False),
    ],
)
def test_is_within(address: str, is_inside: bool) -> None:
    assert is_within(address, PRIVATE) is is_inside
    assert not is_within(address, ())


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["203.0.113.9"], "192.0.2.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:127.0.0.1", ["::ffff:203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["203.0.113.9, 10.0.0.7"], "203.0.113.9"),
        ("127.0.0.1", ["127.0.0.1, 203.0.113.9, 10.0.0.7,10.0.0.8"], "203.0.113.9"),
        ("127.0.0.1", ["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        ("127.0.0.1", ["2001:db8::9"], "2001:db8::9"),
        ("127.0.0.1", ["[2001:db8::9]:4711"], "2001:db8::9"),
        ("127.0.0.1", ["[2001:db8::9]"], "2001:db8::9"),
        ("127.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),
        ("127.0.0.1", ["fe80::1%eth0"], "fe80::1"),
        ("2001:db8:1::5", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["unknown"], "unknown"),
        ("127.0.0.1", ["203.0.113.9, unknown, 10.0.0.7"], "unknown"),
        ("127.0.0.1", ["203.0.113.9, "], "unknown"),
        ("127.0.0.1", [""], "unknown"),
        ("127.0.0.1", ["<script>"], "unknown"),
        ("127.0.0.1", ["1" * 5000], "unknown"),
        ("", ["203.0.113.9"], ""),
        ("unix:", ["203.0.113.9"], "unix:"),
    ],
)
def test_who_asks(peer: str, forwarded: list[str], client: str) -> None:
    assert client_address(peer, forwarded, PROXIES) == client


def test_nobody_is_believed_who_is_not_named() -> None:
    assert client_address("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"


HOPS = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(["10.0.0.1", "127.0.0.1", "unknown", "", "_hidden", "[::1", "::1]:x", "fe80::1%<b>"]),
    st.text(max_size=12),
)


@given(st.lists(st.lists(HOPS, max_size=4).map(", ".join), max_size=3))
def test_whatever_is_forwarded_an_address_comes_out_or_none(forwarded: list[str]) -> None:
    client = client_address("127.0.0.1", forwarded, PROXIES)
    assert client == UNKNOWN or str(ip_address(client)) == client
    assert "%" not in client


@given(st.lists(HOPS, max_size=4).map(", ".join), st.text("abxyz_<>:/", min_size=1, max_size=9))
def test_who_hides_behind_a_proxy_is_not_taken_for_the_proxy(sent: str, hidden: str) -> None:
    """What a proxy says of a client without an address, as `unknown` or `unix:`, makes nobody this machine."""
    if not is_address(hidden):
        client = client_address("127.0.0.1", [f"{sent}, {hidden}"], PROXIES)
        assert not is_within(client, ("0.0.0.0/0", "::/0"))


@given(st.lists(HOPS, max_size=4).map(", ".join), st.ip_addresses(v=4).map(str))
def test_what_a_client_sends_of_itself_changes_nothing(sent: str, real: str) -> None:
    """The proxy appends the address it saw."""
    if not is_within(real, PROXIES):
        assert client_address("127.0.0.1", [f"{sent}, {real}"], PROXIES) == real

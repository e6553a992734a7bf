"""STUN against aioice's implementation, which is not ours."""

import ipaddress
from typing import Any

import pytest
from aioice import stun as oracle
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc import stun

PASSWORD = b"a password of 22 chars"
TRANSACTION = bytes(range(12))

ports = st.integers(0, 65535)
addresses = st.tuples(st.ip_addresses(v=4) | st.ip_addresses(v=6), ports).map(lambda pair: (str(pair[0]), pair[1]))
passwords = st.binary(min_size=1, max_size=64)


def browser_check(password: bytes = PASSWORD, **attributes: Any) -> bytes:
    """A connectivity check as aioice writes it."""
    message = oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST, TRANSACTION)
    message.attributes["USERNAME"] = "ours:theirs"
    message.attributes["PRIORITY"] = 1234567
    for name, value in attributes.items():
        message.attributes[name.replace("_", "-")] = value
    message.add_message_integrity(password)
    return bytes(message)


def parsed(datagram: bytes) -> stun.StunMessage:
    message = stun.parse(datagram)
    assert message is not None
    return message


def test_a_check_is_read_and_authenticated() -> None:
    request = parsed(browser_check(ICE_CONTROLLING=77, USE_CANDIDATE=None))
    assert request.message_type == stun.BINDING_REQUEST
    assert request.transaction_id == TRANSACTION
    assert request.username == "ours:theirs"
    assert request.attributes[stun.PRIORITY] == (1234567).to_bytes(4, "big")
    assert stun.USE_CANDIDATE in request.attributes
    assert stun.ICE_CONTROLLED not in request.attributes
    assert request.is_authentic(PASSWORD)
    assert not request.is_authentic(b"another password")


@given(passwords, st.text(max_size=50), st.booleans())
def test_any_credentials(password: bytes, username: str, nominates: bool) -> None:
    nomination = {"USE_CANDIDATE": None} if nominates else {}
    request = parsed(browser_check(password, USERNAME=username, **nomination))
    assert request.username == username
    assert request.is_authentic(password)
    assert (stun.USE_CANDIDATE in request.attributes) is nominates


def test_a_message_without_integrity_is_not_authentic() -> None:
    request = parsed(bytes(oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)))
    assert not request.is_authentic(b"")
    assert request.username is None


def test_a_username_that_is_no_text_is_none() -> None:
    body = stun.USERNAME.to_bytes(2, "big") + b"\0\4\xff\xfe\xfd\xfc"
    header = b"\0\1" + len(body).to_bytes(2, "big") + stun.MAGIC_COOKIE + TRANSACTION
    assert parsed(header + body).username is None


@given(st.integers(min_value=0), st.integers(1, 255))
def test_one_changed_byte_is_noticed(position: int, change: int) -> None:
    genuine = browser_check(USE_CANDIDATE=None)
    # FINGERPRINT, the last 8 bytes, is not covered by MESSAGE-INTEGRITY.
    datagram = bytearray(genuine)
    datagram[position % (len(genuine) - 8)] ^= change
    message = stun.parse(bytes(datagram))
    assert message is None or not message.is_authentic(PASSWORD)


def test_what_follows_the_integrity_is_not_believed() -> None:
    datagram = browser_check()[:-8] + stun.USE_CANDIDATE.to_bytes(2, "big") + b"\0\0"
    datagram = datagram[:2] + (len(datagram) - 20).to_bytes(2, "big") + datagram[4:]
    request = parsed(datagram)
    assert request.is_authentic(PASSWORD)
    assert stun.USE_CANDIDATE not in request.attributes


def test_a_cut_message_is_none() -> None:
    genuine = browser_check()
    for size in range(len(genuine)):
        assert stun.parse(genuine[:size]) is None
    assert stun.parse(genuine + bytes(4)) is None


@pytest.mark.parametrize("first", [4, 0x16, 0x40, 0x80, 0xFF])
def test_what_begins_like_another_protocol_is_none(first: int) -> None:
    # RFC 7983 section 7: STUN is 0..3.
    assert stun.parse(bytes((first,)) + browser_check()[1:]) is None


@pytest.mark.parametrize("length", [0, 19, 21, 24])
def test_an_integrity_of_another_length_is_refused(length: int) -> None:
    value = bytes(length + -length % 4)
    body = stun.MESSAGE_INTEGRITY.to_bytes(2, "big") + length.to_bytes(2, "big") + value
    header = b"\0\1" + len(body).to_bytes(2, "big") + stun.MAGIC_COOKIE + TRANSACTION
    assert stun.parse(header + body) is None


@given(addresses, passwords)
def test_our_answer_is_read_by_aioice(address: tuple[str, int], password: bytes) -> None:
    response = oracle.parse_message(stun.binding_success(parsed(browser_check()), address, password))
    assert response.message_class is oracle.Class.RESPONSE
    assert response.transaction_id == TRANSACTION
    assert response.attributes["XOR-MAPPED-ADDRESS"] == address
    assert response.check_message_integrity(password)


def test_an_answer_to_a_link_local_address() -> None:
    response = oracle.parse_message(stun.binding_success(parsed(browser_check()), ("fe80::1%eth0", 9), PASSWORD))
    assert response.attributes["XOR-MAPPED-ADDRESS"] == ("fe80::1", 9)


def test_a_role_conflict_is_read_by_aioice() -> None:
    response = oracle.parse_message(stun.role_conflict(parsed(browser_check()), PASSWORD))
    assert response.message_class is oracle.Class.ERROR
    assert response.attributes["ERROR-CODE"] == (487, "Role Conflict")
    assert response.check_message_integrity(PASSWORD)


@given(st.text(min_size=1, max_size=60), passwords, st.integers(0, 2**32 - 1), st.binary(min_size=8, max_size=8))
def test_our_check_is_read_by_aioice(username: str, password: bytes, priority: int, tie_breaker: bytes) -> None:
    datagram = stun.binding_request(TRANSACTION, username, password, priority=priority, tie_breaker=tie_breaker)
    request = oracle.parse_message(datagram)
    assert request.message_class is oracle.Class.REQUEST
    assert request.message_method is oracle.Method.BINDING
    assert request.transaction_id == TRANSACTION
    assert request.attributes["USERNAME"] == username
    assert request.attributes["PRIORITY"] == priority
    assert request.attributes["ICE-CONTROLLED"] == int.from_bytes(tie_breaker, "big")
    assert request.check_message_integrity(password)
    assert parsed(datagram).is_authentic(password)


def test_a_discovery_request_is_read_by_aioice() -> None:
    request = oracle.parse_message(stun.discovery_request(TRANSACTION))
    assert (request.message_class, request.message_method) == (oracle.Class.REQUEST, oracle.Method.BINDING)
    assert request.transaction_id == TRANSACTION
    assert not request.attributes


@given(addresses)
def test_the_address_a_server_saw(address: tuple[str, int]) -> None:
    response = oracle.Message(oracle.Method.BINDING, oracle.Class.RESPONSE, TRANSACTION)
    response.attributes["XOR-MAPPED-ADDRESS"] = address
    found = stun.mapped_address(parsed(bytes(response)))
    assert found is not None
    assert (ipaddress.ip_address(found[0]), found[1]) == (ipaddress.ip_address(address[0]), address[1])


@pytest.mark.parametrize("value", [b"", b"\0\1", b"\0\1\0\0\0\0\0", b"\0\3" + bytes(6), b"\0\2" + bytes(6)])
def test_a_malformed_mapped_address_is_none(value: bytes) -> None:
    padded = value + bytes(-len(value) % 4)
    body = stun.XOR_MAPPED_ADDRESS.to_bytes(2, "big") + len(value).to_bytes(2, "big") + padded
    header = b"\1\1" + len(body).to_bytes(2, "big") + stun.MAGIC_COOKIE + TRANSACTION
    assert stun.mapped_address(parsed(header + body)) is None


def exercise(datagram: bytes) -> None:
    """Everything that is done with a datagram from a stranger."""
    message = stun.parse(datagram)
    if message is not None:
        _ = message.username
        message.is_authentic(PASSWORD)
        stun.mapped_address(message)


@given(st.binary(max_size=200))
def test_garbage_never_raises(datagram: bytes) -> None:
    exercise(datagram)


@given(st.integers(0, 3), st.integers(0, 255), st.binary(max_size=120))
def test_garbage_behind_a_right_header_never_raises(first: int, second: int, body: bytes) -> None:
    body = body[: len(body) & ~3]
    exercise(bytes((first, second)) + len(body).to_bytes(2, "big") + stun.MAGIC_COOKIE + TRANSACTION + body)


@given(st.integers(min_value=0), st.integers(0, 255))
def test_a_damaged_check_never_raises(position: int, value: int) -> None:
    datagram = bytearray(browser_check())
    datagram[position % len(datagram)] = value
    exercise(bytes(datagram))

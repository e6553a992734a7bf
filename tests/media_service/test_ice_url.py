"""STUN and TURN URLs (RFC 7064, RFC 7065)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.ice_url import IceUrl


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("stun:192.0.2.1:3478", IceUrl("stun", "192.0.2.1", 3478)),
        ("stun:stun.example.org", IceUrl("stun", "stun.example.org", 3478)),
        ("stun:[2001:db8::1]:19302", IceUrl("stun", "2001:db8::1", 19302)),
        ("turn:turn.example.org:443?transport=tcp", IceUrl("turn", "turn.example.org", 443, "tcp")),
        ("turns:turn.example.org", IceUrl("turns", "turn.example.org", 5349)),
    ],
)
def test_takes_urls_apart(text: str, url: IceUrl) -> None:
    assert IceUrl.parse(text) == url


@pytest.mark.parametrize("text", ["stun:[2001:db8::1]:19302", "turn:a.example:80?transport=udp", "turns:192.0.2.1:443"])
def test_is_the_same_url_as_text(text: str) -> None:
    assert str(IceUrl.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun:",
        "stun.example.org:3478",
        "http://stun.example.org",
        "stun://stun.example.org",
        "stun:a:0",
        "stun:a:65536",
        "stun:a:1:2",
        "stun:[::1",
        "stun:[1:2]:3",
        "stun:2001:db8::1",
        "stun:a?transport=tcp",
        "turn:a?transport=sctp",
        "turn:user@host",
        "turn:a b",
    ],
)
def test_refuses_and_names_what_is_no_such_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not|a port is"):
        IceUrl.parse(text)


@given(st.one_of(st.text(), st.from_regex(r"(stun|turns?):.*", fullmatch=True)))
def test_any_text_is_a_url_or_a_value_error(text: str) -> None:
    try:
        url = IceUrl.parse(text)
    except ValueError:
        return
    assert IceUrl.parse(str(url)) == url

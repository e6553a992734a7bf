"""Candidates and trickle fragments."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signaling.candidates import (
    MAX_CANDIDATES,
    own_candidates,
    parse_candidate,
    parse_candidates,
    parse_trickle_fragment,
    serialize_candidate,
    serialize_trickle_fragment,
)
from signaling.errors import MalformedSdp
from signaling.jsep import Candidate, IceCredentials, TrickleFragment

# RFC 8840 section 9's example, with Chromium's candidates.
FRAGMENT = (
    "a=ice-ufrag:EsAw\r\n"
    "a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"
    "a=mid:0\r\n"
    "a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\n"
    "a=candidate:3471623853 1 udp 2122194687 2001:db8::2 61765 typ host generation 0 ufrag EsAw network-id 2\r\n"
    "a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0\r\n"
    "a=end-of-candidates\r\n"
)


@pytest.mark.parametrize("prefix", ["", "candidate:", "a=candidate:"])
def test_a_candidate_as_the_browser_writes_it(prefix: str) -> None:
    text = prefix + "842163049 1 udp 1677729535 198.51.100.7 60001 typ srflx raddr 0.0.0.0 rport 0 generation 0"
    assert parse_candidate(text) == Candidate("udp", "198.51.100.7", 60001, 1677729535, "srflx")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "1 1 udp 2113937151 6d0272a1-17c9-43bd-9e90-ea6c5a06781d.local 49665 typ host",
        "1 1 udp 2113937151 phone.example 49665 typ host",
        "1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "1 2 udp 2122260223 192.0.2.1 61764 typ host",
        "1 1 udp 2122260223 224.0.0.251 61764 typ host",
        "1 1 udp 2122260223 0.0.0.0 61764 typ host",
        "1 1 udp 2122260223 fe80::1 61764 typ host",
    ],
)
def test_a_candidate_that_nobody_can_send_to_is_none(text: str) -> None:
    assert parse_candidate(text) is None


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("hello", "a candidate reads <foundation> <component> udp"),
        ("1 1 udp 1 192.0.2.1 9 is host", "a candidate reads <foundation>"),
        ("1 1 udp 1 192.0.2.1 0 typ host", "a candidate's port must be a number from 1 to 65535, not '0'"),
        ("1 1 udp -1 192.0.2.1 9 typ host", "a candidate's priority must be a number"),
        ("1 one udp 1 192.0.2.1 9 typ host", "a candidate's component must be a number"),
        ("1 1 udp 1 192.0.2.1 ٩ typ host", "a candidate's port must be a number"),
    ],
)
def test_what_is_wrong_with_a_candidate_is_named(text: str, wrong: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        parse_candidate(text)
    assert wrong in caught.value.detail


def test_candidates_are_bounded_and_each_is_taken_once() -> None:
    values = [f"1 1 udp 1 192.0.2.1 {port} typ host" for port in range(1000, 1200) for _ in range(2)]
    assert len(parse_candidates(values)) == MAX_CANDIDATES


@pytest.mark.parametrize(
    ("candidate", "text"),
    [
        (Candidate("udp", "192.0.2.1", 50000, 2130706431), "uh192+0+2+1 1 udp 2130706431 192.0.2.1 50000 typ host"),
        (
            Candidate("udp", "198.51.100.1", 50000, 1694498815, "srflx"),
            "us198+51+100+1 1 udp 1694498815 198.51.100.1 50000 typ srflx raddr 0.0.0.0 rport 0",
        ),
        (
            Candidate("udp", "2001:db8::1", 50000, 2130706431),
            "uh2001/db8//1 1 udp 2130706431 2001:db8::1 50000 typ host",
        ),
        (
            Candidate("tcp", "192.0.2.1", 50000, 1526726399),
            "th192+0+2+1 1 tcp 1526726399 192.0.2.1 50000 typ host tcptype passive",
        ),
    ],
)
def test_our_candidates(candidate: Candidate, text: str) -> None:
    assert serialize_candidate(candidate) == text
    assert own_candidates([text]) == (candidate,)


def test_a_trickle_fragment() -> None:
    assert parse_trickle_fragment(FRAGMENT) == TrickleFragment(
        credentials=IceCredentials("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1"),
        candidates=(
            Candidate("udp", "192.0.2.1", 61764, 2122260223),
            Candidate("udp", "2001:db8::2", 61765, 2122194687),
        ),
        end_of_candidates=True,
        mid="0",
    )


def test_a_fragment_without_credentials() -> None:
    fragment = parse_trickle_fragment("m=video 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\na=end-of-candidates\n")
    assert fragment == TrickleFragment(credentials=None, candidates=(), end_of_candidates=True, mid="0")


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a=ice-ufrag:EsAw\r\n", "not 1 and 0 different ones"),
        (
            "a=ice-ufrag:a\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n",
            "a=ice-ufrag must have 4 to 256 characters, not 'a'",
        ),
        ("a=ice-ufrag:a:bc\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", "neither a colon nor a space"),
        ("a=ice-ufrag:EsAw\r\na=ice-pwd:short\r\n", "a=ice-pwd must have 22 to 256 characters, this one has 5"),
        ("a=candidate:1 1 udp\r\n", "a candidate reads"),
        ("m=video\r\n", "line 1: an m-line has kind, port, protocol and formats"),
        ('{"candidate": ""}', "line 1 is not of the form"),
        ("a=mid:" + "x" * 65, "a=mid must have 1 to 64 visible"),
    ],
)
def test_what_is_wrong_with_a_fragment_is_named(text: str, wrong: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        parse_trickle_fragment(text)
    assert wrong in caught.value.detail


def test_the_answer_to_an_ice_restart() -> None:
    fragment = TrickleFragment(
        credentials=IceCredentials("abcd", "p" * 22),
        candidates=(Candidate("udp", "192.0.2.1", 50000, 2130706431),),
        end_of_candidates=True,
        mid="1",
    )
    text = serialize_trickle_fragment(fragment)
    assert text.split("\r\n") == [
        "a=ice-lite",
        "a=ice-options:trickle",
        "m=video 9 UDP/TLS/RTP/SAVPF 0",
        "a=mid:1",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:pppppppppppppppppppppp",
        "a=candidate:uh192+0+2+1 1 udp 2130706431 192.0.2.1 50000 typ host",
        "a=end-of-candidates",
        "",
    ]
    assert parse_trickle_fragment(text) == fragment


@settings(max_examples=100)
@given(
    st.one_of(
        st.text(max_size=200), st.lists(st.sampled_from(FRAGMENT.split("\r\n") + FRAGMENT.split())).map("\n".join)
    )
)
def test_garbage_raises_only_documented_errors(text: str) -> None:
    for parse in (parse_trickle_fragment, parse_candidate):
        try:
            parse(text)
        except MalformedSdp:
            pass

"""TURN credentials: as text, and as the real coturn takes them."""

import asyncio
import base64
import hashlib
import hmac
import time

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from signaling.turn_credentials import StunAndTurn, TurnCredentials, turn_credentials
from tests.fixtures.coturn import RunningCoturn, allocation

NOW = 1_700_000_000.25


def test_the_form_that_the_draft_defines() -> None:
    made = turn_credentials("north", "ann", 3600, NOW)
    assert (made.username, made.expires_at) == ("1700003600:ann", 1700003600)
    expected = hmac.new(b"north", b"1700003600:ann", hashlib.sha1).digest()
    assert made.credential == base64.b64encode(expected).decode()


def test_without_a_user_it_is_the_time_alone() -> None:
    assert turn_credentials("north", None, 60, NOW).username == "1700000060"


def test_nothing_secret_is_shown() -> None:
    made = turn_credentials("north", "ann", 60, NOW)
    servers = StunAndTurn(secret="north", credential="password")
    assert made.credential not in repr(made)
    assert "north" not in repr(servers)
    assert "password" not in repr(servers)


@given(user=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), other=st.text("aé:%", min_size=1))
def test_any_user_has_a_name_of_their_own_that_servers_take(user: str, other: str) -> None:
    name = turn_credentials("north", user, 60, NOW).username
    expires, _, rest = name.partition(":")
    assert expires.isdecimal()
    assert name.isascii()
    assert name.isprintable()
    assert ":" not in rest
    assert len(name) <= 150
    assert (turn_credentials("north", other, 60, NOW).username == name) == (user == other)


def test_what_a_browser_is_handed() -> None:
    servers = StunAndTurn(("stun:a:3478",), ("turn:b:3478", "turns:b:5349"), secret="north", ttl=60)
    made = turn_credentials("north", "ann", 60, NOW)
    assert servers.for_user("ann", NOW) == [
        {"urls": ["stun:a:3478"]},
        {"urls": ["turn:b:3478", "turns:b:5349"], "username": made.username, "credential": made.credential},
    ]


def test_a_password_is_handed_out_where_there_is_no_secret() -> None:
    servers = StunAndTurn(turn_urls=("turn:b:3478",), username="us", credential="password")
    assert servers.for_user("ann", NOW) == [{"urls": ["turn:b:3478"], "username": "us", "credential": "password"}]


def test_without_servers_there_are_none() -> None:
    assert StunAndTurn(secret="north").for_user("ann", NOW) == []


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("user", ["ann", None, "Jürgen: 100%", "u" * 300], ids=["plain", "none", "odd", "long"])
async def test_coturn_relays_for_our_users(coturn: RunningCoturn, user: str | None, transport: str) -> None:
    made = turn_credentials(coturn.secret, user, 60, time.time())
    async with allocation(coturn.port, made.username, made.credential, transport) as relayed:
        assert relayed.get_extra_info("sockname")[0] == "127.0.0.1"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("trouble", ["expired", "another secret", "a later time", "another user", "no credential"])
async def test_coturn_refuses_others(coturn: RunningCoturn, trouble: str, transport: str) -> None:
    now = time.time()
    made = turn_credentials(coturn.secret, "ann", 60, now)
    username, credential = made.username, made.credential
    match trouble:
        case "expired":
            made = turn_credentials(coturn.secret, "ann", 60, now - 61)
            username, credential = made.username, made.credential
        case "another secret":
            credential = turn_credentials("guessed", "ann", 60, now).credential
        case "a later time":
            username = f"{made.expires_at + 3600}:ann"
        case "another user":
            username = f"{made.expires_at}:bob"
        case "no credential":
            credential = ""
    with pytest.raises(stun.TransactionFailed) as refused:
        async with allocation(coturn.port, username, credential, transport):
            pass
    assert refused.value.response.error_code == 401


async def test_an_allocation_outlives_its_credentials(coturn: RunningCoturn) -> None:
    made = turn_credentials(coturn.secret, "ann", 1, time.time())
    # aioice refreshes after five sixths of the lifetime, which coturn makes no shorter than this.
    async with allocation(coturn.port, made.username, made.credential, "udp") as relayed:
        inner = relayed._TurnTransport__inner_protocol  # type: ignore[attr-defined]
        # coturn's clock is a coarse one.
        async with asyncio.timeout(15):
            while await _is_relayed(coturn, made):
                await asyncio.sleep(0.1)
        assert time.time() > made.expires_at
        request = stun.Message(message_method=stun.Method.REFRESH, message_class=stun.Class.REQUEST)
        request.attributes["LIFETIME"] = 600
        response, _ = await inner.request_with_retry(request)
        assert response.attributes["LIFETIME"] == 600


async def _is_relayed(coturn: RunningCoturn, made: TurnCredentials) -> bool:
    """Whether the credentials still open a relay."""
    try:
        async with allocation(coturn.port, made.username, made.credential, "udp"):
            return True
    except stun.TransactionFailed:
        return False

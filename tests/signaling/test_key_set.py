"""Published keys: fetched, kept, asked for again, and what is no key."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from structlog.testing import capture_logs

from signaling.errors import KeysUnavailable, Unauthorized
from signaling.key_set import MAX_KEYS, MAX_SIZE, PATIENCE, BadKeySet, KeySet, parse_key_set
from signaling.tokens import TokenVerifier
from tests.signaling.signed_tokens import AUDIENCE, ISSUER, NOW, OTHER_RSA_KEY, RSA_KEY, jwk, rsa_signed


class Publisher:
    """Publishes keys, or misbehaves; a real HTTP server."""

    def __init__(self) -> None:
        self.entries: list[Any] = [jwk(kid="first")]
        self.answer: Callable[[], web.StreamResponse] = lambda: web.json_response({"keys": self.entries})
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = asyncio.Event()
        self.now = 1000.0
        self.url = ""

    async def _keys(self, _: web.Request) -> web.StreamResponse:
        self.asked += 1
        self.waiting.set()
        await self.gate.wait()
        return self.answer()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        return app

    def key_set(self, **options: Any) -> KeySet:
        return KeySet(self.url, clock=lambda: self.now, **options)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    async with TestServer(publisher.application()) as server:
        publisher.url = str(server.make_url("/keys"))
        yield publisher


def verifier(keys: KeySet) -> TokenVerifier:
    return TokenVerifier([keys], issuer=ISSUER, audience=AUDIENCE, clock=lambda: NOW)


FIRST = rsa_signed(kid="first")
SECOND = rsa_signed(OTHER_RSA_KEY, kid="second")


async def refused(by: TokenVerifier, token: str) -> str:
    with pytest.raises(Unauthorized) as refusal:
        await by.caller(token, "")
    return refusal.value.code


async def test_keys_are_fetched_once(publisher: Publisher) -> None:
    by = verifier(publisher.key_set())
    for _ in range(3):
        assert (await by.caller(FIRST, "")).user_id == "ann"
    assert publisher.asked == 1


async def test_a_new_key_is_asked_for_when_it_is_named(publisher: Publisher) -> None:
    by = verifier(publisher.key_set())
    await by.caller(FIRST, "")
    publisher.entries = [jwk(kid="first"), jwk(OTHER_RSA_KEY, kid="second")]
    publisher.now += PATIENCE
    assert (await by.caller(SECOND, "")).user_id == "ann"
    assert publisher.asked == 2


async def test_unknown_keys_are_not_asked_for_time_and_again(publisher: Publisher) -> None:
    by = verifier(publisher.key_set())
    for number in range(50):
        assert await refused(by, rsa_signed(kid=f"nobody-{number}")) == "token_signature"
    assert publisher.asked == 1
    publisher.now += PATIENCE
    assert await refused(by, rsa_signed(kid="nobody")) == "token_signature"
    assert publisher.asked == 2


async def test_many_who_ask_at_once_are_one_question(publisher: Publisher) -> None:
    publisher.gate.clear()
    by = verifier(publisher.key_set())
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(by.caller(FIRST, "")) for _ in range(20)]
        await publisher.waiting.wait()
        publisher.gate.set()
    assert {task.result().user_id for task in asked} == {"ann"}
    assert publisher.asked == 1


async def test_who_gives_up_leaves_the_question_to_the_others(publisher: Publisher) -> None:
    publisher.gate.clear()
    by = verifier(publisher.key_set())
    async with asyncio.TaskGroup() as group:
        first = group.create_task(by.caller(FIRST, ""))
        await publisher.waiting.wait()
        second = group.create_task(by.caller(FIRST, ""))
        await asyncio.sleep(0)
        first.cancel()
        publisher.gate.set()
    assert second.result().user_id == "ann"
    assert publisher.asked == 2


async def test_known_keys_are_good_while_the_server_is_away(publisher: Publisher) -> None:
    by = verifier(publisher.key_set())
    await by.caller(FIRST, "")
    publisher.answer = lambda: web.Response(status=500)
    publisher.now += PATIENCE
    with capture_logs() as logs:
        with pytest.raises(KeysUnavailable) as unavailable:
            await by.caller(SECOND, "")
        assert (await by.caller(FIRST, "")).user_id == "ann"
    assert (unavailable.value.status, unavailable.value.code, unavailable.value.retry_after) == (
        503,
        "keys_unavailable",
        30,
    )
    assert [(entry["log_level"], entry["reason"]) for entry in logs] == [("warning", "it answers with 500")]


async def test_known_keys_wait_for_no_question(publisher: Publisher) -> None:
    by = verifier(publisher.key_set())
    await by.caller(FIRST, "")
    publisher.gate.clear()
    publisher.waiting.clear()
    publisher.now += PATIENCE
    async with asyncio.TaskGroup() as group:
        unknown = group.create_task(by.caller(SECOND, ""))
        await publisher.waiting.wait()
        assert (await by.caller(FIRST, "")).user_id == "ann"
        assert not unknown.done()
        publisher.entries.append(jwk(OTHER_RSA_KEY, kid="second"))
        publisher.gate.set()
    assert unknown.result().user_id == "ann"


async def test_a_server_that_was_never_there() -> None:
    by = verifier(KeySet("http://127.0.0.1:9/keys"))
    with pytest.raises(KeysUnavailable):
        await by.caller(FIRST, "")


async def test_a_server_that_does_not_answer(publisher: Publisher) -> None:
    publisher.gate.clear()
    by = verifier(publisher.key_set(timeout=0.05))
    with pytest.raises(KeysUnavailable):
        await by.caller(FIRST, "")
    publisher.gate.set()
    publisher.now += PATIENCE
    assert (await by.caller(FIRST, "")).user_id == "ann"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: web.Response(text="<html>"), "it is not JSON"),
        (lambda: web.Response(body=b"\xff"), "it is not JSON"),
        (lambda: web.Response(text="[" * 100_000), "it is not JSON"),
        (lambda: web.json_response([]), "not a JSON Web Key Set"),
        (lambda: web.json_response({"keys": {}}), "not a JSON Web Key Set"),
        (lambda: web.json_response({"keys": []}), "no RSA key for signatures"),
        (lambda: web.json_response({"keys": [jwk(kid=f"{n}") for n in range(MAX_KEYS + 1)]}), "more than 100 keys"),
        (lambda: web.Response(text=" " * (MAX_SIZE + 1)), "larger than"),
        (lambda: web.Response(status=302, headers={"Location": "/keys"}), "it answers with 302"),
    ],
)
async def test_what_is_no_key_set(publisher: Publisher, answer: Callable[[], web.Response], reason: str) -> None:
    publisher.answer = answer
    with capture_logs() as logs, pytest.raises(KeysUnavailable):
        await verifier(publisher.key_set()).caller(FIRST, "")
    assert [entry["log_level"] for entry in logs] == ["warning"]
    assert reason in logs[0]["reason"]
    assert publisher.asked == 1


async def test_a_withdrawn_key_is_not_taken_for_ever(publisher: Publisher) -> None:
    keys = publisher.key_set(max_age=0.01)
    by = verifier(keys)
    await by.caller(FIRST, "")
    publisher.entries = [jwk(OTHER_RSA_KEY, kid="second")]
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        following = group.create_task(keys.follow())
        while await keys.candidates("first"):
            await asyncio.sleep(0.01)
        following.cancel()
    assert await refused(by, FIRST) == "token_signature"


async def test_a_token_without_a_key_id_needs_no_choice(publisher: Publisher) -> None:
    publisher.entries = [jwk()]
    by = verifier(publisher.key_set())
    assert (await by.caller(rsa_signed(), "")).user_id == "ann"
    assert await refused(by, rsa_signed(kid="first")) == "token_signature"
    publisher.entries = [jwk(kid="first"), jwk(OTHER_RSA_KEY, kid="second")]
    assert await refused(verifier(publisher.key_set()), rsa_signed()) == "token_signature"


async def test_the_key_that_is_named_has_to_fit(publisher: Publisher) -> None:
    publisher.entries = [jwk(kid="first"), jwk(OTHER_RSA_KEY, kid="second")]
    assert await refused(verifier(publisher.key_set()), rsa_signed(OTHER_RSA_KEY, kid="first")) == "token_signature"


SMALL = rsa.generate_private_key(65537, 1024)


@pytest.mark.parametrize(
    "entry",
    [
        None,
        "x",
        [],
        {},
        {"kty": "oct", "k": "AAAA", "kid": "x"},
        {"kty": "RSA", "kid": "x"},
        jwk(kid="x", kty="EC"),
        jwk(kid="x", use="enc"),
        jwk(kid="x", alg="RS512"),
        jwk(kid="x", alg="HS256"),
        jwk(kid=5),
        jwk(kid=["x"]),
        jwk(kid="x", n=5),
        jwk(kid="x", n=""),
        jwk(kid="x", n="!"),
        jwk(kid="x", n="é"),
        jwk(kid="x", e=...),
        jwk(kid="x", e=[]),
        jwk(kid="x", e="AA"),
        jwk(SMALL, kid="x"),
        RSAAlgorithm.to_jwk(RSA_KEY, as_dict=True) | {"kid": "x"},
    ],
)
def test_what_is_no_key_for_us(entry: object) -> None:
    good = jwk(OTHER_RSA_KEY, kid="good", use=..., alg=...)
    assert list(parse_key_set(json.dumps({"keys": [entry, good]}).encode())) == ["good"]


@given(
    st.dictionaries(
        st.sampled_from(["kty", "kid", "use", "alg", "n", "e", "d", "p", "q", "oth", "x5c"]),
        st.none() | st.text(max_size=12) | st.integers() | st.lists(st.text(max_size=4), max_size=2) | st.just("RSA"),
    )
)
def test_any_key_is_taken_or_left_out(changes: dict[str, Any]) -> None:
    keys = parse_key_set(json.dumps({"keys": [jwk(kid="x") | changes]}).encode())
    assert len(keys) <= 1


@given(st.binary(max_size=60))
def test_any_bytes_are_no_key_set(text: bytes) -> None:
    with pytest.raises(BadKeySet):
        parse_key_set(text)

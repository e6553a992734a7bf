"""Tokens from the door to the phone: every wrong kind at every way in, and what each right kind opens."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media_service.app import serve
from signaling.claims import LEEWAY
from tests.fixtures.adb import RunningAdb
from tests.fixtures.demo_phone import DemoPhoneProcess
from tests.fixtures.service import RunningService
from tests.service.outside import (
    AUDIENCE,
    ISSUER,
    PICTURES,
    SECRET,
    Answer,
    Guest,
    ask,
    bearing,
    join,
    reply_to,
    sessions,
    settings,
    token,
)
from tests.signaling.samples import description
from tests.signaling.signed_tokens import OTHER_RSA_KEY, RSA_KEY, assembled, jwk, pem, rsa_signed

pytestmark = pytest.mark.adb

OFFER = description("chromium_video_data")
ENDED = 1_000_000_000

_USERS = (f"user-{number}" for number in count())


def somebody(**claims: Any) -> str:
    """The token of a user nobody else is."""
    return token(**{"sub": next(_USERS), **claims})


@pytest.fixture
async def address(guarded_service: RunningService) -> str:
    """Of the service, of which all devices can be watched."""
    async with asyncio.timeout(20):
        while (await ask(guarded_service.address, "api/media/devices/lobby", bearer=token())).json["state"] != "online":
            await asyncio.sleep(0.01)
    return guarded_service.address


# Who is not let in -----------------------------------------------------------------------------------------------

LASTING: dict[str, Any] = {"iss": ISSUER, "aud": AUDIENCE, "exp": 2**40}
"""Claims of a token that does not end soon."""

HEAD, _, SIGNATURE = token().split(".")

WRONG: dict[str, tuple[str, str]] = {
    "none": ("", "token_missing"),
    "no token at all": ("let me in", "token_malformed"),
    "empty parts": ("..", "token_malformed"),
    "as long as a header may be": ("a" * 8100, "token_malformed"),
    "of another signer": (token(SECRET[::-1]), "token_signature"),
    "without a signature": (token().rpartition(".")[0] + ".", "token_signature"),
    "with another payload": (f"{HEAD}.{token(sub='eve').split('.')[1]}.{SIGNATURE}", "token_signature"),
    "alg none": (jwt.encode({"sub": "eve"} | LASTING, "", "none"), "token_algorithm"),
    "alg None": (assembled({"alg": "None", "typ": "JWT"}, {"sub": "eve"} | LASTING), "token_algorithm"),
    "another algorithm": (jwt.encode({"sub": "eve"} | LASTING, SECRET * 2, "HS512"), "token_algorithm"),
    "signed with a private key": (rsa_signed(iat=..., **LASTING), "token_algorithm"),
    "signed with a public key": (assembled({"alg": "HS256"}, {"sub": "eve"} | LASTING, pem()), "token_signature"),
    "expired": (token(exp=ENDED), "token_expired"),
    "of another time": (token(nbf=2**40, exp=2**41), "token_not_yet_valid"),
    "for others": (token(aud="somebody else"), "token_audience"),
    "of another issuer": (token(iss="somebody else"), "token_issuer"),
    "without an end": (token(exp=...), "token_claims"),
    "of nobody": (token(sub=...), "token_claims"),
    "of two lines": (token(sub="a\nb"), "token_claims"),
    "with an end that is no number": (token(exp="tomorrow"), "token_claims"),
    "with roles of other services": (token(roles=["cook"]), "token_claims"),
    "with devices that are none": (token(devices="a"), "token_claims"),
}

WAYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "devices": ("GET", "api/media/devices", {}),
    "sessions API": ("POST", "api/media/sessions", {"json": {"deviceId": "a"}}),
    "WHEP": ("POST", "api/media/whep/a", {"data": OFFER, "headers": {"Content-Type": "application/sdp"}}),
    "WHEP session": ("DELETE", "api/media/whep/a/unknown", {}),
    "older dialect": ("POST", "api/webrtc/a/offer", {"json": {"offer": OFFER}}),
    "ticket": ("POST", "api/media/tickets", {}),
    "TURN": ("GET", "api/media/turn-credentials", {}),
    "stats": ("GET", "api/media/stats", {}),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_token_opens_nothing(address: str, kind: str) -> None:
    bearer, code = WRONG[kind]
    challenge = "Bearer" if kind == "none" else 'Bearer error="invalid_token"'
    for method, path, how in WAYS.values():
        answer = await ask(address, path, method=method, bearer=bearer, **dict(how))
        assert (answer.status, answer.code) == (401, code), path
        assert answer.headers["WWW-Authenticate"] == challenge
    for path in ("api/media/ws", "ws/device/a"):
        assert await refused_socket(address, path, bearer) == 401
        if bearer:
            assert await refused_socket(address, f"{path}?ticket={bearer}") == 401


async def refused_socket(address: str, path: str, bearer: str = "") -> int:
    """The status with which a WebSocket is not opened, as browsers try it."""
    protocols = ("bearer", bearer) if bearer else ()
    async with aiohttp.ClientSession() as http:
        try:
            async with http.ws_connect(address + path, protocols=protocols):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status
        except ValueError:  # aiohttp's own client does not send such a header at all; what a page would be refused as.
            return 401


async def test_no_address_carries_a_token(address: str) -> None:
    for name in ("token", "access_token", "jwt"):
        answer = await ask(address, f"api/media/devices?{name}={token()}")
        assert (answer.status, answer.code) == (401, "token_in_address")


# Tickets ---------------------------------------------------------------------------------------------------------


async def ticket(address: str, bearer: str) -> str:
    answer = await ask(address, "api/media/tickets", method="POST", bearer=bearer)
    assert (answer.status, answer.headers["Cache-Control"]) == (201, "no-store")
    return str(answer.json["ticket"])


@asynccontextmanager
async def socket(
    address: str, *, bearer: str = "", query: str = "", path: str = "api/media/ws"
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """An open WebSocket of a browser, which brings a token as a subprotocol."""
    protocols = ("bearer", bearer) if bearer else ()
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{address}{path}{query}", protocols=protocols) as wire,
    ):
        assert wire.protocol == ("bearer" if bearer else None)
        yield wire


async def test_a_ticket_opens_one_socket_once_and_nothing_else(address: str) -> None:
    bearer = somebody(devices=["a"])
    given = await ticket(address, bearer)
    assert (await ask(address, f"api/media/devices?ticket={given}")).code == "token_missing"
    async with socket(address, query=f"?ticket={given}") as wire:
        # What the token allowed, the ticket allows, and no more.
        await wire.send_json({"type": "join", "id": 1, "deviceId": "a"})
        assert (await reply_to(wire, 1))["type"] == "offer"
        await wire.send_json({"type": "join", "id": 2, "deviceId": "b"})
        assert (await reply_to(wire, 2))["code"] == "forbidden"
    assert await refused_socket(address, f"api/media/ws?ticket={given}") == 401
    assert await refused_socket(address, "api/media/ws?ticket=guessed") == 401
    async with socket(address, query=f"?ticket={await ticket(address, bearer)}", path="ws/device/a") as wire:
        await wire.send_json({"type": "start-stream"})
        assert (await wire.receive_json(timeout=20))["type"] == "offer"


async def test_a_ticket_does_not_outlive_its_token(address: str) -> None:
    # Its end is over, but within what clocks may differ by.
    given = await ticket(address, somebody(exp=int(time.time()) - 1))
    assert await refused_socket(address, f"api/media/ws?ticket={given}") == 401


# What a token allows -----------------------------------------------------------------------------------------------

TOUCH = {"type": "touch", "action": "tap", "x": 10, "y": 10}


@pytest.mark.parametrize("claims", [{"roles": ["viewer"]}, {"devices": {"lobby": ["view"]}}], ids=["role", "device"])
async def test_who_may_only_watch_touches_nothing(address: str, claims: dict[str, Any]) -> None:
    bearer = somebody(**claims)
    async with Guest(address, "lobby", bearer) as viewer:
        await viewer.watched(1)
        await viewer.send(json.dumps(TOUCH | {"seq": 5}))
        by_channel = json.loads(await viewer.heard('"seq"'))
        async with socket(address, bearer=bearer) as wire:
            await wire.send_json({"type": "join", "id": 1, "sessionId": viewer.session_id})
            assert (await reply_to(wire, 1))["type"] == "ok"
            await wire.send_json({"type": "input", "id": 2, "event": TOUCH})
            by_socket = await reply_to(wire, 2)
        assert (by_channel["type"], by_channel["code"], by_channel["seq"]) == ("error", "forbidden", 5)
        assert (by_socket["type"], by_socket["code"]) == ("error", "forbidden")
        explained = await ask(address, f"api/media/sessions/{viewer.session_id}/explain", bearer=bearer)
        assert explained.json["mayControl"] is False
        # Everything else goes on.
        await viewer.watched(2)


async def test_who_may_control_touches(address: str) -> None:
    async with Guest(address, "lobby", somebody(devices={"lobby": ["view", "control"]})) as viewer:
        await viewer.watched(1)
        await viewer.send(json.dumps(TOUCH | {"seq": 6}))
        assert json.loads(await viewer.heard('"seq"'))["type"] == "input-ack"


async def opened(address: str, device: str, bearer: str) -> list[Answer]:
    """What is answered on each of the ways to open a device over HTTP, and then of the way to see it."""
    sdp = {"Content-Type": "application/sdp"}
    posts = [
        await join(address, device, bearer=bearer),
        await ask(address, f"api/media/whep/{device}", method="POST", bearer=bearer, data=OFFER, headers=sdp),
        await ask(address, f"api/webrtc/{device}/offer", method="POST", bearer=bearer, json={"offer": OFFER}),
    ]
    return [*posts, await ask(address, f"api/media/devices/{device}", bearer=bearer)]


async def test_a_token_for_one_device_opens_no_other_by_any_name(
    address: str, demo_phone_process: DemoPhoneProcess
) -> None:
    for names, mine, others in (
        (["a"], ["a"], ["b", "lobby", demo_phone_process.serial]),
        # A phone is meant by each of its names, whichever is in the token.
        (["lobby"], ["lobby", demo_phone_process.serial], ["a", "b"]),
        ([demo_phone_process.serial], ["lobby", demo_phone_process.serial], ["a"]),
        ([], [], ["a", "lobby"]),
    ):
        bearer = somebody(devices=names)
        listed = (await ask(address, "api/media/devices", bearer=bearer)).json
        assert {each["deviceId"] for each in listed["devices"]} == set(mine[:1])
        assert listed["total"] == len(mine[:1])
        for device in mine:
            assert [answer.status for answer in await opened(address, device, bearer)] == [201, 201, 200, 200]
        for device in others:
            *posts, seen = await opened(address, device, bearer)
            assert [(answer.status, answer.code) for answer in posts] == [(403, "forbidden")] * 3
            assert (seen.status, seen.code) == (404, "device_not_found")
            async with socket(address, bearer=bearer) as wire:
                await wire.send_json({"type": "join", "id": 1, "deviceId": device})
                assert (await reply_to(wire, 1))["code"] == "forbidden"


async def test_what_there_is_beside_is_not_told(address: str) -> None:
    refusal = await join(address, "nobody", bearer=somebody(devices=["a"]))
    assert refusal.code == "device_not_found"
    assert "lobby" not in refusal.json["detail"]


# Whose a session is ------------------------------------------------------------------------------------------------


async def test_sessions_of_others_do_not_exist(address: str) -> None:
    ann, bob, admin = somebody(), somebody(), somebody(roles=["admin"])
    whep = await ask(
        address, "api/media/whep/a", method="POST", bearer=ann, data=OFFER, headers={"Content-Type": "application/sdp"}
    )
    location = whep.headers["Location"].removeprefix("/")
    session_id = location.rpartition("/")[2]
    mine = f"api/media/sessions/{session_id}"
    candidate = {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}
    fragment = {"data": "a=end-of-candidates\r\n", "headers": {"Content-Type": "application/trickle-ice-sdpfrag"}}
    attempts: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", mine, {}),
        ("GET", f"{mine}/explain", {}),
        ("DELETE", mine, {}),
        ("POST", "api/media/sessions/answer", {"json": {"sessionId": session_id, "answer": OFFER}}),
        ("POST", "api/media/sessions/ice-candidate", {"json": {"sessionId": session_id, "candidate": candidate}}),
        ("POST", "api/media/sessions/ice-candidates", {"json": {"sessionId": session_id, "candidates": [candidate]}}),
        ("POST", "api/webrtc/a/candidate", {"json": {"candidate": candidate, "sessionId": session_id}}),
        ("PATCH", location, fragment),
        ("GET", location, {}),
        ("DELETE", location, {}),
    ]
    for method, path, how in attempts:
        answer = await ask(address, path, method=method, bearer=bob, **dict(how))
        assert (answer.status, answer.code) == (404, "session_not_found"), (method, path)
    async with socket(address, bearer=bob) as wire:
        await wire.send_json({"type": "join", "id": 1, "sessionId": session_id})
        assert (await reply_to(wire, 1))["code"] == "session_not_found"
    assert session_id not in await sessions(address, bob)
    # Of what there is altogether only the counts are told.
    stats = (await ask(address, "api/media/stats", bearer=bob)).json
    assert stats["totalSessions"] >= 1
    assert {type(value) for value in stats.values()} <= {int, float}

    assert session_id in await sessions(address, ann)
    assert session_id in await sessions(address, admin)
    assert (await ask(address, f"{mine}/explain", bearer=admin)).status == 200
    assert (await ask(address, mine, method="DELETE", bearer=admin)).status == 200
    assert (await ask(address, mine, bearer=ann)).code == "session_not_found"


async def test_nobody_opens_sessions_as_somebody_else(address: str) -> None:
    for roles in (["user"], ["admin"]):
        refusal = await join(address, "a", bearer=token(sub="ann", roles=roles), user="bob")
        assert (refusal.status, refusal.code) == (403, "forbidden")
        mine = await join(address, "a", bearer=token(sub="ann", roles=roles), user="ann")
        assert mine.status == 201
        path = f"api/media/sessions/{mine.json['sessionId']}"
        assert (await ask(address, path, bearer=token(sub="ann"))).json["userId"] == "ann"
        assert (await ask(address, path, method="DELETE", bearer=token(sub="ann"))).status == 200


# Time -------------------------------------------------------------------------------------------------------------


async def test_when_a_token_ends_its_session_goes_on(address: str) -> None:
    name = next(_USERS)
    bearer = token(sub=name, exp=time.time() - LEEWAY + 3)
    async with Guest(address, "lobby", bearer) as viewer, socket(address, bearer=bearer) as wire:
        await viewer.watched(1)
        async with asyncio.timeout(20):
            while (answer := await ask(address, "api/media/devices", bearer=bearer)).status == 200:
                await asyncio.sleep(0.01)
        assert (answer.status, answer.code) == (401, "token_expired")
        assert (await join(address, "lobby", bearer=bearer)).code == "token_expired"
        await viewer.watched(5)
        await viewer.send(json.dumps(TOUCH | {"seq": 7}))
        assert json.loads(await viewer.heard('"seq"'))["type"] == "input-ack"
        await wire.send_json({"type": "join", "id": 1, "deviceId": "a"})
        assert (await reply_to(wire, 1))["code"] == "token_expired"
        # With a new token it is still the same user's.
        assert viewer.session_id in await sessions(address, token(sub=name))


class Issuer:
    """Publishes the keys of who signs tokens."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.status = 200

    async def publish(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys}, status=self.status)


async def test_keys_change_while_somebody_watches(adb_server: RunningAdb, monkeypatch: pytest.MonkeyPatch) -> None:
    # Twice a second rather than twice a minute it may ask for a key that it does not know.
    monkeypatch.setattr("signaling.key_set.PATIENCE", 0.5)
    issuer = Issuer()
    issuer.keys = [jwk(kid="one")]
    app = web.Application()
    app.router.add_get("/keys", issuer.publish)
    old = rsa_signed(RSA_KEY, kid="one", iat=..., **LASTING)
    new = rsa_signed(OTHER_RSA_KEY, kid="two", iat=..., **LASTING)
    unknown = rsa_signed(OTHER_RSA_KEY, kid="three", iat=..., **LASTING)
    async with TestServer(app) as server:
        published = settings(adb_server, jwt_jwks_url=str(server.make_url("/keys")))
        async with serve(published, sources={"a": PICTURES}, demo=False) as serving:
            address = serving.address
            assert (await ask(address, "api/media/devices", bearer=new)).code == "token_signature"
            async with Guest(address, "a", old) as viewer:
                await viewer.watched(1)
                issuer.keys = [jwk(OTHER_RSA_KEY, kid="two")]
                await until_answered(address, new, 200)
                assert (await ask(address, "api/media/devices", bearer=old)).code == "token_signature"
                issuer.status = 500
                assert (await until_answered(address, unknown, 503)).code == "keys_unavailable"
                assert (await ask(address, "api/media/devices", bearer=new)).status == 200
                await viewer.watched(5)


async def until_answered(address: str, bearer: str, status: int) -> Answer:
    """Wait until that token is answered so."""
    async with asyncio.timeout(10):
        while (answer := await ask(address, "api/media/devices", bearer=bearer)).status != status:
            await asyncio.sleep(0.01)
    return answer


async def test_the_page_and_what_explains_the_api_are_for_everybody(address: str) -> None:
    for path in (
        "",
        "page.js",
        "livez",
        "readyz",
        "api/media/openapi.json",
        "api/media/asyncapi.json",
        "api/media/docs",
    ):
        assert (await ask(address, path)).status == 200, path
    async with aiohttp.ClientSession() as http, http.get(f"{address}api/media/docs", headers=bearing("x")) as response:
        assert response.status == 401, "a token that is not taken is refused everywhere"

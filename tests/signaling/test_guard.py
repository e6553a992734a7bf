"""Who may pass, over real sockets: every way to bring a token, and every way to bring none."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from signaling import http
from signaling import tickets as ticket_routes
from signaling.guard import BEARER, OPEN_PATHS, caller_of, guard
from signaling.operations import declared_operations
from signaling.origins import only_known_origins
from signaling.problems import problems
from signaling.tickets import LIFETIME, MAX_TICKETS_OF_ONE, Tickets
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.samples import description
from tests.signaling.signed_tokens import NOW, signed, verifier

FRIEND = "https://phones.example.com"
SDP = {"Content-Type": "application/sdp"}


async def _who(request: web.Request) -> web.Response:
    caller = caller_of(request)
    may = sorted(capability.value for capability in caller.capabilities)
    return web.json_response(
        {"user": caller.user_id, "address": caller.address, "may": may, "hasToken": caller.has_token}
    )


async def _socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(protocols=(BEARER,))
    await socket.prepare(request)
    await socket.send_str(caller_of(request).user_id or "")
    await socket.close()
    return socket


@asynccontextmanager
async def guarded(
    *, needs_token: bool = True, tickets: Tickets | None = None, trusted_proxies: Sequence[str] = ()
) -> AsyncIterator[Client]:
    """A client of an application that says who asks."""
    authenticator = verifier() if needs_token else None
    tickets = Tickets(lambda: NOW) if tickets is None else tickets
    app = web.Application(
        middlewares=[
            only_known_origins([FRIEND], trusted_proxies),
            problems,
            guard(authenticator, tickets=tickets, trusted_proxies=trusted_proxies),
        ]
    )
    for path in ("/", "/metrics", "/health", "/api/media/who", "/api/media/openapi.json"):
        app.router.add_get(path, _who)
    app.router.add_post("/api/media/who", _who)
    app.router.add_options("/api/media/who", _who)
    for path in ("/api/media/socket", "/ws/device/{device_id}"):
        app.router.add_get(path, _socket, allow_head=False)
    ticket_routes.add_routes(app, tickets)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with guarded() as client:
        yield client


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def first_word(client: Client, path: str = "/api/media/socket", **options: Any) -> tuple[str, str | None]:
    """What a WebSocket says first, and its subprotocol."""
    async with client.ws_connect(path, **options) as socket:
        return await socket.receive_str(), socket.protocol


async def refusal_of(client: Client, path: str, **options: Any) -> tuple[int, str]:
    """The status and code of a refused request."""
    response = await client.get(path, **options)
    assert response.content_type == "application/problem+json"
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    return response.status, (await response.json())["code"]


async def test_a_token_in_the_header(client: Client) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        response = await client.get("/api/media/who", headers={"Authorization": f"{scheme} {signed()}"})
        assert (response.status, (await response.json())["user"]) == (200, "ann")


@pytest.mark.parametrize("path", ["/api/media/who", "/api/media/nothing", "/api/", "/ws/device/a", "/ws/nothing"])
async def test_nothing_of_the_api_without_a_token(client: Client, path: str) -> None:
    assert await refusal_of(client, path) == (401, "token_missing")
    response = await client.get(path)
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["/%61pi/media/who", "/api%2Fmedia/who", "//api/media/who", "/x/../api/media/who", "/API/media/who"]
)
async def test_no_way_to_write_a_path_leads_around_it(client: Client, path: str) -> None:
    """Sent as it stands, which no client library does."""
    server = client.server
    async with ClientSession() as session:
        url = URL(f"http://{server.host}:{server.port}{path}", encoded=True)
        async with session.get(url) as response:
            assert response.status in (401, 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_every_method_needs_a_token(client: Client, method: str) -> None:
    assert (await client.request(method, "/api/media/who")).status == 401


@pytest.mark.parametrize(
    "value", ["Basic YTpi", "Bearer", "Bearer ", "Bearer x", "Digest a", "", "bearer,x", "Bearer a b", "Bearer\tx"]
)
async def test_what_is_no_token(client: Client, value: str) -> None:
    status, code = await refusal_of(client, "/api/media/who", headers={"Authorization": value})
    assert status == 401
    assert code in ("token_missing", "token_malformed")


async def test_two_tokens_are_none(client: Client) -> None:
    headers = [("Authorization", f"Bearer {signed()}"), ("Authorization", f"Bearer {signed(sub='bob')}")]
    assert await refusal_of(client, "/api/media/who", headers=headers) == (401, "token_malformed")


@pytest.mark.parametrize("path", ["/", "/metrics", "/health", "/api/media/openapi.json"])
async def test_what_is_open_has_a_caller_who_may_nothing(client: Client, path: str) -> None:
    assert await (await client.get(path)).json() == {
        "user": None,
        "address": "127.0.0.1",
        "may": [],
        "hasToken": False,
    }
    for password in ("Basic YTpi", ""):
        assert (await client.get(path, headers={"Authorization": password})).status == 200
    response = await client.get(path, headers=bearing(signed(role="admin")))
    assert await response.json() == {
        "user": "ann",
        "address": "127.0.0.1",
        "may": ["admin", "control", "view"],
        "hasToken": True,
    }
    expired = signed(exp=NOW - 60)
    assert await refusal_of(client, path, headers=bearing(expired)) == (401, "token_expired")
    response = await client.get(path, headers=bearing(expired))
    assert response.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


async def test_a_preflight_needs_no_token(client: Client) -> None:
    asked = {
        "Origin": FRIEND,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    response = await client.options("/api/media/who", headers=asked)
    assert response.status == 204
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    own = {"Access-Control-Request-Method": "GET"}
    response = await client.options("/api/media/who", headers=own)
    assert (response.status, (await response.json())["may"]) == (200, [])


async def test_an_allowed_page_can_read_why_it_is_refused(client: Client) -> None:
    response = await client.get("/api/media/who", headers={"Origin": FRIEND})
    assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (401, FRIEND)
    assert "WWW-Authenticate" in response.headers["Access-Control-Expose-Headers"].split(", ")


@pytest.mark.parametrize("name", ["token", "access_token", "jwt"])
@pytest.mark.parametrize("path", ["/api/media/who", "/api/media/socket", "/"])
async def test_a_token_has_no_place_in_an_address(client: Client, path: str, name: str) -> None:
    for headers in ({}, bearing(signed())):
        response = await client.get(path, params={name: signed()}, headers=headers)
        problem = await response.json()
        assert (response.status, problem["code"]) == (401, "token_in_address")
        assert "Authorization: Bearer" in problem["detail"]
        assert signed() not in await response.text()


async def test_a_token_as_a_subprotocol(client: Client) -> None:
    for path in ("/api/media/socket", "/ws/device/a"):
        assert await first_word(client, path, protocols=(BEARER, signed())) == ("ann", BEARER)
    assert await first_word(client, protocols=("other", BEARER, signed())) == ("ann", BEARER)
    assert await first_word(client, headers=bearing(signed())) == ("ann", None)


async def test_the_answer_to_a_websocket_does_not_repeat_the_token(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    handshake = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    response = await client.get(
        "/api/media/socket",
        headers=handshake
        | {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": f"{BEARER}, {signed()}"},
    )
    assert (response.status, response.headers["Sec-WebSocket-Protocol"]) == (101, BEARER)
    assert all(signed() not in value for value in response.headers.values())
    assert signed() not in caplog.text
    response.close()


@pytest.mark.parametrize(
    ("protocols", "code"),
    [
        ((), "token_missing"),
        ((BEARER,), "token_malformed"),
        (("x", BEARER), "token_malformed"),
        ((BEARER, "x"), "token_malformed"),
        ((BEARER, BEARER), "token_malformed"),
        (("Bearer", signed()), "token_missing"),
        ((signed(),), "token_missing"),
        ((BEARER, signed(exp=NOW - 60)), "token_expired"),
        ((BEARER, signed(aud="others")), "token_audience"),
    ],
)
async def test_subprotocols_that_open_nothing(client: Client, protocols: tuple[str, ...], code: str) -> None:
    with pytest.raises(WSServerHandshakeError) as refusal:
        await client.ws_connect("/api/media/socket", protocols=protocols)
    assert refusal.value.status == 401
    headers = {"Upgrade": "websocket", "Sec-WebSocket-Protocol": ", ".join(protocols)}
    assert await refusal_of(client, "/api/media/socket", headers=headers) == (401, code)


async def test_a_subprotocol_is_for_websockets_only(client: Client) -> None:
    headers = {"Sec-WebSocket-Protocol": f"{BEARER}, {signed()}"}
    assert await refusal_of(client, "/api/media/who", headers=headers) == (401, "token_missing")
    response = await client.post("/api/media/who", headers=headers | {"Upgrade": "websocket"})
    assert response.status == 401


async def ticket_of(client: Client, token: str | None = None) -> str:
    response = await client.post("/api/media/tickets", headers=bearing(signed() if token is None else token))
    assert (response.status, response.headers["Cache-Control"]) == (201, "no-store")
    body = await response.json()
    assert body["expiresIn"] == LIFETIME
    ticket: str = body["ticket"]
    return ticket


async def test_a_ticket_opens_one_websocket(client: Client) -> None:
    ticket = await ticket_of(client)
    assert await first_word(client, f"/ws/device/a?ticket={ticket}") == ("ann", None)
    headers = {"Upgrade": "websocket"}
    assert await refusal_of(client, f"/ws/device/a?ticket={ticket}", headers=headers) == (401, "ticket_invalid")


async def test_a_ticket_opens_nothing_else(client: Client) -> None:
    ticket = await ticket_of(client)
    assert await refusal_of(client, f"/api/media/who?ticket={ticket}") == (401, "token_missing")
    response = await client.post(f"/api/media/who?ticket={ticket}", headers={"Upgrade": "websocket"})
    assert response.status == 401
    # It was not used up by that.
    assert (await first_word(client, f"/api/media/socket?ticket={ticket}"))[0] == "ann"


async def test_nobody_is_given_a_ticket_without_a_token(client: Client) -> None:
    assert (await client.post("/api/media/tickets")).status == 401


async def test_a_ticket_is_void_after_its_time() -> None:
    now = NOW
    tickets = Tickets(lambda: now)
    async with guarded(tickets=tickets) as client:
        ticket = await ticket_of(client)
        now += LIFETIME
        code = await refusal_of(client, f"/api/media/socket?ticket={ticket}", headers={"Upgrade": "websocket"})
        assert code == (401, "ticket_invalid")


async def test_one_user_cannot_crowd_out_the_tickets_of_others(client: Client) -> None:
    bobs = await ticket_of(client, signed(sub="bob"))
    for _ in range(MAX_TICKETS_OF_ONE + 1):
        await ticket_of(client)
    assert (await first_word(client, f"/api/media/socket?ticket={bobs}"))[0] == "bob"


async def test_without_an_authenticator_everybody_may_everything() -> None:
    async with guarded(needs_token=False) as client:
        anybody = {"user": None, "address": "127.0.0.1", "may": ["admin", "control", "view"], "hasToken": False}
        for headers in ({}, bearing("nonsense")):
            assert await (await client.get("/api/media/who?token=x", headers=headers)).json() == anybody
        # The same front-end works with and without tokens.
        assert await first_word(client, "/api/media/socket", protocols=(BEARER, "nonsense")) == ("", BEARER)
        response = await client.post("/api/media/tickets")
        ticket = (await response.json())["ticket"]
        assert await first_word(client, f"/api/media/socket?ticket={ticket}") == ("", None)


@pytest.mark.parametrize("needs_token", [True, False])
async def test_the_address_is_the_one_that_a_trusted_proxy_saw(needs_token: bool) -> None:
    forwarded = {"X-Forwarded-For": "198.51.100.7, 203.0.113.9"} | bearing(signed())
    async with guarded(needs_token=needs_token, trusted_proxies=("127.0.0.0/8",)) as client:
        response = await client.get("/api/media/who", headers=forwarded)
        assert (await response.json())["address"] == "203.0.113.9"
        response = await client.get("/health", headers={"X-Forwarded-For": "203.0.113.9"})
        assert (await response.json())["address"] == "203.0.113.9"
    async with guarded(needs_token=needs_token) as client:
        response = await client.get("/api/media/who", headers=forwarded)
        assert (await response.json())["address"] == "127.0.0.1"


async def test_a_ticket_s_bearer_has_the_address_that_the_socket_comes_from() -> None:
    tickets = Tickets(lambda: NOW)
    async with guarded(tickets=tickets, trusted_proxies=("127.0.0.0/8",)) as client:
        response = await client.post(
            "/api/media/tickets", headers=bearing(signed()) | {"X-Forwarded-For": "203.0.113.9"}
        )
        ticket = (await response.json())["ticket"]
        response = await client.get(
            f"/metrics?ticket={ticket}", headers={"Upgrade": "websocket", "X-Forwarded-For": "198.51.100.7"}
        )
        seen = await response.json()
        assert (seen["user"], seen["address"]) == ("ann", "198.51.100.7")


async def test_a_token_longer_than_a_header_is_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with guarded() as client:
        token = "x" * 20_000
        response = await client.get("/api/media/who", headers=bearing(token))
        assert response.status == 400
        assert token not in await response.text()
        assert token not in caplog.text


async def test_the_real_application_asks_for_tokens() -> None:
    service = MemoryService()
    async with served(service, authenticator=verifier()) as client:
        for path in ("/api/media/devices", "/api/media/ice-servers", "/api/media/whep/demo", "/api/media/ws"):
            assert await refusal_of(client, path) == (401, "token_missing")
        offer = description("chromium_video_data")
        refused = await client.post(
            "/api/media/whep/demo", data=offer, headers=SDP | bearing(signed(devices=["other"]))
        )
        assert (refused.status, (await refused.json())["code"]) == (403, "forbidden")
        answered = await client.post("/api/media/whep/demo", data=offer, headers=SDP | bearing(signed()))
        assert answered.status == 201
        session = answered.headers["Location"]
        others = bearing(signed(sub="bob"))
        assert (await client.delete(session, headers=others)).status == 404
        assert (await client.delete(session, headers=bearing(signed()))).status == 200


async def test_only_what_says_so_is_open() -> None:
    app = http.application(MemoryService(), authenticator=verifier(), tickets=Tickets(lambda: NOW))
    declared = declared_operations(app)
    async with TestClient(TestServer(app)) as client:
        for (method, path), operation in declared.items():
            response = await client.request(method, path.replace("{", "").replace("}", ""))
            assert response.status == (200 if operation.is_open else 401), (method, path)
    assert {path for (_, path), operation in declared.items() if operation.is_open} == OPEN_PATHS

"""Whose pages may ask: also to open a WebSocket, and behind a proxy."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer

from signaling.origins import only_known_hosts, only_known_origins
from tests.signaling.memory_service import Client, MemoryService, served

FRIEND, STRANGER = "https://phones.example.com", "https://evil.example"
LOOPBACK = ("127.0.0.0/8",)


async def _ok(_: web.Request) -> web.Response:
    return web.Response(headers={"ETag": '"a"'})


@asynccontextmanager
async def behind_a_proxy(trusted_proxies: Sequence[str], *, loopback_only: bool = False) -> AsyncIterator[Client]:
    """A client that stands where a proxy would."""
    guards = [only_known_origins([FRIEND], trusted_proxies)]
    if loopback_only:
        guards.insert(0, only_known_hosts([FRIEND], trusted_proxies))
    app = web.Application(middlewares=guards)
    app.router.add_get("/", _ok)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("path", ["/api/media/ws"])
@pytest.mark.parametrize(
    ("origin", "may"), [(None, True), (FRIEND, True), (STRANGER, False), ("null", False), ("http://localhost", False)]
)
async def test_a_websocket_s_origin(path: str, origin: str | None, may: bool) -> None:
    async with served(MemoryService(), allowed_origins=(FRIEND,), loopback_only=True) as client:
        if may:
            async with client.ws_connect(path, origin=origin) as socket:
                await socket.send_str('{"type": "ping", "id": 1}')
                assert await socket.receive_json() == {"type": "pong", "id": 1}
            return
        with pytest.raises(WSServerHandshakeError) as refusal:
            await client.ws_connect(path, origin=origin)
        assert refusal.value.status == 403


async def test_a_websocket_of_the_page_itself() -> None:
    async with (
        served(MemoryService(), loopback_only=True) as client,
        client.ws_connect("/api/media/ws", origin=str(client.make_url("/").origin())) as socket,
    ):
        assert not socket.closed


@pytest.mark.parametrize(
    ("forwarded", "origin", "status"),
    [
        (["media.example.net"], "https://media.example.net", 200),
        (["media.example.net:8443"], "https://media.example.net:8443", 200),
        (["media.example.net"], "https://media.example.net:8443", 403),
        (["inner.example, media.example.net"], "https://media.example.net", 200),
        (["evil.example, media.example.net"], STRANGER, 403),
        (["media.example.net"], STRANGER, 403),
        ([], "https://media.example.net", 403),
        ([""], "null", 403),
        (["media.example.net"], FRIEND, 200),
    ],
)
async def test_the_host_that_a_trusted_proxy_was_asked_for(forwarded: list[str], origin: str, status: int) -> None:
    headers = [("Origin", origin), *(("X-Forwarded-Host", value) for value in forwarded)]
    async with behind_a_proxy(LOOPBACK) as client:
        response = await client.get("/", headers=headers)
        assert response.status == status
        is_other_site = origin == FRIEND
        assert ("Access-Control-Allow-Origin" in response.headers) == is_other_site


async def test_nobody_else_says_what_the_host_was() -> None:
    async with behind_a_proxy(("192.0.2.0/24",)) as client:
        headers = {"Origin": "https://media.example.net", "X-Forwarded-Host": "media.example.net"}
        assert (await client.get("/", headers=headers)).status == 403


@pytest.mark.parametrize(
    ("host", "forwarded", "status"),
    [
        ("127.0.0.1", None, 200),
        ("127.0.0.1", "phones.example.com", 200),
        ("127.0.0.1", "evil.example", 403),
        ("evil.example", None, 403),
        ("evil.example", "localhost", 403),
        ("evil.example", "", 403),
    ],
)
async def test_no_name_that_somebody_made_point_here(host: str, forwarded: str | None, status: int) -> None:
    """A page may set `X-Forwarded-Host` in requests to its own name, so it opens nothing that `Host` closes."""
    headers = {"Host": host, "Origin": f"http://{host}"} | (
        {} if forwarded is None else {"X-Forwarded-Host": forwarded}
    )
    async with behind_a_proxy(LOOPBACK, loopback_only=True) as client:
        assert (await client.get("/", headers=headers)).status == status


@pytest.mark.parametrize("header", ["authorization", "content-type", "if-match"])
async def test_an_allowed_page_may_send_what_the_api_reads(header: str) -> None:
    async with behind_a_proxy(()) as client:
        asked = {"Origin": FRIEND, "Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": header}
        preflight = await client.options("/", headers=asked)
        assert preflight.status == 204
        assert header in preflight.headers["Access-Control-Allow-Headers"].lower().split(", ")
        assert preflight.headers["Vary"] == "Origin"


async def test_an_allowed_page_may_read_what_the_api_answers() -> None:
    async with behind_a_proxy(()) as client:
        response = await client.get("/", headers={"Origin": FRIEND})
        exposed = set(response.headers["Access-Control-Expose-Headers"].split(", "))
        assert {"ETag", "Link", "Location", "Retry-After", "WWW-Authenticate"} <= exposed
        assert "Access-Control-Allow-Credentials" not in response.headers
        preflight = await client.options("/", headers={"Origin": STRANGER, "Access-Control-Request-Method": "GET"})
        assert (preflight.status, "Access-Control-Allow-Origin" in preflight.headers) == (403, False)

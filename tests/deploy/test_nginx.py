"""`nginx/media-service.conf` in a real nginx, before two stand-ins that say what reached them."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from multidict import CIMultiDictProxy
from yarl import URL

from tests.fixtures.nginx import RunningNginx, running_nginx

OUTSIDE = "127.0.0.2"
"""An address of this machine that the configuration does not name."""


@dataclass
class Instance:
    """Stands for a media-service: answers with what reached it."""

    name: str
    port: int = 0
    status: int = 200
    seen: list[str] = field(default_factory=list)
    runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/api/media/ws", self._websocket)
        app.router.add_get("/ws/device/{device}", self._websocket)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()
        self.port = self.runner.addresses[0][1]

    async def stop(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()
            self.runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        self.seen.append(f"{request.method} {request.raw_path}")
        told = {
            "instance": self.name,
            "method": request.method,
            "path": request.raw_path,
            "headers": {name.title(): value for name, value in request.headers.items()},
            "body": len(await request.read()),
        }
        headers = {"Location": f"{request.raw_path}/session-1", "Retry-After": "7"}
        return web.json_response(told, status=self.status, headers=headers)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        await channel.send_json({"instance": self.name, "path": request.raw_path})
        async for message in channel:
            await channel.send_str(message.data)
        return channel


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Site:
    nginx: RunningNginx
    first: Instance
    second: Instance

    def url(self, path: str) -> URL:
        """Just as it is written."""
        return URL(self.nginx.address + path, encoded=True)

    async def ask(self, method: str, path: str, *, source: str = "127.0.0.1", **options: Any) -> Answer:
        async with (
            self.client(source) as client,
            client.request(method, self.url(path), allow_redirects=False, **options) as response,
        ):
            return Answer(response.status, response.headers, await response.read())

    def client(self, source: str = "127.0.0.1") -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=self.nginx.trusting(), local_addr=(source, 0))
        return aiohttp.ClientSession(connector=connector)


@pytest.fixture
async def site(nginx_path: str, tmp_path: Path) -> AsyncIterator[Site]:
    first, second = Instance("first"), Instance("second")
    await first.start()
    await second.start()
    with running_nginx(nginx_path, (first.port, second.port), tmp_path) as nginx:
        yield Site(nginx, first, second)
    await first.stop()
    await second.stop()


async def test_what_the_service_is_told_of_a_request(site: Site) -> None:
    headers = {
        "Authorization": "Bearer x",
        "X-Forwarded-For": "10.0.0.1",
        "X-Real-IP": "10.0.0.1",
        "X-Forwarded-Proto": "ftp",
    }
    answer = (await site.ask("GET", "api/media/devices?x=1", headers=headers)).told
    host = f"127.0.0.1:{site.nginx.https_port}"
    assert (answer["instance"], answer["path"]) == ("first", "/api/media/devices?x=1")
    told_headers = answer["headers"]
    assert told_headers["Authorization"] == "Bearer x"
    assert {name: told_headers[name] for name in ("Host", "X-Forwarded-Host")} == {
        "Host": host,
        "X-Forwarded-Host": host,
    }
    assert told_headers["X-Forwarded-For"] == "127.0.0.1", "what the client said of its address is not passed on"
    assert told_headers["X-Real-Ip"] == "127.0.0.1"
    assert told_headers["X-Forwarded-Proto"] == "https"
    assert "Upgrade" not in told_headers


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "OPTIONS", "HEAD"])
async def test_whep_passes(site: Site, method: str) -> None:
    path = "api/media/whep/192.168.1.20%3A5555"
    response = await site.ask(method, path)
    assert response.status == 200
    # Relative to the origin, so it is right on both sides of nginx.
    assert response.headers["Location"] == f"/{path}/session-1"
    assert site.first.seen == [f"{method} /{path}"]


async def test_bodies_are_as_large_as_the_service_takes(site: Site) -> None:
    assert (await site.ask("POST", "api/media/sessions", data=b"x" * 128 * 1024)).told["body"] == 128 * 1024
    assert (await site.ask("POST", "api/media/sessions", data=b"x" * (128 * 1024 + 1))).status == 413


@pytest.mark.parametrize("path", ["api/media/ws", "api/media/ws?ticket=once", "ws/device/192.168.1.20%3A5555"])
async def test_websockets_pass(site: Site, path: str) -> None:
    async with site.client() as client, client.ws_connect(site.url(path)) as channel:
        assert await channel.receive_json() == {"instance": "first", "path": f"/{path}"}
        await channel.send_str("x" * 500_000)
        assert await channel.receive_str() == "x" * 500_000


async def test_nothing_else_is_upgraded(site: Site) -> None:
    answer = (await site.ask("GET", "api/media/devices", headers={"Upgrade": "h2c", "Connection": "upgrade"})).told
    assert "Upgrade" not in answer["headers"]


@pytest.mark.parametrize("path", ["metrics", "health", "health/detailed", "livez", "readyz", "debug/pprof/heap"])
async def test_the_inside_is_shown_to_those_named_only(site: Site, path: str) -> None:
    assert (await site.ask("GET", path)).status == 200
    lies = {"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "Forwarded": "for=127.0.0.1"}
    fields = "".join(f"{name}: {value}\r\n" for name, value in lies.items())
    for evasion in (path, f"/{path}", f"./{path}", path.replace("e", "%65", 1), f"x/../{path}"):
        # As raw as it is: an HTTP client would tidy the path up.
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", site.nginx.https_port, ssl=site.nginx.trusting(), local_addr=(OUTSIDE, 0)
        )
        writer.write(f"GET /{evasion} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n".encode())
        # To its end: what comes after a close is an error to TLS.
        assert (await reader.read()).startswith(b"HTTP/1.1 403 "), evasion
        writer.close()
        await writer.wait_closed()
    assert len(site.first.seen) == 1


async def test_everything_else_is_open(site: Site) -> None:
    for path in ("", "viewer.js", "api/media/devices", "metrics.js", "api/media/debug/"):
        answer = (await site.ask("GET", path, source=OUTSIDE)).told
        assert answer["headers"]["X-Forwarded-For"] == OUTSIDE


async def test_the_second_instance_takes_over_and_gives_back(site: Site) -> None:
    assert (await site.ask("POST", "api/media/sessions", data=b"{}")).told["instance"] == "first"
    await site.first.stop()
    assert (await site.ask("POST", "api/media/sessions", data=b"{}")).told["instance"] == "second"
    async with site.client() as client, client.ws_connect(site.url("api/media/ws")) as channel:
        assert (await channel.receive_json())["instance"] == "second"
    await site.first.start()
    assert (await site.ask("POST", "api/media/sessions", data=b"{}")).told["instance"] == "first"


async def test_a_join_that_the_first_instance_refuses_is_tried_at_the_second(site: Site) -> None:
    site.first.status = 503
    answer = (await site.ask("POST", "api/media/whep/phone", data=b"offer")).told
    assert (answer["instance"], answer["body"]) == ("second", 5)
    # A readiness probe is about the instance that it asks.
    assert (await site.ask("GET", "readyz")).status == 503


async def test_other_answers_are_final(site: Site) -> None:
    for status in (404, 409, 429, 500):
        site.first.status = status
        assert (await site.ask("POST", "api/media/whep/phone")).status == status
    assert site.second.seen == []


async def test_without_an_instance_viewers_are_told_to_come_again(site: Site) -> None:
    await site.first.stop()
    await site.second.stop()
    for path in ("", "api/media/devices", "api/media/ws"):
        response = await site.ask("GET", path)
        assert (response.status, response.headers["Retry-After"]) == (503, "5")
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = response.told
        assert (problem["status"], problem["code"]) == (503, "unavailable")


async def test_a_refusal_of_both_is_handed_on(site: Site) -> None:
    site.first.status = site.second.status = 503
    response = await site.ask("POST", "api/media/whep/phone")
    assert (response.status, response.headers["Retry-After"]) == (503, "7")
    assert response.told["instance"] == "second"


async def test_http_is_sent_to_https(site: Site) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"http://127.0.0.1:{site.nginx.http_port}/?device=1", allow_redirects=False) as response,
    ):
        assert (response.status, response.headers["Location"]) == (301, "https://127.0.0.1/?device=1")


async def test_browsers_are_told_to_stay_with_https(site: Site) -> None:
    for path in ("", "api/media/devices", "metrics"):
        response = await site.ask("GET", path)
        assert response.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert response.headers["Server"] == "nginx", "without its version"


async def test_the_log_holds_no_ticket(site: Site) -> None:
    await site.ask("GET", "api/media/devices?ticket=once")
    await site.ask("GET", "metrics")
    log = (site.nginx.folder / "access.log").read_text()
    assert '"GET /api/media/devices HTTP/1.1" 200' in log
    assert "once" not in log
    assert "metrics" not in log


@pytest.mark.parametrize(("version", "is_taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
async def test_old_tls_is_refused(site: Site, version: str, is_taken: bool) -> None:
    context = site.nginx.trusting()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    connecting = asyncio.open_connection("127.0.0.1", site.nginx.https_port, ssl=context)
    if not is_taken:
        with pytest.raises(ssl.SSLError):
            await connecting
        return
    _, writer = await connecting
    assert writer.get_extra_info("cipher")[1].startswith("TLSv1")
    writer.close()
    await writer.wait_closed()


async def test_http_2_is_offered(site: Site) -> None:
    def chosen() -> str | None:
        context = site.nginx.trusting()
        context.set_alpn_protocols(["h2", "http/1.1"])
        plain = socket.create_connection(("127.0.0.1", site.nginx.https_port), 10)
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            return secure.selected_alpn_protocol()

    assert await asyncio.to_thread(chosen) == "h2"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
async def test_a_request_by_http_2(site: Site) -> None:
    command = ["curl", "-sS", "--http2", "--cacert", str(site.nginx.folder / "certificate.pem")]
    command += [
        "-w",
        "\n%{http_version}",
        "-X",
        "PATCH",
        f"https://localhost:{site.nginx.https_port}/api/media/whep/a/b",
    ]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=20)
    answer, _, version = done.stdout.rpartition("\n")
    assert version == "2"
    assert json.loads(answer)["headers"]["Host"] == f"localhost:{site.nginx.https_port}"

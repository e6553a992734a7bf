"""What is said of the ports."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from media_service.diagnosis.finding import Finding, Status
from media_service.diagnosis.ports import check
from media_service.rtc.candidates import host_addresses
from media_service.settings import Settings
from tests.fixtures.adb import free_port


async def look(**settings: object) -> tuple[Finding, Finding]:
    api, media = await check(Settings.model_validate(settings))
    return api, media


@pytest.fixture
def media_port() -> Iterator[int]:
    """A port that is in use for UDP on every address."""
    with ExitStack() as stack:
        number = 0
        for host in host_addresses():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            udp = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            udp.bind((host, number))
            number = number or udp.getsockname()[1]
        yield number


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::"])
async def test_a_free_port(host: str) -> None:
    port = free_port()
    api, _ = await look(host=host, port=port)
    assert (api.status, api.text) == (Status.OK, f"TCP {host}:{port} is free for the API")


async def test_any_port() -> None:
    api, _ = await look(port=0)
    assert api.status is Status.OK


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"status": "healthy", "version": "1.2", "uptime": "1s"}', Status.OK),
        ('{"status": "degraded", "version": "1.2", "uptime": "1s"}', Status.WARNING),
        ('{"status": "healthy"}', Status.PROBLEM),
        ("[]", Status.PROBLEM),
        ("[" * 60_000, Status.PROBLEM),
        ("hello", Status.PROBLEM),
        ("\ufffe", Status.PROBLEM),
    ],
)
async def test_what_answers_on_the_port(body: str, status: Status) -> None:
    async def health(_: web.Request) -> web.Response:
        return web.Response(text=body)

    app = web.Application()
    app.router.add_get("/health", health)
    async with TestServer(app) as server:
        api, _ = await look(port=server.port)
    assert api.status is status
    expected = "is used by another program" if status is Status.PROBLEM else "media-service 1.2 runs there"
    assert expected in api.text
    assert bool(api.remedy) == (status is not Status.OK)


async def test_a_port_that_is_taken_by_what_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.diagnosis.ports._TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        api, _ = await look(port=port)
    assert (api.status, api.text) == (Status.PROBLEM, f"TCP 127.0.0.1:{port} is used by another program")
    assert str(port) in api.remedy


async def test_an_address_that_is_not_ours() -> None:
    api, _ = await look(host="198.51.100.7", port=free_port())
    assert api.status is Status.PROBLEM
    assert api.text.endswith("cannot be used: Cannot assign requested address")
    assert api.remedy.startswith("set HOST")


async def test_the_first_free_port_for_media(media_port: int) -> None:
    _, media = await look(port=0, ice_port_min=media_port, ice_port_max=min(media_port + 50, 65535))
    assert media.status is Status.OK
    assert "before it are in use" in media.text


async def test_no_port_for_media(media_port: int) -> None:
    _, media = await look(port=0, ice_port_min=media_port, ice_port_max=media_port)
    assert media.status is Status.PROBLEM
    assert media.remedy.startswith("widen ICE_PORT_MIN and ICE_PORT_MAX")


async def test_a_port_whose_tcp_twin_is_taken_is_no_media_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, media = await look(port=0, ice_port_min=port, ice_port_max=port)
    assert media.status is Status.PROBLEM

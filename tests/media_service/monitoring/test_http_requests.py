"""Requests counted by what our routes are called, never by what clients make up."""

import json
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from media_service.idle_connections import IdleConnections
from media_service.monitoring.connection_metrics import ConnectionCollector
from media_service.monitoring.http_requests import HttpRequests
from signaling import http
from tests.signaling.memory_service import Client, MemoryService
from tests.waiting import until


@pytest.fixture
def requests() -> HttpRequests:
    return HttpRequests()


@pytest.fixture
async def client(requests: HttpRequests) -> AsyncIterator[Client]:
    async def away(_: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    app = http.application(MemoryService())
    app.on_response_prepare.append(requests.answered)
    app.router.add_get("/away", away)
    async with TestClient(TestServer(app)) as client:
        yield client


def counts(requests: HttpRequests) -> dict[tuple[str, str, str], float]:
    """By method, route and status."""
    registry = CollectorRegistry()
    registry.register(requests)
    (family,) = registry.collect()
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in family.samples
    }


async def test_by_method_route_and_status(client: Client, requests: HttpRequests) -> None:
    for path in ("/api/media/devices/demo", "/api/media/devices/192.0.2.5:5555", "/api/media/devices/secret"):
        await client.get(path)
    await client.head("/api/media/devices")
    await client.get("/away", allow_redirects=False)
    assert counts(requests) == {
        ("GET", "/api/media/devices/{device_id}", "200"): 2,
        ("GET", "/api/media/devices/{device_id}", "404"): 1,
        ("HEAD", "/api/media/devices", "200"): 1,
        ("GET", "/away", "302"): 1,
    }


async def test_what_clients_make_up_is_no_label(client: Client, requests: HttpRequests) -> None:
    for number in range(20):
        await client.get(f"/made/up/{number}")
    for method in ("PROPFIND", "MKCOL", "LOCK"):
        await client.request(method, "/api/media/devices")
    assert counts(requests) == {("GET", "unknown", "404"): 20, ("other", "unknown", "405"): 3}


async def test_websockets_while_they_are_open(client: Client, requests: HttpRequests) -> None:
    registry = CollectorRegistry()
    registry.register(ConnectionCollector(client.app, IdleConnections()))

    def open_now() -> float | None:
        return registry.get_sample_value("media_service_websockets")

    def refused() -> dict[str, float]:
        samples = (sample for family in registry.collect() for sample in family.samples)
        return {sample.labels["code"]: sample.value for sample in samples if "code" in sample.labels}

    async with client.ws_connect("/api/media/ws") as first, client.ws_connect("/api/media/ws") as second:
        await first.send_str(json.dumps({"type": "ping", "id": 1}))
        await first.receive()
        await second.send_str(json.dumps({"type": "ping", "id": 1}))
        await second.receive()
        assert (open_now(), refused()) == (2, {})
        await second.send_str("nonsense")
        await second.receive()
        assert refused() == {"malformed_message": 1}
        await first.close()
        await until(lambda: open_now() == 1)
    await until(lambda: open_now() == 0)
    assert counts(requests) == {("GET", "/api/media/ws", "101"): 2}

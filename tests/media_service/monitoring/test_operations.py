"""The routes for operators over real HTTP: who may ask what, and what is answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from media_service.dependency import DependencyState, DependencyStatus
from media_service.monitoring.health import Health
from media_service.monitoring.operations import add_routes
from media_service.monitoring.profiling import Profiling
from signaling import http
from signaling.caller import Caller, Capability
from signaling.errors import Unauthorized
from tests.signaling.memory_service import Client, MemoryService

NETWORKS = ("10.0.0.0/8", "fc00::/7")


class Tokens:
    """Fits `signaling.guard.Authenticator`: a token is what its owner is."""

    async def caller(self, token: str, address: str) -> Caller:
        capabilities = {"admin": frozenset(Capability), "viewer": frozenset({Capability.VIEW})}.get(token)
        if capabilities is None:
            raise Unauthorized("nobody has this token")
        return Caller(token, address, capabilities, has_token=True)


class Redis:
    name = "redis"
    state = DependencyState(DependencyStatus.HEALTHY)


class Drain:
    is_draining = False


@asynccontextmanager
async def served(
    *, profiles: bool = True, metrics: bool = True, tokens: bool = True, drain: Drain | None = None
) -> AsyncIterator[Client]:
    """The application behind a proxy on this machine that is believed who asks."""
    registry = CollectorRegistry()
    Counter("media_service_tests", "Tests.", registry=registry).inc()
    drain = drain or Drain()
    health = Health([Redis()], lambda: drain.is_draining, started_at=0.0, service="media-service", version="1.2.3")
    app = http.application(
        MemoryService(), authenticator=Tokens() if tokens else None, trusted_proxies=("127.0.0.0/8",)
    )
    add_routes(
        app,
        health,
        monitoring_networks=NETWORKS,
        registry=registry if metrics else None,
        profiles=Profiling() if profiles else None,
    )
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served() as client:
        yield client


async def asked(client: Client, path: str, address: str, token: str = "") -> tuple[int, str]:
    """The status and text of the answer to a request from `address`."""
    headers = {"X-Forwarded-For": address} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with client.get(path, headers=headers) as response:
        return response.status, await response.text()


INSIDE, OUTSIDE, HERE = "10.1.2.3", "203.0.113.9", "127.0.0.1"
PROFILES = ["/debug/pprof/", "/debug/pprof/goroutine?debug=1", "/debug/pprof/heap?seconds=0"]


@pytest.mark.parametrize("path", ["/metrics", "/health", "/health/detailed"])
@pytest.mark.parametrize(
    ("address", "token", "status"),
    [
        (INSIDE, "", 200),
        ("fd00::1", "", 200),
        (INSIDE, "viewer", 200),
        (OUTSIDE, "", 403),
        (OUTSIDE, "viewer", 403),
        (OUTSIDE, "admin", 200),
        (HERE, "", 403),
    ],
)
async def test_who_may_monitor(client: Client, path: str, address: str, token: str, status: int) -> None:
    assert (await asked(client, path, address, token))[0] == status


@pytest.mark.parametrize("path", PROFILES)
@pytest.mark.parametrize(
    ("address", "token", "status"),
    [
        (HERE, "", 200),
        ("::1", "", 200),
        (INSIDE, "", 403),
        (INSIDE, "viewer", 403),
        (OUTSIDE, "admin", 200),
    ],
)
async def test_who_may_profile(client: Client, path: str, address: str, token: str, status: int) -> None:
    assert (await asked(client, path, address, token))[0] == status


async def test_who_has_no_token_because_nobody_has_one_is_no_admin() -> None:
    async with served(tokens=False) as client:
        assert (await asked(client, "/metrics", OUTSIDE))[0] == 403
        assert (await asked(client, "/debug/pprof/", OUTSIDE))[0] == 403
        assert (await asked(client, "/debug/pprof/", HERE))[0] == 200


async def test_a_refusal_says_what_would_help(client: Client) -> None:
    headers = {"X-Forwarded-For": OUTSIDE}
    async with client.get("/metrics", headers=headers) as response:
        problem = await response.json(content_type="application/problem+json")
    assert problem["code"] == "forbidden"
    assert problem["error"] == (
        "'203.0.113.9' may not ask this: name its network in MONITORING_NETWORKS, or send a token with the role admin"
    )


async def test_that_it_lives_and_is_ready_is_told_everybody() -> None:
    drain = Drain()
    async with served(drain=drain) as client:
        assert await asked(client, "/livez", OUTSIDE) == (200, '{"status":"alive"}')
        assert await asked(client, "/readyz", OUTSIDE) == (200, '{"status":"ready"}')
        drain.is_draining = True
        assert await asked(client, "/readyz", OUTSIDE) == (503, '{"status":"draining"}')
        assert (await asked(client, "/livez", OUTSIDE))[0] == 200
        assert (await asked(client, "/health", INSIDE))[0] == 200


async def test_health(client: Client) -> None:
    async with client.get("/health/detailed", headers={"X-Forwarded-For": INSIDE}) as response:
        assert response.headers["Cache-Control"] == "no-store"
        body = await response.json()
    assert (body["status"], body["service"], body["dependencies"]["redis"]) == ("healthy", "media-service", "healthy")


async def test_metrics_are_in_prometheuss_format(client: Client) -> None:
    async with client.get("/metrics", headers={"X-Forwarded-For": INSIDE}) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=")
        assert "media_service_tests_total 1.0\n" in await response.text()


async def test_what_the_settings_turn_off_is_not_there() -> None:
    async with served(profiles=False, metrics=False) as client:
        for path in ("/metrics", *PROFILES):
            assert (await asked(client, path, HERE, "admin"))[0] == 404
        assert (await asked(client, "/health", INSIDE))[0] == 200


async def test_nothing_is_changed_here(client: Client) -> None:
    for path in ("/metrics", "/health", "/livez", "/debug/pprof/heap"):
        async with client.post(path, headers={"X-Forwarded-For": HERE}) as response:
            assert response.status == 405


async def test_head_does_not_take_a_profile(client: Client) -> None:
    async with client.head("/debug/pprof/profile", headers={"X-Forwarded-For": HERE}) as response:
        assert response.status == 405
    async with client.head("/livez") as response:
        assert response.status == 200


async def test_the_document_tells_of_them(client: Client) -> None:
    async with client.get("/api/media/openapi.json") as response:
        paths = (await response.json())["paths"]
    assert {"/health", "/health/detailed", "/livez", "/readyz", "/metrics"} <= paths.keys()
    assert not [path for path in paths if "pprof" in path]

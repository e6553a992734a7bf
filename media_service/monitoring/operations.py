"""The routes for those who run the service: `/metrics`, `/health`, `/livez`, `/readyz` and `/debug/pprof/`."""

import time
from collections.abc import Iterable, Sequence
from typing import Final, Literal

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from media_service.monitoring import profiling
from media_service.monitoring.health import DetailedHealth, Health, HealthReport, Readiness
from media_service.monitoring.metrics import exposition
from media_service.monitoring.profiling import Profiling
from signaling.bodies import Body
from signaling.caller import Caller
from signaling.errors import Forbidden
from signaling.guard import caller_of
from signaling.networks import is_within
from signaling.operations import Answer, Operation, Tag, add_route, operation
from signaling.problems import Handler
from signaling.sessions_http import respond

_LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


class Liveness(Body):
    """`GET /livez`."""

    status: Literal["alive"] = "alive"


def add_routes(
    app: web.Application,
    health: Health,
    *,
    monitoring_networks: Sequence[str],
    registry: CollectorRegistry | None,
    profiles: Profiling | None,
) -> None:
    """Add them. Without a `registry` there are no metrics, without `profiles` no `/debug/pprof/`.

    Metrics and health are told to `monitoring_networks` and to admins' tokens, profiles to this machine and to
    admins' tokens; that the process lives, and whether it takes viewers, to everybody.
    """
    routes = _Monitoring(health, monitoring_networks)
    add_route(app, hdrs.METH_GET, "/livez", routes.live)
    add_route(app, hdrs.METH_GET, "/readyz", routes.ready)
    add_route(app, hdrs.METH_GET, "/health", routes.health)
    add_route(app, hdrs.METH_GET, "/health/detailed", routes.detailed)
    if registry is not None:
        add_route(app, hdrs.METH_GET, "/metrics", _Metrics(registry, monitoring_networks).metrics)
    if profiles is not None:
        for name, handler in profiles.routes.items():
            # Not HEAD: a profile is not taken to be thrown away.
            app.router.add_get(profiling.PREFIX + name, _for_this_machine(handler), allow_head=False)


def may_ask(caller: Caller, networks: Iterable[str]) -> bool:
    """Whether the caller asks from one of `networks`, or with an admin's token."""
    return (caller.has_token and caller.is_admin) or is_within(caller.address, networks)


class _Monitoring:
    def __init__(self, health: Health, networks: Sequence[str]) -> None:
        self._health = health
        self._networks = networks

    @operation(
        Operation(
            "getHealth",
            "How the service is",
            Tag.HEALTH,
            {200: Answer("`degraded` while something beside it cannot be used.", HealthReport)},
            is_open=True,
        )
    )
    async def health(self, request: web.Request) -> web.Response:
        _require(caller_of(request), self._networks)
        return respond(self._health.report(time.time()))

    @operation(
        Operation(
            "getDetailedHealth",
            "How the service is, and what it uses",
            Tag.HEALTH,
            {200: Answer("With reasons.", DetailedHealth)},
            is_open=True,
        )
    )
    async def detailed(self, request: web.Request) -> web.Response:
        _require(caller_of(request), self._networks)
        return respond(self._health.detailed(time.time()))

    @operation(
        Operation(
            "getLiveness",
            "Whether the process lives",
            Tag.HEALTH,
            {200: Answer("Its event loop runs.", Liveness)},
            is_open=True,
        )
    )
    async def live(self, request: web.Request) -> web.Response:
        return respond(Liveness())

    @operation(
        Operation(
            "getReadiness",
            "Whether new viewers are taken",
            Tag.HEALTH,
            {200: Answer("They are.", Readiness), 503: Answer("The service is about to stop.", Readiness)},
            is_open=True,
        )
    )
    async def ready(self, request: web.Request) -> web.Response:
        readiness = self._health.readiness()
        return respond(readiness, status=200 if readiness.status == "ready" else 503)


class _Metrics:
    def __init__(self, registry: CollectorRegistry, networks: Sequence[str]) -> None:
        self._registry = registry
        self._networks = networks

    @operation(
        Operation(
            "getMetrics",
            "What Prometheus reads",
            Tag.HEALTH,
            {200: Answer("Its text format.", media_type="text/plain")},
            is_open=True,
        )
    )
    async def metrics(self, request: web.Request) -> web.Response:
        _require(caller_of(request), self._networks)
        return web.Response(body=await exposition(self._registry), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE_LATEST})


def _for_this_machine(handler: Handler) -> Handler:
    async def guarded(request: web.Request) -> web.StreamResponse:
        _require(caller_of(request), _LOOPBACK, "ask from this machine")
        return await handler(request)

    return guarded


def _require(caller: Caller, networks: Iterable[str], remedy: str = "name its network in MONITORING_NETWORKS") -> None:
    """Raises `Forbidden` for who may not ask."""
    if not may_ask(caller, networks):
        raise Forbidden(f"{caller.address!r} may not ask this: {remedy}, or send a token with the role admin")

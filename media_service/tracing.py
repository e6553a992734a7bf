"""Traces of requests and of joins, for an OpenTelemetry collector: an option, with a twin that does nothing.

    GET /api/…    one HTTP request, by its route's pattern
     └── join     from the wish to watch a device to the first media
          ├── capture    until the device's first picture is there
          └── connect    ICE and DTLS, from when both descriptions are known

OpenTelemetry comes with `media-service[tracing]`, and is imported only when traces are wanted.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from aiohttp.typedefs import Middleware

from media_service import __version__

_log = structlog.get_logger(__name__)

_SEND_EVERY = 2.0
_TRACES_PATH = "/v1/traces"


class TracingUnavailable(Exception):
    """Traces are wanted and cannot be made; the text says what to change."""


class Join(Protocol):
    """The trace of one join. What is called twice, or after its end, means nothing."""

    def captured(self, capture: str) -> None:
        """The device's first picture is there, captured in that way."""
        ...

    def negotiated(self) -> None:
        """Both descriptions are known: connecting begins."""
        ...

    def connected(self, protocol: str) -> None:
        """Media flows, over `udp` or `tcp`: the join is over."""
        ...

    def failed(self, reason: str) -> None:
        """It will not come about."""
        ...


class Tracing(Protocol):
    """What requests and joins tell of themselves."""

    def join(self, device_id: str) -> Join:
        """A join begins, as part of the request that is being served."""
        ...

    def middleware(self) -> Middleware | None:
        """What traces requests, to stand before all other middlewares; None where there is nothing to do.

        The trace that a request belongs to by its `traceparent` (W3C trace-context) is continued.
        """
        ...


class _NoJoin:
    def captured(self, capture: str) -> None:
        pass

    def negotiated(self) -> None:
        pass

    def connected(self, protocol: str) -> None:
        pass

    def failed(self, reason: str) -> None:
        pass


class NoTracing:
    """The twin that does nothing."""

    _join = _NoJoin()

    def join(self, device_id: str) -> Join:
        return self._join

    def middleware(self) -> Middleware | None:
        return None


@asynccontextmanager
async def open_tracing(
    endpoint: str | None, *, service_name: str, instance: str, send_every: float = _SEND_EVERY
) -> AsyncGenerator[Tracing]:
    """Send traces to the collector at `endpoint` by OTLP over HTTP, for the duration of the block; None: make none.

    A collector that is slow or away costs spans and nothing else. `instance` tells this process from others of the
    service. Raises `TracingUnavailable` where OpenTelemetry is not installed.
    """
    if endpoint is None:
        yield NoTracing()
        return
    try:
        from media_service.open_telemetry import OpenTelemetryTracing
    except ImportError as error:
        raise TracingUnavailable(
            f"TRACING_ENABLED needs a package that is not installed ({error.name}): "
            "pip install 'media-service[tracing]', or set TRACING_ENABLED=false"
        ) from error
    url = traces_url(endpoint)
    resource = {"service.name": service_name, "service.version": __version__, "service.instance.id": instance}
    tracing = OpenTelemetryTracing(url, resource, send_every=send_every)
    _log.info("traces are sent", endpoint=url)
    try:
        yield tracing
    finally:
        await asyncio.to_thread(tracing.close)


def traces_url(endpoint: str) -> str:
    """Where a collector takes traces: `endpoint` itself when it says so, else the path that OTLP gives it."""
    return endpoint if endpoint.endswith(_TRACES_PATH) else endpoint.rstrip("/") + _TRACES_PATH

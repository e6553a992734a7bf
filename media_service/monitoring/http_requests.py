"""HTTP requests, counted for Prometheus by the pattern of their route."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.monitoring.metric_families import counters

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpRequests(Collector):
    """To be told of every response: `app.on_response_prepare.append(requests.answered)`.

    Nothing that a client makes up becomes a label: neither a path nor a method.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    async def answered(self, request: web.Request, response: web.StreamResponse) -> None:
        """Count a request whose answer is about to be sent."""
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        method = request.method if request.method in _METHODS else "other"
        self._counts[method, route, str(response.status)] += 1

    def collect(self) -> Iterator[Metric]:
        yield counters(
            "http_requests", "HTTP requests by method, route and status.", ("method", "route", "status"), self._counts
        )

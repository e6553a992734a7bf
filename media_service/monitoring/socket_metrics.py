"""What Prometheus is told of WebSockets; `signaling.websocket` knows them all."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.monitoring.metric_families import by, counters, gauge
from signaling import websocket


class SocketCollector(Collector):
    """Reads the sockets of an application when Prometheus asks."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    def collect(self) -> Iterator[Metric]:
        yield gauge("websockets", "WebSockets that are open.", websocket.connection_count(self._app))
        yield counters(
            "websocket_refusals",
            "Messages of WebSockets that were answered by an error, by its code.",
            ("code",),
            by(websocket.refused(self._app)),
        )

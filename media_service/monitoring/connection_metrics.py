"""What Prometheus is told of connections: WebSockets, which `signaling.websocket` knows, and those that ask nothing."""

from collections.abc import Iterator

from aiohttp import web
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.idle_connections import IdleConnections
from media_service.monitoring.metric_families import by, counters, gauge
from signaling import websocket


class ConnectionCollector(Collector):
    """Reads the connections of an application when Prometheus asks."""

    def __init__(self, app: web.Application, idle: IdleConnections) -> None:
        self._app = app
        self._idle = idle

    def collect(self) -> Iterator[Metric]:
        yield gauge("websockets", "WebSockets that are open.", websocket.connection_count(self._app))
        yield counters(
            "websocket_refusals",
            "Messages of WebSockets that were answered by an error, by its code.",
            ("code",),
            by(websocket.refused(self._app)),
        )
        yield counters(
            "connections_ended",
            "HTTP connections that were ended since nothing (whole) was asked on them, by reason.",
            ("reason",),
            by(self._idle.ended),
        )

"""`GET /api/media/ws`: JSON messages, as in `browser_messages` and `server_messages`, for many phones on a page."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from aiohttp import WSCloseCode, web

from signaling import asyncapi
from signaling.connection import Connection
from signaling.guard import BEARER, caller_of
from signaling.server_messages import ServerMessage
from signaling.service import Service

PATH = "/api/media/ws"

MAX_MESSAGE_SIZE = 512 * 1024
"""Bytes; a longer frame closes the socket with 1009."""


class _Options(TypedDict):
    protocols: tuple[str, ...]
    heartbeat: float
    max_msg_size: int
    timeout: float
    compress: bool


OPTIONS: Final[_Options] = {
    "protocols": (BEARER,),
    "heartbeat": 20.0,
    "max_msg_size": MAX_MESSAGE_SIZE,
    "timeout": 2.0,
    "compress": False,
}
"""Of every WebSocket here, for `web.WebSocketResponse`."""


@dataclass(frozen=True, slots=True)
class _Open:
    """What is open now."""

    clock: Callable[[], float]
    connections: dict[web.WebSocketResponse, Connection] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)


_OPEN: web.AppKey[_Open] = web.AppKey("signaling.websocket.open", _Open)


def add_routes(app: web.Application, service: Service, *, clock: Callable[[], float] = time.time) -> None:
    """Add the WebSocket of `service`, and the document that describes it.

    Its sockets are closed when the application shuts down. `clock` gives the seconds since 1970, by which tokens end.
    """
    app[_OPEN] = _Open(clock)
    app.on_shutdown.append(_close_sockets)
    asyncapi.add_routes(app)

    async def connect(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(**OPTIONS)
        await serve(request, service, socket)
        return socket

    app.router.add_get(PATH, connect, allow_head=False)


async def serve(request: web.Request, service: Service, socket: web.WebSocketResponse) -> None:
    """Answer the request with `socket`, and have a `Connection` on it until it is closed."""
    await socket.prepare(request)
    opened = request.app[_OPEN]
    connection = Connection(service, socket, caller_of(request), opened.clock, opened.refused)
    opened.connections[socket] = connection
    try:
        await connection.run()
    finally:
        del opened.connections[socket]


def connection_count(app: web.Application) -> int:
    """Sockets that are open now."""
    return len(app[_OPEN].connections)


def refused(app: web.Application) -> Mapping[str, int]:
    """Messages that were answered by an error, by its code, since the start."""
    return app[_OPEN].refused


def tell_all(app: web.Application, message: ServerMessage) -> None:
    """Send `message` on every open socket; one that is too slow may miss it."""
    for connection in app[_OPEN].connections.values():
        connection.tell(message)


async def _close_sockets(app: web.Application) -> None:
    await asyncio.gather(
        *(
            socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service stops", drain=False)
            for socket in app[_OPEN].connections
        )
    )

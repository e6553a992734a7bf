"""`GET /api/media/ws`: the messages of `signaling.messages`, for as many sessions as the page shows phones."""

import asyncio

from aiohttp import WSCloseCode, web

from signaling.connection import Connection
from signaling.guard import caller_of
from signaling.service import Service

PATH = "/api/media/ws"

MAX_MESSAGE_SIZE = 512 * 1024
"""Bytes; a longer frame closes the socket with 1009."""

_HEARTBEAT = 20.0
_CLOSE_TIMEOUT = 2.0

_SOCKETS: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("signaling.websocket.sockets")


def add_routes(app: web.Application, service: Service) -> None:
    """Add the WebSocket of `service`; its sockets are closed when the application shuts down."""
    app[_SOCKETS] = set()
    app.on_shutdown.append(_close_sockets)

    async def connect(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT, max_msg_size=MAX_MESSAGE_SIZE, timeout=_CLOSE_TIMEOUT, compress=False
        )
        await socket.prepare(request)
        request.app[_SOCKETS].add(socket)
        try:
            await Connection(service, socket, caller_of(request)).run()
        finally:
            request.app[_SOCKETS].discard(socket)
        return socket

    app.router.add_get(PATH, connect, allow_head=False)


async def _close_sockets(app: web.Application) -> None:
    sockets = app[_SOCKETS]
    await asyncio.gather(
        *(socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service stops", drain=False) for socket in sockets)
    )

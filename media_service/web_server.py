"""The HTTP server: its sockets, bound before anything else is begun, and the viewer page."""

import re
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from media_service.addresses import own_address
from media_service.errors import CannotStart
from media_service.idle_connections import IdleConnections

_WEB = Path(str(files("media_service"))) / "web"
_SHUTDOWN_TIMEOUT = 5.0
_BACKLOG = 512


class Listeners:
    """The sockets that the HTTP server listens on, one for each address of its host; all have the same port."""

    def __init__(self, host: str, sockets: tuple[socket.socket, ...]) -> None:
        self.port = int(sockets[0].getsockname()[1])
        self.idle = IdleConnections()
        """Sends away who asks nothing."""
        self._host = host
        self._sockets = sockets

    @classmethod
    def bind(cls, host: str, port: int) -> "Listeners":
        """Take the port, or with 0 any free one. Raises `CannotStart` when that cannot be done."""
        sockets: list[socket.socket] = []
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, address in dict.fromkeys((info[0], info[4]) for info in infos):
                number = port or (sockets[0].getsockname()[1] if sockets else 0)
                sockets.append(_bound(family, (address[0], number, *address[2:])))
        except OSError as error:
            for each in sockets:
                each.close()
            raise CannotStart(
                f"cannot listen on {host}:{port}: {error.strerror}; stop what uses the port or set PORT"
            ) from error
        return cls(host, tuple(sockets))

    @property
    def address(self) -> str:
        """Of the page, with a slash at the end."""
        return f"{own_address(self._host, self.port)}/"

    async def serve(self, app: web.Application, stack: AsyncExitStack) -> None:
        """Serve `app` until `stack` is closed."""
        app.middlewares.insert(0, self.idle.notice)
        app.on_response_prepare.append(_say_little)
        # Nobody compresses what is as small as this, and a broken one would be logged by aiohttp itself.
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT, auto_decompress=False)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        if (server := runner.server) is not None:
            stack.callback(self.idle.follow(lambda: server.connections))
        for each in self._sockets:
            await web.SockSite(runner, each).start()

    def close(self) -> None:
        """Let go of the port. Idempotent."""
        for each in self._sockets:
            each.close()


def add_page(app: web.Application, *, framed_by: Sequence[str] = ()) -> None:
    """Add the viewer page and its files.

    Pages of its own site and of `framed_by` may have it in a frame: there what is clicked is a touch on a phone, which
    another page could lay under a button of its own.
    """
    ancestors = " ".join(("'self'", *framed_by))
    files = {path.name: path for path in _WEB.iterdir()} | {"": _WEB / "index.html"}

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(files[request.match_info["file"]])

    async def complete(_: web.Request, response: web.StreamResponse) -> None:
        # Modules of two versions must not meet in one page.
        if isinstance(response, web.FileResponse):
            response.headers["Cache-Control"] = "no-cache"
            response.headers["Content-Security-Policy"] = f"frame-ancestors {ancestors}"
            response.headers["X-Content-Type-Options"] = "nosniff"
            response.headers["Referrer-Policy"] = "no-referrer"

    app.on_response_prepare.append(complete)
    # By name: a folder would answer for every path there is, and so hide which methods the others take.
    app.router.add_get(f"/{{file:{'|'.join(map(re.escape, files))}}}", file)


async def _say_little(_: web.Request, response: web.StreamResponse) -> None:
    # Instead of aiohttp's own, which tells its version and Python's.
    response.headers["Server"] = "media-service"


def _bound(family: int, address: tuple[object, ...]) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound

"""The HTTP server: the API, the viewer page, and what operators ask."""

from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path

from aiohttp import web

from media_service.errors import CannotStart

_WEB = Path(str(files("media_service"))) / "web"
_SHUTDOWN_TIMEOUT = 5.0


def add_page(app: web.Application) -> None:
    """Add the viewer page and its files; the last of the routes, since it takes every path that no other does."""

    async def page(_: web.Request) -> web.FileResponse:
        return web.FileResponse(_WEB / "index.html")

    async def revalidated(_: web.Request, response: web.StreamResponse) -> None:
        # Modules of two versions must not meet in one page.
        if isinstance(response, web.FileResponse):
            response.headers["Cache-Control"] = "no-cache"

    app.on_response_prepare.append(revalidated)
    app.router.add_get("/", page)
    app.router.add_static("/", _WEB)


async def listen(app: web.Application, host: str, port: int, stack: AsyncExitStack) -> tuple[str, int]:
    """Serve `app` until `stack` is closed; gives the address of its page and the port.

    Raises `CannotStart` when the port is taken or the address is not this machine's.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_TIMEOUT)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port}: {error.strerror}; stop what uses the port or set PORT"
        ) from error
    number = int(runner.addresses[0][1])
    return f"http://{shown_host(host)}:{number}/", number


def shown_host(host: str) -> str:
    """`host` as it stands in a URL; this machine where it is every address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{host}]" if ":" in host else host

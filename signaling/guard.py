"""Who may pass: every request is given its `Caller`, or is refused, before a route sees it."""

from typing import Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

from signaling.caller import Caller
from signaling.problems import Handler

_CALLER = web.RequestKey("signaling.guard.caller", Caller)


class Authenticator(Protocol):
    """Knows whose a token is."""

    async def caller(self, token: str, address: str) -> Caller:
        """Who sends `token` from `address`. Raises `Unauthorized`."""
        ...


def caller_of(request: web.Request) -> Caller:
    """Who makes the request; the guard has let it pass."""
    return request[_CALLER]


def guard(authenticator: Authenticator | None) -> Middleware:
    """Gives every request its caller. Without an `authenticator` everybody may everything."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_CALLER] = Caller(address=request.remote or "")
        return await handler(request)

    return guarded

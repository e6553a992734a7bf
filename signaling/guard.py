"""Who may pass: every request is given its `Caller`, or is refused, before a route sees it.

Where tokens are needed, every request under `/api/` and `/ws/` brings one, in one of three ways:

    Authorization: Bearer TOKEN                     all requests (RFC 6750 section 2.1)
    Sec-WebSocket-Protocol: bearer, TOKEN           WebSockets of browsers, which can set no other header
    ?ticket=TICKET                                  WebSockets; once, within half a minute: see `signaling.tickets`

Other paths, as the viewer page and `/metrics`, are open to callers without a token, who may do nothing there that
needs a capability. A token that is not taken is refused everywhere.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from signaling.caller import Caller
from signaling.errors import Unauthorized
from signaling.networks import client_address
from signaling.problems import Handler

BEARER = "bearer"
"""The subprotocol before a browser's token. Every WebSocket names it as one of its own,
`WebSocketResponse(protocols=(BEARER,))`: the answer then selects it, without which a browser closes the socket, and
aiohttp has no reason to log what was offered, the token among it.
"""

OPEN_PATHS = frozenset({"/api/media/openapi.json", "/api/media/asyncapi.json", "/api/media/docs"})
"""What tells how to use the API, and nothing else."""

_GUARDED = ("/api/", "/ws/")
_NAMES_IN_ADDRESSES = ("token", "access_token", "jwt")
_CALLER = web.RequestKey("signaling.guard.caller", Caller)


class Authenticator(Protocol):
    """Knows whose a token is."""

    async def caller(self, token: str, address: str) -> Caller:
        """Who sends `token` from `address`. Raises `Unauthorized`."""
        ...


class TicketInspector(Protocol):
    """Knows whose a ticket is."""

    def redeem(self, ticket: str) -> Caller:
        """Who was given the ticket, which is void from now on. Raises `Unauthorized`."""
        ...


def caller_of(request: web.Request) -> Caller:
    """Who makes the request; the guard has let it pass."""
    return request[_CALLER]


def guard(
    authenticator: Authenticator | None,
    *,
    tickets: TicketInspector | None = None,
    trusted_proxies: Sequence[str] = (),
) -> Middleware:
    """Gives every request its caller. Without an `authenticator` everybody may everything.

    `trusted_proxies` are the networks (`10.0.0.0/8`) whose `X-Forwarded-For` is believed.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        address = address_of(request, trusted_proxies)
        if authenticator is None:
            request[_CALLER] = Caller(address=address)
        else:
            request[_CALLER] = await _caller(request, address, authenticator, tickets)
        return await handler(request)

    return guarded


def address_of(request: web.Request, trusted_proxies: Sequence[str]) -> str:
    """The address of who asks, as the nearest proxy that is trusted saw it."""
    return client_address(request.remote or "", request.headers.getall(hdrs.X_FORWARDED_FOR, ()), trusted_proxies)


async def _caller(
    request: web.Request, address: str, authenticator: Authenticator, tickets: TicketInspector | None
) -> Caller:
    if any(name in request.query for name in _NAMES_IN_ADDRESSES):
        raise Unauthorized(
            "an address is no place for a token, since addresses are logged: send Authorization: Bearer, or after "
            "POST /api/media/tickets ?ticket= to open a WebSocket",
            code="token_in_address",
        )
    is_upgrade = _is_upgrade(request)
    token = _bearer_token(request)
    if token is None and is_upgrade:
        token = _subprotocol_token(request)
    if token is not None:
        return await authenticator.caller(token, address)
    if is_upgrade and tickets is not None and (ticket := request.query.get("ticket")) is not None:
        return replace(tickets.redeem(ticket), address=address)
    if _is_guarded(request):
        raise Unauthorized(
            "a token is needed: send Authorization: Bearer TOKEN, to open a WebSocket the subprotocols bearer and "
            "TOKEN, or a ticket of POST /api/media/tickets",
            code="token_missing",
        )
    return Caller(address=address, capabilities=frozenset())


def _is_guarded(request: web.Request) -> bool:
    """Whether a token is needed: by the route that was found, since a path can be written in more ways than one."""
    if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        return False  # A preflight never has a token (Fetch section 3.2.2).
    resource = request.match_info.route.resource
    path = request.path if resource is None else resource.canonical
    return path.startswith(_GUARDED) and path not in OPEN_PATHS


def _is_upgrade(request: web.Request) -> bool:
    return request.method == hdrs.METH_GET and request.headers.get(hdrs.UPGRADE, "").strip().lower() == "websocket"


def _bearer_token(request: web.Request) -> str | None:
    """The token in `Authorization`; None too for another scheme's password, which is for a proxy before us."""
    values = [value.partition(" ") for value in request.headers.getall(hdrs.AUTHORIZATION, ())]
    tokens = [token.strip() for scheme, _, token in values if scheme.lower() == "bearer"]
    if len(tokens) > 1:
        raise Unauthorized("there is more than one token", code="token_malformed")
    return tokens[0] if tokens else None


def _subprotocol_token(request: web.Request) -> str | None:
    """What follows the subprotocol `bearer`."""
    values = request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, ())
    offered = [protocol.strip() for value in values for protocol in value.split(",")]
    if BEARER not in offered:
        return None
    return next(iter(offered[offered.index(BEARER) + 1 :]), "")

"""The HTTP application: every route under `/api/media`, and what guards them."""

from collections.abc import Sequence
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Middleware

from signaling import device_offers, device_socket, documentation, sessions_http, websocket, whep
from signaling import tickets as tickets_http
from signaling.bodies import DescribedDevices, DeviceBody, DeviceList, IceServers
from signaling.guard import Authenticator, caller_of, guard
from signaling.operations import Answer, Operation, Tag, add_operations, add_route, operation
from signaling.origins import only_known_hosts, only_known_origins
from signaling.other_operations import SOCKETS, WHEP
from signaling.problems import problems
from signaling.service import Service
from signaling.sessions_http import ice_servers, respond
from signaling.tickets import Tickets
from signaling.turns import in_turn

MAX_BODY_SIZE = 128 * 1024
"""Bytes of a request; a description has at most half of that."""


def application(
    service: Service,
    *,
    allowed_origins: Sequence[str] = (),
    loopback_only: bool = False,
    authenticator: Authenticator | None = None,
    tickets: Tickets | None = None,
    trusted_proxies: Sequence[str] = (),
) -> web.Application:
    """An application with the routes of `service`; more may be added to its router.

    Pages of `allowed_origins` (`https://phones.example.com`) may use it beside its own. With `loopback_only`, requests
    under names that are not this machine's are refused, since only the network guards it. With an `authenticator`
    every request under `/api` and `/ws` needs a token; `tickets` open WebSockets for pages that cannot send one. The
    `X-Forwarded-For` of `trusted_proxies` (`10.0.0.0/8`) is believed.
    """
    guards: list[Middleware] = [
        only_known_origins(allowed_origins, trusted_proxies),
        problems,
        guard(authenticator, tickets=tickets, trusted_proxies=trusted_proxies),
    ]
    if loopback_only:
        guards.insert(0, only_known_hosts(allowed_origins, trusted_proxies))
    guards.insert(0, in_turn())  # Before all else: what waits has cost nothing yet.
    app = web.Application(middlewares=guards, client_max_size=MAX_BODY_SIZE)
    listing = Listing(service)
    add_route(app, "GET", "/api/media/devices", listing.devices)
    add_route(app, "GET", "/api/media/devices/{device_id}", listing.device)
    add_route(app, "GET", "/api/media/ice-servers", listing.ice_servers)
    sessions_http.add_routes(app, service, websocket.connection_count)
    device_offers.add_routes(app, service)
    device_socket.add_routes(app, service)
    whep.add_routes(app, service)
    websocket.add_routes(app, service)
    if tickets is not None:
        tickets_http.add_routes(app, tickets)
    documentation.add_routes(app, needs_token=authenticator is not None)
    add_operations(app, WHEP | SOCKETS)
    return app


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be asked without a session."""

    service: Service

    @operation(
        Operation(
            "listDevices",
            "Every device",
            Tag.DEVICES,
            {200: Answer("Those that the caller may watch.", DeviceList)},
        )
    )
    async def devices(self, request: web.Request) -> web.Response:
        devices = list(await self.service.devices(caller_of(request)))
        return respond(DescribedDevices(devices=devices, total=len(devices)))

    @operation(
        Operation(
            "describeDevice",
            "One device",
            Tag.DEVICES,
            {200: Answer("How it is now.", DeviceBody)},
            ("device_not_found",),
        )
    )
    async def device(self, request: web.Request) -> web.Response:
        device = await self.service.device(request.match_info["device_id"], caller_of(request))
        return respond(DeviceBody.of(device))

    @operation(
        Operation(
            "listIceServers",
            "STUN and TURN servers",
            Tag.DEVICES,
            {200: Answer("With credentials of the caller's own.", IceServers)},
        )
    )
    async def ice_servers(self, request: web.Request) -> web.Response:
        return respond(IceServers(ice_servers=ice_servers(self.service, caller_of(request))))

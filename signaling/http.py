"""The HTTP application: every route under `/api/media`, and what guards them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Middleware

from signaling import websocket, whep
from signaling.guard import Authenticator, caller_of, guard
from signaling.origins import only_known_hosts, only_known_origins
from signaling.problems import problems
from signaling.service import DeviceDescription, Service

MAX_BODY_SIZE = 128 * 1024
"""Bytes of a request; a description has at most half of that."""


def application(
    service: Service,
    *,
    allowed_origins: Sequence[str] = (),
    loopback_only: bool = False,
    authenticator: Authenticator | None = None,
) -> web.Application:
    """An application with the routes of `service`; more may be added to its router.

    Pages of `allowed_origins` (`https://phones.example.com`) may use it beside its own. With `loopback_only`, requests
    under names that are not this machine's are refused, since only the network guards it. With an `authenticator`
    every request under `/api` needs a token.
    """
    guards: list[Middleware] = [only_known_origins(allowed_origins), problems, guard(authenticator)]
    if loopback_only:
        guards.insert(0, only_known_hosts(allowed_origins))
    app = web.Application(middlewares=guards, client_max_size=MAX_BODY_SIZE)
    app.router.add_get("/api/media/devices", Listing(service).devices)
    app.router.add_get("/api/media/devices/{device_id}", Listing(service).device)
    app.router.add_get("/api/media/ice-servers", Listing(service).ice_servers)
    whep.add_routes(app, service)
    websocket.add_routes(app, service)
    return app


@dataclass(frozen=True, slots=True)
class Listing:
    """What can be asked without a session."""

    service: Service

    async def devices(self, request: web.Request) -> web.Response:
        """Every device that can be watched."""
        devices = [_described(device) for device in await self.service.devices(caller_of(request))]
        return web.json_response({"devices": devices, "total": len(devices)}, headers=_NO_STORE)

    async def device(self, request: web.Request) -> web.Response:
        """One device, by its id, serial or name."""
        device = await self.service.device(request.match_info["device_id"], caller_of(request))
        return web.json_response(_described(device), headers=_NO_STORE)

    async def ice_servers(self, request: web.Request) -> web.Response:
        """What the page puts into `RTCConfiguration`."""
        return web.json_response({"iceServers": list(self.service.ice_servers(caller_of(request)))}, headers=_NO_STORE)


_NO_STORE = {"Cache-Control": "no-store"}


def _described(device: DeviceDescription) -> dict[str, Any]:
    return {
        "deviceId": device.device_id,
        "name": device.name,
        "serial": device.serial,
        "origin": device.origin,
        "model": device.model,
        "state": device.state,
        "captureMode": device.capture_mode,
        "reason": device.reason,
        "width": device.width,
        "height": device.height,
        "rotation": device.rotation,
        "screen": device.screen,
        "audio": device.audio,
        "viewers": device.viewers,
    }

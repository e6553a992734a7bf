"""What the OpenAPI document says about a route: declared beside its handler, or apart where that is elsewhere.

@operation(Operation("listDevices", "Every device", Tag.DEVICES, {200: Answer("The devices.", DeviceList)}))
async def devices(self, request): ...

add_route(app, "GET", "/api/media/devices", listing.devices)
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from aiohttp import web
from pydantic import BaseModel

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Method = TypeVar("Method", bound=Callable[..., Awaitable[web.StreamResponse]])


class Tag(StrEnum):
    """What routes are about, in the order of the document."""

    DEVICES = "Devices"
    SESSIONS = "Sessions"
    WHEP = "WHEP"
    OTHER_DIALECTS = "Older front-ends"
    SOCKETS = "WebSockets"
    TOKENS = "Tokens"
    HEALTH = "Health"
    DOCUMENTATION = "Documentation"


@dataclass(frozen=True, slots=True)
class Answer:
    """One response of a route."""

    description: str
    body: type[BaseModel] | tuple[type[BaseModel], ...] | None = None
    """The model of its JSON, or several that it may be."""
    media_type: str | None = None
    """Of a body that is not JSON."""
    headers: tuple[str, ...] = ()
    """Those that it always has, by their name in `signaling.openapi`."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    operation_id: str
    summary: str
    tag: Tag
    answers: Mapping[int, Answer]
    problems: tuple[str, ...] = ()
    """Codes of `signaling.problem_codes`. What every route may refuse for is added to them."""
    body: type[BaseModel] | None = None
    """The model of the JSON that is sent."""
    body_media_type: str | None = None
    """Of what is sent and is not JSON."""
    description: str = ""
    request_headers: tuple[str, ...] = ()
    """Those that it has to have, by their name in `signaling.openapi`."""
    is_open: bool = False
    """Whether no token is asked for."""
    is_socket: bool = False
    """Whether it opens a WebSocket, which a ticket does as well as a token."""


Operations = dict[tuple[str, str], Operation]
"""By method and path, as aiohttp names it."""


_DECLARED: web.AppKey[Operations] = web.AppKey("signaling.operations.declared")
_ATTRIBUTE = "__operation__"


def operation(declared: Operation) -> Callable[[Method], Method]:
    """Says what a handler does."""

    def declare(handler: Method) -> Method:
        setattr(handler, _ATTRIBUTE, declared)
        return handler

    return declare


def add_route(app: web.Application, method: str, path: str, handler: Handler) -> None:
    """Add the route of a handler that says what it does; a GET answers HEAD too."""
    if method == "GET":
        app.router.add_get(path, handler)
    else:
        app.router.add_route(method, path, handler)
    add_operations(app, {(method, path): getattr(handler, _ATTRIBUTE)})


def add_operations(app: web.Application, operations: Operations) -> None:
    """Declare what routes do that are added to the application without saying it."""
    declared_operations(app).update(operations)


def declared_operations(app: web.Application) -> Operations:
    """What was declared so far."""
    if _DECLARED not in app:
        app[_DECLARED] = {}
    return app[_DECLARED]

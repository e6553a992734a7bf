"""`GET /api/media/openapi.json`, and `GET /api/media/docs`: the same to be read by people, without the internet."""

import json
from pathlib import Path

from aiohttp import hdrs, web

from signaling.json_body import JSON
from signaling.openapi import document
from signaling.operations import Answer, Operation, Tag, add_route, declared_operations, operation

DOCUMENT = "/api/media/openapi.json"
PAGE = "/api/media/docs"

_PAGE_FILE = Path(__file__).with_name("documentation.html")
_HEADERS = {hdrs.CACHE_CONTROL: "no-cache"}


def add_routes(app: web.Application, *, needs_token: bool) -> None:
    """Add the routes. The document has every operation that is declared until it is first asked for."""
    documentation = Documentation(app, needs_token=needs_token)
    add_route(app, "GET", DOCUMENT, documentation.document)
    add_route(app, "GET", PAGE, documentation.page)


class Documentation:
    """The document of one application."""

    def __init__(self, app: web.Application, *, needs_token: bool) -> None:
        self._app = app
        self._needs_token = needs_token
        self._page = _PAGE_FILE.read_text(encoding="utf-8")
        self._text = ""

    @operation(
        Operation(
            "getDocument",
            "This document",
            Tag.DOCUMENTATION,
            {200: Answer("OpenAPI 3.1.", media_type=JSON)},
            is_open=True,
        )
    )
    async def document(self, request: web.Request) -> web.Response:
        # Made once, when all routes are there.
        self._text = self._text or json.dumps(document(routed_operations(self._app), needs_token=self._needs_token))
        return web.Response(text=self._text, content_type=JSON, headers=_HEADERS)

    @operation(
        Operation(
            "readDocument",
            "This document as a page",
            Tag.DOCUMENTATION,
            {200: Answer("The page.", media_type="text/html")},
            is_open=True,
        )
    )
    async def page(self, request: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html", headers=_HEADERS)


def routed_operations(app: web.Application) -> dict[tuple[str, str], Operation]:
    """What was declared of routes that there are; `media_service` leaves some out by its settings."""
    routes = {(route.method, route.resource.canonical) for route in app.router.routes() if route.resource is not None}
    return {key: declared for key, declared in declared_operations(app).items() if key in routes}

"""The OpenAPI document: valid, complete, and as readable as its page."""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate
from playwright.async_api import Page
from pydantic import BaseModel

from signaling import http
from signaling.documentation import routed_operations
from signaling.errors import SignalingError
from signaling.openapi import document, openapi_path
from signaling.operations import Answer, Operation, Tag, add_operations, add_route, declared_operations, operation
from signaling.problem_codes import PROBLEM_CODES
from signaling.tickets import Tickets
from tests.signaling.documented import DocumentedClient
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.test_sessions_http import BODIES, Users

METHODS = ("get", "post", "patch", "delete", "head", "options")


def whole_application() -> web.Application:
    return http.application(MemoryService(), authenticator=Users(), tickets=Tickets())


def undocumented(app: web.Application) -> set[tuple[str, str]]:
    """Methods and paths of `app` that the document lacks; files and the HEAD that comes with a GET are none."""
    routes = {
        (route.method, route.resource.canonical): route.handler
        for route in app.router.routes()
        if route.resource is not None and not isinstance(route.resource, web.StaticResource)
    }
    return {
        (method, path)
        for (method, path), handler in routes.items()
        if (method, path) not in routed_operations(app)
        and not (method == "HEAD" and routes.get(("GET", path)) == handler)
    }


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served(MemoryService()) as client:
        yield client


@pytest.fixture
def whole() -> dict[str, Any]:
    return document(routed_operations(whole_application()), needs_token=True)


def operations_of(whole: dict[str, Any]) -> Iterable[tuple[str, str, dict[str, Any]]]:
    for path, item in whole["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, item[method]


def test_it_is_valid(whole: dict[str, Any]) -> None:
    validate(whole)
    assert whole["openapi"].startswith("3.1.")
    assert whole["info"]["title"] == "media-service"


def test_every_route_is_in_it_and_nothing_else() -> None:
    app = whole_application()
    assert undocumented(app) == set()
    assert routed_operations(app) == declared_operations(app)


def test_what_is_missing_is_noticed() -> None:
    app = whole_application()

    async def forgotten(request: web.Request) -> web.Response:
        return web.Response()

    app.router.add_post("/api/media/forgotten", forgotten)
    app.router.add_get("/api/media/devices/{device_id}/forgotten", forgotten)
    assert undocumented(app) == {
        ("POST", "/api/media/forgotten"),
        ("GET", "/api/media/devices/{device_id}/forgotten"),
    }


async def test_media_service_adds_its_own() -> None:
    class Report(BaseModel):
        is_well: bool

    @operation(Operation("getReport", "How it is", Tag.HEALTH, {200: Answer("So.", Report)}, is_open=True))
    async def report(request: web.Request) -> web.Response:
        return web.json_response({"is_well": True})

    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(text="up 1\n")

    app = whole_application()
    add_route(app, "GET", "/health", report)
    app.router.add_get("/metrics", elsewhere)
    metrics = Operation("getMetrics", "Metrics", Tag.HEALTH, {200: Answer("Text.", media_type="text/plain")})
    switched_off = Operation("getOff", "Nothing", Tag.HEALTH, {200: Answer("Nothing.")})
    add_operations(app, {("GET", "/metrics"): metrics, ("GET", "/off"): switched_off})
    whole = document(routed_operations(app), needs_token=True)
    validate(whole)
    assert whole["components"]["schemas"]["Report"]["required"] == ["is_well"]
    assert whole["paths"]["/health"]["get"]["security"] == []
    assert "text/plain" in whole["paths"]["/metrics"]["get"]["responses"]["200"]["content"]
    assert "/off" not in whole["paths"]


def test_who_needs_a_token(whole: dict[str, Any]) -> None:
    security = {path: each["security"] for _, path, each in operations_of(whole)}
    assert security["/api/media/devices"] == [{"bearer": []}]
    assert security["/api/media/ws"] == security["/ws/device/{deviceId}"] == [{"bearer": []}, {"ticket": []}]
    assert security["/api/media/docs"] == security["/api/media/openapi.json"] == []
    open_to_all = document(routed_operations(whole_application()), needs_token=False)
    assert {json.dumps(each["security"]) for _, _, each in operations_of(open_to_all)} == {"[]"}


def test_each_operation_says_what_it_does(whole: dict[str, Any]) -> None:
    ids = [each["operationId"] for _, _, each in operations_of(whole)]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in whole["tags"]}
    for method, path, each in operations_of(whole):
        assert each["summary"]
        assert set(each["tags"]) <= tags
        assert "401" in each["responses"]
        has_body = method == "post" and path != "/api/media/tickets"
        assert ("requestBody" in each) == (has_body or method == "patch")
        assert ({"400", "413", "415"} <= set(each["responses"])) == ("requestBody" in each)


def test_no_model_is_there_twice(whole: dict[str, Any]) -> None:
    # pydantic tells models apart that are named alike, or are sent otherwise than taken, by their names' ends.
    assert [name for name in whole["components"]["schemas"] if not name.isalnum()] == []


def test_descriptions_and_candidates_are_marked(whole: dict[str, Any]) -> None:
    """Texts with a format are kept out of errors."""
    schemas = whole["components"]["schemas"]
    assert schemas["OfferDescription"]["properties"]["sdp"]["format"] == "sdp"
    assert schemas["AnswerDescription"]["properties"]["sdp"]["format"] == "sdp"
    assert schemas["CandidateBody"]["properties"]["candidate"]["format"] == "ice-candidate"


def test_the_samples_of_other_tests_are_what_it_asks_for(whole: dict[str, Any]) -> None:
    posts = {path for method, path, each in operations_of(whole) if "application/json" in _content(each)}
    assert posts == {path.replace("/demo/", "/{deviceId}/") for path in BODIES}


def _content(operation: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = operation.get("requestBody", {}).get("content", {})
    return content


def _subclasses(of: type[SignalingError]) -> Iterable[type[SignalingError]]:
    for each in of.__subclasses__():
        yield each
        yield from _subclasses(each)


def test_every_error_has_its_code_described() -> None:
    for error in _subclasses(SignalingError):
        assert PROBLEM_CODES[error.default_code][0] == error.status


@given(st.from_regex(r"(/[a-z]{1,8}|/\{[a-z]{1,5}(_[a-z]{1,5})?\}){1,4}", fullmatch=True))
def test_paths_are_named_in_one_way(path: str) -> None:
    named = openapi_path(path)
    assert "_" not in named
    assert named.lower() == path.replace("_", "")


async def test_it_is_served(client: Client) -> None:
    documented = await DocumentedClient.of(client)
    reply = await documented.ask("GET", "/api/media/openapi.json")
    assert reply.value == documented.document
    assert reply.headers["Cache-Control"] == "no-cache"
    page = await documented.ask("GET", "/api/media/docs")
    assert "<!doctype html>" in page.value
    # It is read where there is no internet.
    assert "http" not in page.value.replace("application/problem+json", "")


@pytest_asyncio.fixture(loop_scope="session")
async def address() -> AsyncIterator[str]:
    async with served(MemoryService()) as client:
        yield str(client.make_url("/api/media/docs"))


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_its_page(address: str, page: Page) -> None:
    await page.goto(address)
    await page.wait_for_selector("article")
    shown = await page.locator("article .head .path").all_inner_texts()
    asked = await page.evaluate("fetch('./openapi.json').then((response) => response.json())")
    assert sorted(shown) == sorted(path for _, path, _ in operations_of(asked))
    # One can be tried.
    await page.click('nav a[href="#describeDevice"]')
    await page.fill("#describeDevice form input", "demo")
    await page.click("#describeDevice form button")
    await page.get_by_text('"captureMode": "screenrecord"').wait_for()
    await page.goto(f"{address}#openSession")
    await page.get_by_text('"deviceId": ""').wait_for()

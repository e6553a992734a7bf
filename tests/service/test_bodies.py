"""Every route of the OpenAPI document with bodies of every wrong kind: each is refused properly, and harms nobody."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from yarl import URL

from tests.fixtures.service import RunningService
from tests.service.outside import Answer, ask
from tests.signaling.samples import description

pytestmark = pytest.mark.adb

OFFER = description("chromium_video_data")
JSON, SDP, FRAGMENT = "application/json", "application/sdp", "application/trickle-ice-sdpfrag"
MEGABYTE = 1_000_000

NOT_JSON = {
    "nothing": b"",
    "half an object": b'{"deviceId": "a", "offer": ',
    "a list": b"[]",
    "a number": b"1e400",
    "null": b"null",
    "a text": b'"a"',
    "two objects": b"{}{}",
    "a comment": b"{/* nothing */}",
    "nested without end": b"[" * 100_000,
    "binary": bytes(range(256)),
    "no UTF-8": b'{"deviceId": "\xff\xfe"}',
    "a surrogate": b'{"deviceId": "\\ud800", "sessionId": "\\ud800"}',
    "SDP": OFFER.encode(),
}
NOT_SDP = {
    "nothing": b"",
    "half": OFFER[: len(OFFER) // 2].encode(),
    "binary": bytes(range(256)),
    "no UTF-8": b"v=0\r\ns=\xff\r\n",
    "zeros": bytes(10_000),
    "JSON": b"{}",
    "lines without end": b"v=0\r\n" * 20_000,
}
ANYTHING_ELSE = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/", "")


@dataclass(frozen=True, slots=True)
class Route:
    """What can be asked."""

    method: str
    path: str
    """As it is asked for."""
    pattern: str
    takes: str
    """The media type of its body; empty where it takes none."""
    statuses: frozenset[int]
    """That are documented."""
    fields: tuple[str, ...] = ()
    """Of its JSON body."""

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def routes(document: dict[str, Any], session_id: str) -> Iterator[Route]:
    """Those of the document, for a device that there is and that session."""
    for pattern, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            content = operation.get("requestBody", {}).get("content", {})
            takes = next(iter(content), "")
            fields: tuple[str, ...] = ()
            if takes == JSON:
                name = content[JSON]["schema"]["$ref"].rpartition("/")[2]
                fields = tuple(document["components"]["schemas"][name]["properties"])
            path = pattern.replace("{deviceId}", "a").replace("{sessionId}", session_id).replace("{id}", session_id)
            assert "{" not in path
            statuses = frozenset(int(status) for status in operation["responses"])
            yield Route(method.upper(), path.removeprefix("/"), pattern, takes, statuses, fields)


@dataclass(frozen=True, slots=True)
class Scene:
    """A service with a session on `a`, which no wrong body ends."""

    address: str
    etag: str
    location: str
    routes: tuple[Route, ...]

    async def send(self, route: Route, body: bytes, content_type: str) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        return await ask(
            self.address,
            route.path,
            method=route.method,
            data=body,
            headers=headers | ({"If-Match": self.etag} if route.method == "PATCH" else {}),
            skip_auto_headers=("Content-Type",),
        )

    async def refused(self, route: Route, body: bytes, content_type: str, what: str) -> tuple[int, str]:
        """How it is refused: as a documented problem."""
        answer = await self.send(route, body, content_type)
        assert answer.status in route.statuses, (str(route), what, answer)
        assert answer.headers["Server"] == "media-service"
        assert answer.status >= 400, (str(route), what, answer)
        return answer.status, answer.code

    def taking(self, media_type: str) -> list[Route]:
        found = [route for route in self.routes if route.takes == media_type]
        assert found
        return found


@pytest.fixture
async def scene(open_service: RunningService) -> AsyncIterator[Scene]:
    address, before = open_service.address, len(open_service.log)
    joined = await ask(address, "api/media/whep/a", method="POST", data=OFFER, headers={"Content-Type": SDP})
    location = joined.headers["Location"].removeprefix("/")
    document = (await ask(address, "api/media/openapi.json")).json
    found = tuple(routes(document, location.rpartition("/")[2]))
    yield Scene(address, joined.headers["ETag"], location, found)
    # Whatever came meanwhile, the session is there, and nothing in the log tells of a bug.
    assert (await ask(address, location, method="DELETE")).status == 200
    told = [
        line for line in open_service.log[before:] if not line.startswith("{") or json.loads(line)["level"] == "error"
    ]
    assert told == []


async def test_what_is_no_json(scene: Scene) -> None:
    for route in scene.taking(JSON):
        for what, body in NOT_JSON.items():
            assert await scene.refused(route, body, JSON, what) == (400, "malformed_message"), (str(route), what)


async def test_fields_of_every_wrong_type(scene: Scene) -> None:
    wrong: list[object] = [[[]], {"a": {}}, 1.5, True, -1]
    for route in scene.taking(JSON):
        bodies = [dict.fromkeys(route.fields, value) for value in wrong]
        bodies += [{field: "x" * 100_000} for field in route.fields]
        for body in bodies:
            what = str(body)[:40]
            refusal = await scene.refused(route, json.dumps(body).encode(), JSON, what)
            assert refusal == (400, "malformed_message"), (str(route), what)


async def test_what_is_no_description(scene: Scene) -> None:
    for what, body in NOT_SDP.items():
        for route in scene.taking(SDP):
            assert await scene.refused(route, body, SDP, what) == (400, "malformed_sdp"), (str(route), what)
        for route in scene.taking(FRAGMENT):
            answer = await scene.send(route, body, FRAGMENT)
            # A fragment has no line that must be there: what is none may just say nothing.
            assert answer.status in (204, 400), (str(route), what, answer)
            assert answer.status == 204 or answer.code == "malformed_sdp"


async def test_other_types_and_sizes(scene: Scene) -> None:
    for route in (each for each in scene.routes if each.takes):
        for other in ANYTHING_ELSE:
            assert await scene.refused(route, b"{}", other, other) == (415, "unsupported_media_type")
        for what, body in {"zeros": bytes(MEGABYTE), "spaces": b" " * MEGABYTE}.items():
            assert await scene.refused(route, body, route.takes, what) == (413, "body_too_large")


async def test_bodies_that_nobody_asked_for(scene: Scene) -> None:
    # What ends the session comes last.
    others = [route for route in scene.routes if not route.takes and route.method != "DELETE"]
    assert len(others) > 10
    for route in others:
        for body in (b"{", bytes(range(256)), bytes(MEGABYTE)):
            answer = await scene.send(route, body, "application/octet-stream")
            assert answer.status in route.statuses, (str(route), answer)
            assert answer.status < 500


# What no HTTP client sends -----------------------------------------------------------------------------------------


@asynccontextmanager
async def connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    url = URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(route: Route, etag: str, length: str) -> bytes:
    """A request's head, with `length` among its headers."""
    lines = [f"{route.method} /{route.path} HTTP/1.1", "Host: 127.0.0.1", f"If-Match: {etag}", length]
    return "\r\n".join([*lines, *([f"Content-Type: {route.takes}"] if route.takes else []), "\r\n"]).encode()


async def answered(reader: asyncio.StreamReader) -> int:
    """The status of the answer; 0 where the connection was closed without one."""
    async with asyncio.timeout(20):
        line = await reader.readline()
    return int(line.split()[1]) if line else 0


@pytest.mark.parametrize("length", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_bodies_that_end_early(scene: Scene, length: str) -> None:
    begun = b'3e8\r\n{"deviceId": "a", ' if "chunked" in length else b'{"deviceId": "a", '
    for route in (each for each in scene.routes if each.takes):
        async with connection(scene.address) as (reader, writer):
            writer.write(head(route, scene.etag, length) + begun)
            writer.write_eof()
            assert await answered(reader) in (0, 400), str(route)
        async with connection(scene.address) as (_, writer):
            writer.write(head(route, scene.etag, length) + begun)
            await writer.drain()
            writer.transport.abort()
    assert (await ask(scene.address, "api/media/devices")).status == 200


@pytest.mark.parametrize(
    "lengths",
    [
        "Content-Length: -1",
        "Content-Length: many",
        "Content-Length: 99999999999999999999999999",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip, nothing",
        "Content-Encoding: gzip\r\nContent-Length: 2",
    ],
)
async def test_lengths_that_cannot_be(scene: Scene, lengths: str) -> None:
    for route in (each for each in scene.routes if each.takes):
        async with connection(scene.address) as (reader, writer):
            writer.write(head(route, scene.etag, lengths) + b"{}\r\n\r\n")
            writer.write_eof()
            assert await answered(reader) in (0, 400, 413, 415, 501), str(route)
    assert (await ask(scene.address, "api/media/devices")).status == 200


async def test_slow_bodies_are_waited_for_and_hold_up_nobody(scene: Scene) -> None:
    body = json.dumps({"deviceId": "a" * 40}).encode()
    (route,) = [each for each in scene.taking(JSON) if each.pattern == "/api/media/sessions"]
    async with asyncio.TaskGroup() as group:
        slow = [group.create_task(_slowly(scene, route, body)) for _ in range(50)]
        for _ in range(20):
            assert (await ask(scene.address, "api/media/devices")).status == 200
        posted = await ask(scene.address, "api/media/sessions", method="POST", json={"deviceId": "a"})
        assert posted.status == 201
        await ask(scene.address, f"api/media/sessions/{posted.json['sessionId']}", method="DELETE")
        assert not all(task.done() for task in slow)
    assert [task.result() for task in slow] == [404] * 50


async def _slowly(scene: Scene, route: Route, body: bytes) -> int:
    """The answer to a request that comes octet by octet."""
    async with connection(scene.address) as (reader, writer):
        writer.write(head(route, scene.etag, f"Content-Length: {len(body)}"))
        for octet in body:
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(0.02)
        return await answered(reader)

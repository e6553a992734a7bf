"""A fake Docker engine on a real unix socket: it says what no real one can be made to say at the right moment."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from aiohttp import web

CONTAINER_ID = "a1" * 32


def entry(name: str = "redroid-1", **changed: object) -> dict[str, object]:
    """An entry of `GET /containers/json` as engine 20.10 writes it for a container with a published port."""
    return {
        "Id": (name.encode().hex() + "0" * 64)[:64],
        "Names": [f"/{name}"],
        "Image": "redroid/redroid:12.0.0-latest",
        "ImageID": "sha256:" + "16" * 32,
        "Command": "/init qemu=1 androidboot.hardware=redroid",
        "Created": 1795328689,
        "Ports": [
            {"IP": "0.0.0.0", "PrivatePort": 5555, "PublicPort": 15998, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 5555, "PublicPort": 15998, "Type": "tcp"},
        ],
        "Labels": {"phone": "yes"},
        "State": "running",
        "Status": "Up 1 second",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "GlobalIPv6Address": ""}}},
        "Mounts": [],
        **changed,
    }


class FakeDocker:
    """Answers as the test has set, and remembers what was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version: Any = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
        self.containers: Any = []
        """What the list is; bytes are sent as they are."""
        self.inspected: dict[str, Any] = {}
        """What `/containers/{id}/json` is, by id."""
        self.status = 200
        """Of every answer."""
        self.hangs = False
        """Whether it takes requests and answers nothing."""
        self.asked: list[str] = []
        """The paths, with the API's version."""
        self.filters: list[Any] = []
        self.followers: list[web.StreamResponse] = []
        """Who follows the events."""
        self._ends: list[asyncio.Event] = []
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def docker_host(self) -> str:
        return f"unix://{self.path}"

    @classmethod
    @asynccontextmanager
    async def run(cls, path: Path) -> AsyncIterator[Self]:
        """A fake engine for the duration of the block."""
        fake = cls(path)
        await fake.start()
        try:
            yield fake
        finally:
            await fake.stop()

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/version", self._version)
        application.router.add_get("/{version}/containers/json", self._list)
        application.router.add_get("/{version}/containers/{id}/json", self._inspect)
        application.router.add_get("/{version}/events", self._events)
        self._runner = web.AppRunner(application, shutdown_timeout=0)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self.path)).start()

    async def stop(self) -> None:
        """Go away; there is nothing at the socket's path then."""
        self.end_events()
        self._released.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self.path.unlink(missing_ok=True)

    async def happens(self, text: bytes = b'{"Type":"container","Action":"start"}\n') -> None:
        """Send an event to every follower."""
        for follower in self.followers:
            await follower.write(text)

    def end_events(self) -> None:
        """End the streams of events."""
        for end in self._ends:
            end.set()

    async def _answer(self, request: web.Request, answer: Any) -> web.Response:
        self.asked.append(request.path)
        if self.hangs:
            await self._released.wait()
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return web.Response(status=self.status, body=body, content_type="application/json")

    async def _version(self, request: web.Request) -> web.Response:
        return await self._answer(request, self.version)

    async def _list(self, request: web.Request) -> web.Response:
        self.filters.append(json.loads(request.query["filters"]))
        return await self._answer(request, self.containers)

    async def _inspect(self, request: web.Request) -> web.Response:
        found = self.inspected.get(request.match_info["id"])
        if found is None:
            raise web.HTTPNotFound
        return await self._answer(request, found)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.filters.append(json.loads(request.query["filters"]))
        response = web.StreamResponse()
        response.content_type = "application/json"
        await response.prepare(request)
        end = asyncio.Event()
        self.followers.append(response)
        self._ends.append(end)
        await end.wait()
        self.followers.remove(response)
        self._ends.remove(end)
        return response

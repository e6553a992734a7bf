"""`/debug/pprof/`: what the process spends its time on, its memory and its tasks, under the paths of Go's pprof."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from aiohttp import web

from media_service.monitoring import cpu_profile, heap_profile, task_stacks
from signaling.errors import Conflict, MalformedMessage
from signaling.problems import Handler

PREFIX: Final = "/debug/pprof/"
_DEFAULT_SECONDS: Final = 5
_LONGEST: Final = 120
_NO_STORE: Final = {"Cache-Control": "no-store"}

_INDEX: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Profiles of media-service</title>
<h1>Profiles of media-service</h1>
<ul>
<li><a href="profile?seconds=5">profile?seconds=5</a>: what the event loop spends its time on, for
<a href="https://www.speedscope.app/">speedscope</a>; as <a href="profile?seconds=5&amp;format=html">a page</a>,
as <a href="profile?seconds=5&amp;format=text">text</a>
<li><a href="heap?seconds=5">heap?seconds=5</a>: what is allocated meanwhile and stays, by line; the process's memory
<li><a href="goroutine?debug=1">goroutine?debug=1</a>: the asyncio tasks;
<a href="goroutine?debug=2">goroutine?debug=2</a>: the stacks of tasks and threads
</ul>
"""


class Profiling:
    """The routes. One profile is taken at a time: two would measure each other."""

    def __init__(self) -> None:
        self._running = ""
        self.routes: Mapping[str, Handler] = {
            "": self.index,
            "profile": self.profile,
            "heap": self.heap,
            "goroutine": self.goroutine,
        }
        """What answers, by the path behind `/debug/pprof/`. Who may ask is for others to say."""

    async def index(self, request: web.Request) -> web.Response:
        """What there is."""
        return web.Response(text=_INDEX, content_type="text/html", headers=_NO_STORE)

    async def profile(self, request: web.Request) -> web.Response:
        """A CPU profile of the next `seconds`, in the `format` speedscope, html or text."""
        seconds = whole_number(request, "seconds", _DEFAULT_SECONDS, 1, _LONGEST)
        form = request.query.get("format", "speedscope")
        if form not in ("speedscope", "html", "text"):
            raise _malformed("format", form, "speedscope, html or text")
        with self._only(f"a CPU profile of {seconds} s"):
            profile = await cpu_profile.take(seconds)
            if form == "speedscope":
                text = await cpu_profile.speedscope(profile, f"media-service, {seconds} s")
                return web.Response(text=text, content_type="application/json", headers=_NO_STORE)
            is_page = form == "html"
            text = await cpu_profile.page(profile, "html" if is_page else "text")
        return web.Response(text=text, content_type="text/html" if is_page else "text/plain", headers=_NO_STORE)

    async def heap(self, request: web.Request) -> web.Response:
        """What is allocated in the next `seconds` and stays, and the process's memory."""
        seconds = whole_number(request, "seconds", _DEFAULT_SECONDS, 0, _LONGEST)
        with self._only(f"a heap profile of {seconds} s"):
            profile = await heap_profile.take(seconds)
        return web.json_response(profile, headers=_NO_STORE, dumps=lambda body: json.dumps(body, indent=2) + "\n")

    async def goroutine(self, request: web.Request) -> web.Response:
        """The asyncio tasks: a line for each, or with `debug=2` the stacks, of threads too."""
        debug = whole_number(request, "debug", 1, 1, 2)
        lines = task_stacks.grouped() if debug == 1 else task_stacks.in_full()
        return web.Response(text="".join([line async for line in lines]), headers=_NO_STORE)

    @contextmanager
    def _only(self, what: str) -> Iterator[None]:
        if self._running:
            raise Conflict(f"{self._running} is being taken: come again when it is done", code="profile_running")
        self._running = what
        try:
            yield
        finally:
            self._running = ""


def whole_number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """A number of the query. Raises `MalformedMessage`."""
    text = request.query.get(name, str(default))
    if not re.fullmatch("[0-9]{1,3}", text, re.ASCII) or not least <= int(text) <= most:
        raise _malformed(name, text, f"a whole number from {least} to {most}")
    return int(text)


def _malformed(name: str, text: str, allowed: str) -> MalformedMessage:
    return MalformedMessage(f"{name} is {text[:100]!r}: it must be {allowed}", code="bad_request")

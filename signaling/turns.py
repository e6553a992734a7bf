"""Requests take turns: however many come at once, pictures are sent between them."""

import asyncio
from collections import deque

from aiohttp import web
from aiohttp.typedefs import Middleware

from signaling.problems import Handler

AT_ONCE = 4
"""Requests that are begun in one turn of the event loop. Most take some 200 microseconds until they answer or wait."""


class Turns:
    """Lets in a few per turn of the event loop; who comes after waits in line."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()
        self._let_in = 0
        """In this turn of the event loop."""

    async def take(self) -> None:
        """Returns when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if self._let_in < AT_ONCE and not self._line:
            self._count(loop)
            return
        turn = loop.create_future()
        self._line.append(turn)
        await turn

    def _count(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._let_in:
            loop.call_soon(self._next, loop)
        self._let_in += 1

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        self._let_in = 0
        while self._line and self._let_in < AT_ONCE:
            turn = self._line.popleft()
            if not turn.done():  # Whoever gave up waiting has cancelled it.
                turn.set_result(None)
                self._count(loop)


def in_turn() -> Middleware:
    """Has every request wait for its turn, before anything is done for it."""
    turns = Turns()

    @web.middleware
    async def wait(request: web.Request, handler: Handler) -> web.StreamResponse:
        await turns.take()
        return await handler(request)

    return wait

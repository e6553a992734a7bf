"""Connections on which nobody asks anything: ended in time, so that no one can hold every file descriptor there is."""

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from signaling.problems import Handler

_log = structlog.get_logger(__name__)

_ROUND = 1.0
_MOST_IDLE = 1000


@dataclass(frozen=True, slots=True)
class Patience:
    """How long what is not done may take, in seconds, and how many connections may wait."""

    first_request: float = 20.0
    """For the head of the first request, and for the body of any."""
    next_request: float = 120.0
    """For the next one on the same connection, the rest of the former answer included. Proxies let go sooner."""
    idle: int = field(default_factory=lambda: min(_MOST_IDLE, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
    """Connections that may wait for a request; of more, those go that waited longest. Half of what may be open is left
    for everything else."""


class IdleConnections:
    """Ends them. To be the first middleware (`notice`), and to `follow` the server."""

    def __init__(self, patience: Patience | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self.ended: Counter[str] = Counter()
        """Connections that were ended, by reason: `slow` (a request that does not become whole), `idle`, `surplus`."""
        self._patience = patience or Patience()
        self._clock = clock
        self._busy: dict[web.RequestHandler, tuple[web.Request, float]] = {}
        """What is answered on each connection, and since when."""
        self._waiting: dict[web.RequestHandler, float] = {}
        """Since when a connection waits for a request; in that order."""
        self._served: set[web.RequestHandler] = set()
        """Connections that had one already."""

    @property
    def busy(self) -> int:
        """Connections on which something is answered."""
        return len(self._busy)

    @property
    def waiting(self) -> int:
        """Those that wait for a request, as far as they were looked at."""
        return len(self._waiting)

    @web.middleware
    async def notice(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Know that something is asked."""
        connection = request.protocol
        self._waiting.pop(connection, None)
        self._busy[connection] = request, self._clock()
        try:
            return await handler(request)
        finally:
            del self._busy[connection]
            self._waiting[connection] = self._clock()
            self._served.add(connection)

    def follow(self, connections: Callable[[], Collection[web.RequestHandler]]) -> Callable[[], None]:
        """Look at the server's `connections` every second; returns what ends that."""
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_ROUND, lambda: look())

        def look() -> None:
            nonlocal timer
            timer = loop.call_later(_ROUND, look)
            self.look(connections())

        return lambda: timer.cancel()

    def look(self, connections: Collection[web.RequestHandler]) -> None:
        """End those of all `connections` that take too long."""
        now, patience = self._clock(), self._patience
        there = frozenset(connections)
        self._served &= there
        self._waiting = {each: since for each, since in self._waiting.items() if each in there}
        for each in connections:
            if each not in self._busy:
                self._waiting.setdefault(each, now)
        late = {
            each: "slow"
            for each, (request, since) in self._busy.items()
            if now - since > patience.first_request and not request.content.is_eof()
        }
        surplus = len(self._waiting) - patience.idle
        for number, (each, since) in enumerate(self._waiting.items()):
            if now - since > self._patience_with(each):
                late[each] = "idle"
            elif number < surplus:
                late[each] = "surplus"
        for each in late:
            self._waiting.pop(each, None)
            if each.transport is not None:
                each.transport.abort()
        self.ended.update(late.values())
        if surplus > 0:
            _log.warning("connections that ask nothing were ended", ended=surplus, kept=patience.idle)

    def _patience_with(self, connection: web.RequestHandler) -> float:
        return self._patience.next_request if connection in self._served else self._patience.first_request

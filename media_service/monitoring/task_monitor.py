"""Counts the asyncio tasks, and says so in the log when there are more than there is work for."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from media_service.monitoring.task_stacks import kinds_of

_log = structlog.get_logger(__name__)

_PER_SESSION: Final = 6
_PER_STREAM: Final = 16
_PER_PHONE: Final = 3
_PER_WEBSOCKET: Final = 4
"""Tasks that one may need at most, with what its beginning and its end take."""
_OF_A_REQUEST: Final = "RequestHandler."
"""What aiohttp runs for connections and requests begins with this: there are as many as clients like."""
_TOLD: Final = 8
"""Functions that a warning names."""


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to do."""

    sessions: int
    streams: int
    phones: int
    websockets: int

    @property
    def tasks(self) -> int:
        """How many tasks it may need, at most."""
        return (
            _PER_SESSION * self.sessions
            + _PER_STREAM * self.streams
            + _PER_PHONE * self.phones
            + _PER_WEBSOCKET * self.websockets
        )


class TaskMonitor:
    """Knows a leak when it sees one.

    The service itself needs some tasks whatever it does: at most as many as there were when there were fewest. To
    these come as many as the work may need, and those of HTTP requests. What is beyond that nobody accounts for; when
    it exceeds the threshold, tasks are begun somewhere that do not end. While there is much work a leak has to be
    larger to be seen, but what ends with its work never looks like one.
    """

    def __init__(self, load: Callable[[], Load], threshold: int) -> None:
        """`load` says what there is to do now."""
        self.unaccounted = 0
        """Tasks beyond those that are accounted for, when last counted."""
        self.is_leaking = False
        self._load = load
        self._threshold = threshold
        self._fewest: int | None = None
        self._then: Counter[str] = Counter()
        """What ran when there were fewest."""

    async def run(self, interval: float) -> None:
        """Count every `interval` seconds. Never ends."""
        while True:
            self.look(kinds_of(asyncio.all_tasks()), self._load())
            await asyncio.sleep(interval)

    def look(self, kinds: Counter[str], load: Load) -> None:
        """Judge the tasks that there are, counted by the function that they run, while so much is to be done."""
        kinds = Counter({kind: count for kind, count in kinds.items() if not kind.startswith(_OF_A_REQUEST)})
        tasks = kinds.total()
        if self._fewest is None or tasks < self._fewest:
            self._fewest, self._then = tasks, kinds
        accounted = self._fewest + load.tasks
        self.unaccounted = max(0, tasks - accounted)
        if not self.is_leaking and self.unaccounted > self._threshold:
            self.is_leaking = True
            _log.warning(
                "more asyncio tasks than there is work for: some do not end",
                tasks=tasks,
                accounted=accounted,
                sessions=load.sessions,
                streams=load.streams,
                more_than_before=dict((kinds - self._then).most_common(_TOLD)),
            )
        elif self.is_leaking and self.unaccounted <= self._threshold // 2:
            self.is_leaking = False
            _log.info("no more asyncio tasks than there is work for", tasks=tasks, accounted=accounted)

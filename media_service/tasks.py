"""Tasks that come and go with one owner: sessions, streams."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

_log = structlog.get_logger(__name__)


_PAUSE = 1.0
"""Seconds before what crashed, or ended without being asked, is begun anew."""


class Tasks:
    """Owns the tasks it starts: none is lost to the garbage collector, none outlives the owner, a crash is logged.

    Unlike a TaskGroup it does not end the others when one crashes: a bug in one session must not cost the rest.
    """

    def __init__(self) -> None:
        self.crashed = 0
        """Tasks that crashed."""
        self._running: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Run `work` until it ends or the owner closes."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    def keep(self, make: Callable[[], Coroutine[Any, Any, Any]], name: str) -> asyncio.Task[Any]:
        """Run what never ends by itself, and begin it anew when it crashes."""
        return self.start(self._keep(make, name), name)

    async def _keep(self, make: Callable[[], Coroutine[Any, Any, Any]], name: str) -> None:
        while True:
            try:
                await make()
            except Exception:
                self.crashed += 1
                _log.exception("a task crashed and is begun anew", task=name)
            await asyncio.sleep(_PAUSE)

    async def aclose(self) -> None:
        """Cancel what is running and wait for its end."""
        running = [task for task in self._running if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.crashed += 1
            _log.error("a task crashed", task=task.get_name(), exc_info=error)

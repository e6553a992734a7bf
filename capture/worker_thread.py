"""A thread of one's own for calls that would block the event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")


class WorkerThread:
    """Runs calls one after another, in the order they were asked for, in one thread that its owner closes."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """The result of `call`. When cancelled, a call that has begun still runs to its end, before any later one."""
        return await asyncio.wrap_future(self._executor.submit(call))

    def close(self) -> None:
        """Take no more calls, and end when those that were asked for are over."""
        self._executor.shutdown(wait=False)

    async def aclose(self, last: Callable[[], None]) -> None:
        """Have `last` run after what was asked for, and end the thread. To be called once."""
        done = self._executor.submit(last)
        self.close()
        await asyncio.wrap_future(done)

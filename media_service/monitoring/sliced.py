"""Long work in the event loop, a slice at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import Final, TypeVar

_SLICE: Final = 0.002
"""Seconds that the event loop is held at once."""

Item = TypeVar("Item")


async def sliced(items: Iterable[Item]) -> AsyncIterator[Item]:
    """The items; whoever else waits for the event loop has a turn whenever they took two milliseconds."""
    deadline = time.perf_counter() + _SLICE
    for item in items:
        yield item
        if time.perf_counter() > deadline:
            await asyncio.sleep(0)
            deadline = time.perf_counter() + _SLICE

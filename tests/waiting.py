"""Waiting for what other tasks do, without guessing how long it takes."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], *, timeout: float = 10.0, pause: float = 0.001) -> None:
    """Return when `condition` holds; raises `TimeoutError` when that takes longer than `timeout` seconds.

    With a `pause` of 0 it is looked at in every turn of the event loop.
    """
    async with asyncio.timeout(timeout):
        while not condition():
            await asyncio.sleep(pause)

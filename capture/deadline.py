"""Waiting for a moment, or for the end."""

import asyncio
import time


async def wait_until(deadline: float, ended: asyncio.Event) -> bool:
    """Sleep until `deadline` (seconds of `time.monotonic()`) or until `ended` is set; whether it is not set."""
    delay = deadline - time.monotonic()
    if delay > 0 and not ended.is_set():
        try:
            async with asyncio.timeout(delay):
                await ended.wait()
        except TimeoutError:
            pass
    return not ended.is_set()

"""How late the event loop runs what is due."""

import asyncio
from collections.abc import Callable

_INTERVAL = 0.05


async def watch_loop_lag(observe: Callable[[float], None]) -> None:
    """Give `observe` the seconds by which the loop was late, twenty times per second. Never ends."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        observe(max(0.0, loop.time() - due))

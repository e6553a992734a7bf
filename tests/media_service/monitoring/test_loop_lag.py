"""How late the event loop runs what is due."""

import asyncio
import time

from media_service.monitoring.loop_lag import watch_loop_lag
from tests.waiting import until


async def test_a_blocked_loop_is_noticed() -> None:
    lags: list[float] = []
    task = asyncio.get_running_loop().create_task(watch_loop_lag(lags.append))
    await until(lambda: lags)
    before = len(lags)
    asyncio.get_running_loop().call_soon(time.sleep, 0.1)
    await until(lambda: len(lags) > before)
    task.cancel()
    # The watch was due within 50 ms of the block's beginning.
    assert max(lags[before:]) >= 0.045
    assert min(lags) >= 0

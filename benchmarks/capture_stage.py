"""Captures phones and does nothing with their pictures: what of the service's cost is capture.

python -m benchmarks.capture_stage ADB_PORT SERIAL...     prints the pictures so far, ten times a second
"""

import asyncio
import logging
import sys

import structlog

from capture.adb.client import AdbClient
from capture.screenrecord import open_screenrecord

_BIT_RATE = 2_000_000


class _Pictures:
    count = 0


async def _capture(client: AdbClient, serial: str, pictures: _Pictures) -> None:
    source = await open_screenrecord(client, serial, bit_rate=_BIT_RATE)
    try:
        async for _ in source:
            pictures.count += 1
    finally:
        await source.aclose()


async def _run(port: int, serials: list[str]) -> None:
    client, pictures = AdbClient(port=port), _Pictures()
    async with asyncio.TaskGroup() as group:
        for serial in serials:
            group.create_task(_capture(client, serial, pictures))
            await asyncio.sleep(0.05)  # so that their pictures do not fall together
        while True:
            print(pictures.count, flush=True)
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    asyncio.run(_run(int(sys.argv[1]), sys.argv[2:]))

"""What the players watch."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
import pytest_asyncio

from tests.fixtures.service import RunningService, no_sessions, online


@pytest_asyncio.fixture(loop_scope="session")
async def endpoint(demo_service: RunningService) -> AsyncIterator[str]:
    """The WHEP endpoint of the demo phone, of a service in a process of its own; nobody watches when the test ends."""
    address = demo_service.address
    async with aiohttp.ClientSession() as session, session.get(f"{address}api/media/devices") as response:
        # Phones of other tests may still be listed, or remembered for a while.
        (device,) = [each for each in (await response.json())["devices"] if each["origin"] == "--demo"]
    await online(address, device["deviceId"])
    yield f"{address}api/media/whep/{quote(device['deviceId'])}"
    await no_sessions(address)

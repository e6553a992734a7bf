"""Modules that open sockets run on both event loops: the service's uvloop and the standard one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import uvloop

from tests.rtc.joined import JoinedEnds, joined_ends

_SOCKET_MODULES = frozenset({"test_media_port.py", "test_ice_tcp.py", "test_path.py", "test_peer.py"})


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The event loops that a test runs on, by name."""
    if item.path.name in _SOCKET_MODULES:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}


@pytest.fixture
async def joined() -> AsyncIterator[JoinedEnds]:
    """A connected transport of ours and the browser's end of it."""
    ends = await joined_ends()
    yield ends
    await ends.dtls.aclose()

"""An integration whose `run` goes on in the background, as in the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol, TypeVar

from media_service.dependency import Dependency, DependencyStatus
from media_service.tasks import Tasks
from tests.waiting import until


class Integration(Dependency, Protocol):
    async def run(self) -> None: ...

    async def aclose(self) -> None: ...


AnIntegration = TypeVar("AnIntegration", bound=Integration)


@asynccontextmanager
async def running(integration: AnIntegration) -> AsyncIterator[AnIntegration]:
    """It runs during the block, and must not have ended by itself."""
    tasks = Tasks()
    task = tasks.start(integration.run(), integration.name)
    try:
        yield integration
        assert not task.done()
        await integration.aclose()
    finally:
        await tasks.aclose()
        with suppress(asyncio.CancelledError):
            await task


async def healthy(integration: Integration, timeout: float = 5.0) -> None:
    """Wait until it is, which may take no longer than is promised."""
    await until(lambda: integration.state.status is DependencyStatus.HEALTHY, timeout=timeout)
    assert integration.state.reason == ""


async def unhealthy(integration: Integration, reason: str, timeout: float = 5.0) -> None:
    """Wait until it is, for a reason in which that occurs."""

    def is_so() -> bool:
        state = integration.state
        return state.status is DependencyStatus.UNHEALTHY and reason in state.reason

    try:
        await until(is_so, timeout=timeout)
    except TimeoutError:
        raise AssertionError(f"{integration.state} rather than {reason!r}") from None

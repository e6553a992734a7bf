"""Keeping a connection to a program that comes and goes."""

from asyncio import CancelledError, current_task, sleep
from collections.abc import Awaitable, Callable
from typing import NoReturn

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type
from tenacity.wait import wait_exponential, wait_random

_SHORTEST, _LONGEST = 0.25, 1.5
"""Seconds between attempts: what is back is to be used again within five, an attempt that hangs included."""

_log = structlog.get_logger(__name__)


def heed_cancellation() -> None:
    """Raise `CancelledError` if the task was cancelled and a library kept that to itself.

    `asyncio.wait_for` does when what it waits for is done at the same moment, before Python 3.12
    (github.com/python/cpython/issues/81839). A task that never ends has to look again, or it cannot be ended.
    """
    task = current_task()
    if task is not None and task.cancelling():
        raise CancelledError


async def keep_connected(
    connect: Callable[[], Awaitable[None]],
    failed: Callable[[BaseException], None],
    troubles: tuple[type[BaseException], ...],
) -> NoReturn:
    """Call `connect` again and again. Never ends.

    It connects, works until the connection is lost, and returns then; it raises one of `troubles` when there is no
    connection to be had, which `failed` is told. Attempts in vain follow each other more and more slowly.

    Libraries raise other things too for bytes that are not what they expect, as of another program on that port. These
    are told in the same way, and the log has a traceback of each kind.
    """
    unforeseen: set[type[BaseException]] = set()

    def note(attempt: RetryCallState) -> None:
        if attempt.outcome is None or (error := attempt.outcome.exception()) is None:
            return
        if not isinstance(error, troubles) and type(error) not in unforeseen:
            unforeseen.add(type(error))
            _log.error("a dependency made us stumble", exc_info=error)
        failed(error)

    while True:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Exception),
            wait=wait_exponential(_SHORTEST, _LONGEST) + wait_random(0, _SHORTEST),
            before_sleep=note,
        ):
            with attempt:
                await connect()
            heed_cancellation()
        # One that is lost as soon as it is there must not keep us busy.
        await sleep(_SHORTEST)

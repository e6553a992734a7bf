"""Tasks with one owner."""

import asyncio

import pytest
import structlog

from media_service.tasks import Tasks
from tests.waiting import until


async def _crash() -> None:
    raise LookupError("a bug")


async def test_a_crash_is_logged_and_costs_nobody_else() -> None:
    tasks = Tasks()
    done = asyncio.Event()
    waiting = tasks.start(done.wait(), "waits")
    with structlog.testing.capture_logs() as logs:
        tasks.start(_crash(), "crashes")
        await until(lambda: logs)
    assert [(log["event"], log["task"], log["log_level"]) for log in logs] == [("a task crashed", "crashes", "error")]
    assert isinstance(logs[0]["exc_info"], LookupError)
    assert not waiting.done()
    done.set()
    assert await waiting is True
    await tasks.aclose()


async def test_a_task_has_its_name_and_its_result() -> None:
    tasks = Tasks()
    task = tasks.start(asyncio.sleep(0, "result"), "named")
    assert task.get_name() == "named"
    assert await task == "result"


async def test_closing_cancels_what_runs_and_waits_for_its_end() -> None:
    tasks = Tasks()
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("cleaned up")

    for number in range(3):
        tasks.start(work(), f"work {number}")
    await asyncio.sleep(0)
    with structlog.testing.capture_logs() as logs:
        await tasks.aclose()
    assert ended == ["cleaned up"] * 3
    assert logs == []
    await tasks.aclose()


async def test_a_task_may_close_its_own_owner() -> None:
    tasks = Tasks()
    other = tasks.start(asyncio.Event().wait(), "other")
    closing = tasks.start(tasks.aclose(), "closing")
    async with asyncio.timeout(10):
        await closing
    assert other.cancelled()


async def test_a_crash_while_closing_is_logged() -> None:
    tasks = Tasks()

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError("could not clean up") from None

    task = tasks.start(stubborn(), "stubborn")
    await asyncio.sleep(0)
    with structlog.testing.capture_logs() as logs:
        await tasks.aclose()
    assert [log["task"] for log in logs] == ["stubborn"]
    with pytest.raises(LookupError):
        task.result()


async def test_what_is_kept_is_begun_anew() -> None:
    tasks = Tasks()
    begun: list[int] = []
    done = asyncio.Event()

    async def work() -> None:
        begun.append(len(begun))
        if len(begun) == 1:
            raise LookupError("a bug")
        done.set()
        await asyncio.Event().wait()

    with structlog.testing.capture_logs() as logs:
        tasks.keep(work, "kept")
        await asyncio.wait_for(done.wait(), 10)
    assert [(log["event"], log["task"]) for log in logs] == [("a task crashed and is begun anew", "kept")]
    assert (begun, tasks.crashed) == ([0, 1], 1)
    await tasks.aclose()

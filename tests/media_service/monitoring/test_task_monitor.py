"""When tasks are too many for the work that there is."""

import asyncio
from collections import Counter
from collections.abc import MutableMapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from media_service.monitoring.task_monitor import Load, TaskMonitor
from media_service.monitoring.task_stacks import kinds_of
from tests.waiting import until

IDLE = Load(0, 0, 0, 0)
SERVICE = Counter({"Sessions.look_after": 1, "Devices.follow": 1, "watch_loop_lag": 1})


def monitor(threshold: int = 20) -> TaskMonitor:
    return TaskMonitor(lambda: IDLE, threshold)


def looked(tasks: TaskMonitor, kinds: Counter[str], load: Load = IDLE) -> list[MutableMapping[str, Any]]:
    """What the log says of one look."""
    with capture_logs() as logs:
        tasks.look(kinds, load)
    return logs


def test_a_leak_is_told_once_and_that_it_is_over() -> None:
    tasks = monitor()
    assert not looked(tasks, SERVICE)
    assert not looked(tasks, SERVICE + Counter({"Session._free": 20}))
    (told,) = looked(tasks, SERVICE + Counter({"Session._free": 21}))
    assert (told["log_level"], told["tasks"], told["accounted"]) == ("warning", 24, 3)
    assert told["more_than_before"] == {"Session._free": 21}
    assert (tasks.is_leaking, tasks.unaccounted) == (True, 21)
    assert not looked(tasks, SERVICE + Counter({"Session._free": 40}))
    assert not looked(tasks, SERVICE + Counter({"Session._free": 15})), "it is not over yet"
    (told,) = looked(tasks, SERVICE + Counter({"Session._free": 10}))
    assert (told["log_level"], tasks.is_leaking, tasks.unaccounted) == ("info", False, 10)
    assert looked(tasks, SERVICE + Counter({"Session._free": 21}))


@pytest.mark.parametrize(
    ("load", "work"),
    [
        (Load(300, 0, 0, 0), Counter({"DtlsTransport.run": 300, "Session._connect": 300})),
        (Load(0, 20, 0, 0), Counter({"Streams._run": 20, "PhoneSource._climb": 20, "Session.run": 40})),
        (Load(0, 0, 100, 0), Counter({"KeptPhones._keep": 100})),
        (Load(0, 0, 0, 50), Counter({"Connection._send": 50})),
        (IDLE, Counter({"RequestHandler.start": 500, "RequestHandler._handle_request": 500})),
    ],
)
def test_work_is_no_leak(load: Load, work: Counter[str]) -> None:
    tasks = monitor()
    tasks.look(SERVICE, IDLE)
    assert not looked(tasks, SERVICE + work, load)
    assert tasks.unaccounted == 0
    assert not looked(tasks, SERVICE)


def test_what_stays_when_the_work_is_done_is_one() -> None:
    tasks = monitor()
    tasks.look(SERVICE, IDLE)
    left = SERVICE + Counter({"Session._connect": 30})
    assert not looked(tasks, left, Load(30, 0, 0, 0))
    assert looked(tasks, left)


def test_a_leak_under_load_is_seen_when_it_has_grown() -> None:
    tasks = monitor()
    tasks.look(SERVICE, IDLE)
    seen = [
        bool(looked(tasks, SERVICE + Counter({"Session._free": leaked, "DtlsTransport.run": 10}), Load(10, 1, 0, 0)))
        for leaked in range(0, 200, 10)
    ]
    assert seen.count(True) == 1


def test_a_service_that_was_busy_when_first_looked_at() -> None:
    tasks = monitor()
    tasks.look(SERVICE + Counter({"KeptPhones._keep": 100}), Load(0, 0, 100, 0))
    tasks.look(SERVICE, IDLE)
    assert not looked(tasks, SERVICE + Counter({"leak": 20}))
    assert looked(tasks, SERVICE + Counter({"leak": 21}))


async def test_tasks_that_run_are_counted_by_function_and_never_by_name() -> None:
    gate = asyncio.Event()

    async def leak(secret: str) -> None:
        await gate.wait()

    tasks = TaskMonitor(lambda: IDLE, 5)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(tasks.run(0.001))
        await until(lambda: tasks._fewest is not None)
        with capture_logs() as logs:
            for number in range(10):
                group.create_task(leak("hunter2"), name=f"session secret{number}")
            await until(lambda: tasks.is_leaking)
        name = "test_tasks_that_run_are_counted_by_function_and_never_by_name.<locals>.leak"
        assert logs[0]["more_than_before"][name] == kinds_of(asyncio.all_tasks())[name] == 10
        assert "secret" not in str(logs)
        gate.set()
        await until(lambda: not tasks.is_leaking)
        running.cancel()

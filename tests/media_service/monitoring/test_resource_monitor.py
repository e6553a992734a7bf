"""Memory and CPU time, of this process and of those below it."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from media_service.monitoring.resource_monitor import ResourceMonitor, ResourceUse, cpu_percent, measure
from tests.waiting import until

TAKE = "kept = bytearray(50_000_000); kept[::4096] = bytes(len(kept[::4096]))"
BURN = "[None for _ in iter(lambda: time.process_time() < 0.3, False)]"

OBEY = """
import subprocess, sys, time
print(flush=True)
for step in sys.argv[1:]:
    sys.stdin.readline()
    exec(step)
    print(flush=True)
sys.stdin.read()
"""


@contextmanager
def told_to(*steps: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[], None]]]:
    """A Python of its own, whose memory nothing else changes, and what has it do the next of `steps`."""
    with subprocess.Popen(
        [sys.executable, "-c", OBEY, *steps],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        stdin, stdout = child.stdin, child.stdout
        assert stdout.readline()

        def go_on() -> None:
            stdin.write("\n")
            stdin.flush()
            assert stdout.readline()

        yield child, go_on


@pytest.mark.parametrize(
    ("seconds", "cpu", "percent"),
    [(10.0, 5.0, 50.0), (10.0, 20.0, 200.0), (10.0, 0.0, 0.0), (0.0, 5.0, 0.0), (-1.0, 5.0, 0.0), (10.0, -3.0, 0.0)],
)
def test_percents_of_a_core(seconds: float, cpu: float, percent: float) -> None:
    earlier = ResourceUse(1000, 100.0, 50.0)
    assert cpu_percent(earlier, ResourceUse(1000, 100.0 + cpu, 50.0 + seconds)) == pytest.approx(percent)


def test_a_process_is_measured() -> None:
    with told_to(f"{TAKE}; {BURN}") as (child, go_on):
        process = psutil.Process(child.pid)
        before = measure(process)
        go_on()
        after = measure(process)
    assert after.memory_bytes > before.memory_bytes + 40_000_000
    assert after.cpu_seconds > before.cpu_seconds + 0.2
    assert after.taken_at > before.taken_at


def test_programs_below_count_while_they_run_and_after() -> None:
    below = f"[sys.executable, '-c', {f'import sys, time; {TAKE}; {BURN}; print(); sys.stdin.read()'!r}]"
    start = f"child = subprocess.Popen({below}, stdin=subprocess.PIPE, stdout=subprocess.PIPE); child.stdout.readline()"
    with told_to(start, "child.communicate()") as (child, go_on):
        process = psutil.Process(child.pid)
        before = measure(process)
        go_on()
        during = measure(process)
        assert during.memory_bytes > before.memory_bytes + 50_000_000
        assert during.cpu_seconds > before.cpu_seconds + 0.2
        go_on()
        after = measure(process)
    assert after.memory_bytes < during.memory_bytes - 40_000_000
    assert after.cpu_seconds > during.cpu_seconds - 0.005  # less than the kernel counts in


async def test_the_monitor_measures_now_and_then() -> None:
    uses = [ResourceUse(1000, 1.0, 10.0), ResourceUse(3000, 2.0, 14.0), ResourceUse(2000, 5.0, 16.0)]
    taken: list[ResourceUse] = []

    def take() -> ResourceUse:
        taken.append(uses[min(len(taken), 2)])
        return taken[-1]

    monitor = ResourceMonitor(take)
    assert (monitor.memory_bytes, monitor.cpu_percent) == (0, 0.0)
    for use, percent in zip(uses, (0.0, 25.0, 150.0), strict=True):
        monitor.note(use)
        assert (monitor.memory_bytes, monitor.cpu_percent) == (use.memory_bytes, percent)
    running = asyncio.get_running_loop().create_task(ResourceMonitor(take).run(0.001))
    await until(lambda: len(taken) >= 3)
    running.cancel()

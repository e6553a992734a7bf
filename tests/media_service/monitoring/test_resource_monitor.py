"""Memory and CPU time, of this process and of those below it."""

import asyncio
import mmap
import subprocess
import sys

import psutil
import pytest

from media_service.monitoring.resource_monitor import ResourceMonitor, ResourceUse, cpu_percent, measure
from tests.waiting import until

CHILD = "import sys; kept = bytearray(50_000_000); kept[::4096] = bytes(len(kept[::4096])); print('up', flush=True); "


@pytest.mark.parametrize(
    ("seconds", "cpu", "percent"),
    [(10.0, 5.0, 50.0), (10.0, 20.0, 200.0), (10.0, 0.0, 0.0), (0.0, 5.0, 0.0), (-1.0, 5.0, 0.0), (10.0, -3.0, 0.0)],
)
def test_percents_of_a_core(seconds: float, cpu: float, percent: float) -> None:
    earlier = ResourceUse(1000, 100.0, 50.0)
    assert cpu_percent(earlier, ResourceUse(1000, 100.0 + cpu, 50.0 + seconds)) == pytest.approx(percent)


def test_this_process_is_measured() -> None:
    process = psutil.Process()
    before = measure(process)
    # A mapping of its own: the allocator may serve a bytearray from pages that other tests left resident.
    with mmap.mmap(-1, 30_000_000) as kept:
        kept[::4096] = bytes(len(kept[::4096]))
        while measure(process).cpu_seconds < before.cpu_seconds + 0.05:
            sum(range(10_000))
        after = measure(process)
    assert after.memory_bytes > before.memory_bytes + 20_000_000
    assert after.taken_at > before.taken_at


def test_programs_below_count_while_they_run_and_after() -> None:
    process = psutil.Process()
    before = measure(process)
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint('done', flush=True); sys.stdin.read()"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD + burn!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert [child.stdout.readline(), child.stdout.readline()] == ["up\n", "done\n"]
        during = measure(process)
        assert during.memory_bytes > before.memory_bytes + 50_000_000
        assert during.cpu_seconds > before.cpu_seconds + 0.2
    after = measure(process)
    assert after.memory_bytes < during.memory_bytes - 40_000_000
    assert after.cpu_seconds >= during.cpu_seconds


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

"""Memory and CPU time of the service, and of the programs that it runs: adb, `ffmpeg`, a demo phone."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """What was used at one moment."""

    memory_bytes: int
    """That are resident; what processes share counts for each of them."""
    cpu_seconds: float
    """Since each of the processes began, and of those that ended."""
    taken_at: float
    """Monotonic seconds."""


def cpu_percent(earlier: ResourceUse, later: ResourceUse) -> float:
    """Percent of one core in between."""
    elapsed = later.taken_at - earlier.taken_at
    if elapsed <= 0:
        return 0.0
    # A process that ended without being waited for takes its time with it.
    return max(0.0, 100 * (later.cpu_seconds - earlier.cpu_seconds) / elapsed)


def measure(process: psutil.Process) -> ResourceUse:
    """What `process` and all below it use now. It reads some files of the kernel for each."""
    times = process.cpu_times()
    memory = process.memory_info().rss
    cpu = times.user + times.system + times.children_user + times.children_system
    for child in _below(process.pid):
        with suppress(psutil.Error):
            found = psutil.Process(child)
            child_times, child_memory = found.cpu_times(), found.memory_info().rss
            cpu += child_times.user + child_times.system + child_times.children_user + child_times.children_system
            memory += child_memory
    return ResourceUse(memory, cpu, time.monotonic())


def _below(process_id: int) -> Iterator[int]:
    """The processes that it has started, and those that they have."""
    # proc(5): psutil would look at every process of the machine.
    for children in Path(f"/proc/{process_id}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _below(child)


class ResourceMonitor:
    """What is used, as measured last."""

    def __init__(self, take: Callable[[], ResourceUse] | None = None) -> None:
        """`take` measures; without it, this process is measured."""
        self.memory_bytes = 0
        self.cpu_percent = 0.0
        """Of one core, between the last two measurements."""
        process = psutil.Process()
        self._take = take or (lambda: measure(process))
        self._last: ResourceUse | None = None

    async def run(self, interval: float) -> None:
        """Measure every `interval` seconds, in a thread. Never ends."""
        trouble = ""
        while True:
            try:
                use = await asyncio.to_thread(self._take)
            except (psutil.Error, OSError) as error:  # As when there is no file descriptor left to read /proc with.
                if str(error) != trouble:
                    trouble = str(error)
                    _log.warning("memory and CPU use cannot be measured", reason=trouble)
            else:
                trouble = ""
                self.note(use)
            await asyncio.sleep(interval)

    def note(self, use: ResourceUse) -> None:
        """Take a measurement."""
        if self._last is not None:
            self.cpu_percent = cpu_percent(self._last, use)
        self._last = use
        self.memory_bytes = use.memory_bytes

"""What is measured on, and what a process used of it."""

import importlib.metadata
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PACKAGES = ("aiortc", "pylibsrtp", "pyOpenSSL", "aiohttp", "uvloop", "av")


@dataclass(frozen=True, slots=True)
class Machine:
    """What every table of numbers begins with."""

    processor: str
    cores: int
    memory_bytes: int
    kernel: str
    python: str
    packages: tuple[str, ...]
    command: str

    @classmethod
    def this(cls) -> "Machine":
        return cls(
            processor=_processor(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=psutil.virtual_memory().total,
            kernel=f"{platform.system()} {platform.release()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            packages=tuple(f"{name} {importlib.metadata.version(name)}" for name in _PACKAGES),
            command=" ".join(("python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:])),
        )

    def __str__(self) -> str:
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_bytes >> 30} GiB, {self.kernel}, {self.python},"
            f" {', '.join(self.packages)}\n$ {self.command}"
        )


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where: the sender alone on one core, everything else on the others."""

    sender: frozenset[int]
    others: frozenset[int]

    @classmethod
    def split(cls) -> "Cores":
        """On a machine with one core both share it, and the numbers say little."""
        first, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset({first}), frozenset(rest or {first}))


def cpu_seconds(process_id: int) -> float:
    """User and system time of all threads of a process, ended ones too, in nanosecond steps.

    Raises `ProcessLookupError` when it is gone.
    """
    try:
        # clock_getcpuclockid(3): the kernel's clock id of another process is made of its id; Python does not wrap it.
        return time.clock_gettime_ns((~process_id << 3) | 2) / 1e9
    except OSError as error:
        raise ProcessLookupError(f"process {process_id} is gone") from error


def waited_seconds(process_id: int) -> float:
    """How long threads of a process were ready and had no core: what others on the machine took from a measurement."""
    # proc(5): /proc/PID/task/TID/schedstat is time on the CPU, time waiting for it (both in ns), and time slices.
    waited = 0
    for path in Path(f"/proc/{process_id}/task").glob("*/schedstat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            waited += int(path.read_text().split()[1])
    return waited / 1e9


def resident_bytes(process_id: int) -> int:
    """Resident memory of a process."""
    return psutil.Process(process_id).memory_info().rss


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()

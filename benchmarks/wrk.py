"""wrk as who asks: so many connections, as fast as answers come or at a pace. `parse` is pure."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores

_SCRIPT: Final = Path(__file__).with_suffix(".lua")
_GRACE: Final = 30.0
_PATIENCE: Final = "--timeout=30s"  # Its own 2 s are less than a busy machine may take; the maximum tells.
_RESULT: Final = "result "
_FIELDS: Final = ("requests", "microseconds", "octets", "p50", "p95", "p99", "maximum", "refused", "broken")


@dataclass(frozen=True, slots=True)
class Load:
    """How much is asked."""

    connections: int
    rate: float | None = None
    """Requests per second of all connections together, somewhat less where answers are slow; None: no pauses."""

    @property
    def pause(self) -> int:
        """Milliseconds that a connection waits between an answer and its next request, in the mean."""
        return 0 if self.rate is None else max(1, round(self.connections / self.rate * 1000))

    def __str__(self) -> str:
        pace = "flat out" if self.rate is None else f"{self.rate:g}/s"
        return f"{pace}, {self.connections} connection{'s' if self.connections > 1 else ''}"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of it. Times are seconds from a request to the end of its answer."""

    requests: int
    seconds: float
    octets: int
    """Headers too."""
    p50: float
    p95: float
    p99: float
    maximum: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds

    @property
    def octets_each(self) -> float:
        return self.octets / self.requests


def ask(
    base_url: str, paths: Sequence[str], load: Load, seconds: float, cores: Cores, *, token: str | None = None
) -> Answered:
    """Ask for the paths in turn. Raises `BenchmarkError` when there is no wrk, or an answer is not a good one."""
    command = ["wrk", "-t1", f"-c{load.connections}", f"-d{max(1, round(seconds))}s", _PATIENCE, "-s", str(_SCRIPT)]
    if token is not None:
        command += ["-H", f"Authorization: Bearer {token}"]
    others = ",".join(map(str, sorted(cores.others)))
    try:
        finished = subprocess.run(
            ["taskset", "-c", others, *command, base_url, "--", str(load.pause), *paths],
            capture_output=True,
            text=True,
            timeout=seconds + _GRACE,
            check=False,
        )
    except FileNotFoundError as error:
        raise BenchmarkError(f"{error.filename} is not installed: apt-get install wrk util-linux") from error
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"wrk did not end within {seconds + _GRACE:g} s") from error
    return parse(finished.stdout + finished.stderr)


def parse(output: str) -> Answered:
    """What `wrk.lua` printed last. Raises `BenchmarkError` when that is no result, or something was refused."""
    line = next((line for line in reversed(output.splitlines()) if line.startswith(_RESULT)), None)
    try:
        found = json.loads(line.removeprefix(_RESULT)) if line is not None else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(type(found.get(name)) is int and found[name] >= 0 for name in _FIELDS):
        raise BenchmarkError(f"wrk says no result: {output[-500:]}")
    if found["refused"] or found["broken"]:
        raise BenchmarkError(
            f"of {found['requests']} requests {found['refused']} were refused and {found['broken']} broke off"
        )
    if not found["requests"] or not found["microseconds"]:
        raise BenchmarkError("nothing was answered")
    p50, p95, p99, maximum = (found[name] / 1e6 for name in ("p50", "p95", "p99", "maximum"))
    return Answered(found["requests"], found["microseconds"] / 1e6, found["octets"], p50, p95, p99, maximum)

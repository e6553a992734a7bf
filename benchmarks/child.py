"""A child process of a benchmark: started on its cores, its output kept, ended whatever happens."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.errors import BenchmarkError

_STOP_TIMEOUT = 10.0
_POLL_INTERVAL = 0.05


class Child:
    """A running child; what it prints goes to a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: Path, name: str) -> None:
        self._process = process
        self._output = output
        self._name = name

    @property
    def process_id(self) -> int:
        return self._process.pid

    def printed(self) -> str:
        """All that it has printed, errors too."""
        return self._output.read_text(errors="replace")

    def wait_until(self, is_ready: Callable[[], bool], timeout: float) -> None:
        """Raises `BenchmarkError`, with what it printed, when it ends or is not ready within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not is_ready():
            code = self._process.poll()
            if code is not None:
                raise self.trouble(f"ended with exit code {code}")
            if time.monotonic() > deadline:
                raise self.trouble(f"was not ready within {timeout:g} s")
            time.sleep(_POLL_INTERVAL)

    def trouble(self, what: str) -> BenchmarkError:
        """What to raise when something is wrong with it."""
        return BenchmarkError(f"{self._name} {what}; it printed:\n{self.printed()[-4000:]}")


@contextmanager
def child(
    command: Sequence[str], cores: frozenset[int], environment: Mapping[str, str] | None = None, *, name: str
) -> Iterator[Child]:
    """Run `command` on `cores` for the duration of the block, then end it and what it may have left behind."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        output = Path(folder) / "output"
        with output.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            )
        try:
            os.sched_setaffinity(process.pid, cores)
            yield Child(process, output, name)
        finally:
            _end(process)


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is not None:
        return
    grandchildren = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for grandchild in grandchildren:
        with suppress(psutil.NoSuchProcess):
            grandchild.kill()

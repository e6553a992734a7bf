"""A server of our own that can be killed, frozen and started again: for benchmarks and tests."""

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError

_LONGEST_LOG = 3000


class ServerProcess(ABC):
    """A program that listens on a port of 127.0.0.1."""

    name: str
    """What it is called in errors."""
    start_timeout: float
    """Seconds that it may take to answer."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """It writes to `log`; without an `environment` it has ours."""
        self._command = command
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it answers. Raises `BenchmarkError` when it does not in time."""
        with self._log.open("wb") as output:
            self._process = process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + self.start_timeout
        while process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.01)
        self.kill()
        raise BenchmarkError(f"{self.name} did not come up: {self._log.read_text(errors='replace')[-_LONGEST_LOG:]}")

    def kill(self) -> None:
        """End it without notice, if it runs."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Have it take connections and say nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it takes clients now."""

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

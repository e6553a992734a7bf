"""The process that is measured: started, waited for, read and ended."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, cpu_seconds, resident_bytes
from benchmarks.metrics import Metrics, scrape

_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 10.0
_MEDIA_PORTS = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """A running sender with WHEP at `/api/media/whep/NAME` and Prometheus at `/metrics`."""

    process_id: int
    base_url: str

    def whep_url(self, name: str) -> str:
        return f"{self.base_url}/api/media/whep/{name}"

    def metrics(self) -> Metrics:
        """Raises `BenchmarkError` when it does not answer."""
        try:
            return scrape(f"{self.base_url}/metrics")
        except OSError as error:
            raise BenchmarkError(f"{self.base_url}/metrics does not answer: {error}") from error

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process_id)

    def resident_bytes(self) -> int:
        return resident_bytes(self.process_id)


@contextmanager
def media_service(
    sources: Mapping[str, str], cores: Cores, environment: Mapping[str, str] | None = None
) -> Iterator[Sender]:
    """Run the service with these sources (name to URI) on the sender's core."""
    arguments = ["-m", "media_service", "run"]
    for name, uri in sources.items():
        arguments += ["--source", f"{name}={uri}"]
    media_port = free_port()
    with _running(
        arguments,
        cores,
        {
            "HOST": "127.0.0.1",
            "ICE_PORT_MIN": str(media_port),
            "ICE_PORT_MAX": str(min(media_port + _MEDIA_PORTS, 65535)),
            "LOG_LEVEL": "warning",
            **(environment or {}),
        },
    ) as sender:
        yield sender


@contextmanager
def stock_aiortc(clip: Path, cores: Cores) -> Iterator[Sender]:
    """Run the same stream through aiortc as its documentation uses it, on the sender's core."""
    with _running(["-m", "benchmarks.stock_aiortc", str(clip)], cores, {}) as sender:
        yield sender


def free_port() -> int:
    """A TCP port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(arguments: Sequence[str], cores: Cores, environment: Mapping[str, str]) -> Iterator[Sender]:
    port = free_port()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **environment, "PORT": str(port)},
        )
        try:
            os.sched_setaffinity(process.pid, cores.sender)
            sender = Sender(process.pid, f"http://127.0.0.1:{port}")
            try:
                _wait_until_ready(process, sender)
                yield sender
            except BenchmarkError as error:
                printed = _tail(process, output.fileno())
                raise BenchmarkError(f"{error}\n{' '.join(arguments)} printed:\n{printed}") from error
        finally:
            _end(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", sender: Sender) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise BenchmarkError(f"the sender ended at once with exit code {process.returncode}")
        try:
            sender.metrics()
            return
        except BenchmarkError:
            time.sleep(0.05)
    raise BenchmarkError(f"the sender did not answer at {sender.base_url} within {_START_TIMEOUT:g} s")


def _tail(process: "subprocess.Popen[bytes]", file_descriptor: int) -> str:
    _end(process)
    os.lseek(file_descriptor, 0, os.SEEK_SET)
    return os.read(file_descriptor, 1 << 20).decode(errors="replace")[-4000:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

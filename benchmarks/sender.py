"""The process that is measured: the service, or stock aiortc with the same face."""

import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import Child, child
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, cpu_seconds, resident_bytes, waited_seconds
from benchmarks.metrics import Metrics, scrape

_START_TIMEOUT = 30.0
_MEDIA_PORTS = 20


@dataclass(frozen=True, slots=True)
class Sender:
    """A running sender with WHEP at `/api/media/whep/NAME` and Prometheus at `/metrics`."""

    process: Child
    base_url: str

    def whep_url(self, name: str) -> str:
        return f"{self.base_url}/api/media/whep/{name}"

    def metrics(self) -> Metrics:
        """Raises `BenchmarkError` when it does not answer."""
        try:
            return scrape(f"{self.base_url}/metrics")
        except OSError as error:
            raise self.process.trouble(f"does not answer at {self.base_url}/metrics: {error}") from error

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.process_id)

    def waited_seconds(self) -> float:
        """How long it was ready to run and something else had its core."""
        return waited_seconds(self.process.process_id)

    def resident_bytes(self) -> int:
        return resident_bytes(self.process.process_id)


@contextmanager
def media_service(
    sources: Mapping[str, str],
    cores: Cores,
    environment: Mapping[str, str] | None = None,
    *,
    program: Sequence[str] = ("media_service", "run"),
) -> Iterator[Sender]:
    """Run the service with these sources (name to URI) on the sender's core; `program` is a module that is like it."""
    arguments = [*program]
    for name, uri in sources.items():
        arguments += ["--source", f"{name}={uri}"]
    media_port = free_port()
    with _running(
        "media-service",
        arguments,
        cores,
        {
            "HOST": "127.0.0.1",
            "ICE_PORT_MIN": str(media_port),
            "ICE_PORT_MAX": str(min(media_port + _MEDIA_PORTS, 65535)),
            "ANDROID_ADB_SERVER_PORT": str(free_port()),
            "LOG_LEVEL": "warning",
            **(environment or {}),
        },
    ) as sender:
        yield sender


@contextmanager
def stock_aiortc(clip: Path, cores: Cores) -> Iterator[Sender]:
    """Run the same stream through aiortc as its documentation uses it, on the sender's core."""
    with _running("stock aiortc", ["benchmarks.stock_aiortc", str(clip)], cores, {}) as sender:
        yield sender


def free_port() -> int:
    """A TCP port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(name: str, arguments: Sequence[str], cores: Cores, environment: Mapping[str, str]) -> Iterator[Sender]:
    port = free_port()
    command = [sys.executable, "-m", *arguments]
    with child(command, cores.sender, {**environment, "PORT": str(port)}, name=name) as process:
        sender = Sender(process, f"http://127.0.0.1:{port}")
        process.wait_until(lambda: _answers(sender), _START_TIMEOUT)
        try:
            yield sender
        except BenchmarkError as error:
            if not process.printed():
                raise
            raise process.trouble(f"was being measured when: {error}") from error


def _answers(sender: Sender) -> bool:
    try:
        scrape(f"{sender.base_url}/metrics")
    except OSError:
        return False
    return True

"""Phones behind a real adb server, away from the sender's core."""

import asyncio
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.child import Child, child
from benchmarks.machine import Cores, cpu_seconds
from benchmarks.sender import free_port
from capture.adb.client import AdbClient
from capture.adb.server import find_adb, server_command, server_environment
from capture.errors import AdbError
from capture.input_events import VideoSize

_START_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class Phones:
    """Phones that a running adb server has."""

    adb_port: int
    serials: tuple[str, ...]
    adb_process: int

    def adb_cpu_seconds(self) -> float:
        """CPU time of the adb server."""
        return cpu_seconds(self.adb_process)


@contextmanager
def phones(clip: Path, count: int, cores: Cores) -> Iterator[Phones]:
    """Run `count` light phones that play `clip`, all in one process, connected. Raises `BenchmarkError`."""
    playing = [sys.executable, "-m", "benchmarks.clip_phones", str(clip), str(count)]
    with child(playing, cores.others, name="clip phones") as devices:
        devices.wait_until(lambda: devices.printed().endswith("ready\n"), _START_TIMEOUT)
        with _connected(devices.printed().split()[:-1], cores) as connected:
            yield connected


@contextmanager
def demo_phones(count: int, size: VideoSize, cores: Cores, *, still: bool) -> Iterator[Phones]:
    """Run `count` demo phones, each in a process of its own, connected; `still` ones show always the same.

    Raises `BenchmarkError`.
    """
    command = [sys.executable, "-m", "capture.demo_phone", "--size", f"{size.width}x{size.height}"]
    with ExitStack() as stack:
        devices = [
            stack.enter_context(child([*command, *(["--still"] if still else [])], cores.others, name="demo phone"))
            for _ in range(count)
        ]
        with _connected([_address(device) for device in devices], cores) as connected:
            yield connected


def _address(device: Child) -> str:
    device.wait_until(lambda: device.printed().endswith("\n"), _START_TIMEOUT)
    return device.printed().split()[-1]


@contextmanager
def _connected(serials: Sequence[str], cores: Cores) -> Iterator[Phones]:
    binary, port = find_adb().path, free_port()
    with child(server_command(binary, port), cores.others, server_environment(usb=False), name="adb server") as adb:
        adb.wait_until(lambda: _listens(port), _START_TIMEOUT)
        try:
            asyncio.run(_connect(port, serials))
        except AdbError as error:
            raise adb.trouble(f"could not connect to the phones: {error}") from error
        yield Phones(port, tuple(serials), adb.process_id)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True


async def _connect(port: int, serials: Sequence[str]) -> None:
    client = AdbClient(port=port)
    for serial in serials:
        await client.connect(serial)

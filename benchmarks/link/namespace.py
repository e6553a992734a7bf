"""Network namespaces that a run makes and removes, and remains of runs that could not."""

import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Final

from benchmarks.errors import BenchmarkError

_FOLDER: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000
_OURS: Final = re.compile(r"link-(\d+)-\d+-[a-z]+")
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


class NoNamespaces(BenchmarkError):
    """Network namespaces cannot be made here; the text says why."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network of its own: its loopback, and what is put into it."""

    name: str

    def command(self, command: Sequence[str]) -> list[str]:
        """A command that runs `command` in it, in the same process."""
        return ["nsenter", f"--net={_FOLDER / self.name}", *command]

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in it with this thread: sockets and processes that are made in the block are in it, and stay there.

        Nothing may be awaited in the block.
        """
        with Path("/proc/thread-self/ns/net").open("rb") as before:
            with (_FOLDER / self.name).open("rb") as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def ip(self, *arguments: str) -> None:
        """Run `ip ARGUMENTS` in it. Raises `BenchmarkError` with what it says."""
        _run("ip", "-n", self.name, *arguments)

    def listen(self, port: int) -> socket.socket:
        """A TCP socket that listens on `port` of its loopback, for whoever is outside."""
        with self.entered():
            return socket.create_server(("127.0.0.1", port))

    def socket(self) -> socket.socket:
        """A TCP socket in it, not connected, for whoever is outside."""
        with self.entered():
            return socket.socket()


@contextmanager
def namespace(role: str) -> Iterator[Namespace]:
    """A new network namespace for the duration of the block; `role` (a few small letters) becomes part of its name.

    What runs in it at the end is killed. Raises `NoNamespaces`.
    """
    if os.geteuid() != 0:
        raise NoNamespaces("network namespaces need root")
    remove_leftovers()
    # Whoever starts it first may be in the namespace then, and it has to outlive that.
    resource_tracker.ensure_running()
    made = Namespace(f"link-{os.getpid()}-{next(_numbers)}-{role}")
    try:
        _run("ip", "netns", "add", made.name)
    except (BenchmarkError, OSError) as error:
        raise NoNamespaces(f"no network namespace can be made: {error}") from error
    try:
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        _remove(made.name)


def remove_leftovers() -> None:
    """Remove namespaces of runs that were killed, and what still runs in them."""
    for name in _names():
        match = _OURS.fullmatch(name)
        if match is not None and not Path(f"/proc/{match[1]}").exists():
            # Another run may be doing the same.
            with suppress(BenchmarkError):
                _remove(name)


def _names() -> list[str]:
    with suppress(FileNotFoundError):
        return [path.name for path in _FOLDER.iterdir()]
    return []


def _remove(name: str) -> None:
    for process_id in map(int, _run("ip", "netns", "pids", name).split()):
        if process_id != os.getpid():
            with suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)
    _run("ip", "netns", "del", name)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _enter(file_descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if _libc.setns(file_descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))

"""A program of the stack: started, waited for, ended by its process id whatever happens."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT = 40.0
_STOP_TIMEOUT = 20.0


class CannotStart(Exception):
    """Something of the stack does not come up; the text says what, and what it printed."""


@dataclass(frozen=True, slots=True)
class Program:
    """One that runs; what it prints goes to a file."""

    name: str
    process: "subprocess.Popen[bytes]"
    output: Path

    @property
    def process_id(self) -> int:
        return self.process.pid

    def printed(self) -> str:
        """All that it has printed."""
        return self.output.read_text(errors="replace")

    def wait_until(self, is_ready: Callable[[], bool]) -> float:
        """The seconds until it was. Raises `CannotStart` when it ends instead, or takes too long."""
        begin = time.monotonic()
        while not is_ready():
            code = self.process.poll()
            if code is not None:
                raise CannotStart(f"{self.name} ended with {code}: {self.printed()[-3000:]}")
            if time.monotonic() > begin + START_TIMEOUT:
                raise CannotStart(f"{self.name} was not ready within {START_TIMEOUT:g} s: {self.printed()[-3000:]}")
            time.sleep(0.01)
        return time.monotonic() - begin


@contextmanager
def running(
    name: str,
    command: Sequence[str],
    output: Path,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    umask: int = 0o022,
) -> Iterator[Program]:
    """Run `command` in `folder` for the duration of the block; it ends on SIGTERM, or is made to.

    What it prints goes to `output`. It sees `environment` and nothing else; None: what we see.
    """
    with output.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            umask=umask,
        )
    try:
        yield Program(name, process, output)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        finally:
            process.kill()
            process.wait()


def is_listening(port: int) -> bool:
    """Whether something of 127.0.0.1 takes TCP connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1.0).close()
    except OSError:
        return False
    return True

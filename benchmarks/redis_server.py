"""A Redis of our own that can be killed, frozen and started again: for benchmarks and tests."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.sender import free_port

START_TIMEOUT = 20.0


class NoRedis(BenchmarkError):
    """No Redis can be run here; the text says why."""


class RedisServer:
    """A Redis of 16 databases on a port of 127.0.0.1, which writes nothing to disk."""

    def __init__(self, program: str, folder: Path, password: str | None, prefix: Sequence[str]) -> None:
        self.port = free_port()
        self.password = password
        self._folder = folder
        self._command = [
            *prefix,
            program,
            "--bind",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--save",
            "",
            "--dir",
            str(folder),
        ]
        if password is not None:
            self._command += ["--requirepass", password]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty; returns when it answers. Raises `BenchmarkError` when it does not."""
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.005)
        self.kill()
        raise BenchmarkError(f"redis-server did not come up: {log.read_text(errors='replace')}")

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

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def redis_server(password: str | None = None, *, prefix: Sequence[str] = ()) -> Iterator[RedisServer]:
    """A Redis that runs when the block begins and has ended after it. Raises `NoRedis`.

    `prefix` is what it is run by, as `nice`.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise NoRedis("no redis-server here: install what Debian calls redis-server")
    with tempfile.TemporaryDirectory(prefix="media-service-redis-") as folder:
        server = RedisServer(program, Path(folder), password, prefix)
        try:
            server.start()
            yield server
        finally:
            server.kill()

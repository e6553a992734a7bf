"""A Redis of our own that can be killed, frozen and started again: for benchmarks and tests."""

import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.sender import free_port
from benchmarks.server_process import ServerProcess


class NoRedis(BenchmarkError):
    """No Redis can be run here; the text says why."""


class RedisServer(ServerProcess):
    """A Redis of 16 databases on a port of 127.0.0.1, which writes nothing to disk: it is empty when it starts."""

    name = "redis-server"
    start_timeout = 20.0

    def __init__(self, program: str, folder: Path, password: str | None, prefix: Sequence[str]) -> None:
        self.port = free_port()
        self.password = password
        command = [
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
            command += ["--requirepass", password]
        super().__init__(command, folder / "log")

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

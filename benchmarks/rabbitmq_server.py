"""A RabbitMQ of our own that can be killed, frozen and started again: for benchmarks and tests."""

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

START_TIMEOUT = 60.0

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the one on the PATH, which wants to be the system's own broker and becomes another user for that."""
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class NoRabbitMQ(BenchmarkError):
    """No RabbitMQ can be run here; the text says why."""


class RabbitMQServer:
    """A node on a port of 127.0.0.1 that keeps what is durable when it is started again."""

    def __init__(self, folder: Path, name_server_port: int, prefix: Sequence[str]) -> None:
        self.port = free_port()
        self._command = [*prefix, str(_SCRIPT)]
        self._log = folder / "log"
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "log.file = false\nlog.console = true\ndisk_free_limit.absolute = 1MB\n"
        )
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(name_server_port),
            "RABBITMQ_NODENAME": "media-service@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "logs"),
            "RABBITMQ_CONFIG_FILE": str(configuration),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "detached": "yes",  # The script becomes the node then, rather than its parent.
        }
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, user: str = "guest", password: str = "guest", virtual_host: str = "%2F") -> str:
        """Where it is, for such a client."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/{virtual_host}"

    def start(self) -> None:
        """Start it; returns when it takes clients, after five to ten seconds. Raises `BenchmarkError`."""
        with self._log.open("wb") as output:
            self._process = process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + START_TIMEOUT
        while process.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.02)
        self.kill()
        raise BenchmarkError(f"rabbitmq-server did not come up: {self._log.read_text(errors='replace')[-3000:]}")

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
                connection.settimeout(1.0)
                connection.sendall(_PROTOCOL_HEADER)
                return bool(connection.recv(1))
        except OSError:
            return False


@contextmanager
def rabbitmq_server(*, prefix: Sequence[str] = ()) -> Iterator[RabbitMQServer]:
    """A RabbitMQ that runs when the block begins and has ended after it. Raises `NoRabbitMQ`.

    `prefix` is what it is run by, as `nice`.
    """
    name_server = shutil.which("epmd")
    if name_server is None or not _SCRIPT.is_file():
        raise NoRabbitMQ("no RabbitMQ here: install what Debian calls rabbitmq-server")
    port = free_port()
    with (
        tempfile.TemporaryDirectory(prefix="media-service-rabbitmq-") as folder,
        # Without one of our own the node would start one that stays.
        subprocess.Popen([name_server, "-port", str(port), "-address", "127.0.0.1"]) as epmd,
    ):
        server = RabbitMQServer(Path(folder), port, prefix)
        try:
            server.start()
            yield server
        finally:
            server.kill()
            epmd.kill()

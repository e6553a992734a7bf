"""A RabbitMQ of our own that can be killed, frozen and started again: for benchmarks and tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.sender import free_port
from benchmarks.server_process import ServerProcess

_SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Not the one on the PATH, which wants to be the system's own broker and becomes another user for that."""
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"


class NoRabbitMQ(BenchmarkError):
    """No RabbitMQ can be run here; the text says why."""


class RabbitMQServer(ServerProcess):
    """A node on a port of 127.0.0.1 that keeps what is durable when it is started again, after five to ten seconds."""

    name = "rabbitmq-server"
    start_timeout = 60.0

    def __init__(self, folder: Path, name_server_port: int, prefix: Sequence[str]) -> None:
        self.port = free_port()
        configuration = folder / "rabbitmq.conf"
        configuration.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "log.file = false\nlog.console = true\ndisk_free_limit.absolute = 1MB\n"
        )
        plugins = folder / "enabled_plugins"
        plugins.write_text("[].\n")
        environment = {
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
        super().__init__([*prefix, str(_SCRIPT)], folder / "log", environment)

    def url(self, user: str = "guest", password: str = "guest", virtual_host: str = "%2F") -> str:
        """Where it is, for such a client."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/{virtual_host}"

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

"""coturn, as `deploy/README.md` configures it."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.checklist.program import CannotStart, is_listening, running
from tests.fixtures.adb import free_port


@dataclass(frozen=True, slots=True)
class TurnServer:
    """One that answers, on UDP and on TCP."""

    port: int
    secret: str

    @property
    def stun_url(self) -> str:
        return f"stun:127.0.0.1:{self.port}"

    @property
    def turn_urls(self) -> str:
        """For TURN_URLS."""
        return f"turn:127.0.0.1:{self.port},turn:127.0.0.1:{self.port}?transport=tcp"


@contextmanager
def turn_server(folder: Path) -> Iterator[TurnServer]:
    """Run it for the duration of the block, with its files in `folder`. Raises `CannotStart`."""
    program = shutil.which("turnserver")
    if program is None:
        raise CannotStart("no turnserver here: scripts/bootstrap test installs coturn")
    server = TurnServer(free_port(), secrets.token_hex(16))
    configuration = folder / "turnserver.conf"
    lines = (
        "use-auth-secret",
        f"static-auth-secret={server.secret}",
        "realm=media-service",
        "no-multicast-peers",
        # And what it takes to stay on loopback, with files of its own.
        "listening-ip=127.0.0.1",
        f"listening-port={server.port}",
        "relay-ip=127.0.0.1",
        "allow-loopback-peers",
        "no-cli",
        "no-tls",
        "no-dtls",
        "relay-threads=1",
        f"userdb={folder / 'turndb'}",
        f"pidfile={folder / 'pid'}",
        "log-file=stdout",
        "simple-log",
    )
    configuration.write_text("\n".join(lines) + "\n")
    with running("coturn", [program, "-c", str(configuration)], folder / "log", folder=folder) as coturn:
        coturn.wait_until(lambda: is_listening(server.port))
        yield server

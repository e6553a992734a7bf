"""coturn, as `deploy/README.md` configures it."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.checklist.program import CannotStart, is_listening, running
from tests.fixtures.adb import free_port
from tests.fixtures.coturn import on_loopback


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
    configuration.write_text(on_loopback(folder, server.port, server.secret))
    with running("coturn", [program, "-c", str(configuration)], folder / "log", folder=folder) as coturn:
        coturn.wait_until(lambda: is_listening(server.port))
        yield server

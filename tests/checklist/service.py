"""The service as systemd runs it: settings in a file, as a user without rights, waited for by `READY=1`."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from media_service.run_token import token_for
from tests.checklist.answer import Answer, ask
from tests.checklist.host import Host
from tests.checklist.program import CannotStart, Program, running

WATCHDOG = 2.0
"""Seconds within which it has to show a sign of life."""

ISSUER, AUDIENCE = "cloudphone-platform", "cloudphone-users"
_TOKEN_SECONDS = 3600.0
_PROGRAM = (sys.executable, "-m", "media_service")
_COMMAND_TIMEOUT = 60


def made_secret() -> str:
    """A good `JWT_SECRET`."""
    return secrets.token_urlsafe(48)


@dataclass(frozen=True, slots=True)
class Service:
    """One that is ready."""

    name: str
    port: int
    host: Host
    settings: Mapping[str, Any]
    """What is in effect, by name, as `media-service config --json` says."""
    program: Program
    ready_after: float
    """Seconds."""
    secret: str
    """What tokens are signed with."""
    _words: socket.socket
    _told: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Of the viewer page, without nginx, with a slash at the end."""
        return f"http://127.0.0.1:{self.port}/"

    @property
    def process_id(self) -> int:
        return self.program.process_id

    def told(self) -> Sequence[str]:
        """What it has told systemd so far, as `READY=1`."""
        self._told.extend(_words(self._words))
        return tuple(self._told)

    def token(self, role: str = "operator", *, user: str = "checklist", seconds: float = _TOKEN_SECONDS) -> str:
        """A token that it takes."""
        return token_for(self.secret, issuer=ISSUER, audience=AUDIENCE, user=user, roles=(role,), seconds=seconds)

    async def ask(self, method: str, path: str, **options: Any) -> Answer:
        """Ask it itself. `options` are those of `answer.ask`."""
        return await ask(method, self.address + path, **options)

    async def metrics(self) -> dict[str, float]:
        """Every sample of `/metrics`, by its name with its labels."""
        answer = await self.ask("GET", "metrics")
        lines = [line.rpartition(" ") for line in answer.text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in lines}


def config(host: Host, own_settings: Mapping[str, str]) -> Any:
    """What `media-service config --json` says. Raises `CannotStart` when it fails, or complains of a name."""
    code, said, complaints = command(host, own_settings, "config", "--json")
    if code or complaints:
        raise CannotStart(f"media-service config ended with {code}: {complaints}")
    return json.loads(said)


def command(host: Host, own_settings: Mapping[str, str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and complaints of `media-service ARGUMENTS`, run where an operator would."""
    done = subprocess.run(
        host.account.command([*_PROGRAM, *arguments]),
        cwd=host.configuration,
        env=host.environment() | dict(own_settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_COMMAND_TIMEOUT,
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def running_service(name: str, host: Host, secret: str, own_settings: Mapping[str, str]) -> Iterator[Service]:
    """Run the service with the host's settings for the duration of the block.

    The environment says `own_settings` beside the file, as that of one of several instances does. Raises
    `CannotStart`.
    """
    settings = config(host, own_settings)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as words:
        # In the abstract namespace (unix(7)): the path of a file might be too long.
        address = f"media-service-checklist-{os.getpid()}-{settings['PORT']['value']}"
        words.bind(f"\0{address}")
        words.setblocking(False)
        environment = host.environment() | dict(own_settings)
        environment |= {"NOTIFY_SOCKET": f"@{address}", "WATCHDOG_USEC": str(round(WATCHDOG * 1_000_000))}
        line = host.account.command([*_PROGRAM, "run"])
        output = host.folder / f"{name}.log"
        with running(name, line, output, folder=host.configuration, environment=environment, umask=0o027) as program:
            told: list[str] = []

            def is_ready() -> bool:
                told.extend(_words(words))
                return "READY=1" in told

            ready_after = program.wait_until(is_ready)
            port = settings["PORT"]["value"]
            yield Service(name, port, host, settings, program, ready_after, secret, words, told)


def _words(listening: socket.socket) -> Iterator[str]:
    while True:
        try:
            yield from listening.recv(4096).decode().splitlines()
        except BlockingIOError:
            return

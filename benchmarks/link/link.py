"""A link and its owner's end of it."""

import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Final

from benchmarks.errors import BenchmarkError
from benchmarks.link import wire
from benchmarks.link.impairment import Impairment
from benchmarks.link.namespace import Namespace

_START_TIMEOUT: Final = 15.0
_ANSWER_TIMEOUT: Final = 5.0
_STOP_TIMEOUT: Final = 5.0

Moment = wire.Answer
"""What a link tells of itself, and when that was."""


@dataclass(frozen=True, slots=True)
class Link:
    """A running link. Its methods raise `BenchmarkError` when its process is gone."""

    server_address: str
    client_address: str
    process_id: int
    _process: "subprocess.Popen[bytes]"

    def change(self, down: Impairment, up: Impairment | None = None) -> Moment:
        """Be another link from now on; `down` is from the server to the client, and both ways where no `up` is given.

        Gives the moment of the change and the counts until then.
        """
        return self._ask(wire.Change(down, up if up is not None else down))

    def look(self) -> Moment:
        """The counts until now."""
        return self._ask(wire.Ask())

    def _ask(self, request: wire.Request) -> Moment:
        stdin, stdout = _pipes(self._process)
        try:
            stdin.write(wire.serialize(request) + b"\n")
            stdin.flush()
        except OSError as error:
            raise BenchmarkError(f"the link's emulator is gone: {error}") from error
        return wire.parse_answer(_line(stdout, _ANSWER_TIMEOUT))


@contextmanager
def link(server: Namespace, client: Namespace, *, number: int = 0, seed: int = 1) -> Iterator[Link]:
    """Join the namespaces by a link without faults for the duration of the block. Raises `BenchmarkError`.

    Links of one namespace have different numbers. With the same `seed` the same packets are lost.
    """
    command = [sys.executable, "-m", "benchmarks.link.emulator", server.name, client.name, str(number), str(seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    stdin, stdout = _pipes(process)
    try:
        if _line(stdout, _START_TIMEOUT) != b"ready":
            raise BenchmarkError("the link's emulator did not begin as it should")
        yield Link(*wire.addresses(number), process.pid, process)
    finally:
        stdin.close()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stdout.close()


def _pipes(process: "subprocess.Popen[bytes]") -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


def _line(pipe: IO[bytes], timeout: float) -> bytes:
    """The next line, without its end; what was read beyond it would be lost, but answers come one at a time."""
    deadline = time.monotonic() + timeout
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        received = pipe.read(65536) if ready else b""
        if not received:
            raise BenchmarkError("the link's emulator ended" if ready else f"the link is silent for {timeout:g} s")
        line += received
    return line[:-1]

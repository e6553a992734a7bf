"""Runs command lines on a phone without adb between."""

from dataclasses import dataclass, field

from capture.demo_phone.commands import COMMANDS
from capture.demo_phone.phone import Phone
from capture.demo_phone.shell import Shell


@dataclass(slots=True)
class Run:
    """A command's standard streams, and its exit code when it has ended."""

    input: list[bytes] = field(default_factory=list)
    output: bytes = b""
    errors: bytes = b""
    exit_code: int | None = None

    async def read(self) -> bytes:
        return self.input.pop(0) if self.input else b""

    async def write(self, data: bytes) -> None:
        self.output += data

    async def write_error(self, data: bytes) -> None:
        self.errors += data


async def run(phone: Phone, line: str, *, input: bytes = b"") -> Run:  # noqa: A002 # as subprocess.run
    """Run a command line to its end."""
    streams = Run([input] if input else [])
    streams.exit_code = await Shell(phone, COMMANDS, streams).run(line)
    return streams

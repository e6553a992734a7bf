"""The phone's process table: running commands, and the signals that end them."""

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import count

from capture.demo_phone.adb_stream import StreamClosed

_FIRST_PID = 1200
_SIGNALLED = 128
"""What the shell adds to a signal's number for the exit code of what it ended."""


@dataclass(eq=False, slots=True)
class Process:
    """A running command."""

    pid: int
    arguments: tuple[str, ...]
    on_interrupt: Callable[[], None] | None = None
    """What SIGINT and SIGHUP do; None lets them end the process as any other signal."""
    ended_by: int | None = None
    task: asyncio.Task[int] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.arguments[0].rpartition("/")[2]

    def send_signal(self, number: int) -> None:
        """Deliver a signal; 0 only asks whether the process is there."""
        if number in (signal.SIGINT, signal.SIGHUP) and self.on_interrupt is not None:
            self.on_interrupt()
        elif number != 0 and self.task is not None:
            self.ended_by = number
            self.task.cancel()


class Processes:
    """All running commands of a phone."""

    def __init__(self) -> None:
        self._pids = count(_FIRST_PID)
        self._running: dict[int, Process] = {}

    async def run(self, arguments: tuple[str, ...], main: Callable[[Process], Coroutine[None, None, int]]) -> int:
        """Run `main` as a process; its exit code, 128 + n when signal n ended it."""
        process = Process(next(self._pids), arguments)
        self._running[process.pid] = process
        try:
            async with asyncio.TaskGroup() as tasks:
                process.task = tasks.create_task(_until_broken_pipe(main(process)))
        finally:
            del self._running[process.pid]
        if process.task.cancelled():
            return _SIGNALLED + (process.ended_by or signal.SIGKILL)
        return process.task.result()

    def __iter__(self) -> Iterator[Process]:
        return iter(list(self._running.values()))

    def find(self, pid: int) -> Process | None:
        """The running process with this number."""
        return self._running.get(pid)

    def named(self, name: str) -> list[Process]:
        """The running processes of this name, the oldest first."""
        return [process for process in self if process.name == name]


async def _until_broken_pipe(main: Coroutine[None, None, int]) -> int:
    try:
        return await main
    except StreamClosed:
        return _SIGNALLED + signal.SIGPIPE

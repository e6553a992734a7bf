"""The viewers' process and the benchmark's end of it.

The benchmark asks one thing at a time over a pipe (`Join`, `Begin`, `End`, `Leave`, `Cycle`) and gets one value back.
"""

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TypeVar

import aiohttp

from benchmarks.audience import Audience, Begin, Command, Cycle, End, Inspect, Inspection, Join, Leave, Totals, Window
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores
from benchmarks.viewer import JoinTimes

_GRACE = 30.0
"""Seconds that the benchmark waits for the process beyond what it asked for."""


@dataclass(frozen=True, slots=True)
class _Failed:
    text: str


_Reply = TypeVar("_Reply")


class Receivers:
    """The benchmark's end of the viewers' process. Every method raises `BenchmarkError` with what went wrong there."""

    def __init__(self, pipe: "Connection[Command, object]") -> None:
        self._pipe = pipe

    def join(self, command: Join) -> tuple[JoinTimes, ...]:
        """Returns when all have joined, in the order of the URLs."""
        return self._ask(command, tuple, command.over + command.timeout)

    def begin(self, group: str, *, goes_on: bool = False) -> Totals:
        return self._ask(Begin(group, goes_on), Totals)

    def end(self, group: str) -> Window:
        return self._ask(End(group), Window)

    def inspect(self, group: str) -> Inspection:
        return self._ask(Inspect(group), Inspection)

    def leave(self, group: str) -> None:
        self._ask(Leave(group), type(None))

    def cycle(self, command: Cycle) -> tuple[JoinTimes, ...]:
        return self._ask(command, tuple, command.cycles * command.timeout)

    def _ask(self, command: Command, reply: type[_Reply], seconds: float = 0.0) -> _Reply:
        try:
            self._pipe.send(command)
            if not self._pipe.poll(seconds + _GRACE):
                raise BenchmarkError(f"the receivers did not answer {command} within {seconds + _GRACE:g} s")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise BenchmarkError(f"the receivers' process is gone: {error!r}") from error
        if isinstance(answer, _Failed):
            raise BenchmarkError(answer.text)
        if not isinstance(answer, reply):
            raise BenchmarkError(f"the receivers answered {command} with {answer!r}")
        return answer


@contextmanager
def receivers(cores: Cores, *, token: str | None = None) -> Iterator[Receivers]:
    """Run the viewers' process on the other cores; it ends with the block, its viewers without a word.

    All of them show `token`, where there is one.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs, cores.others, token), daemon=True, name="receivers")
    process.start()
    theirs.close()
    try:
        yield Receivers(ours)
    finally:
        ours.close()
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _main(pipe: "Connection[object, Command]", cores: frozenset[int], token: str | None) -> None:
    os.sched_setaffinity(0, cores)
    gc.freeze()
    asyncio.run(_serve(pipe, token))


async def _serve(pipe: "Connection[object, Command]", token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), headers=headers) as client:
        audience = Audience(client)
        while True:
            await _readable(pipe.fileno())
            try:
                command = pipe.recv()
            except EOFError:
                return
            try:
                reply = await audience.obey(command)
            except (BenchmarkError, ExceptionGroup) as error:
                reply = _Failed(_first(error))
            pipe.send(reply)


def _first(error: Exception) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, BenchmarkError) else repr(error)


async def _readable(file_descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(file_descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(file_descriptor)

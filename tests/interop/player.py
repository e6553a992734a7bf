"""WHEP players that are programs of their own: they tell what they see by JSON lines, and do what they are told."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

TIMEOUT = 30.0
_LONGEST_LINE = 1 << 20

Event = dict[str, Any]
"""What a player tells; its `event` names the kind."""


class Player:
    """A player that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def event(self) -> Event:
        """The next one. Raises AssertionError, with what the player complained of, when it has ended instead."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            complaints = (await self._process.stderr.read()).decode(errors="replace")
            raise AssertionError(f"the player ended ({await self._process.wait()}): {complaints}")
        told: Event = json.loads(line)
        return told

    async def until(self, kind: str) -> Event:
        """The next event of that kind; others are passed over."""
        async with asyncio.timeout(TIMEOUT):
            while (event := await self.event())["event"] != kind:
                pass
        return event

    async def say(self, command: str) -> None:
        """Tell it what to do."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        await self._process.stdin.drain()

    async def ended(self) -> int:
        """Its exit status."""
        async with asyncio.timeout(TIMEOUT):
            return await self._process.wait()


@asynccontextmanager
async def running_player(command: Sequence[str]) -> AsyncIterator[Player]:
    """Run `command` for the duration of the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST_LINE,
    )
    try:
        yield Player(process)
    finally:
        if process.returncode is None:
            process.kill()
        # With its pipes, which would otherwise be closed after the event loop.
        await process.communicate()

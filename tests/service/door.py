"""A way to a server that can be shut and opened again, where the server itself takes long to start."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from tests.fixtures.adb import free_port


class Door:
    """A port of 127.0.0.1 where nobody listens until it is opened."""

    def __init__(self, inside: int) -> None:
        self.port = free_port()
        self._inside = inside
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[Self]:
        """To that port of 127.0.0.1; shut at first, and in the end."""
        door = cls(port)
        try:
            yield door
        finally:
            await door.shut()

    async def open(self) -> None:
        """Let everybody through."""
        self._server = await asyncio.start_server(self._let_through, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Break all connections, and refuse others."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._writers:
            writer.transport.abort()
        while self._writers:
            await asyncio.sleep(0.001)

    async def _let_through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._inside)
        ends = {writer, there_writer}
        if self._server is None:  # It was shut meanwhile.
            for each in ends:
                each.transport.abort()
            return
        self._writers |= ends
        await asyncio.gather(_carry(reader, there_writer), _carry(there_reader, writer))
        self._writers -= ends


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await reader.read(65536):
            writer.write(octets)
            await writer.drain()
    writer.transport.abort()

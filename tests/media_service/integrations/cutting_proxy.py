"""A way to a server that breaks in the middle of what is said."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def cutting_proxy(port: int, lifetimes: Iterator[int]) -> AsyncIterator[int]:
    """Gives the port of a proxy to `port` of 127.0.0.1.

    Each connection is cut after so many bytes to the server as the next of `lifetimes` says, mid-message as it may be;
    when there are no more, connections live on.
    """
    writers: list[asyncio.StreamWriter] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, limit: float) -> None:
        with suppress(OSError):
            while limit > 0 and (octets := await reader.read(int(min(limit, 65536)))):
                limit -= len(octets)
                writer.write(octets)
                await writer.drain()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.extend((writer, there_writer))
        back = asyncio.gather(carry(there_reader, writer, float("inf")))
        try:
            await carry(reader, there_writer, next(lifetimes, float("inf")))
        finally:
            back.cancel()
            for each in (writer, there_writer):
                each.transport.abort()
            await asyncio.gather(back, return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await server.wait_closed()

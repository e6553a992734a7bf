"""A way around the link: a port of the client's loopback that leads to the same port of the server's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from benchmarks.link.namespace import Namespace

_CHUNK = 65536


@asynccontextmanager
async def forwarded(port: int, server: Namespace, client: Namespace) -> AsyncIterator[None]:
    """Take TCP connections to `port` in the client's namespace to the server's, for the duration of the block."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        outgoing = server.socket()
        outgoing.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(outgoing, ("127.0.0.1", port))
        except OSError:
            outgoing.close()
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection(sock=outgoing)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_pump(reader, far_writer))
                group.create_task(_pump(far_reader, writer))
        finally:
            far_writer.close()
            writer.close()

    listening = await asyncio.start_server(connected, sock=client.listen(port))
    try:
        yield
    finally:
        listening.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

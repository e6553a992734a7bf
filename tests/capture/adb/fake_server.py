"""A fake adb server on a real socket: it says what no real one can be made to say at the right moment."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Self

TIMEOUT = 10.0

Service = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def block(payload: bytes) -> bytes:
    """`payload` behind its length in four hexadecimal digits."""
    return b"%04x" % len(payload) + payload


def okay(payload: bytes) -> bytes:
    """The answer of a `host:` service that has something to say."""
    return b"OKAY" + block(payload)


def fail(message: bytes) -> bytes:
    """A refusal."""
    return b"FAIL" + block(message)


def packet(stream: int, data: bytes) -> bytes:
    """A packet of the shell protocol, version 2."""
    return struct.pack("<BI", stream, len(data)) + data


async def until_closed(reader: asyncio.StreamReader) -> None:
    """Wait until the client hangs up."""
    while await reader.read(65536):
        pass


class FakeAdbServer:
    """Answers each service with what the test has set for it, and remembers what was asked.

    `host:transport:` is granted, whatever the serial, unless the test sets something else.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[str] = []
        """The services that were asked for, without the `host:transport:` requests."""
        self._services: dict[str, Service] = {}
        self._running = 0
        self._changed = asyncio.Condition()
        self._writers: set[asyncio.StreamWriter] = set()

    @classmethod
    @asynccontextmanager
    async def run(cls) -> AsyncIterator[Self]:
        """A fake server for the duration of the block."""
        fake = cls(0)
        server = await asyncio.start_server(fake._serve, "127.0.0.1", 0)
        fake.port = server.sockets[0].getsockname()[1]
        try:
            yield fake
        finally:
            server.close()
            for writer in fake._writers:
                writer.transport.abort()
            await server.wait_closed()

    def on(self, beginning: str, service: Service | bytes) -> None:
        """Answer services that begin so (of several the longest counts): with bytes and the end, or by a function."""
        self._services[beginning] = _says(service) if isinstance(service, bytes) else service

    async def until_running(self, count: int) -> None:
        """Wait until so many services run."""
        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: self._running == count)

    async def until_asked(self, service: str, times: int = 1) -> None:
        """Wait until `service` was asked for so many times."""
        async with asyncio.timeout(TIMEOUT), self._changed:
            await self._changed.wait_for(lambda: self.asked.count(service) >= times)

    async def _count(self, change: int) -> None:
        async with self._changed:
            self._running += change
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                asked = (await reader.readexactly(int(await reader.readexactly(4), 16))).decode()
                service = self._service(asked)
                if asked.startswith("host:transport:") and service is None:
                    writer.write(b"OKAY")
                    continue
                self.asked.append(asked)
                await self._count(1)
                try:
                    await (service or _says(fail(b"unknown host service")))(reader, writer)
                finally:
                    await self._count(-1)
                return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _service(self, asked: str) -> Service | None:
        fitting = [beginning for beginning in self._services if asked.startswith(beginning)]
        return self._services[max(fitting, key=len)] if fitting else None


def _says(answer: bytes) -> Service:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return say

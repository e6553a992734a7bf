"""A host that speaks ADB to a phone by hand, for what the real adb never does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from capture.demo_phone.adb_wire import (
    MAX_PAYLOAD,
    VERSION_WITHOUT_CHECKSUM,
    Command,
    Packet,
    PacketParser,
    serialize,
)

TIMEOUT = 20.0


class Host:
    """One connection, packets in and out."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = PacketParser()

    def send(self, command: Command, argument0: int, argument1: int, payload: bytes = b"") -> None:
        self.send_bytes(serialize(Packet(command, argument0, argument1, payload), self._parser.version))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def receive(self) -> Packet:
        """The next packet; raises EOFError when the phone closed the connection."""
        async with asyncio.timeout(TIMEOUT):
            while (packet := self._parser.next_packet()) is None:
                try:
                    data = await self._reader.read(1 << 16)
                except ConnectionError:
                    data = b""
                if not data:
                    raise EOFError
                self._parser.feed(data)
        return packet

    async def connect(self, *, version: int = VERSION_WITHOUT_CHECKSUM, max_payload: int = MAX_PAYLOAD) -> Packet:
        """Say CNXN; the phone's answer."""
        self.send(Command.CNXN, version, max_payload, b"host::features=shell_v2\0")
        answer = await self.receive()
        self._parser.version = min(version, answer.argument0)
        return answer

    async def open(self, service: str, local_id: int = 1) -> Packet:
        """Open a stream; the phone's OKAY or CLSE."""
        self.send(Command.OPEN, local_id, 0, service.encode() + b"\0")
        return await self.receive()


@asynccontextmanager
async def host(port: int) -> AsyncIterator[Host]:
    """A fresh TCP connection to a phone on 127.0.0.1."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Host(reader, writer)
    finally:
        writer.transport.abort()
        try:
            await writer.wait_closed()
        except ConnectionError:
            pass

"""The phone's end of ADB over TCP: connections of adb servers, and the streams that they open.

A service is found by its name (`shell:ls`, `sync:`, `localabstract:scrcpy`) when a stream is opened, and runs until
it is over or the host closes the stream, which cancels it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_bytes
from typing import Protocol

from capture.demo_phone.adb_stream import AdbStream, StreamClosed
from capture.demo_phone.adb_wire import (
    MAX_PAYLOAD,
    VERSION_WITHOUT_CHECKSUM,
    Authentication,
    BadPacket,
    Command,
    Packet,
    PacketParser,
    serialize,
)

Service = Callable[[AdbStream], Awaitable[None]]
"""Serves one stream; it may raise `StreamClosed` and leave the closing to its caller."""

_CHUNK = 1 << 18
_LEAST_PAYLOAD = 4096
_STREAM_LIMIT = 256
"""Streams of one connection; more are refused."""

_TOKEN_SIZE = 20  # what the host signs: as long as a SHA-1 digest


class Device(Protocol):
    """What adbd needs to know of the phone it runs on."""

    def banner(self) -> str:
        """What CNXN says about the phone: `device::ro.product.name=…;features=…`."""
        ...

    def find_service(self, name: str) -> Service | None:
        """The service of this name; None refuses the stream."""
        ...

    async def authorized(self) -> None:
        """Return when the phone's user lets hosts in; at once where nobody is asked."""
        ...

    def asks_for_authorization(self) -> bool:
        """Whether hosts have to show a key."""
        ...

    async def answers(self) -> None:
        """Return when adbd may do something; at once unless it hangs."""
        ...


class Adbd:
    """Listens on one TCP port; can be stopped and started again, as a phone that loses its network."""

    def __init__(self, device: Device, host: str, port: int) -> None:
        """`port` 0 takes a free one at the first start and keeps it."""
        self.host, self.port = host, port
        self._device = device
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Accept connections. Raises OSError when the port cannot be had."""
        self._server = await asyncio.start_server(self._accept, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, drop those there are and end their services. Idempotent."""
        if self._server is not None:
            self._server.close()
            self._server = None
        connections = list(self._connections)
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self._device, reader, writer)
        task = asyncio.get_running_loop().create_task(connection.run())
        self._connections.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            context = {"message": "a connection of the demo phone failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)


@dataclass(frozen=True, slots=True)
class _Served:
    stream: AdbStream
    task: asyncio.Task[None]


class _Connection:
    """One adb server that is connected, from its first byte to its last."""

    def __init__(self, device: Device, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._device = device
        self._reader = reader
        self._writer = writer
        self._parser = PacketParser()
        self._max_payload = _LEAST_PAYLOAD
        self._online = False
        self._authorization: asyncio.Task[None] | None = None
        self._served: dict[int, _Served] = {}
        self._last_id = 0

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                try:
                    await self._receive(tasks)
                except (BadPacket, ConnectionError):
                    pass  # as adbd does: whatever is wrong with a connection, it is dropped
                self._drop_streams()
                if self._authorization is not None:
                    self._authorization.cancel()
        finally:
            self._writer.transport.abort()
            with suppress(ConnectionError):
                await self._writer.wait_closed()

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            data = await self._reader.read(_CHUNK)
            await self._device.answers()
            if not data:
                return
            self._parser.feed(data)
            while (packet := self._parser.next_packet()) is not None:
                await self._take(packet, tasks)

    async def _take(self, packet: Packet, tasks: asyncio.TaskGroup) -> None:
        match packet.command:
            case Command.CNXN:
                await self._take_connect(packet)
            case Command.AUTH:
                await self._take_authentication(packet, tasks)
            case _ if not self._online:
                raise BadPacket(f"{packet.command.name} before the connection was made")
            case Command.OPEN:
                await self._take_open(packet, tasks)
            case Command.WRTE:
                await self._take_write(packet)
            case Command.OKAY:
                if (served := self._served.get(packet.argument1)) is not None:
                    served.stream.acknowledge()
            case Command.CLSE:
                if (served := self._served.pop(packet.argument1, None)) is not None:
                    served.stream.close()
                    served.task.cancel()

    async def _take_connect(self, packet: Packet) -> None:
        self._drop_streams()
        self._parser.version = min(packet.argument0, VERSION_WITHOUT_CHECKSUM)
        self._max_payload = max(_LEAST_PAYLOAD, min(packet.argument1, MAX_PAYLOAD))
        if self._device.asks_for_authorization():
            await self._challenge()
        else:
            await self._go_online()

    async def _take_authentication(self, packet: Packet, tasks: asyncio.TaskGroup) -> None:
        if self._online:
            return
        if packet.argument0 == Authentication.PUBLIC_KEY:
            if self._authorization is None:
                self._authorization = tasks.create_task(self._go_online_when_authorized())
        else:
            # A signature, but by a key that nobody has let in yet: the host tries its next key, at last a public one.
            await self._challenge()

    async def _challenge(self) -> None:
        self._online = False
        await self._send(Command.AUTH, Authentication.TOKEN, 0, token_bytes(_TOKEN_SIZE))

    async def _go_online_when_authorized(self) -> None:
        await self._device.authorized()
        with suppress(StreamClosed):
            await self._go_online()

    async def _go_online(self) -> None:
        self._online = True
        await self._send(Command.CNXN, VERSION_WITHOUT_CHECKSUM, MAX_PAYLOAD, self._device.banner().encode())

    async def _take_open(self, packet: Packet, tasks: asyncio.TaskGroup) -> None:
        name = packet.payload.rstrip(b"\0").decode(errors="replace")
        service = self._device.find_service(name) if len(self._served) < _STREAM_LIMIT else None
        if service is None:
            await self._send(Command.CLSE, 0, packet.argument0)
            return
        self._last_id += 1
        stream = AdbStream(self._last_id, packet.argument0, self._max_payload, self._send)
        await self._send(Command.OKAY, stream.local_id, stream.remote_id)
        task = tasks.create_task(self._serve(stream, service))
        self._served[stream.local_id] = _Served(stream, task)

    async def _take_write(self, packet: Packet) -> None:
        served = self._served.get(packet.argument1)
        if served is None:
            await self._send(Command.CLSE, packet.argument1, packet.argument0)
        elif not packet.payload:
            await self._send(Command.OKAY, packet.argument1, packet.argument0)
        elif not served.stream.receive(packet.payload):
            raise BadPacket(f"a WRTE to stream {packet.argument1} that did not wait for OKAY")

    async def _serve(self, stream: AdbStream, service: Service) -> None:
        with suppress(StreamClosed):
            await service(stream)
        if self._served.pop(stream.local_id, None) is not None:
            stream.close()
            with suppress(StreamClosed):
                await self._send(Command.CLSE, stream.local_id, stream.remote_id)

    async def _send(self, command: Command, argument0: int, argument1: int, payload: bytes = b"") -> None:
        await self._device.answers()
        if self._writer.is_closing():
            raise StreamClosed("the connection is gone")
        self._writer.write(serialize(Packet(command, argument0, argument1, payload), self._parser.version))
        try:
            await self._writer.drain()
        except ConnectionError as error:
            raise StreamClosed("the connection is gone") from error

    def _drop_streams(self) -> None:
        served, self._served = self._served, {}
        for one in served.values():
            one.stream.close()
            one.task.cancel()

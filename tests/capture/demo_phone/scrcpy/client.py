"""A client of scrcpy's server for tests. It reads the wire by itself, so that it can tell what is written wrong.

async with server(phone, "3.3.4", "audio=false") as running:
    video, control = await running.connect(2)
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adb_wire import Command
from capture.demo_phone.adbd import Service
from capture.demo_phone.commands import COMMANDS
from capture.demo_phone.phone import Phone
from capture.demo_phone.scrcpy.jar import make_jar
from capture.demo_phone.shell import Shell
from tests.capture.demo_phone.shell_run import Run
from tests.waiting import until

TIMEOUT = 20.0
SCID = 0x12AB34CD & 0x7FFFFFFF
SOCKET = f"localabstract:scrcpy_{SCID:08x}"
JAR = "/data/local/tmp/x.jar"


def command_line(version: str, *options: str) -> str:
    """What starts the server."""
    fixed = [f"scid={SCID:08x}", "tunnel_forward=true", "cleanup=false"]
    return " ".join([f"CLASSPATH={JAR} app_process / com.genymobile.scrcpy.Server {version}", *fixed, *options])


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet of video or sound."""

    data: bytes
    pts: int = 0
    is_config: bool = False
    is_keyframe: bool = False


@dataclass(frozen=True, slots=True)
class Session:
    """What comes before a run of the encoder since 4.0."""

    width: int
    height: int


class Connection:
    """The host's end of one connection with the phone, in memory."""

    def __init__(self, service: Service) -> None:
        self._stream = AdbStream(1, 1, 1 << 20, self._take)
        self._received = bytearray()
        self._more = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._task = asyncio.get_running_loop().create_task(self._serve(service))

    async def _serve(self, service: Service) -> None:
        with suppress(ConnectionError):
            await service(self._stream)
        self._stream.close()
        self._more.set()

    async def _take(self, command: Command, _: int, __: int, payload: bytes) -> None:
        if command is Command.OKAY:
            self._may_write.set()
            return
        self._received += payload
        self._more.set()
        self._stream.acknowledge()

    @property
    def is_closed(self) -> bool:
        """Whether the phone has closed it."""
        return self._task.done()

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes; raises EOFError when the phone closes the connection before."""
        async with asyncio.timeout(TIMEOUT):
            while len(self._received) < size:
                if self.is_closed:
                    raise EOFError(bytes(self._received))
                self._more.clear()
                await self._more.wait()
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes, one WRTE after another is acknowledged."""
        await self._may_write.wait()
        self._may_write.clear()
        assert self._stream.receive(data)

    async def close(self) -> None:
        """Close it, as adbd does when the host closed its stream."""
        self._stream.close()
        self._task.cancel()
        await asyncio.wait([self._task])


class Readable(Protocol):
    """A connection as packets are read from it."""

    async def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        ...


class Stream:
    """Packets out of a connection, by version."""

    def __init__(self, connection: Readable, version: str) -> None:
        self.connection = connection
        self._has_sessions = version.startswith("4.")

    async def packet(self) -> Packet | Session:
        """The next packet."""
        flags, length = struct.unpack(">QI", await self.connection.read(12))
        session, config, keyframe = (63, 62, 61) if self._has_sessions else (64, 63, 62)
        if flags >> session & 1:
            return Session(flags & 0xFFFFFFFF, length)
        return Packet(
            await self.connection.read(length),
            flags & (1 << keyframe) - 1,
            flags >> config & 1 == 1,
            flags >> keyframe & 1 == 1,
        )

    async def packets(self, count: int) -> list[Packet | Session]:
        """So many packets."""
        return [await self.packet() for _ in range(count)]

    async def picture(self) -> Packet:
        """The next packet that is a picture or a piece of sound."""
        while True:
            packet = await self.packet()
            if isinstance(packet, Packet) and not packet.is_config:
                return packet

    async def pictures(self, count: int) -> list[Packet]:
        """So many pictures."""
        return [await self.picture() for _ in range(count)]


class Server:
    """A running server."""

    def __init__(self, phone: Phone, run: Run, version: str, socket: str = SOCKET) -> None:
        self._phone = phone
        self.run = run
        self.version = version
        self._socket = socket
        self.connections: list[Connection] = []

    async def connect(self, count: int, *, name: bool = True) -> list[Connection]:
        """So many connections, with the dummy byte and the phone's name read from the first one."""
        await until(lambda: self._socket in self._phone.sockets)
        self.connections += [Connection(self._phone.sockets[self._socket]) for _ in range(count)]
        if name:
            assert await self.connections[0].read(1) == b"\0"
            assert (await self.connections[0].read(64)).rstrip(b"\0") == b"Demo Phone"
        return self.connections

    async def video(self) -> Stream:
        """The first connection's packets, with the header of the video read; 720x1280 where it has a size."""
        (connection, *_) = self.connections or await self.connect(1)
        header = await connection.read(4 if self.version.startswith("4.") else 12)
        assert header[:4] == b"h264"
        return Stream(connection, self.version)

    async def ended(self) -> int | None:
        """Its exit code when it has ended by itself."""
        await until(lambda: self.run.exit_code is not None)
        return self.run.exit_code


@asynccontextmanager
async def server(phone: Phone, version: str, *options: str, jar: str | None = None) -> AsyncIterator[Server]:
    """A server that has been started; it is ended, and looked that nothing of it is left, with the block."""
    others = len(list(phone.processes))
    phone.files.write(JAR, make_jar(jar or version), 0o644, 0)
    run = Run()

    async def main() -> None:
        run.exit_code = await Shell(phone, COMMANDS, run).run(command_line(version, *options))

    task = asyncio.get_running_loop().create_task(main())
    running = Server(phone, run, version)
    try:
        yield running
    finally:
        task.cancel()
        await asyncio.wait([task])
        for connection in running.connections:
            await connection.close()
        assert len(list(phone.processes)) == others
        assert SOCKET not in phone.sockets
    if not task.cancelled():
        task.result()

"""Phones that cost nearly nothing: a real adb connects to them, and their `screenrecord` plays a clip at its pace.

Fifty demo phones that draw and encode would fill the machine that is to be measured. These send coded pictures only.

    python -m benchmarks.clip_phones CLIP COUNT      prints the addresses for `adb connect`, then serves
"""

import asyncio
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.clip import access_units
from capture.demo_phone.adb_wire import MAX_PAYLOAD, Command, Packet, PacketParser, serialize

_FRAMES_PER_SECOND = 30
_VERSION = 0x01000001
_BANNER = b"device::ro.product.name=clip;ro.product.model=Clip;ro.product.device=clip;features=shell_v2,cmd"
_STDOUT, _EXIT = 1, 3  # AOSP packages/modules/adb, shell_protocol.h
_ANSWERS = {"getprop ro.build.version.sdk": b"34\n", "wm size": b"Physical size: 720x1280\n"}


class _Service:
    """One open ADB stream: at most one WRTE is under way (AOSP packages/modules/adb, docs/dev/protocol.md)."""

    def __init__(self, send: Callable[[Command, int, int, bytes], None], local: int, remote: int) -> None:
        self._send, self._local, self._remote = send, local, remote
        self._acknowledged = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        send(Command.OKAY, local, remote, b"")

    def acknowledged(self) -> None:
        self._acknowledged.set()

    async def write(self, data: bytes) -> None:
        self._acknowledged.clear()
        self._send(Command.WRTE, self._local, self._remote, data)
        await self._acknowledged.wait()

    def close(self) -> None:
        self._send(Command.CLSE, self._local, self._remote, b"")


class ClipPhone(asyncio.Protocol):
    """The device's end of one adb connection."""

    def __init__(self, pictures: list[bytes]) -> None:
        self._pictures = pictures
        self._parser = PacketParser()
        self._transport: asyncio.Transport | None = None
        self._services: dict[int, _Service] = {}
        self._opened = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        for number in tuple(self._services):
            self._end(number)

    def data_received(self, data: bytes) -> None:
        self._parser.feed(data)
        while (packet := self._parser.next_packet()) is not None:
            match packet.command:
                case Command.CNXN:
                    self._parser.version = min(packet.argument0, _VERSION)
                    self._send(Command.CNXN, _VERSION, MAX_PAYLOAD, _BANNER)
                case Command.OPEN:
                    self._open(packet)
                case Command.OKAY if packet.argument1 in self._services:
                    self._services[packet.argument1].acknowledged()
                case Command.CLSE:
                    self._end(packet.argument1)
                case _:
                    pass

    def _send(self, command: Command, argument0: int, argument1: int, payload: bytes) -> None:
        if self._transport is not None:
            self._transport.write(serialize(Packet(command, argument0, argument1, payload), self._parser.version))

    def _open(self, packet: Packet) -> None:
        self._opened += 1
        number = self._opened
        service = self._services[number] = _Service(self._send, number, packet.argument0)
        command = packet.payload.rstrip(b"\0").decode().partition(":")[2].removeprefix("exec ")
        service.task = asyncio.get_running_loop().create_task(self._run(number, service, command))

    async def _run(self, number: int, service: _Service, command: str) -> None:
        if command.startswith("screenrecord "):
            await self._record(service)
        await service.write(_shell(_STDOUT, _ANSWERS.get(command, b"\n")))
        await service.write(_shell(_EXIT, b"\0"))
        service.close()
        self._services.pop(number, None)

    async def _record(self, service: _Service) -> None:
        started, number = time.monotonic(), 0
        while True:
            await service.write(_shell(_STDOUT, self._pictures[number % len(self._pictures)]))
            number += 1
            await asyncio.sleep(max(0.0, started + number / _FRAMES_PER_SECOND - time.monotonic()))

    def _end(self, number: int) -> None:
        service = self._services.pop(number, None)
        if service is not None and service.task is not None:
            service.task.cancel()
            service.close()


def _shell(stream: int, data: bytes) -> bytes:
    return struct.pack("<BI", stream, len(data)) + data


async def _serve(clip: Path, count: int) -> None:
    pictures = access_units(clip)
    loop = asyncio.get_running_loop()
    servers = [await loop.create_server(lambda: ClipPhone(pictures), "127.0.0.1", 0) for _ in range(count)]
    for server in servers:
        host, port = server.sockets[0].getsockname()
        print(f"{host}:{port}")
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))

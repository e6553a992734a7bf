"""Requests to the adb server, over its socket.

Every request is a connection of its own to the server on this machine: no process per command, and one that hangs
holds up nobody. Serials only ever stand in the server's own requests, and what a device's shell gets is quoted by
`command_line`.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from capture.adb.command_line import CommandLine
from capture.adb.connection import AdbConnection, in_time
from capture.adb.wire import (
    EXIT,
    STATUS_SUFFIX,
    STDERR,
    STDOUT,
    SYNC_CHUNK,
    AdbDevice,
    ShellParser,
    check_connected,
    checked_serial,
    parse_devices,
    parse_length,
    parse_sync_status,
    split_status,
    sync_done,
    sync_request,
)
from capture.errors import AdbError, CommandFailed, DeviceOffline

MAX_OUTPUT = 16 * 1024 * 1024
"""The most bytes that `AdbClient.shell` collects; what prints more is read with `AdbClient.exec`."""

_Protocol = TypeVar("_Protocol", bound=asyncio.BaseProtocol)


@dataclass(frozen=True, slots=True)
class ShellResult:
    """What a shell command left."""

    stdout: str
    stderr: str
    """Empty on devices without shell v2 (before Android 7), which mix it into `stdout`."""
    exit_code: int


class AdbStream:
    """The raw output of a running command, as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, limit: int = 65536) -> bytes:
        """The next bytes, at most `limit`; empty when the command or the device is gone."""
        try:
            return await self._reader.read(limit)
        except ConnectionError:
            return b""

    async def aclose(self) -> None:
        """Close the command's standard input and output. Idempotent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            pass  # Closed by the other side first: closed all the same.


class AdbClient:
    """What the adb server at `host`:`port` can be asked.

    Every method raises `AdbUnavailable` when no server answers, `AdbTimeout` when something does not answer in time,
    `AdbProtocolError` when an answer makes no sense, and with a serial `DeviceNotFound` and `DeviceOffline`.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 5037, *, connect_timeout: float = 10.0, command_timeout: float = 30.0
    ) -> None:
        """`connect_timeout` seconds are for the server to connect to a device, `command_timeout` for all else."""
        self.host = host
        self.port = port
        self._connect_timeout = connect_timeout
        self._command_timeout = command_timeout
        self._features: dict[str, frozenset[str]] = {}

    async def version(self) -> int:
        """The server's protocol version."""
        return parse_length(await self._query("host:version"))

    async def devices(self) -> tuple[AdbDevice, ...]:
        """The devices that the server knows, in any state."""
        return parse_devices(await self._query("host:devices-l"))

    async def track_devices(self) -> AsyncGenerator[tuple[AdbDevice, ...]]:
        """The devices now and again after every change, as the server pushes them.

        Never ends; raises `AdbUnavailable` when the server goes. Whoever stops early closes it (`contextlib.aclosing`).
        """
        async with in_time(self._command_timeout, "host:track-devices-l"):
            connection = await AdbConnection.open(self.host, self.port)
        with connection:
            async with in_time(self._command_timeout, "host:track-devices-l"):
                await connection.ask("host:track-devices-l")
            while True:
                length = parse_length(await connection.receive(4))
                async with in_time(self._command_timeout, "host:track-devices-l"):
                    listing = await connection.receive(length)
                yield parse_devices(listing)

    async def connect(self, address: str) -> None:
        """Have the server connect to the device at `address`, as `192.168.1.2:5555`; one that is connected is fine.

        Raises `DeviceNotFound` for what is no address and `DeviceOffline` when nothing there takes us.
        """
        answer = await self._query(f"host:connect:{checked_serial(address)}", timeout=self._connect_timeout)
        check_connected(answer.decode(errors="replace"), address)

    async def disconnect(self, address: str) -> None:
        """Have the server drop the device at `address`; raises `DeviceNotFound` when it has none there."""
        self._features.pop(address, None)
        await self._query(f"host:disconnect:{checked_serial(address)}")

    async def features(self, serial: str) -> frozenset[str]:
        """What both the device and the server can, as `shell_v2`; remembered until the device fails a request."""
        known = self._features.get(serial)
        if known is None:
            answer = await self._query(f"host-serial:{checked_serial(serial)}:features", serial)
            known = self._features[serial] = frozenset(answer.decode(errors="replace").split(","))
        return known

    async def lacks_shell_v2(self, serial: str) -> bool:
        """Whether the device is too old for the shell protocol (before Android 7): its output is all it can give."""
        return "shell_v2" not in await self.features(serial)

    async def exec(self, serial: str, command: CommandLine) -> AdbStream:
        """Start `command` on the device, its output and its errors in one raw stream."""
        with await self._open_service(serial, f"exec:{command}") as connection:
            return AdbStream(*await asyncio.open_connection(sock=connection.detach()))

    async def shell(
        self,
        serial: str,
        command: CommandLine,
        *,
        timeout: float | None = None,
        check: bool = False,
        label: str | None = None,
    ) -> ShellResult:
        """Run `command` on the device to its end, within `timeout` seconds (None: the client's command timeout).

        With `check`, raises `CommandFailed` for an exit code other than 0. Errors call the command by `label`, where it
        holds what nobody may read.
        """
        limit = self._command_timeout if timeout is None else timeout
        name = label or command[:200]
        async with in_time(limit, f"{name!r} on device {serial!r}"):
            if await self.lacks_shell_v2(serial):
                result = await self._shell_v1(serial, command, name)
            else:
                result = await self._shell_v2(serial, command, name)
        if check and result.exit_code:
            raise CommandFailed(name, result.exit_code, result.stderr or result.stdout)
        return result

    async def push(self, serial: str, content: bytes | Path, remote_path: str, *, mode: int = 0o644) -> None:
        """Write `content`, bytes or a local file, to `remote_path` on the device.

        The command timeout is for each 64 KiB of it. Raises `AdbError` with the device's own words when the device
        cannot write there, and `OSError` for a local file that cannot be read.
        """
        data = content if isinstance(content, bytes) else await asyncio.to_thread(content.read_bytes)
        what = f"the writing of {remote_path!r} on device {serial!r}"
        with await self._open_service(serial, "sync:") as connection:
            async with in_time(self._command_timeout, what) as limit:
                try:
                    # The mode includes the file type, S_IFREG.
                    await connection.send(sync_request(b"SEND", f"{remote_path},{mode | 0o100000}".encode()))
                    for start in range(0, len(data), SYNC_CHUNK):
                        await connection.send(sync_request(b"DATA", data[start : start + SYNC_CHUNK]))
                        limit.reschedule(asyncio.get_running_loop().time() + self._command_timeout)
                    await connection.send(sync_done(int(time.time())))
                except DeviceOffline:
                    pass  # A device may refuse and hang up before it has read all; its reason is still to be read.
                length = parse_sync_status(await connection.receive(8))
                if length is not None:
                    reason = (await connection.receive(length)).decode(errors="replace")
                    raise AdbError(f"device {serial!r} cannot write {remote_path!r}: {reason}")

    async def open_service(self, serial: str, service: str, protocol: _Protocol) -> asyncio.Transport:
        """Connect `protocol` to a service of the device, as `exec:...`; it gets every byte that the service sends."""
        with await self._open_service(serial, service) as connection:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(lambda: protocol, sock=connection.detach())
            return transport

    async def _query(self, service: str, serial: str | None = None, *, timeout: float | None = None) -> bytes:
        limit = self._command_timeout if timeout is None else timeout
        async with in_time(limit, service):
            with await AdbConnection.open(self.host, self.port) as connection:
                await connection.ask(service, serial)
                return await connection.receive_block()

    async def _open_service(self, serial: str, service: str, name: str | None = None) -> AdbConnection:
        """A connection on which the device has agreed to `service`, which errors call `name`."""
        transport = f"host:transport:{checked_serial(serial)}"
        try:
            async with in_time(self._command_timeout, f"{name or service[:200]!r} on device {serial!r}"):
                connection = await AdbConnection.open(self.host, self.port)
                try:
                    await connection.ask(transport, serial)
                    await connection.ask(service)
                except BaseException:
                    connection.close()
                    raise
                return connection
        except AdbError:
            self._features.pop(serial, None)  # What answers under this serial next may be another device.
            raise

    async def _shell_v2(self, serial: str, command: CommandLine, name: str) -> ShellResult:
        collected = {STDOUT: bytearray(), STDERR: bytearray()}
        parser = ShellParser()
        with await self._open_service(serial, f"shell,v2,raw:{command}", name) as connection:
            while data := await connection.receive_some():
                for stream, piece in parser.feed(data):
                    if stream == EXIT:
                        stdout, stderr = (collected[name].decode(errors="replace") for name in (STDOUT, STDERR))
                        return ShellResult(stdout, stderr, piece[0])
                    _collect(collected[stream], piece, name)
        raise DeviceOffline(f"device {serial!r} went away while it ran {name!r}")

    async def _shell_v1(self, serial: str, command: CommandLine, name: str) -> ShellResult:
        output = bytearray()
        with await self._open_service(serial, f"shell:{command}{STATUS_SUFFIX}", name) as connection:
            while data := await connection.receive_some():
                _collect(output, data, name)
        stdout, exit_code = split_status(bytes(output))
        return ShellResult(stdout.decode(errors="replace"), "", exit_code)


def _collect(output: bytearray, piece: bytes, name: str) -> None:
    if len(output) + len(piece) > MAX_OUTPUT:
        raise AdbError(f"{name!r} printed more than the {MAX_OUTPUT} bytes that are collected")
    output += piece

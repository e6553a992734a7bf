"""One connection to the adb server."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from capture.adb.wire import failure, parse_length, parse_status, request
from capture.errors import AdbError, AdbTimeout, AdbUnavailable, DeviceOffline


@asynccontextmanager
async def in_time(limit: float, what: str) -> AsyncIterator[asyncio.Timeout]:
    """Raise `AdbTimeout`, naming `what` was asked for, when the body takes longer than `limit` seconds."""
    try:
        async with asyncio.timeout(limit) as timeout:
            yield timeout
    except TimeoutError as error:
        raise AdbTimeout(f"no answer to {what} within {limit:g} s") from error


class AdbConnection:
    """A socket on which services are asked for one after the other; closed by leaving its `with` block.

    Nothing is read before it is asked for, so that what a service sends can be handed on with the socket (`detach`).
    What goes wrong is told as `DeviceOffline` once the connection belongs to a device, before that as `AdbUnavailable`.
    """

    def __init__(self, connected: socket.socket, server: str) -> None:
        self._socket = connected
        self._server = server
        self._serial: str | None = None
        self._loop = asyncio.get_running_loop()

    @classmethod
    async def open(cls, host: str, port: int) -> Self:
        """Connect to the adb server; raises `AdbUnavailable` when there is none."""
        loop = asyncio.get_running_loop()
        server = f"{host}:{port}"
        failed: OSError | None = None
        try:
            addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise AdbUnavailable(f"no adb server at {server}: {error.strerror or error}") from error
        for family, kind, protocol, _, address in addresses:
            try:
                connecting = socket.socket(family, kind, protocol)
            except OSError as error:  # Too many are open.
                failed = error
                continue
            try:
                connecting.setblocking(False)
                await loop.sock_connect(connecting, address)
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                connecting.close()
                failed = error
            except BaseException:
                connecting.close()
                raise
            else:
                return cls(connecting, server)
        reason = os.strerror(failed.errno) if failed is not None and failed.errno else "it has no address"
        raise AdbUnavailable(f"no adb server at {server}: {reason}") from failed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket. Idempotent."""
        self._socket.close()

    def detach(self) -> socket.socket:
        """The socket itself, no longer closed by the `with` block."""
        detached = socket.socket(fileno=self._socket.detach())
        detached.setblocking(False)
        return detached

    async def ask(self, service: str, serial: str | None = None) -> None:
        """Ask for `service`; raises what a refusal means. `serial` names the device that the connection then has."""
        await self.send(request(service))
        if not parse_status(await self.receive(4)):
            raise failure((await self.receive_block()).decode(errors="replace"), serial or self._serial)
        self._serial = serial or self._serial

    async def send(self, data: bytes) -> None:
        """Send all of `data`."""
        try:
            await self._loop.sock_sendall(self._socket, data)
        except OSError as error:
            raise self._lost() from error

    async def receive(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        data = b""
        while len(data) < size:
            piece = await self.receive_some(size - len(data))
            if not piece:
                raise self._lost()
            data += piece
        return data

    async def receive_block(self) -> bytes:
        """What four hexadecimal digits of length announce."""
        return await self.receive(parse_length(await self.receive(4)))

    async def receive_some(self, limit: int = 65536) -> bytes:
        """The next bytes, at most `limit`; empty at the end."""
        try:
            return await self._loop.sock_recv(self._socket, limit)
        except OSError as error:
            raise self._lost() from error

    def _lost(self) -> AdbError:
        if self._serial is not None:
            return DeviceOffline(f"device {self._serial!r} went away in the middle of an answer")
        return AdbUnavailable(f"the adb server at {self._server} closed the connection in the middle of an answer")

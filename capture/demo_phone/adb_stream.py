"""One ADB stream, as a service of the phone sees it: bytes in, bytes out, one write on its way at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from capture.demo_phone.adb_wire import Command

SendPacket = Callable[[Command, int, int, bytes], Awaitable[None]]
"""Sends a stream command: local id, remote id, payload; waits while the connection's buffer is full."""


class StreamClosed(ConnectionError):
    """The host closed the stream, or the whole connection is gone."""


class AdbStream:
    """Flow control as without the feature `delayed_ack`: each WRTE waits for the OKAY of the one before."""

    def __init__(self, local_id: int, remote_id: int, max_payload: int, send: SendPacket) -> None:
        self.local_id = local_id
        self.remote_id = remote_id
        self._max_payload = max_payload
        self._send = send
        self._writable = asyncio.Event()
        self._writable.set()
        self._readable = asyncio.Event()
        self._unread: bytes | None = None
        self._closed = False

    async def read(self) -> bytes:
        """The next bytes from the host; b"" when it closed the stream."""
        await self._readable.wait()
        data, self._unread = self._unread, None
        if data is None:
            return b""
        if not self._closed:
            self._readable.clear()
            await self._send(Command.OKAY, self.local_id, self.remote_id, b"")
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes to the host, however many. Raises `StreamClosed`."""
        for start in range(0, len(data), self._max_payload):
            while not self._writable.is_set():  # of several that wait, the first one clears it again
                await self._writable.wait()
            if self._closed:
                raise StreamClosed("the host closed the stream")
            self._writable.clear()
            await self._send(Command.WRTE, self.local_id, self.remote_id, data[start : start + self._max_payload])

    def receive(self, payload: bytes) -> bool:
        """Take the bytes of a WRTE; False when the host did not wait for our OKAY."""
        if self._unread is not None:
            return False
        self._unread = payload
        self._readable.set()
        return True

    def acknowledge(self) -> None:
        """Take an OKAY of the host."""
        self._writable.set()

    def close(self) -> None:
        """Nothing more goes in or out."""
        self._closed = True
        self._writable.set()
        self._readable.set()

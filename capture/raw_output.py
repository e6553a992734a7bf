"""What a command on a device writes, where that is megabytes: no object per chunk, and one copy by whoever keeps it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, cast

from capture.adb.wire import EXIT, STDERR, ShellParser
from capture.errors import AdbProtocolError

_CHUNK: Final = 1 << 17
_MESSAGE_SIZE: Final = 1000


class RawOutput(asyncio.BufferedProtocol):
    """The protocol of the connection on which a command runs (`service_of`). Closing it ends the command."""

    def __init__(
        self, take: Callable[[memoryview], None], ended: Callable[[], None] | None = None, *, is_raw: bool
    ) -> None:
        """`take` gets the standard output as it comes, and must copy what it keeps; `ended` is called at the end."""
        self.exit_code: int | None = None
        self.complaint = ""
        """What it wrote to its standard error, or was closed for."""
        self.last_at = 0.0
        """When bytes came last, in seconds of `time.monotonic()`."""
        self._take = take
        self._tell_end = ended
        self._shell = None if is_raw else ShellParser()
        self._chunk = memoryview(bytearray(_CHUNK))
        self._transport: asyncio.Transport | None = None
        self._end = asyncio.get_running_loop().create_future()

    async def until_end(self) -> None:
        """Return when the command has ended, or the device is gone."""
        await asyncio.shield(self._end)

    def close(self, why: str = "") -> None:
        """End the command, for the reason `why`. Idempotent; the end is told soon after."""
        self._complain(why)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass of it.

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._chunk

    def buffer_updated(self, count: int) -> None:
        self.last_at = time.monotonic()
        data = self._chunk[:count]
        if self._shell is None:
            self._take(data)
            return
        try:
            for stream, piece in self._shell.feed(data):
                if stream == EXIT:
                    self.exit_code = piece[0]
                elif stream == STDERR:
                    self._complain(bytes(piece).decode(errors="replace"))
                else:
                    self._take(piece)
        except AdbProtocolError as error:
            self.close(str(error))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if not self._end.done():
            self._end.set_result(None)
        if self._tell_end is not None:
            self._tell_end()

    def _complain(self, text: str) -> None:
        self.complaint = (self.complaint + text)[-_MESSAGE_SIZE:]

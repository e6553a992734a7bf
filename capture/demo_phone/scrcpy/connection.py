"""The sockets between scrcpy's server and its client (com.genymobile.scrcpy.device.DesktopConnection)."""

import asyncio
from collections.abc import Callable

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adbd import Service
from capture.demo_phone.scrcpy.log import Thrown

_AT = (
    "android.net.LocalSocketImpl.bind(LocalSocketImpl.java)",
    "android.net.LocalServerSocket.<init>(LocalServerSocket.java)",
    "com.genymobile.scrcpy.device.DesktopConnection.open(DesktopConnection.java)",
    "com.genymobile.scrcpy.Server.scrcpy(Server.java)",
)


def socket_name(scid: int) -> str:
    """What a server with this number listens as, in adb's words; -1 is none."""
    return "localabstract:scrcpy" if scid == -1 else f"localabstract:scrcpy_{scid:08x}"


class Socket:
    """One connection, until one of its ends closes it."""

    def __init__(self, stream: AdbStream) -> None:
        self.read = stream.read
        """The next bytes from the client; b"" when it closed the connection."""
        self.write = stream.write
        """Send bytes to the client. Raises `StreamClosed`."""
        self.on_closed: Callable[[], None] | None = None
        """Called when the client has closed the connection."""
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Close it from our end. Idempotent."""
        self._closed.set()

    async def serve(self) -> None:
        """Return when it was closed from our end."""
        try:
            await self._closed.wait()
        finally:
            if not self._closed.is_set():
                self._closed.set()
                if self.on_closed is not None:
                    self.on_closed()


class Listener:
    """A listening socket that takes so many connections and then is gone."""

    def __init__(self, sockets: dict[str, Service], name: str, wanted: int) -> None:
        """`sockets` are those of the phone. Raises `Thrown` when somebody listens under that name already."""
        if name in sockets:
            raise Thrown("Address already in use", "java.io.IOException", _AT)
        self._sockets = sockets
        self._name = name
        self._wanted = wanted
        self._accepted: asyncio.Queue[Socket] = asyncio.Queue(wanted)
        self._all: list[Socket] = []
        sockets[name] = self._serve

    async def accept(self) -> Socket:
        """The next connection."""
        return await self._accepted.get()

    def close(self) -> None:
        """Take no more connections, and close those there are. Idempotent."""
        self._stop_listening()
        for socket in self._all:
            socket.close()

    async def _serve(self, stream: AdbStream) -> None:
        if len(self._all) == self._wanted:
            return
        socket = Socket(stream)
        self._all.append(socket)
        if len(self._all) == self._wanted:
            self._stop_listening()
        self._accepted.put_nowait(socket)
        await socket.serve()

    def _stop_listening(self) -> None:
        if self._sockets.get(self._name) == self._serve:
            del self._sockets[self._name]

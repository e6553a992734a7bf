"""ICE-TCP: passive candidates (RFC 6544) with RFC 4571 framing, for networks that block UDP."""

import asyncio
from typing import cast

from media_service.rtc.path import TcpPath
from media_service.rtc.receiver import Demultiplexer, Receiver
from media_service.rtc.stun import TransportAddress

LARGEST_DATAGRAM = 2048
"""No STUN, DTLS or RTCP that a viewer sends is larger."""

_ANONYMOUS_LIMIT = 256
_ANONYMOUS_TIMEOUT = 10.0


class Connections:
    """The open connections; those that have not shown a valid check yet are bounded in number and time."""

    def __init__(self) -> None:
        self.open: set[TcpConnection] = set()
        self.anonymous: set[TcpConnection] = set()

    def close(self) -> None:
        """End them all."""
        for connection in tuple(self.open):
            connection.close()


class TcpConnection(asyncio.Protocol):
    """One connection to the local address `local` of a media port: frames in, a `TcpPath` out."""

    def __init__(self, port: Demultiplexer, connections: Connections, local: str) -> None:
        self._port = port
        self._connections = connections
        self._local = f"tcp:{local}"
        self._received = bytearray()
        self._receiver: Receiver | None = None
        self._remote: TransportAddress = ("", 0)
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's, so isinstance cannot say it.
        self._transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        if peername is None:
            # Reset before it was accepted, as port scanners do.
            self._transport.abort()
            return
        self._remote = peername[:2]
        self._path = TcpPath(self._transport, self._remote, self._port.drops)
        self._timeout = asyncio.get_running_loop().call_later(_ANONYMOUS_TIMEOUT, self._still_anonymous)
        connections = self._connections
        connections.open.add(self)
        connections.anonymous.add(self)
        if len(connections.anonymous) > _ANONYMOUS_LIMIT:
            self._refuse("tcp_refused")

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= 2:
            size = int.from_bytes(received[:2], "big")
            if not 0 < size <= LARGEST_DATAGRAM:
                self._refuse("malformed_tcp_frame")
                return
            if len(received) < size + 2:
                return
            datagram = bytes(received[2 : size + 2])
            del received[: size + 2]
            self._datagram_received(datagram)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
        connections = self._connections
        connections.open.discard(self)
        connections.anonymous.discard(self)
        self._port.path_lost((self._local, self._remote))

    def close(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def _datagram_received(self, datagram: bytes) -> None:
        if datagram[0] < 4:
            receiver = self._port.stun_received(datagram, (self._local, self._remote), self._path)
            if receiver is not None:
                self._receiver = receiver
                self._connections.anonymous.discard(self)
        elif self._receiver is not None:
            self._receiver.datagram_received(datagram)
        else:
            self._port.drops["unknown_address"] += 1

    def _still_anonymous(self) -> None:
        if self._receiver is None:
            self._refuse("tcp_anonymous")

    def _refuse(self, reason: str) -> None:
        self._port.drops[reason] += 1
        self._transport.abort()

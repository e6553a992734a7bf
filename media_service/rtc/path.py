"""Where datagrams to one viewer go: a UDP address or an ICE-TCP connection. Sending never waits."""

import asyncio
import errno
import socket
from collections import Counter
from typing import Protocol

from media_service.rtc.stun import TransportAddress
from media_service.rtc.template import Run

_TCP_BACKLOG = 512 << 10
"""Bytes: two seconds at 2 Mbit/s. What waits longer is better not sent."""
_TCP_UNSENT = 128 << 10
"""Bytes that the kernel may hold beyond what is on its way, so that what waits is ours to drop."""
_NO_GSO = frozenset({errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT, errno.EOPNOTSUPP})

Drops = Counter[str]
"""Packets not sent, by reason."""


class Path(Protocol):
    """A way to the viewer; equal objects are the same way."""

    protocol: str
    """`udp` or `tcp`."""
    remote: TransportAddress

    @property
    def backlog(self) -> int:
        """Bytes that wait in this process; a replay waits until they have gone."""
        ...

    def send(self, datagram: bytes) -> bool:
        """Send one datagram; False when the buffer is full and it was dropped."""
        ...

    def send_run(self, run: Run) -> bool:
        """Send the packets of `run`; False when the buffer is full and some were dropped."""
        ...


class UdpPath:
    """A remote address seen from one of our sockets."""

    protocol = "udp"
    backlog = 0

    def __init__(self, sock: socket.socket, remote: TransportAddress, drops: Drops) -> None:
        self.remote = remote
        self._socket = sock
        self._drops = drops
        self._segments = True

    def send(self, datagram: bytes) -> bool:
        try:
            self._socket.sendto(datagram, self.remote)
        except BlockingIOError:
            self._drops["socket_full"] += 1
            return False
        except OSError:
            # No route, a firewall rule, an interface that went down: the consent timeout ends the viewer if it stays.
            self._drops["unreachable"] += 1
        return True

    def send_run(self, run: Run) -> bool:
        view, control, size = run
        if control is None or self._segments:
            try:
                self._socket.sendmsg((view,), control or (), 0, self.remote)
            except BlockingIOError:
                self._drops["socket_full"] += -(-len(view) // size)
                return False
            except OSError as error:
                if control is None or error.errno not in _NO_GSO:
                    self._drops["unreachable"] += -(-len(view) // size)
                    return True
                # The kernel or the device below it cannot segment: this path goes on packet by packet.
                self._segments = False
            else:
                return True
        sent = True
        for offset in range(0, len(view), size):
            sent = self.send(bytes(view[offset : offset + size])) and sent
        return sent


class TcpPath:
    """An ICE-TCP connection (RFC 6544) with RFC 4571 framing."""

    protocol = "tcp"

    def __init__(self, transport: asyncio.Transport, remote: TransportAddress, drops: Drops) -> None:
        self.remote = remote
        self._transport = transport
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _TCP_UNSENT)
        self._drops = drops

    def send(self, datagram: bytes) -> bool:
        if self._is_full(1):
            return False
        self._transport.write(len(datagram).to_bytes(2, "big") + datagram)
        return True

    def send_run(self, run: Run) -> bool:
        view, size = run.view, run.segment_size
        if self._is_full(-(-len(view) // size)):
            return False
        framed = bytearray()
        for offset in range(0, len(view), size):
            packet = view[offset : offset + size]
            framed += len(packet).to_bytes(2, "big")
            framed += packet
        self._transport.write(framed)
        return True

    @property
    def backlog(self) -> int:
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        """End the connection."""
        self._transport.close()

    def _is_full(self, packets: int) -> bool:
        if self._transport.is_closing() or self._transport.get_write_buffer_size() > _TCP_BACKLOG:
            self._drops["tcp_backlog"] += packets
            return True
        return False

"""What the kernel does for the media port: room for datagrams, and cutting one large send into packets (UDP GSO)."""

import asyncio
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from media_service.diagnosis.finding import Finding, ok, warning
from media_service.rtc.media_port import SEND_BUFFER
from media_service.settings import Settings

AREA = "UDP"

_RECEIVE_BUFFER = 4 << 20
_SOL_UDP, _UDP_SEGMENT = 17, 103
_SEGMENT_SIZE, _SEGMENTS = 1200, 10
_TIMEOUT = 1.0
_SYSCTL = Path("/proc/sys/net/core")


@dataclass(frozen=True, slots=True)
class Buffer:
    """One of the two that a socket has."""

    name: str
    sysctl: str
    """What limits it."""
    limited: int
    """The socket option that asks for it."""
    forced: int
    """The one that may go beyond the limit, for who has CAP_NET_ADMIN (socket(7))."""
    wanted: int
    """Bytes."""


SEND = Buffer("send", "wmem_max", socket.SO_SNDBUF, 32, SEND_BUFFER)
RECEIVE = Buffer("receive", "rmem_max", socket.SO_RCVBUF, 33, _RECEIVE_BUFFER)


async def check(_: Settings) -> Sequence[Finding]:
    """Ask for buffers as the media port does, and send a segmented datagram to ourselves."""
    return [buffer_finding(SEND), buffer_finding(RECEIVE), await asyncio.to_thread(_segmentation)]


def buffer_finding(buffer: Buffer, sysctl: Path = _SYSCTL) -> Finding:
    """How much of what is wanted a socket is given. `sysctl` is where the kernel's limits are read."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, buffer.limited, buffer.wanted)
        limited = _size(sock, buffer)
        try:
            sock.setsockopt(socket.SOL_SOCKET, buffer.forced, buffer.wanted)
        except OSError:
            pass
        forced = _size(sock, buffer)
    try:
        limit = f"net.core.{buffer.sysctl} is {int((sysctl / buffer.sysctl).read_text())}"
    except (OSError, ValueError):
        limit = f"net.core.{buffer.sysctl} cannot be read"
    if limited >= buffer.wanted:
        return ok(AREA, f"{buffer.name} buffer: {limited} bytes")
    if forced >= buffer.wanted:
        return ok(AREA, f"{buffer.name} buffer: {forced} bytes ({limit}, but this user has CAP_NET_ADMIN)")
    return warning(
        AREA,
        f"{buffer.name} buffer: {max(limited, forced)} of {buffer.wanted} bytes ({limit}): "
        "many viewers at once may lose pictures",
        f"sysctl -w net.core.{buffer.sysctl}={buffer.wanted}, and the same in /etc/sysctl.d/ for the next start",
    )


def _size(sock: socket.socket, buffer: Buffer) -> int:
    # getsockopt gives twice what was asked for, its own bookkeeping included (socket(7)).
    return sock.getsockopt(socket.SOL_SOCKET, buffer.limited) // 2


def _segmentation() -> Finding:
    without = "each packet is sent by itself, which costs about twice the CPU time"
    remedy = "use a Linux kernel of 4.18 or newer whose sandbox, if there is one, lets UDP_SEGMENT through"
    control = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", _SEGMENT_SIZE))]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(_TIMEOUT)
        try:
            sender.sendmsg((bytes(_SEGMENT_SIZE * _SEGMENTS),), control, 0, receiver.getsockname())
            sizes = [len(receiver.recv(65_536)) for _ in range(_SEGMENTS)]
        except TimeoutError:
            return warning(AREA, f"UDP GSO: the segments did not all arrive; {without}", remedy)
        except OSError as error:
            return warning(AREA, f"UDP GSO does not work ({error.strerror}); {without}", remedy)
    if sizes != [_SEGMENT_SIZE] * _SEGMENTS:
        return warning(AREA, f"UDP GSO: the segments have sizes {sizes}; {without}", remedy)
    return ok(AREA, f"UDP GSO: one send became {_SEGMENTS} packets")

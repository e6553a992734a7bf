"""What a process and those that it started listen on."""

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import psutil

from capture.adb.address import in_url


@dataclass(frozen=True, slots=True, order=True)
class ListeningSocket:
    """A TCP socket that takes connections, or a UDP socket that anybody may send to."""

    protocol: str
    """`tcp` or `udp`."""
    port: int
    address: str
    program: str
    """What the process is called."""

    def __str__(self) -> str:
        host = in_url(self.address)
        return f"{self.protocol} {host}:{self.port} ({self.program})"


def listening_sockets(process_id: int) -> list[ListeningSocket]:
    """Those of the process and of all below it."""
    process = psutil.Process(process_id)
    return sorted(found for each in (process, *process.children(recursive=True)) for found in _of(each))


def _of(process: psutil.Process) -> Iterator[ListeningSocket]:
    # It may end while it is looked at.
    with suppress(psutil.NoSuchProcess):
        name = process.name()
        for connection in process.net_connections("inet"):
            is_tcp = connection.type == socket.SOCK_STREAM
            if connection.status == psutil.CONN_LISTEN if is_tcp else not connection.raddr:
                yield ListeningSocket("tcp" if is_tcp else "udp", connection.laddr.port, connection.laddr.ip, name)

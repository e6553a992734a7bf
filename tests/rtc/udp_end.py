"""The browser's socket: a UDP end on loopback, and STUN checks written by aioice."""

import asyncio
import socket
from typing import Any, Self, cast

from aioice import stun

from media_service.rtc.stun import TransportAddress
from signaling.jsep import IceCredentials


def _has_loopback(host: str) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
    except OSError:
        return False
    return True


HOSTS = tuple(host for host in ("127.0.0.1", "::1") if _has_loopback(host))
"""The loopback addresses of this machine."""

PATIENCE = 10.0


class UdpEnd(asyncio.DatagramProtocol):
    """A socket that keeps what arrives."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[tuple[bytes, TransportAddress]] = asyncio.Queue()

    @classmethod
    async def open(cls, host: str = "127.0.0.1") -> Self:
        """A socket on a free port of `host`."""
        _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(cls, local_addr=(host, 0))
        return protocol

    @property
    def address(self) -> TransportAddress:
        """Where it can be reached."""
        return cast(TransportAddress, self._transport.get_extra_info("sockname")[:2])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.arrived.put_nowait((data, addr[:2]))

    def send(self, datagram: bytes, remote: TransportAddress) -> None:
        self._transport.sendto(datagram, remote)

    async def receive(self) -> bytes:
        """The next datagram."""
        async with asyncio.timeout(PATIENCE):
            return (await self.arrived.get())[0]

    async def response(self) -> stun.Message:
        """The next datagram, which must be STUN."""
        return stun.parse_message(await self.receive())

    def close(self) -> None:
        self._transport.close()


def check(local: IceCredentials, *, nominate: bool = False, theirs: str = "them", **attributes: Any) -> stun.Message:
    """A browser's connectivity check of our `local` credentials."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{local.username_fragment}:{theirs}"
    request.attributes["PRIORITY"] = 1
    if nominate:
        request.attributes["USE-CANDIDATE"] = None
    request.attributes |= {name.replace("_", "-"): value for name, value in attributes.items()}
    if "ICE-CONTROLLED" not in request.attributes:
        request.attributes["ICE-CONTROLLING"] = 7
    request.add_message_integrity(local.password.encode())
    return request

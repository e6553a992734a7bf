"""The one port for all viewers: UDP, and ICE-TCP on the same number.

A datagram finds its viewer by the ICE ufrag in its first check (RFC 8445 section 7.3) and by the address that check
came from afterwards. Each local address has a socket of its own, so that an answer leaves from the address that was
asked; what no viewer is known for is counted and forgotten.
"""

import asyncio
import errno
import secrets
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from media_service.rtc import stun
from media_service.rtc.ice_tcp import LARGEST_DATAGRAM, Connections, TcpConnection
from media_service.rtc.path import Path, TcpPath, UdpPath
from media_service.rtc.receiver import AddressKey, Receiver
from media_service.rtc.stun import TransportAddress

_DATAGRAMS_PER_WAKE_UP = 64
SEND_BUFFER = 8 << 20
"""Bytes to be sent that the kernel is asked to keep: a keyframe for a hundred viewers leaves at once."""

_RECEIVE_BUFFER = 4 << 20
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_ADDRESSES_PER_RECEIVER = 16
_LARGEST_TRANSACTION_COUNT = 4096


class NoMediaPort(Exception):
    """Every port of the configured range is taken."""


class MediaPort:
    """The sockets that all viewers share, and who is behind which address."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """Opened by `MediaPort.open`."""
        self.number: int = sockets[0].getsockname()[1]
        self.drops: Counter[str] = Counter()
        """Datagrams not sent or not taken, by reason."""
        self.checks_received = 0
        self._sockets = {sock.getsockname()[0]: sock for sock in sockets}
        self._servers: list[asyncio.Server] = []
        self._by_ufrag: dict[str, Receiver] = {}
        self._by_address: dict[AddressKey, tuple[Path, Receiver]] = {}
        self._addresses: dict[Receiver, list[AddressKey]] = {}
        self._transactions: dict[bytes, Callable[[stun.StunMessage], None]] = {}
        self.connections = Connections()
        loop = asyncio.get_running_loop()
        for local, sock in self._sockets.items():
            loop.add_reader(sock.fileno(), self._readable, local, sock)

    @classmethod
    async def open(cls, hosts: Sequence[str], ports: range) -> "MediaPort":
        """Bind the first number of `ports` that is free on every one of `hosts`, for UDP and TCP.

        An address that cannot be bound at all (it went away meanwhile) is left out. Raises `NoMediaPort`.
        """
        for number in ports:
            sockets = _bind(hosts, number)
            if sockets is None:
                continue
            port = cls(sockets)
            try:
                await port._listen()
            except OSError:
                await port.aclose()
                continue
            return port
        raise NoMediaPort(
            f"no free media port in {ports.start}..{ports.stop - 1} on {', '.join(hosts)}: "
            "widen ICE_PORT_MIN and ICE_PORT_MAX or stop what uses these ports"
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """The local addresses that the port is open on."""
        return tuple(self._sockets)

    @property
    def send_buffer(self) -> int:
        """Bytes that the kernel keeps for the sockets to send, at least."""
        # getsockopt gives twice what was asked for, its own bookkeeping included (socket(7)).
        sizes = [sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) // 2 for sock in self._sockets.values()]
        return min(sizes)

    @property
    def address_count(self) -> int:
        """Remote addresses that are known to belong to a viewer."""
        return len(self._by_address)

    def register(self, username_fragment: str, receiver: Receiver) -> None:
        """Checks for `username_fragment` go to `receiver` from now on."""
        self._by_ufrag[username_fragment] = receiver

    def unregister(self, username_fragment: str) -> None:
        """Forget a username fragment."""
        self._by_ufrag.pop(username_fragment, None)

    def forget(self, receiver: Receiver) -> None:
        """Forget every address of `receiver` and end its TCP connections."""
        for key in self._addresses.pop(receiver, ()):
            path, _ = self._by_address.pop(key)
            if isinstance(path, TcpPath):
                path.close()

    def send_checks(self, request: Callable[[bytes], bytes | None], remotes: Sequence[TransportAddress]) -> None:
        """Send a binding request made by `request(transaction_id)` to every remote, from every socket of its family."""
        for remote in remotes:
            for local, sock in self._sockets.items():
                if (":" in local) != (":" in remote[0]):
                    continue
                datagram = request(secrets.token_bytes(12))
                if datagram is not None:
                    UdpPath(sock, remote, self.drops).send(datagram)

    def ask(
        self, local: str, remote: TransportAddress, answered: Callable[[stun.StunMessage], None]
    ) -> Callable[[], None]:
        """Ask a STUN server at `remote` from the socket of `local`; returns what ends the waiting."""
        return self.ask_by(UdpPath(self._sockets[local], remote, self.drops), stun.discovery_request, answered)

    def ask_by(
        self, path: Path, request: Callable[[bytes], bytes | None], answered: Callable[[stun.StunMessage], None]
    ) -> Callable[[], None]:
        """Send the binding request that `request(transaction_id)` makes, if any; returns what ends the waiting."""
        transaction_id = secrets.token_bytes(12)
        datagram = request(transaction_id)
        if datagram is not None and len(self._transactions) < _LARGEST_TRANSACTION_COUNT:
            self._transactions[transaction_id] = answered
            path.send(datagram)

        def stop_waiting() -> None:
            self._transactions.pop(transaction_id, None)

        return stop_waiting

    def path_lost(self, key: AddressKey) -> None:
        """Forget an address whose connection ended."""
        known = self._by_address.pop(key, None)
        if known is not None:
            self._addresses[known[1]].remove(key)

    async def aclose(self) -> None:
        """Close every socket and connection."""
        loop = asyncio.get_running_loop()
        for server in self._servers:
            server.close()
        self.connections.close()
        for server in self._servers:
            await server.wait_closed()
        for sock in self._sockets.values():
            loop.remove_reader(sock.fileno())
            sock.close()

    def _readable(self, local: str, sock: socket.socket) -> None:
        # Several datagrams per wake-up, but the loop gets its turn between.
        for _ in range(_DATAGRAMS_PER_WAKE_UP):
            try:
                datagram, address = sock.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self.drops["receive_error"] += 1
                continue
            key = (local, address[:2])
            known = self._by_address.get(key)
            if not datagram:
                self.drops["empty"] += 1
            elif datagram[0] < 4:
                path = known[0] if known is not None else UdpPath(sock, address[:2], self.drops)
                self.stun_received(datagram, key, path)
            elif known is not None:
                known[1].datagram_received(datagram)
            else:
                self.drops["unknown_address"] += 1

    def stun_received(self, datagram: bytes, key: AddressKey, path: Path) -> Receiver | None:
        """Take a STUN message that came over `path`; the viewer whose authentic check it is."""
        message = stun.parse(datagram)
        if message is None:
            self.drops["malformed_stun"] += 1
            return None
        if message.message_type != stun.BINDING_REQUEST:
            # Answers to checks that were to open a NAT prove nothing that the browser's checks do not.
            answered = self._transactions.pop(message.transaction_id, None)
            if answered is not None:
                answered(message)
            return None
        username = message.username
        receiver = self._by_ufrag.get(username.partition(":")[0]) if username else None
        if receiver is None or not receiver.check_received(message, path):
            self.drops["unauthentic_check"] += 1
            return None
        self.checks_received += 1
        known = self._by_address.get(key)
        if known is None or known[1] is not receiver:
            self._learn(key, path, receiver)
        return receiver

    def _learn(self, key: AddressKey, path: Path, receiver: Receiver) -> None:
        previous = self._by_address.get(key)
        if previous is not None:
            self._addresses[previous[1]].remove(key)
        self._by_address[key] = (path, receiver)
        keys = self._addresses.setdefault(receiver, [])
        keys.append(key)
        if len(keys) > _ADDRESSES_PER_RECEIVER:
            # The second oldest: the oldest may be the one in use.
            evicted, _ = self._by_address.pop(keys.pop(1))
            if isinstance(evicted, TcpPath):
                evicted.close()

    async def _listen(self) -> None:
        """Take ICE-TCP connections on the same number. Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        for host in self.hosts:
            self._servers.append(
                await loop.create_server(partial(TcpConnection, self, self.connections, host), host, self.number)
            )


def _bind(hosts: Sequence[str], number: int) -> list[socket.socket] | None:
    sockets: list[socket.socket] = []
    for host in hosts:
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            sock.bind((host, number))
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRNOTAVAIL:
                continue
            for bound in sockets:
                bound.close()
            return None
        _set_buffer(sock, _SO_SNDBUFFORCE, socket.SO_SNDBUF, SEND_BUFFER)
        _set_buffer(sock, _SO_RCVBUFFORCE, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        sockets.append(sock)
    return sockets or None


def _set_buffer(sock: socket.socket, forced: int, limited: int, size: int) -> None:
    """The forced option goes beyond net.core.*mem_max but needs CAP_NET_ADMIN."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, limited, size)

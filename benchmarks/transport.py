"""One viewer's transport: a socket of its own, ICE checks, the DTLS handshake, and media handed on as it comes."""

import asyncio
import random
import socket
import time
from typing import Protocol

from benchmarks.dtls import DtlsEndpoint, SrtpSessions
from benchmarks.errors import BenchmarkError
from benchmarks.ice_agent import IceAgent

CHECK_INTERVAL = 2.5
"""Seconds between Chromium's checks of a pair that works (`STRONG_AND_STABLE_WRITABLE_CONNECTION_PING_INTERVAL`)."""
_FIRST_CHECKS_INTERVAL = 0.05
_BATCH = 512
_RECEIVE_BUFFER = 4 << 20
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; the socket module lacks it


class MediaReceiver(Protocol):
    """Who takes what is not ICE and not DTLS."""

    def secured(self, srtp: SrtpSessions) -> None:
        """Take the keyed sessions, once, before any media."""
        ...

    def media(self, packet: bytearray, size: int, now: float) -> None:
        """Take the SRTP or SRTCP packet in the first `size` bytes; they are overwritten when this returns."""
        ...

    def data(self, data: bytes) -> None:
        """Take a datagram of DTLS application data (SCTP)."""
        ...


def open_socket(address: str) -> socket.socket:
    """A UDP socket at an address of this machine whose buffer holds a whole GOP replay."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    opened.bind((address, 0))
    return opened


class ViewerTransport:
    """Connects `opened` to `address` and keeps it connected until `close`."""

    def __init__(
        self,
        opened: socket.socket,
        address: tuple[str, int],
        ice: IceAgent,
        dtls: DtlsEndpoint,
        receiver: MediaReceiver,
    ) -> None:
        self.ice = ice
        self._socket = opened
        self._address = address
        self._dtls = dtls
        self._receiver = receiver
        self._buffer = bytearray(65536)
        self._loop = asyncio.get_running_loop()
        self._check_timer: asyncio.TimerHandle | None = None
        self._handshake_timer: asyncio.TimerHandle | None = None
        self.connected: asyncio.Future[None] = self._loop.create_future()
        """Done when the handshake is over; a `BenchmarkError` when it failed."""
        self.ended = False
        """Whether the other side sent close_notify."""

    def start(self) -> None:
        """Begin with ICE checks; DTLS follows the first answered one."""
        self._socket.connect(self._address)
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._check()

    def send(self, datagram: bytes) -> None:
        """Send one datagram, or lose it as a network would."""
        try:
            self._socket.send(datagram)
        except (BlockingIOError, ConnectionRefusedError):
            pass

    def send_data(self, data: bytes) -> None:
        """Send DTLS application data."""
        self._send_all(self._dtls.send(data))

    def vanish(self) -> None:
        """Be gone without a word, as a killed browser. Idempotent."""
        if self._socket.fileno() < 0:
            return
        for timer in (self._check_timer, self._handshake_timer):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        self.connected.cancel()

    def close(self) -> None:
        """Say goodbye (close_notify), then be gone. Idempotent."""
        if self._socket.fileno() >= 0:
            self._send_all(self._dtls.close())
            self.vanish()

    def _send_all(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.send(datagram)

    def _check(self) -> None:
        self.send(self.ice.check())
        interval = CHECK_INTERVAL if self.connected.done() else _FIRST_CHECKS_INTERVAL
        self._check_timer = self._loop.call_later(interval * random.uniform(0.9, 1.1), self._check)

    def _readable(self) -> None:
        receive, buffer, media = self._socket.recv_into, self._buffer, self._receiver.media
        now = time.monotonic()
        for _ in range(_BATCH):
            try:
                size = receive(buffer)
            except (BlockingIOError, ConnectionRefusedError):
                return
            first = buffer[0]
            # RFC 7983 section 7 tells what a datagram is by its first byte.
            if 128 <= first < 192:
                media(buffer, size, now)
            elif first < 4:
                self._stun(bytes(buffer[:size]))
            elif 20 <= first < 64:
                self._handshake(bytes(buffer[:size]))
            if self._socket.fileno() < 0:
                return

    def _stun(self, datagram: bytes) -> None:
        first = not self.ice.confirmed
        response = self.ice.receive(datagram, self._address)
        if response is not None:
            self.send(response)
        if first and self.ice.confirmed:
            self._send_all(self._dtls.start())
            self._arm()

    def _handshake(self, datagram: bytes) -> None:
        try:
            data, outgoing = self._dtls.receive(datagram)
            self._send_all(outgoing)
            if self._dtls.connected and not self.connected.done():
                self._receiver.secured(self._dtls.srtp())
                self.connected.set_result(None)
        except BenchmarkError as error:
            if not self.connected.done():
                self.connected.set_exception(error)
            return
        for message in data:
            self._receiver.data(message)
        self.ended = self._dtls.closed
        if not self.connected.done():
            self._arm()

    def _arm(self) -> None:
        if self._handshake_timer is not None:
            self._handshake_timer.cancel()
        timeout = self._dtls.timeout()
        if timeout is not None:
            self._handshake_timer = self._loop.call_later(timeout + 0.001, self._retransmit)

    def _retransmit(self) -> None:
        self._send_all(self._dtls.retransmit())
        self._arm()

"""DTLS-SRTP and data channels by aiortc's parts, over our own ICE (RFC 5764, RFC 8831).

This is the only module that touches aiortc's private names: `RTCDtlsTransport._set_role`, `_state`, `_srtp_profiles`,
`_ssl`, `_tx_srtp`, `_rx_srtp` and `RTCCertificate._create_ssl_context`; `tests/rtc/test_dtls.py` fails when an upgrade
moves them.
"""

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any

from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCSctpCapabilities,
    RTCSctpTransport,
)
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AEAD_AES_256_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL

from media_service.rtc.srtp import SrtpContext, context_of
from signaling.jsep import DataChannels

# As the DTLS server our order wins: the cheapest cipher first (measured: design.md section 2).
_SRTP_PROFILES = [SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM, SRTP_AES128_CM_SHA1_80]
_QUEUE_LIMIT = 64
_LARGEST_CHANNEL_COUNT = 16
_LARGEST_BACKLOG = 256 * 1024


class Certificate(RTCCertificate):
    """The process's certificate. Its SSL context and fingerprint are made once: aiortc makes both for every peer."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            context = super()._create_ssl_context(srtp_profiles)
            # A shared context would collect the session of every viewer there ever was.
            context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            # aiortc's are for ECDSA only, and a peer that is our server may have an RSA certificate.
            context.set_cipher_list(_CIPHERS)
            self._context = context
        return self._context

    @cached_property
    def _sha_256(self) -> str:
        return next(each.value for each in self.getFingerprints() if each.algorithm == "sha-256")

    def fingerprint(self) -> str:
        """SHA-256 of the certificate, `AA:BB:…` (RFC 8122)."""
        return self._sha_256


_CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:"
    b"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA"
)


class _IceTransport:
    """What RTCDtlsTransport takes for an RTCIceTransport: a bounded queue in, a function out."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._ended = False

    def deliver(self, datagram: bytes) -> bool:
        """Queue a datagram; False when the queue is full and it was dropped."""
        try:
            self._queue.put_nowait(datagram)
        except asyncio.QueueFull:
            return False
        return True

    def end(self) -> None:
        """Make the reader see a closed connection, at once or after what is queued."""
        self._ended = True
        if self._queue.empty():
            self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        if self._ended and self._queue.empty():
            raise ConnectionError
        datagram = await self._queue.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self._send_datagram(datagram)


class DtlsFailed(Exception):
    """The handshake did not end in an authenticated connection."""


class DtlsTransport:
    """One peer's DTLS association with its SRTP keys and, when negotiated, its data channels."""

    def __init__(
        self,
        certificate: Certificate,
        *,
        is_server: bool,
        send: Callable[[bytes], object],
        closed: Callable[[], None],
    ) -> None:
        """`send` takes outgoing datagrams; `closed` is called when the peer ends the association."""
        self._ice = _IceTransport(send)
        self._transport = RTCDtlsTransport(self._ice, [certificate])  # type: ignore[arg-type]
        self._transport._set_role("server" if is_server else "client")
        self._transport._srtp_profiles = _SRTP_PROFILES
        self._closed = closed
        self._sctp: RTCSctpTransport | None = None
        self._channels: list[RTCDataChannel] = []
        self.messages_dropped = 0
        """Messages not sent because the data channel's backlog was full."""

    @property
    def is_connected(self) -> bool:
        """Whether the handshake is done and the keys are there."""
        # Not by `state`, which makes a string: this is asked for every datagram.
        return self._transport._state is State.CONNECTED

    @property
    def srtp_profile(self) -> str:
        """The negotiated protection profile, e.g. `SRTP_AEAD_AES_128_GCM`."""
        connection = self._transport._ssl
        return connection.get_selected_srtp_profile().decode() if connection is not None else ""

    @property
    def tag_size(self) -> int:
        """Bytes that SRTP appends to a packet: 10 for the SHA1_80 profile, 16 for AES-GCM."""
        return 10 if "SHA1_80" in self.srtp_profile else 16

    @property
    def srtp_context(self) -> SrtpContext:
        """The sending SRTP session, for `srtp.protect`."""
        return context_of(self._transport._tx_srtp)

    async def handshake(self, fingerprints: tuple[tuple[str, str], ...]) -> None:
        """Run the handshake and check the peer's certificate against `fingerprints`. Raises `DtlsFailed`."""
        await self._transport.start(
            RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(algorithm, value) for algorithm, value in fingerprints])
        )
        if self._transport.state != "connected":
            raise DtlsFailed("the DTLS handshake failed, or the certificate is not the one in the SDP")
        self._transport.on("statechange", self._state_changed)

    async def open_channels(
        self,
        negotiated: DataChannels,
        opened: Callable[[str], None],
        message: Callable[[str, str | bytes], None],
    ) -> None:
        """Start SCTP; `opened` gets the label of each data channel that the peer opens, `message` also its messages."""
        self._sctp = sctp = RTCSctpTransport(self._transport)

        def channel_opened(channel: RTCDataChannel) -> None:
            if len(self._channels) >= _LARGEST_CHANNEL_COUNT:
                channel.close()
                return
            self._channels.append(channel)
            channel.on("message", lambda data: message(channel.label, data))
            channel.on("close", lambda: self._forget(channel))
            opened(channel.label)

        sctp.on("datachannel", channel_opened)
        await sctp.start(RTCSctpCapabilities(maxMessageSize=negotiated.max_message_size), negotiated.port)

    def send_message(self, label: str, text: str) -> None:
        """Send `text` on every open channel of that label; dropped and counted while its backlog is full."""
        for channel in self._channels:
            if channel.label == label and channel.readyState == "open":
                if channel.bufferedAmount > _LARGEST_BACKLOG:
                    self.messages_dropped += 1
                else:
                    channel.send(text)

    def deliver(self, datagram: bytes) -> bool:
        """Take a DTLS datagram; False when the queue was full and it was dropped."""
        return self._ice.deliver(datagram)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The SRTCP packet for a compound packet."""
        protected: bytes = self._transport._tx_srtp.protect_rtcp(packet)
        return protected

    def protect(self, packet: bytes) -> bytes:
        """The SRTP packet for a single RTP packet, as retransmissions need it."""
        protected: bytes = self._transport._tx_srtp.protect(packet)
        return protected

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The compound packet in an SRTCP packet. Raises `pylibsrtp.Error` or `ValueError` when it is not authentic."""
        compound: bytes = self._transport._rx_srtp.unprotect_rtcp(packet)
        return compound

    async def aclose(self) -> None:
        """Say goodbye (SCTP ABORT, then close_notify) and end every task. Idempotent."""
        self._transport.remove_all_listeners()
        if self._sctp is not None and self.is_connected:
            await self._sctp.stop()
        await self._transport.stop()
        self._ice.end()
        # The listeners close circles of references, which the garbage collector would find late.
        for channel in self._channels:
            channel.remove_all_listeners()
        self._channels.clear()
        if self._sctp is not None:
            self._sctp.remove_all_listeners()

    def _forget(self, channel: RTCDataChannel) -> None:
        if channel in self._channels:
            self._channels.remove(channel)

    def _state_changed(self, *_: Any) -> None:
        if self._transport.state in ("closed", "failed"):
            self._closed()

"""A browser's end by aiortc's own parts, joined in memory to a `DtlsTransport` of ours."""

import asyncio
from collections.abc import Callable

from aiortc import (
    RTCCertificate,
    RTCDataChannel,
    RTCDataChannelParameters,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    RTCSctpTransport,
)

from media_service.rtc.dtls import DtlsTransport
from tests.rtc.joined import CERTIFICATE


class _MemoryIce:
    """What RTCDtlsTransport needs of an ICE transport."""

    def __init__(self, role: str, send: Callable[[bytes], object]) -> None:
        self.role = role
        self.state = "completed"
        self.arrived: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._deliver = send

    async def _recv(self) -> bytes:
        datagram = await self.arrived.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, datagram: bytes) -> None:
        self._deliver(datagram)


class AiortcEnd:
    """DTLS and data channels of aiortc, and our transport at the other end."""

    def __init__(self, *, is_our_server: bool = True) -> None:
        self.is_link_up = True
        self.closed_count = 0
        self.ours = DtlsTransport(CERTIFICATE, is_server=is_our_server, send=self._from_us, closed=self._closed)
        self.certificate = RTCCertificate.generateCertificate()
        # aiortc's transport is the DTLS server when its ICE controls.
        self._ice = _MemoryIce("controlled" if is_our_server else "controlling", self._to_us)
        self.dtls = RTCDtlsTransport(self._ice, [self.certificate])  # type: ignore[arg-type]
        self.sctp = RTCSctpTransport(self.dtls)

    @property
    def fingerprints(self) -> tuple[tuple[str, str], ...]:
        """What its SDP would say."""
        return tuple((each.algorithm, each.value) for each in self.certificate.getFingerprints())

    async def connect(self, fingerprint: str | None = None) -> None:
        """Run the handshake from both ends; `fingerprint` is what aiortc expects of us."""
        expected = RTCDtlsFingerprint("sha-256", fingerprint or CERTIFICATE.fingerprint())
        async with asyncio.TaskGroup() as group:
            group.create_task(self.dtls.start(RTCDtlsParameters([expected])))
            group.create_task(self.ours.handshake(self.fingerprints))

    def open_channel(self, label: str) -> RTCDataChannel:
        """A data channel as a browser opens it."""
        return RTCDataChannel(self.sctp, RTCDataChannelParameters(label=label))

    async def aclose(self) -> None:
        """End both."""
        await self.ours.aclose()
        await self.sctp.stop()
        await self.dtls.stop()
        self._ice.arrived.put_nowait(None)

    def _from_us(self, datagram: bytes) -> None:
        if self.is_link_up:
            self._ice.arrived.put_nowait(datagram)

    def _to_us(self, datagram: bytes) -> None:
        if self.is_link_up:
            self.ours.deliver(datagram)

    def _closed(self) -> None:
        self.closed_count += 1

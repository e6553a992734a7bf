"""Our end of one viewer's connection: ICE on the shared port, DTLS, data channels."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pylibsrtp import Error as SrtpError

from media_service.rtc import rtcp, stun
from media_service.rtc.dtls import Certificate, DtlsTransport
from media_service.rtc.ice import IceAgent, new_credentials
from media_service.rtc.media_port import MediaPort
from media_service.rtc.path import Path
from signaling.jsep import Candidate, IceCredentials, LocalTransport, Negotiated

# Seconds after negotiation at which our own checks go out while the browser's have not come through.
_OPENING_CHECKS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)


class PeerEvents(Protocol):
    """What the owner of a peer wants to know. None of these may raise for anything the peer sent."""

    def path_changed(self, path: Path) -> None:
        """Send on `path` from now on."""
        ...

    def channel_opened(self, label: str) -> None:
        """The browser opened a data channel of that label, which takes messages now."""
        ...

    def message_received(self, label: str, message: str | bytes) -> None:
        """Take a message from the data channel of that label."""
        ...

    def rtcp_received(self, packets: Sequence[rtcp.RtcpPacket], now: float) -> None:
        """Take what an authentic RTCP packet says; `now` in seconds of the monotonic clock."""
        ...

    def closed_by_peer(self) -> None:
        """The browser ended the DTLS association."""
        ...


def _nothing() -> None:
    pass


class Peer:
    """One viewer's transport. Datagrams come by `MediaPort`, which knows it by its ufrag."""

    def __init__(self, port: MediaPort, certificate: Certificate, events: PeerEvents) -> None:
        self.ice = IceAgent(new_credentials(), time.monotonic(), self._path_selected)
        self.dtls: DtlsTransport | None = None
        self._port = port
        self._certificate = certificate
        self._events = events
        self._has_path = asyncio.Event()
        self._opening: asyncio.TimerHandle | None = None
        self._stop_measuring: Callable[[], None] = _nothing
        port.register(self.ice.local.username_fragment, self)

    def local_transport(self, candidates: tuple[str, ...]) -> LocalTransport:
        """What the SDP announces about this end."""
        return LocalTransport(self.ice.local, self._certificate.fingerprint(), candidates)

    def negotiated(self, negotiated: Negotiated) -> None:
        """Take what the browser said about its end; its first datagrams may come before `connect` runs."""
        remote = negotiated.remote
        self.ice.remote = remote.ice
        self.ice.add_candidates(remote.candidates)
        if self.ice.path is not None:
            self._measure(self.ice.path)
        self.dtls = DtlsTransport(
            self._certificate,
            is_server=remote.is_dtls_client,
            send=self._send,
            closed=self._events.closed_by_peer,
        )
        self._schedule_opening_checks(0)

    async def connect(self, negotiated: Negotiated, connected: Callable[[DtlsTransport, Path], None]) -> None:
        """Run until media can flow, then call `connected` and open the data channels; `negotiated` comes first.

        Raises `DtlsFailed`; waits for as long as the browser does not answer.
        """
        dtls = self.dtls
        if dtls is None:
            raise RuntimeError("connect comes after negotiated")
        remote = negotiated.remote
        await self._has_path.wait()
        await dtls.handshake(remote.fingerprints)
        path = self.ice.path
        if path is not None:
            connected(dtls, path)
        # Without an await in between: the browser's SCTP INIT may be the next datagram.
        if negotiated.data_channels is not None:
            await dtls.open_channels(
                negotiated.data_channels, self._events.channel_opened, self._events.message_received
            )

    def add_candidates(self, candidates: Sequence[Candidate]) -> None:
        """Learn trickled candidates; they are checked at once while there is no path yet."""
        added = self.ice.add_candidates(candidates)
        if not self.ice.is_nominated:
            self._port.send_checks(self.ice.check, [(each.address, each.port) for each in added])

    def restart_ice(self, remote: IceCredentials, candidates: Sequence[Candidate]) -> IceCredentials:
        """Take the browser's new credentials and return ours (RFC 8445 section 9); media goes on over the old path."""
        self._port.unregister(self.ice.local.username_fragment)
        local = new_credentials()
        self.ice.restart(local, remote)
        self._port.register(local.username_fragment, self)
        self.add_candidates(candidates)
        return local

    def check_received(self, request: stun.StunMessage, path: Path) -> bool:
        return self.ice.check_received(request, path, time.monotonic())

    def datagram_received(self, datagram: bytes) -> None:
        dtls = self.dtls
        first = datagram[0]
        # RFC 7983 section 7: DTLS is 20..63, RTP and RTCP 128..191; RTCP by its packet type (RFC 5761 section 4).
        if dtls is None:
            self._port.drops["before_negotiation"] += 1
        elif 20 <= first <= 63:
            if not dtls.deliver(datagram):
                self._port.drops["dtls_queue_full"] += 1
        elif dtls.is_connected and 128 <= first <= 191 and len(datagram) >= 8 and 192 <= datagram[1] <= 223:
            try:
                compound = dtls.unprotect_rtcp(datagram)
            except (SrtpError, ValueError):
                self._port.drops["unauthentic_rtcp"] += 1
                return
            self._events.rtcp_received(rtcp.parse(compound), time.monotonic())
        else:
            self._port.drops["unexpected_datagram"] += 1

    def send_message(self, label: str, text: str) -> None:
        """Send `text` on the open data channels of that label; without one it is not sent."""
        if self.dtls is not None:
            self.dtls.send_message(label, text)

    async def aclose(self) -> None:
        """Say goodbye and forget the viewer. Idempotent."""
        self._port.unregister(self.ice.local.username_fragment)
        self._stop_measuring()
        if self._opening is not None:
            self._opening.cancel()
        if self.dtls is not None:
            await self.dtls.aclose()
        # The addresses go last: what the browser answers to the goodbye is not a stranger's datagram.
        self._port.forget(self)

    def _schedule_opening_checks(self, index: int) -> None:
        if index < len(_OPENING_CHECKS):
            loop = asyncio.get_running_loop()
            self._opening = loop.call_later(_OPENING_CHECKS[index], self._opening_check, index)

    def _opening_check(self, index: int) -> None:
        if self.ice.path is None:
            remotes = [(each.address, each.port) for each in self.ice.candidates]
            self._port.send_checks(self.ice.check, remotes)
            self._schedule_opening_checks(index + 1)

    def _path_selected(self, path: Path) -> None:
        self._has_path.set()
        self._events.path_changed(path)
        self._measure(path)

    def _measure(self, path: Path) -> None:
        """Learn how long `path` takes; without the browser's credentials nothing can be asked yet."""
        self._stop_measuring()
        sent_at = time.monotonic()

        def answered(response: stun.StunMessage) -> None:
            self.ice.check_answered(response, sent_at, time.monotonic())

        self._stop_measuring = self._port.ask_by(path, self.ice.check, answered)

    def _send(self, datagram: bytes) -> None:
        if self.ice.path is not None:
            self.ice.path.send(datagram)

"""One real viewer: offers as a browser does, counts every packet, decrypts samples, and reports what arrives."""

import asyncio
import random
import secrets
import time
from dataclasses import dataclass

import aiohttp
from pylibsrtp import Error as SrtpError
from yarl import URL

from benchmarks.data_channel import ControlChannel
from benchmarks.depacketizer import Depacketizer, is_keyframe
from benchmarks.dtls import DtlsEndpoint, Identity, SrtpSessions
from benchmarks.errors import BenchmarkError
from benchmarks.feedback import is_rtcp, receiver_report, remb, sender_report_time
from benchmarks.ice_agent import IceAgent
from benchmarks.negotiation import Credentials, offer, parse_answer
from benchmarks.reception import Reception
from benchmarks.transport import ViewerTransport, open_socket
from benchmarks.transport_feedback import INTERVAL, Arrivals

_REPORT_INTERVAL = 1.0
_SAMPLE = 97
"""One packet of so many is decrypted; a prime, so that it wanders through the pictures."""
_MAX_WITNESSED = 1200
_BANDWIDTH = 4_000_000


@dataclass(frozen=True, slots=True)
class JoinTimes:
    """Seconds from the moment when the offer was posted."""

    started: float
    """That moment, on the monotonic clock, which the processes of a machine share."""
    answered: float
    connected: float
    """The DTLS handshake was over."""
    first_packet: float
    keyframe: float
    """A whole keyframe had arrived and was decrypted."""
    channel: float
    """The data channel was open; 0 when none was asked for."""


@dataclass(frozen=True, slots=True)
class ViewerKind:
    """What a viewer does beyond watching."""

    candidate: bool = False
    """Whether the offer carries a host candidate; a page that does not trickle sends none."""
    data_channel: bool = False
    address: str = "127.0.0.1"
    """Of this machine, that it receives at."""
    witness: bool = False
    """Whether every packet is decrypted and the pictures are kept, 40 s of them, not only a sample."""


PLAYER = ViewerKind()
"""A page that only watches."""

PAGE = ViewerKind(data_channel=True)
"""The service's own page, which can also touch."""


class Viewer:
    """What one browser tab does on the wire, at the least cost."""

    def __init__(self, identity: Identity, kind: ViewerKind) -> None:
        self.reception = Reception()
        self.verified = 0
        """Packets that were decrypted and found authentic."""
        self.refused = 0
        """Packets that were decrypted and not authentic."""
        self.retransmitted = 0
        """Packets with another payload type than the video's."""
        self.witnessed: list[tuple[bytes, ...]] = []
        """A witness's access units since it joined."""
        self._identity = identity
        self.kind = kind
        self._loop = asyncio.get_running_loop()
        self._transport: ViewerTransport | None = None
        self._srtp: SrtpSessions | None = None
        self._channel: ControlChannel | None = None
        self._is_dtls_client = True
        self._depacketizer = Depacketizer()
        self._inspecting = True
        self._payload_type = -1
        self._ssrc, self._media_ssrc = secrets.randbits(32), 0
        self._until_sample = _SAMPLE
        self._sender_report = (0, 0.0)
        self._arrivals: Arrivals | None = None
        self._report_timer: asyncio.TimerHandle | None = None
        self._feedback_timer: asyncio.TimerHandle | None = None
        self._session_url: URL | None = None
        self._started = self._first_packet_at = 0.0
        self._keyframe_at: asyncio.Future[float] = self._loop.create_future()

    @property
    def depacketizing_errors(self) -> int:
        """Packets that did not fit their picture, while every packet was looked at."""
        return self._depacketizer.errors

    @property
    def srtp_profile(self) -> str:
        return "none" if self._srtp is None else self._srtp.profile

    async def join(self, client: aiohttp.ClientSession, url: str, timeout: float) -> JoinTimes:
        """Offer at the WHEP endpoint `url` and return when a whole keyframe has arrived.

        Raises `BenchmarkError` when that fails or takes more than `timeout` seconds; the viewer is gone then.
        """
        self._started = time.monotonic()
        answered = connected = channel = 0.0
        try:
            async with asyncio.timeout(timeout):
                self._transport = transport = await self._negotiate(client, url)
                answered = time.monotonic()
                transport.start()
                await transport.connected
                connected = time.monotonic()
                self._report_timer = self._loop.call_later(_REPORT_INTERVAL * random.random(), self._report)
                if self._arrivals is not None:
                    self._feedback_timer = self._loop.call_later(INTERVAL * random.random(), self._feed_back)
                if self._channel is not None:
                    await self._channel.open()
                    channel = time.monotonic() - self._started
                keyframe = await self._keyframe_at
        except (TimeoutError, aiohttp.ClientError) as error:
            self.vanish()
            raise BenchmarkError(
                f"{type(error).__name__} after {time.monotonic() - self._started:.1f} s: {self._progress()} {error}"
            ) from error
        except BaseException:
            self.vanish()
            raise
        return JoinTimes(
            started=self._started,
            answered=answered - self._started,
            connected=connected - self._started,
            first_packet=self._first_packet_at - self._started,
            keyframe=keyframe - self._started,
            channel=channel,
        )

    async def leave(self, client: aiohttp.ClientSession) -> None:
        """DELETE the session as a page does that is left. Raises `BenchmarkError` when that is refused."""
        if self._session_url is not None:
            async with client.delete(self._session_url) as response:
                if response.status >= 300:
                    raise BenchmarkError(f"DELETE {self._session_url} answered {response.status}")
        if self._channel is not None:
            await self._channel.stop()
        if self._transport is not None:
            self._transport.close()
        self.vanish()

    def vanish(self) -> None:
        """Be gone without a word. Idempotent."""
        for timer in (self._report_timer, self._feedback_timer):
            if timer is not None:
                timer.cancel()
        if self._channel is not None:
            self._channel.vanish()
        if self._transport is not None:
            self._transport.vanish()
        self._keyframe_at.cancel()

    async def _negotiate(self, client: aiohttp.ClientSession, url: str) -> ViewerTransport:
        local = Credentials.random()
        opened = open_socket(self.kind.address)
        try:
            sdp = offer(
                local,
                self._identity.fingerprint,
                address=opened.getsockname() if self.kind.candidate else None,
                data_channel=self.kind.data_channel,
            )
            async with client.post(url, data=sdp, headers={"Content-Type": "application/sdp"}) as response:
                body = await response.text()
                if response.status != 201:
                    raise BenchmarkError(f"POST {url} answered {response.status}: {body[:500]}")
                self._session_url = response.url.join(URL(response.headers["Location"]))
            answer = parse_answer(body, local=self.kind.address)
            self._payload_type = answer.payload_type
            if answer.transport_number is not None:
                self._arrivals = Arrivals(answer.transport_number)
            self._is_dtls_client = not answer.is_dtls_client
            dtls = DtlsEndpoint(self._identity, answer.fingerprint, is_client=self._is_dtls_client)
            return ViewerTransport(opened, answer.address, IceAgent(local, answer.credentials), dtls, self)
        except BaseException:
            opened.close()
            raise

    def _progress(self) -> str:
        if self._transport is None:
            return "no answer."
        ice = self._transport.ice
        return (
            f"{ice.confirmed} checks confirmed, {ice.refused} STUN messages refused,"
            f" SRTP {self.srtp_profile}, {self.reception.packets} packets ({self.reception.lost} lost,"
            f" {self.refused} not authentic), {self.depacketizing_errors} depacketizing errors."
        )

    # What arrives ------------------------------------------------------------------------------------------------

    def secured(self, srtp: SrtpSessions) -> None:
        self._srtp = srtp
        if self.kind.data_channel and self._transport is not None:
            self._channel = ControlChannel(self._transport, is_client=self._is_dtls_client)

    def media(self, packet: bytearray, size: int, now: float) -> None:
        second = packet[1]
        if self._arrivals is not None and not is_rtcp(second):
            self._arrivals.packet(packet, now)
        if second & 0x7F == self._payload_type:
            self.reception.packet(packet, size, now)
            self._until_sample -= 1
            if self._inspecting:
                self._inspect(bytes(packet[:size]))
            elif self._until_sample <= 0:
                self._until_sample = _SAMPLE
                self._decrypt(bytes(packet[:size]))
        elif is_rtcp(second):
            self._rtcp(bytes(packet[:size]), now)
        else:
            self.retransmitted += 1

    def data(self, data: bytes) -> None:
        if self._channel is not None:
            self._channel.data(data)

    def _decrypt(self, packet: bytes) -> bytes | None:
        assert self._srtp is not None
        try:
            decrypted = self._srtp.inbound.unprotect(packet)
        except SrtpError:
            self.refused += 1
            return None
        self.verified += 1
        return decrypted

    def _inspect(self, packet: bytes) -> None:
        """Decrypt all until the first keyframe is whole; a witness goes on for ever."""
        if not self._first_packet_at:
            self._first_packet_at = time.monotonic()
            self._media_ssrc = int.from_bytes(packet[8:12], "big")
        decrypted = self._decrypt(packet)
        access_unit = None if decrypted is None else self._depacketizer.receive(decrypted)
        if access_unit is None:
            return
        if not self._keyframe_at.done() and is_keyframe(access_unit):
            self._keyframe_at.set_result(time.monotonic())
            if not self.kind.witness:
                self._inspecting = False
        if self.kind.witness and len(self.witnessed) < _MAX_WITNESSED:
            self.witnessed.append(access_unit)

    def _rtcp(self, packet: bytes, now: float) -> None:
        if self._srtp is None:
            return
        try:
            compound = self._srtp.inbound.unprotect_rtcp(packet)
        except SrtpError:
            self.refused += 1
            return
        moment = sender_report_time(compound)
        if moment is not None:
            self._sender_report = (moment, now)

    # What is reported ----------------------------------------------------------------------------------------------

    def _report(self) -> None:
        assert self._srtp is not None
        assert self._transport is not None
        last_report, arrived = self._sender_report
        delay = time.monotonic() - arrived if last_report else 0.0
        compound = receiver_report(self._ssrc, self._media_ssrc, self.reception.report(), last_report, delay)
        if self._arrivals is None:
            compound += remb(self._ssrc, self._media_ssrc, _BANDWIDTH)
        self._transport.send(self._srtp.outbound.protect_rtcp(compound))
        # RFC 3550 section 6.2: at random times, so that the viewers of a stream do not report all at once.
        self._report_timer = self._loop.call_later(_REPORT_INTERVAL * random.uniform(0.5, 1.5), self._report)

    def _feed_back(self) -> None:
        assert self._srtp is not None
        assert self._transport is not None
        assert self._arrivals is not None
        for report in self._arrivals.reports(self._ssrc, self._media_ssrc):
            # RFC 5506: without the reports that come once a second.
            self._transport.send(self._srtp.outbound.protect_rtcp(report))
        self._feedback_timer = self._loop.call_later(INTERVAL, self._feed_back)

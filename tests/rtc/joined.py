"""Two ends joined in memory: our DTLS transport, and a browser's half on OpenSSL that shares no code with it."""

from collections.abc import Callable
from functools import cache

from aiortc import RTCRtpParameters
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.rtp import AnyRtcpPacket, HeaderExtensionsMap, RtcpPacket, RtpPacket, is_rtcp
from pylibsrtp import Session

from benchmarks.dtls import DtlsEndpoint, Identity, SrtpSessions
from media_service.rtc import rtcp
from media_service.rtc.bandwidth import BandwidthEstimator
from media_service.rtc.dtls import Certificate, DtlsTransport
from media_service.rtc.path import Path
from media_service.rtc.srtp import PacketBuffer
from media_service.rtc.stun import TransportAddress
from media_service.rtc.template import Run
from media_service.rtc.unlimited import Unlimited
from media_service.rtc.viewer import Outlet, Viewer
from signaling.jsep import AudioTrack, VideoTrack

CERTIFICATE = Certificate.generateCertificate()

CHROMIUM_PROFILES = b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM"
SHA1_ONLY = b"SRTP_AES128_CM_SHA1_80"


class RecordingPath:
    """A `path.Path` that keeps what is sent, or takes nothing while it is full."""

    protocol = "udp"

    def __init__(self) -> None:
        self.remote: TransportAddress = ("192.0.2.7", 50_007)
        self.datagrams: list[bytes] = []
        self.is_full = False
        self.backlog = 0
        """Bytes that are said to wait."""

    def send(self, datagram: bytes) -> bool:
        if not self.is_full:
            self.datagrams.append(datagram)
        return not self.is_full

    def send_run(self, run: Run) -> bool:
        view, size = run.view, run.segment_size
        for offset in range(0, len(view), size):
            self.send(bytes(view[offset : offset + size]))
        return not self.is_full

    def taken(self, *, rtcp_wanted: bool) -> list[bytes]:
        """The datagrams of that kind, which are then forgotten."""
        taken = [datagram for datagram in self.datagrams if is_rtcp(datagram) is rtcp_wanted]
        self.datagrams = [datagram for datagram in self.datagrams if is_rtcp(datagram) is not rtcp_wanted]
        return taken


class StillOutlet:
    """A `viewer.Outlet` without a clock: who waits is served by the test."""

    def __init__(self, buffer: PacketBuffer | None = None) -> None:
        self.buffer = buffer or PacketBuffer()
        self.attended: list[Viewer] = []

    def attend(self, viewer: Viewer) -> None:
        self.attended.append(viewer)


class Lagging:
    """What viewers asked their stream for."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def __call__(self, viewer: Viewer, reason: str) -> None:
        self.reasons.append(reason)


class JoinedEnds:
    """A connected transport of ours, the browser's end of it, and the path between."""

    def __init__(self, dtls: DtlsTransport, endpoint: DtlsEndpoint) -> None:
        self.dtls = dtls
        self.endpoint = endpoint
        self.path = RecordingPath()
        self.lagging = Lagging()
        self.srtp: SrtpSessions = endpoint.srtp()
        self._extensions = HeaderExtensionsMap()
        self._extensions.configure(
            RTCRtpParameters(
                headerExtensions=[
                    RTCRtpHeaderExtensionParameters(id=4, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
                    RTCRtpHeaderExtensionParameters(
                        id=2, uri="http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
                    ),
                ]
            )
        )

    def viewer(
        self,
        track: VideoTrack,
        outlet: Outlet,
        path: Path | None = None,
        lagging: Callable[[Viewer, str], None] | None = None,
        audio: AudioTrack | None = None,
        estimator: BandwidthEstimator | None = None,
    ) -> Viewer:
        """A viewer on this transport, which tracks of other SSRCs may share, and on `self.path` or another.

        Without an `estimator` its path carries everything.
        """
        estimator = estimator or Unlimited()
        return Viewer(track, self.dtls, path or self.path, outlet, estimator, lagging or self.lagging, audio)

    def received(self, path: RecordingPath | None = None) -> list[RtpPacket]:
        """The RTP packets sent on `self.path` or another since the last call, decrypted."""
        return [
            RtpPacket.parse(self.srtp.inbound.unprotect(datagram), self._extensions)
            for datagram in (path or self.path).taken(rtcp_wanted=False)
        ]

    def received_rtcp(self) -> list[AnyRtcpPacket]:
        """The RTCP packets sent since the last call, decrypted."""
        packets: list[AnyRtcpPacket] = []
        for datagram in self.path.taken(rtcp_wanted=True):
            packets += RtcpPacket.parse(self.srtp.inbound.unprotect_rtcp(datagram))
        return packets

    def feedback(self, *packets: AnyRtcpPacket) -> list[rtcp.RtcpPacket]:
        """What our side reads when the browser sends these packets."""
        compound = b"".join(map(bytes, packets))
        return rtcp.parse(self.dtls.unprotect_rtcp(self.srtp.outbound.protect_rtcp(compound)))

    @property
    def outbound(self) -> Session:
        """Encrypts what the browser sends."""
        return self.srtp.outbound


@cache
def identity(profiles: bytes) -> Identity:
    """The browser's certificate, with these SRTP profiles in the order of its preference."""
    made = Identity()
    made.context.set_tlsext_use_srtp(profiles)
    return made


async def joined_ends(*, is_server: bool = True, profiles: bytes = CHROMIUM_PROFILES) -> JoinedEnds:
    """Our DTLS server (or client) after the handshake; the browser offers these SRTP profiles."""
    browser = identity(profiles)
    endpoint = DtlsEndpoint(browser, CERTIFICATE.fingerprint(), is_client=is_server)

    def send(datagram: bytes) -> None:
        _, answers = endpoint.receive(datagram)
        for answer in answers:
            dtls.deliver(answer)

    dtls = DtlsTransport(CERTIFICATE, is_server=is_server, send=send, closed=lambda: None)
    for datagram in endpoint.start():
        dtls.deliver(datagram)
    await dtls.handshake((("sha-256", browser.fingerprint),))
    return JoinedEnds(dtls, endpoint)

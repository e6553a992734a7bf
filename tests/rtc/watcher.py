"""A whole browser by aiortc, `RTCPeerConnection` and all, that watches a `Peer` of ours over real sockets."""

import asyncio
import time
from collections.abc import Sequence

from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

from media_service.rtc import rtcp
from media_service.rtc.candidates import announced
from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.media_port import MediaPort
from media_service.rtc.path import Path
from media_service.rtc.peer import Peer
from media_service.rtc.unlimited import Unlimited
from media_service.rtc.viewer import Viewer, ntp_time
from signaling.answerer import create_answer, parse_offer
from signaling.jsep import Negotiated
from signaling.offerer import accept_answer, create_offer
from tests.rtc.joined import CERTIFICATE, Lagging, StillOutlet

PROFILE = "42c01f"


class Watched:
    """Our end of the connection, with what a session would add to it. Fits `peer.PeerEvents`."""

    def __init__(self, port: MediaPort) -> None:
        self.port = port
        self.peer = Peer(port, CERTIFICATE, self)
        self.outlet = StillOutlet()
        self.viewer: Viewer | None = None
        self.lagging = Lagging()
        self.negotiated: Negotiated | None = None
        self.opened: list[str] = []
        self.messages: list[tuple[str, str | bytes]] = []
        self.paths: list[Path] = []
        self.closed_count = 0

    @property
    def sdp_transport(self) -> tuple[str, ...]:
        return announced(self.port.hosts, self.port.number)

    def path_changed(self, path: Path) -> None:
        self.paths.append(path)

    def channel_opened(self, label: str) -> None:
        self.opened.append(label)

    def message_received(self, label: str, message: str | bytes) -> None:
        self.messages.append((label, message))

    def rtcp_received(self, packets: Sequence[rtcp.RtcpPacket], now: float) -> None:
        if self.viewer is not None:
            self.viewer.rtcp_received(packets, now, ntp_time(time.time()))

    def closed_by_peer(self) -> None:
        self.closed_count += 1

    async def connect(self, negotiated: Negotiated) -> None:
        """What a session does with both descriptions."""
        self.negotiated = negotiated
        self.peer.negotiated(negotiated)
        await self.peer.connect(negotiated, self._connected)

    def _connected(self, dtls: DtlsTransport, path: Path) -> None:
        assert self.negotiated is not None
        self.viewer = Viewer(self.negotiated.video, dtls, path, self.outlet, Unlimited(), self.lagging)


class Watcher:
    """The browser."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.messages: list[str | bytes] = []

    def open_channel(self, label: str) -> RTCDataChannel:
        """A data channel; to be opened before the negotiation."""
        channel = self.connection.createDataChannel(label)
        channel.on("message", self.messages.append)
        return channel

    async def join(self, watched: Watched, *, setup: str = "actpass") -> Negotiated:
        """Offer, and take our answer. With `setup` passive the browser wants to be the DTLS server."""
        self.connection.addTransceiver("video", direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        text = self.connection.localDescription.sdp.replace("a=setup:actpass", f"a=setup:{setup}")
        answer, negotiated = create_answer(
            parse_offer(text),
            PROFILE,
            watched.peer.local_transport(watched.sdp_transport),
            session_id=1,
            ssrc=1001,
            rtx_ssrc=1002,
        )
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        return negotiated

    async def accept(self, watched: Watched) -> Negotiated:
        """Answer our offer."""
        offer, media = create_offer(
            PROFILE, watched.peer.local_transport(watched.sdp_transport), session_id=1, ssrc=1001, rtx_ssrc=1002
        )
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return accept_answer(media, self.connection.localDescription.sdp)

    async def frame(self) -> VideoFrame:
        """The next picture, decoded."""
        (receiver,) = self.connection.getReceivers()
        async with asyncio.timeout(10):
            frame = await receiver.track.recv()
        assert isinstance(frame, VideoFrame)
        return frame

"""What the service is compared with: the same pictures through aiortc as its documentation uses it.

`RTCPeerConnection` per viewer and a track whose `recv` yields coded packets, so that nothing is encoded again. Only
three things are not stock: WHEP and /metrics around it, H.264 preferred, and loopback among the host addresses.

    PORT=8080 python -m benchmarks.stock_aiortc CLIP
"""

import asyncio
import os
import sys
import time
import uuid
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
from aiohttp import web
from aioice import ice
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from benchmarks.clip import access_units
from benchmarks.metrics import EGRESS_LATENCY

_CLOCK_RATE = 90_000
_FRAMES_PER_SECOND = 30
_BUCKETS = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5)


class Fanout:
    """When each picture was due and when its last viewer's last packet was sent."""

    def __init__(self, pictures: list[bytes], latency: Histogram) -> None:
        self.pictures = pictures
        self._latency = latency
        self._started = time.monotonic()
        self._latest: dict[int, float] = {}

    def next_number(self) -> int:
        """The number of the first picture that is not due yet."""
        return int((time.monotonic() - self._started) * _FRAMES_PER_SECOND) + 1

    def due(self, number: int) -> float:
        return self._started + number / _FRAMES_PER_SECOND

    def sent(self, number: int) -> None:
        """One viewer's last packet of the picture is with the kernel; observe the pictures a second older."""
        now = time.monotonic()
        self._latest[number] = now
        while self._latest and (oldest := next(iter(self._latest))) < number - _FRAMES_PER_SECOND:
            self._latency.observe(self._latest.pop(oldest) - self.due(oldest))


class PassthroughTrack(MediaStreamTrack):
    """The clip's coded pictures at their times; aiortc packetises an `av.Packet` without encoding it."""

    kind = "video"

    def __init__(self, fanout: Fanout) -> None:
        super().__init__()
        self._fanout = fanout
        self._number: int | None = None

    async def recv(self) -> "av.Packet[av.stream.Stream]":
        if self._number is None:
            # A keyframe comes first, as with the service.
            number = self._fanout.next_number()
            self._number = number + -number % len(self._fanout.pictures)
        else:
            # RTCRtpSender asks for the next picture when the last packet of this one is sent.
            self._fanout.sent(self._number)
            self._number += 1
        await asyncio.sleep(max(0.0, self._fanout.due(self._number) - time.monotonic()))
        packet = av.Packet(self._fanout.pictures[self._number % len(self._fanout.pictures)])
        packet.pts = self._number * _CLOCK_RATE // _FRAMES_PER_SECOND
        packet.time_base = Fraction(1, _CLOCK_RATE)
        return packet


async def _serve(clip: Path, port: int) -> None:
    registry = CollectorRegistry()
    latency = Histogram(EGRESS_LATENCY, "As the service's.", buckets=_BUCKETS, registry=registry)
    fanout = Fanout(access_units(clip), latency)
    peers: dict[str, RTCPeerConnection] = {}

    async def post(request: web.Request) -> web.Response:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        identifier = str(uuid.uuid4())
        peers[identifier] = peer
        transceiver = peer.addTransceiver(PassthroughTrack(fanout), direction="sendonly")
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType in ("video/H264", "video/rtx")])
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        return web.Response(
            status=201,
            text=peer.localDescription.sdp,
            content_type="application/sdp",
            headers={"Location": f"{request.path}/{identifier}"},
        )

    async def delete(request: web.Request) -> web.Response:
        peer = peers.pop(request.match_info["identifier"], None)
        if peer is None:
            raise web.HTTPNotFound
        await peer.close()
        return web.Response()

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_post("/api/media/whep/{name}", post)
    app.router.add_delete("/api/media/whep/{name}/{identifier}", delete)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> Iterable[str]:
    return ["127.0.0.1"]


if __name__ == "__main__":
    ice.get_host_addresses = _loopback_only  # type: ignore[assignment]  # aioice skips loopback
    asyncio.run(_serve(Path(sys.argv[1]), int(os.environ["PORT"])))

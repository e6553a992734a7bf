"""A service for the viewer page's tests, out of aiohttp and aiortc: answers as ours does, misbehaves when told."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import web
from aiortc import MediaStreamTrack, RTCDataChannel, RTCPeerConnection, RTCRtpSender, RTCSessionDescription

import media_service

WEB_DIRECTORY = Path(media_service.__file__).parent / "web"

WIDTH, HEIGHT = 180, 320
FRAME_RATE = 20
VIDEO_CLOCK = Fraction(1, 90000)


class MovingBar(MediaStreamTrack):
    """A picture in which a bar moves down, paced in real time."""

    kind = "video"

    def __init__(self, width: int, height: int, moving: asyncio.Event) -> None:
        super().__init__()
        self._moving = moving
        self._picture = np.full((height, width, 3), 40, np.uint8)
        self._count = 0
        self._started_at = asyncio.get_running_loop().time()

    async def recv(self) -> av.VideoFrame:
        await self._moving.wait()
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(self._started_at + self._count / FRAME_RATE - now)
        picture = self._picture.copy()
        top = 4 * self._count % len(picture)
        picture[top : top + 12] = (40, 160, 240)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
        frame.pts = self._count * 90000 // FRAME_RATE
        frame.time_base = VIDEO_CLOCK
        self._count += 1
        return frame


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer to every offer for a device."""

    status: int
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Peer:
    """The stand-in's end of one session."""

    connection: RTCPeerConnection
    channel: RTCDataChannel | None = None


def description(device_id: str, model: str, width: int = WIDTH, height: int = HEIGHT) -> dict[str, object]:
    """A device as `GET /devices` lists it."""
    return {
        "deviceId": device_id,
        "model": model,
        "state": "online",
        "captureMode": None,
        "reason": "",
        "width": width,
        "height": height,
        "viewers": 0,
    }


class StandIn:
    """What tests see and set; `until` waits for what they expect."""

    def __init__(self) -> None:
        self.devices = [description("phone-1", "Pixel 7")]
        self.refusals: dict[str, Refusal] = {}
        self.moving = asyncio.Event()
        """Set while pictures are sent."""
        self.moving.set()
        self.is_reachable = True
        """Whether its answers name an address that media comes from."""
        self.acknowledges = True
        self.open_sessions: dict[str, Peer] = {}
        self.offers: list[tuple[str, str]] = []
        """(device id, SDP) of every POST."""
        self.trickles: list[tuple[str, str]] = []
        """(If-Match, body) of every PATCH."""
        self.deleted: list[str] = []
        self.inputs: list[dict[str, Any]] = []
        self.requests: list[dict[str, Any]] = []
        """What came on control channels and is no input."""
        self.address = ""
        self._changed = asyncio.Event()
        self._connections: list[RTCPeerConnection] = []

    async def until(self, condition: Callable[[], bool], timeout: float = 10) -> None:
        """Wait until the condition holds; raises `TimeoutError` when it does not within so many seconds."""
        async with asyncio.timeout(timeout):
            while not condition():
                await self._changed.wait()

    def touches(self) -> list[tuple[str, int, int]]:
        """(action, x, y) of every touch that came."""
        return [(m["action"], m["x"], m["y"]) for m in self.inputs if m["type"] == "touch"]

    def say(self, message: dict[str, object]) -> None:
        """Send a message to every viewer."""
        for peer in self.open_sessions.values():
            if peer.channel is not None:
                peer.channel.send(json.dumps(message))

    async def end_sessions(self) -> None:
        """Close every session from the service's side."""
        peers = list(self.open_sessions.values())
        self.open_sessions.clear()
        for peer in peers:
            await peer.connection.close()

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[None]:
        """Serve on loopback while the context lasts."""
        # An offer that is being answered is answered to the end, or its half-made connection would never be closed.
        runner = web.AppRunner(self._application(), shutdown_timeout=5)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        try:
            yield
        finally:
            await runner.cleanup()
            for connection in self._connections:
                await connection.close()
            self.open_sessions.clear()

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/api/media/devices", self._list_devices)
        application.router.add_get("/api/media/ice-servers", self._list_ice_servers)
        application.router.add_post("/api/media/whep/{device_id}", self._offer)
        application.router.add_patch("/api/media/sessions/{session_id}", self._trickle)
        application.router.add_delete("/api/media/sessions/{session_id}", self._delete)
        application.router.add_get("/", self._index)
        application.router.add_static("/", WEB_DIRECTORY)
        return application

    def _change(self) -> None:
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    async def _index(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(WEB_DIRECTORY / "index.html")

    async def _list_devices(self, request: web.Request) -> web.Response:
        return web.json_response({"devices": self.devices, "total": len(self.devices)})

    async def _list_ice_servers(self, request: web.Request) -> web.Response:
        return web.json_response({"iceServers": []})

    async def _offer(self, request: web.Request) -> web.Response:
        device_id, sdp = request.match_info["device_id"], await request.text()
        self.offers.append((device_id, sdp))
        session_id = str(len(self.offers))
        self._change()
        refusal = self.refusals.get(device_id)
        if refusal is not None:
            problem = {"status": refusal.status, "code": refusal.code, "detail": refusal.detail}
            return web.json_response(
                problem, status=refusal.status, headers=refusal.headers, content_type="application/problem+json"
            )
        peer = await self._connect(sdp)
        self.open_sessions[session_id] = peer
        self._change()
        answer = peer.connection.localDescription.sdp
        if not self.is_reachable:
            answer = "".join(line for line in answer.splitlines(keepends=True) if not line.startswith("a=candidate"))
        headers = {"Location": f"/api/media/sessions/{session_id}", "ETag": '"first"'}
        return web.Response(status=201, text=answer, content_type="application/sdp", headers=headers)

    async def _connect(self, sdp: str) -> Peer:
        peer = Peer(RTCPeerConnection())
        self._connections.append(peer.connection)

        def on_message(text: str) -> None:
            message = json.loads(text)
            is_input = "seq" in message
            (self.inputs if is_input else self.requests).append(message)
            if is_input and self.acknowledges and peer.channel is not None:
                acknowledgement = {"type": "input-ack", "seq": message["seq"], "injectedAt": 0, "latencyMs": 0}
                peer.channel.send(json.dumps(acknowledgement))
            self._change()

        def on_channel(channel: RTCDataChannel) -> None:
            peer.channel = channel
            channel.on("message", on_message)
            self._change()

        peer.connection.on("datachannel", on_channel)
        await peer.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        sender = peer.connection.addTrack(MovingBar(WIDTH, HEIGHT, self.moving))
        (transceiver,) = (each for each in peer.connection.getTransceivers() if each.sender is sender)
        codecs = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences([codec for codec in codecs if codec.mimeType == "video/H264"])
        await peer.connection.setLocalDescription(await peer.connection.createAnswer())
        return peer

    async def _trickle(self, request: web.Request) -> web.Response:
        self.trickles.append((request.headers.get("If-Match", ""), await request.text()))
        self._change()
        return web.Response(status=204)

    async def _delete(self, request: web.Request) -> web.Response:
        session_id = request.match_info["session_id"]
        peer = self.open_sessions.pop(session_id, None)
        if peer is None:
            raise web.HTTPNotFound
        self.deleted.append(session_id)
        self._change()
        await peer.connection.close()
        return web.Response()

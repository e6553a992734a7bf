"""aiortc's RTCPeerConnection, decoding with PyAV."""

import asyncio

import aiohttp
import aioice.ice
import av
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from yarl import URL

from tests.interop.picture import Picture, assert_demo_pictures
from tests.interop.player import TIMEOUT

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_peer_connection_shows_the_phone(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # aiortc's ICE leaves loopback out, and a test machine may have no other address.
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    tracks: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
    connection.on("track", tracks.put_nowait)
    connection.addTransceiver("video", direction="recvonly")
    await connection.setLocalDescription(await connection.createOffer())
    offer, headers = connection.localDescription.sdp, {"Content-Type": "application/sdp"}
    pictures = []
    async with aiohttp.ClientSession() as session, asyncio.timeout(TIMEOUT):
        async with session.post(endpoint, data=offer, headers=headers) as response:
            assert response.status == 201
            answer = RTCSessionDescription(await response.text(), "answer")
            location = response.url.join(URL(response.headers["Location"], encoded=True))
        await connection.setRemoteDescription(answer)
        track = await tracks.get()
        for _ in range(20):
            frame = await track.recv()
            assert isinstance(frame, av.VideoFrame)
            pictures.append(Picture.of_frame(frame))
        async with session.delete(location) as response:
            assert response.status == 200
    await connection.close()
    assert_demo_pictures(pictures)

"""A viewer by aiortc, which shares none of our transport code: the whole line without a browser."""

import asyncio
from types import TracebackType
from typing import Self

import aiohttp
import av
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from tests.waiting import until


class AiortcViewer:
    """Watches one device of the service at `address`; `async with` ends the watching."""

    def __init__(
        self, address: str, device: str, *, ignores_largest_message: bool = False, wants_sound: bool = False
    ) -> None:
        """Without regard to `a=max-message-size` it sends larger messages than the service says it takes."""
        self.messages: list[str] = []
        """What came on the data channel `control`."""
        self.pictures = 0
        """Pictures decoded so far."""
        self.size = (0, 0)
        self.sound: list[av.AudioFrame] = []
        """What it heard so far."""
        self.location = ""
        self._address = address
        self._ignores_largest_message = ignores_largest_message
        self._endpoint = f"{address}api/media/whep/{device}"
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("track", self._take)
        self.control: RTCDataChannel | None = None
        self._wants_sound = wants_sound
        self._readers: list[asyncio.Task[None]] = []

    async def watch(self) -> None:
        """Join by WHEP. Raises RuntimeError, with the answer's text, when the service says no."""
        self.connection.addTransceiver("video", direction="recvonly")
        if self._wants_sound:
            self.connection.addTransceiver("audio", direction="recvonly")
        self.control = self.connection.createDataChannel("control")
        self.control.on("message", self.messages.append)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                self._endpoint,
                data=self.connection.localDescription.sdp,
                headers={"Content-Type": "application/sdp"},
            ) as response,
        ):
            text = await response.text()
            if response.status != 201:
                raise RuntimeError(text)
            self.location = self._address.rstrip("/") + response.headers["Location"]
        if self._ignores_largest_message:
            # RFC 8841 section 6.1: 0 is any size.
            text = text.replace("a=max-message-size:65536", "a=max-message-size:0")
        await self.connection.setRemoteDescription(RTCSessionDescription(text, "answer"))

    async def answer(self, offer: str) -> str:
        """Join by the service's offer instead; the answer to send."""
        await self.connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def send(self, message: str) -> None:
        """Send on the data channel `control`, once it is open: pictures may come before."""
        control = self.control
        if control is None:
            raise RuntimeError("not joined by WHEP: there is no data channel")
        await until(lambda: control.readyState == "open")
        control.send(message)

    async def leave(self) -> None:
        """End the watching."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        await self.connection.close()

    async def watched(self, count: int) -> None:
        """Wait until `count` more pictures have been decoded."""
        wanted = self.pictures + count
        async with asyncio.timeout(20):
            while self.pictures < wanted:
                await asyncio.sleep(0.01)

    async def heard(self, part: str) -> str:
        """Wait for a message on the data channel that contains `part`."""
        async with asyncio.timeout(20):
            while True:
                for message in self.messages:
                    if part in message:
                        return message
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        await self.watch()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.leave()

    def _take(self, track: MediaStreamTrack) -> None:
        self._readers.append(asyncio.get_running_loop().create_task(self._read(track)))

    async def _read(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            if isinstance(frame, av.VideoFrame):
                self.pictures += 1
                self.size = (frame.width, frame.height)
            elif isinstance(frame, av.AudioFrame):
                self.sound.append(frame)

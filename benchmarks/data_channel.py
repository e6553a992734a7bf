"""The page's `control` channel: aiortc's SCTP over our DTLS, because OpenSSL and a browser's SCTP need a bridge."""

import asyncio
from typing import Protocol, cast

from aiortc import RTCDataChannel, RTCDataChannelParameters, RTCDtlsTransport, RTCSctpCapabilities, RTCSctpTransport

from benchmarks.transport import ViewerTransport

_SCTP_PORT = 5000
_MAX_MESSAGE_SIZE = 262_144


class _DataReceiver(Protocol):
    async def _handle_data(self, data: bytes) -> None: ...


class _DtlsBridge:
    """What `RTCSctpTransport` uses of an `RTCDtlsTransport` (aiortc 1.16, rtcsctptransport.py)."""

    state = "connected"

    def __init__(self, transport: ViewerTransport, *, is_client: bool) -> None:
        self._role = "client" if is_client else "server"
        self._transport = transport
        self.receiver: _DataReceiver | None = None

    def _register_data_receiver(self, receiver: _DataReceiver) -> None:
        self.receiver = receiver

    def _unregister_data_receiver(self, receiver: _DataReceiver) -> None:
        self.receiver = None

    async def _send_data(self, data: bytes) -> None:
        self._transport.send_data(data)


class ControlChannel:
    """One ordered data channel that the viewer opens."""

    def __init__(self, transport: ViewerTransport, *, is_client: bool) -> None:
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue(maxsize=256)
        self._bridge = _DtlsBridge(transport, is_client=is_client)
        self._sctp = RTCSctpTransport(cast(RTCDtlsTransport, self._bridge), port=_SCTP_PORT)
        self._opened = asyncio.Event()
        self._pump = asyncio.get_running_loop().create_task(self._deliver())

    async def open(self) -> None:
        """Returns when the other side has acknowledged the channel."""
        await self._sctp.start(RTCSctpCapabilities(maxMessageSize=_MAX_MESSAGE_SIZE), _SCTP_PORT)
        channel = RTCDataChannel(self._sctp, RTCDataChannelParameters(label="control"))
        channel.on("open", self._opened.set)
        await self._opened.wait()

    def data(self, data: bytes) -> None:
        """Take a datagram of SCTP; SCTP itself repairs what does not fit into the queue."""
        try:
            self._incoming.put_nowait(data)
        except asyncio.QueueFull:
            pass

    async def stop(self) -> None:
        """Abort the association, as a page does that is left. Idempotent."""
        self._pump.cancel()
        await self._sctp.stop()

    def vanish(self) -> None:
        """Be gone without a word. Idempotent."""
        self._pump.cancel()
        self._sctp._set_state(RTCSctpTransport.State.CLOSED)

    async def _deliver(self) -> None:
        while True:
            data = await self._incoming.get()
            if self._bridge.receiver is not None:
                await self._bridge.receiver._handle_data(data)

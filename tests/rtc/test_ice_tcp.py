"""ICE-TCP on real connections: RFC 4571 frames, and who may stay connected."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from random import Random

import pytest
from aioice import stun as oracle

from media_service.rtc.media_port import MediaPort
from tests.rtc.receivers import KeepingReceiver, free_ports
from tests.rtc.udp_end import PATIENCE, check
from tests.waiting import until

HOST = "127.0.0.1"
DTLS = b"\x16\xfe\xfd a record"


def framed(*datagrams: bytes) -> bytes:
    return b"".join(len(datagram).to_bytes(2, "big") + datagram for datagram in datagrams)


class TcpEnd:
    """A browser's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.address: tuple[str, int] = writer.get_extra_info("sockname")

    async def frame(self) -> bytes:
        async with asyncio.timeout(PATIENCE):
            size = int.from_bytes(await self.reader.readexactly(2), "big")
            return await self.reader.readexactly(size)

    async def is_closed_by_us(self) -> bool:
        """Wait for the end of the connection; False when something else comes."""
        async with asyncio.timeout(PATIENCE):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


class Scene:
    """An open port with one viewer registered, and connections to it."""

    def __init__(self, port: MediaPort) -> None:
        self.port = port
        self.viewer = KeepingReceiver()
        port.register(self.viewer.local.username_fragment, self.viewer)
        self.errors: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.errors.append(context))
        self._ends: list[TcpEnd] = []

    async def open(self) -> TcpEnd:
        end = TcpEnd(*await asyncio.open_connection(HOST, self.port.number))
        self._ends.append(end)
        return end

    async def connect(self, end: TcpEnd | None = None) -> TcpEnd:
        """A connection whose check was answered."""
        end = end or await self.open()
        request = check(self.viewer.local)
        end.writer.write(framed(bytes(request)))
        response = oracle.parse_message(await end.frame())
        assert response.transaction_id == request.transaction_id
        assert response.attributes["XOR-MAPPED-ADDRESS"] == end.address
        assert response.check_message_integrity(self.viewer.local.password.encode())
        return end

    async def close(self) -> None:
        for end in self._ends:
            end.writer.close()
        await self.port.aclose()
        assert self.errors == []


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene(await MediaPort.open([HOST], free_ports()))
    yield made
    await made.close()


async def test_a_check_is_answered_and_datagrams_go_both_ways(scene: Scene) -> None:
    end = await scene.connect()
    (path,) = scene.viewer.paths
    assert (path.protocol, path.remote) == ("tcp", end.address)
    end.writer.write(framed(DTLS + b"1", DTLS + b"2"))
    await until(lambda: len(scene.viewer.datagrams) == 2)
    assert scene.viewer.datagrams == [DTLS + b"1", DTLS + b"2"]
    path.send(b"an answer")
    assert await end.frame() == b"an answer"
    assert scene.port.address_count == 1
    assert scene.port.connections.anonymous == set()


async def test_frames_may_come_in_any_pieces(scene: Scene) -> None:
    end = await scene.open()
    end.writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    random = Random(1)
    datagrams = [DTLS + random.randbytes(random.randrange(1, 300)) for _ in range(40)]
    stream = framed(bytes(check(scene.viewer.local)), *datagrams)
    while stream:
        size = random.randrange(1, 40)
        end.writer.write(stream[:size])
        stream = stream[size:]
        await asyncio.sleep(0)
    await until(lambda: len(scene.viewer.datagrams) == len(datagrams))
    assert scene.viewer.datagrams == datagrams


@pytest.mark.parametrize("size", [0, 2049, 65_535])
async def test_a_frame_of_an_impossible_size_ends_the_connection(scene: Scene, size: int) -> None:
    end = await scene.connect()
    end.writer.write(framed(DTLS) + size.to_bytes(2, "big") + b"x")
    assert await end.is_closed_by_us()
    assert scene.viewer.datagrams == [DTLS]
    assert scene.port.drops == {"malformed_tcp_frame": 1}
    await until(lambda: not scene.port.connections.open)
    assert scene.port.address_count == 0


async def test_a_stranger_reaches_nobody(scene: Scene) -> None:
    end = await scene.open()
    stranger = KeepingReceiver()
    end.writer.write(framed(DTLS, bytes(check(stranger.local)), b"\0garbage"))
    await scene.connect(end)
    assert scene.port.drops == {"unknown_address": 1, "unauthentic_check": 1, "malformed_stun": 1}
    assert scene.viewer.datagrams == []


async def test_random_frames_raise_nothing(scene: Scene) -> None:
    random = Random(2)
    end = await scene.connect()
    for _ in range(300):
        end.writer.write(framed(random.randbytes(random.randrange(1, 100))))
    await scene.connect(end)
    assert scene.errors == []


async def test_a_connection_that_ends_takes_its_address_along(scene: Scene) -> None:
    end = await scene.connect()
    end.writer.close()
    await until(lambda: not scene.port.connections.open)
    assert scene.port.address_count == 0
    scene.port.forget(scene.viewer)


async def test_a_viewer_that_is_forgotten_is_disconnected(scene: Scene) -> None:
    end = await scene.connect()
    scene.port.forget(scene.viewer)
    assert await end.is_closed_by_us()
    await until(lambda: not scene.port.connections.open)


async def test_a_viewer_keeps_at_most_sixteen_connections(scene: Scene) -> None:
    ends = [await scene.connect() for _ in range(17)]
    assert await ends[1].is_closed_by_us()
    await until(lambda: len(scene.port.connections.open) == 16)
    assert scene.port.address_count == 16
    scene.port.forget(scene.viewer)
    await until(lambda: not scene.port.connections.open)


async def test_strangers_are_bounded(scene: Scene) -> None:
    friend = await scene.connect()
    strangers = [await scene.open() for _ in range(256)]
    await until(lambda: len(scene.port.connections.anonymous) == 256)
    refused = await scene.open()
    assert await refused.is_closed_by_us()
    assert scene.port.drops == {"tcp_refused": 1}
    await until(lambda: len(scene.port.connections.anonymous) == 256)
    friend.writer.write(framed(DTLS))
    await until(lambda: scene.viewer.datagrams)
    strangers[0].writer.close()
    await until(lambda: len(scene.port.connections.anonymous) == 255)
    await scene.connect()


async def test_a_connection_reset_before_it_is_taken_is_nothing_to_report(scene: Scene) -> None:
    for _ in range(20):
        with socket.socket() as scanner:
            scanner.connect((HOST, scene.port.number))
            # No lingering: closing sends a reset.
            scanner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await scene.connect()
    await until(lambda: len(scene.port.connections.open) == 1)
    assert scene.errors == []


async def test_closing_the_port_ends_every_connection(scene: Scene) -> None:
    ends = [await scene.connect(), await scene.open()]
    await until(lambda: len(scene.port.connections.open) == 2)
    scene.port.connections.close()
    for end in ends:
        assert await end.is_closed_by_us()

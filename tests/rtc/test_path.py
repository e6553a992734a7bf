"""Ways to a viewer: UDP with and without segmentation offload, and TCP frames."""

import asyncio
import errno
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from fcntl import ioctl
from typing import Any

import pytest

from media_service.rtc.header_extensions import packet_shape
from media_service.rtc.packetizer import packetize
from media_service.rtc.path import TcpPath, UdpPath
from media_service.rtc.srtp import PacketBuffer
from media_service.rtc.stun import TransportAddress
from media_service.rtc.template import Run, templates
from tests.rtc.samples import TRACK, nal_unit
from tests.rtc.udp_end import HOSTS, UdpEnd

REMOTE = ("192.0.2.7", 50_007)
SIOCOUTQNSD = 0x894B


def runs_of_a_picture(*sizes: int) -> tuple[tuple[Run, ...], list[bytes]]:
    """The runs of a picture of such NAL units as they lie in a buffer, and the packets they hold."""
    buffer = PacketBuffer()
    nal_units = [nal_unit(1, size, size) for size in sizes]
    (template,) = templates(packetize(nal_units), packet_shape(TRACK, 16), buffer, bytes(3))
    buffer.data[: len(template.data)] = template.data
    packets = []
    for run in template.runs:
        packets += [bytes(run.view[at : at + run.segment_size]) for at in range(0, len(run.view), run.segment_size)]
    return template.runs, packets


class FailingSocket:
    """A socket stand-in that fails as a kernel or a device would."""

    def __init__(self, *, with_control: int = 0, always: int = 0) -> None:
        self.with_control = with_control
        """The errno for a message with control data, as from a kernel without UDP_SEGMENT."""
        self.always = always
        self.datagrams: list[bytes] = []
        self.sendmsg_calls = 0

    def sendmsg(
        self, buffers: Sequence[memoryview], control: Sequence[Any], flags: int, address: TransportAddress
    ) -> int:
        self.sendmsg_calls += 1
        if control and self.with_control:
            raise OSError(self.with_control, "")
        return self.sendto(b"".join(buffers), address)

    def sendto(self, datagram: bytes, address: TransportAddress) -> int:
        if self.always:
            raise OSError(self.always, "")
        assert address == REMOTE
        self.datagrams.append(bytes(datagram))
        return len(datagram)


def failing_path(sock: FailingSocket) -> tuple[UdpPath, Counter[str]]:
    drops: Counter[str] = Counter()
    return UdpPath(sock, REMOTE, drops), drops  # type: ignore[arg-type]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_run_arrives_as_single_packets(host: str) -> None:
    end = await UdpEnd.open(host)
    drops: Counter[str] = Counter()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        path = UdpPath(sock, end.address, drops)
        runs, packets = runs_of_a_picture(12, 5, 20_000)
        assert len(runs) < len(packets)
        for run in runs:
            assert path.send_run(run)
        assert path.send(b"a single datagram")
        assert [await end.receive() for _ in packets] == packets
        assert await end.receive() == b"a single datagram"
    assert not drops
    end.close()


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO, errno.EMSGSIZE, errno.ENOPROTOOPT])
def test_without_segmentation_offload_packets_go_one_by_one(number: int) -> None:
    sock = FailingSocket(with_control=number)
    path, drops = failing_path(sock)
    runs, packets = runs_of_a_picture(12, 5, 20_000)
    for _ in range(2):
        for run in runs:
            assert path.send_run(run)
    assert sock.datagrams == packets * 2
    assert not drops
    tried = sum(run.control is not None for run in runs)
    assert sock.sendmsg_calls == 1 + 2 * (len(runs) - tried), "the kernel is asked once"


def test_a_full_socket_is_told_and_counted() -> None:
    sock = FailingSocket(always=errno.EAGAIN)
    path, drops = failing_path(sock)
    (run,), packets = runs_of_a_picture(20_000)
    assert not path.send_run(run)
    assert not path.send(b"")
    assert drops == {"socket_full": len(packets) + 1}


def test_a_full_socket_without_segmentation_offload() -> None:
    sock = FailingSocket(with_control=errno.EINVAL, always=errno.EAGAIN)
    path, drops = failing_path(sock)
    (run,), packets = runs_of_a_picture(20_000)
    assert not path.send_run(run)
    assert drops == {"socket_full": len(packets)}


def test_no_route_is_counted_and_left_to_the_consent_timeout() -> None:
    sock = FailingSocket(always=errno.ENETUNREACH)
    path, drops = failing_path(sock)
    (run,), packets = runs_of_a_picture(20_000)
    assert path.send_run(run)
    assert path.send(b"")
    assert drops == {"unreachable": len(packets) + 1}
    assert path.backlog == 0, "nothing waits in this process"


class TcpPair:
    """A `TcpPath`, and the other end's stream."""

    def __init__(
        self,
        transport: asyncio.Transport,
        drops: Counter[str],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.transport = transport
        self.path = TcpPath(transport, REMOTE, drops)
        self.drops = drops
        self.reader = reader
        self.writer = writer

    @property
    def unsent(self) -> int:
        """Bytes that the kernel holds and has not put on the wire (tcp(7))."""
        number = self.transport.get_extra_info("socket").fileno()
        (count,) = struct.unpack("i", ioctl(number, SIOCOUTQNSD, bytes(4)))
        return int(count)

    async def frame(self) -> bytes:
        return await self.reader.readexactly(int.from_bytes(await self.reader.readexactly(2), "big"))


@pytest.fixture
async def tcp_pair() -> AsyncIterator[TcpPair]:
    loop = asyncio.get_running_loop()
    accepted: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.set_result(transport)  # type: ignore[arg-type]  # uvloop's is no subclass

    server = await loop.create_server(Accepting, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    transport, drops = await accepted, Counter[str]()
    yield TcpPair(transport, drops, reader, writer)
    transport.abort()
    writer.close()
    server.close()


async def test_tcp_carries_frames(tcp_pair: TcpPair) -> None:
    runs, packets = runs_of_a_picture(12, 5, 20_000)
    for run in runs:
        assert tcp_pair.path.send_run(run)
    assert tcp_pair.path.send(b"check")
    # RFC 4571 section 2: 16 bits of length before each packet.
    assert [await tcp_pair.frame() for _ in packets] == packets
    assert await tcp_pair.frame() == b"check"


async def test_a_reader_who_is_too_slow_loses_packets_and_not_our_memory(tcp_pair: TcpPair) -> None:
    (run,), packets = runs_of_a_picture(60_000)
    path, limit = tcp_pair.path, 512 << 10
    assert path.backlog == 0
    for _ in range(1000):
        was_full = path.backlog > limit
        assert path.send_run(run) is not was_full
        if was_full:
            break
    assert limit < path.backlog < limit + 64_000, "what was refused is not kept"
    assert tcp_pair.drops == {"tcp_backlog": len(packets)}
    assert not path.send(b"")
    assert tcp_pair.drops == {"tcp_backlog": len(packets) + 1}


async def test_what_a_slow_reader_does_not_take_waits_with_us_and_not_in_the_kernel(tcp_pair: TcpPair) -> None:
    (run,), _ = runs_of_a_picture(60_000)
    for _ in range(50):
        while tcp_pair.path.send_run(run):
            pass
        await asyncio.sleep(0)
    # One buffer of up to 64 KiB may have been begun below the limit.
    assert 0 < tcp_pair.unsent <= (128 << 10) + (64 << 10)


async def test_the_backlog_ends_when_the_reader_has_caught_up(tcp_pair: TcpPair) -> None:
    (run,), packets = runs_of_a_picture(60_000)
    count = 0
    while tcp_pair.path.send_run(run):
        count += 1
    for _ in range(count):
        assert [await tcp_pair.frame() for _ in packets] == packets
    assert tcp_pair.path.backlog == 0
    assert tcp_pair.path.send(b"again")
    assert await tcp_pair.frame() == b"again"


async def test_a_closed_connection_takes_nothing(tcp_pair: TcpPair) -> None:
    tcp_pair.path.close()
    assert not tcp_pair.path.send(b"late")
    assert await tcp_pair.reader.read() == b""

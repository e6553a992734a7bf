"""Our end of a connection with a whole RTCPeerConnection of aiortc at the other, over real loopback sockets."""

import asyncio
import time
from collections.abc import AsyncIterator
from random import Random

import pytest
from aioice import stun as oracle

from encoders.h264_encoder import H264Encoder
from media_service.rtc.dtls import DtlsFailed
from media_service.rtc.header_extensions import absolute_send_time
from media_service.rtc.ice import new_credentials
from media_service.rtc.media_port import MediaPort
from media_service.rtc.path import Path
from media_service.rtc.picture import Picture
from media_service.rtc.template import Run, templates
from signaling.jsep import Candidate, IceCredentials, Negotiated, RemoteTransport
from tests.fixtures.media import moving_frames
from tests.rtc.receivers import free_ports
from tests.rtc.samples import TRACK
from tests.rtc.udp_end import UdpEnd, check
from tests.rtc.watcher import Watched, Watcher
from tests.waiting import until

HOST = "127.0.0.1"
WIDTH, HEIGHT = 64, 96


@pytest.fixture(autouse=True)
def loopback_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    """aioice leaves out loopback, the only network of these tests; there is no setting for it."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda *, use_ipv4, use_ipv6: [HOST])


@pytest.fixture
async def port() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open([HOST], free_ports())
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    yield opened
    await opened.aclose()
    assert errors == []


@pytest.fixture
async def watched(port: MediaPort) -> AsyncIterator[Watched]:
    ours = Watched(port)
    yield ours
    await ours.peer.aclose()
    assert port.address_count == 0


@pytest.fixture
async def watcher() -> AsyncIterator[Watcher]:
    browser = Watcher()
    yield browser
    await browser.connection.close()


def send(watched: Watched, number: int, encoder: H264Encoder) -> None:
    """Encode a picture and send it as the egress would."""
    viewer = watched.viewer
    assert viewer is not None
    now = time.monotonic()
    picture = Picture(encoder.encode(next(moving_frames(WIDTH, HEIGHT, 1, noise=True)), now), number, now)
    send_time = absolute_send_time(now)
    batches = templates(picture.payloads, viewer.shape, watched.outlet.buffer, send_time)
    viewer.send(picture, batches, picture.timestamp, send_time, now)


@pytest.mark.parametrize("setup", ["actpass", "passive"])
async def test_pictures_and_messages_cross(watched: Watched, watcher: Watcher, setup: str) -> None:
    channel = watcher.open_channel("control")
    negotiated = await watcher.join(watched, setup=setup)
    assert negotiated.remote.is_dtls_client is (setup == "actpass")
    await watched.connect(negotiated)
    await until(lambda: channel.readyState == "open")
    channel.send("tap")
    await until(lambda: watched.messages)
    assert watched.messages == [("control", "tap")]
    watched.peer.send_message("control", "ack")
    await until(lambda: watcher.messages)
    assert watcher.messages == ["ack"]
    encoder = H264Encoder(WIDTH, HEIGHT, frame_rate=30, bit_rate=200_000, keyframe_interval=10)
    for number in range(1, 6):
        send(watched, number, encoder)
    frame = await watcher.frame()
    assert (frame.width, frame.height) == (WIDTH, HEIGHT)
    encoder.close()


async def test_our_offer_is_answered(watched: Watched, watcher: Watcher) -> None:
    negotiated = await watcher.accept(watched)
    await watched.connect(negotiated)
    assert watched.viewer is not None
    await until(lambda: watcher.connection.connectionState == "connected")
    assert watched.paths[-1].protocol == "udp"
    assert watched.peer.ice.is_nominated


async def test_a_path_is_measured(watched: Watched, watcher: Watcher) -> None:
    await watched.connect(await watcher.join(watched))
    await until(lambda: watched.peer.ice.round_trip is not None)
    assert watched.peer.ice.round_trip is not None
    assert 0 < watched.peer.ice.round_trip < 10


async def test_a_path_that_was_there_before_the_answer_is_measured(watched: Watched, watcher: Watcher) -> None:
    negotiated = await watcher.join(watched)
    await until(lambda: watched.peer.ice.path is not None)
    assert watched.peer.ice.round_trip is None, "nobody can be asked without credentials"
    await watched.connect(negotiated)
    await until(lambda: watched.peer.ice.round_trip is not None)


async def test_feedback_reaches_the_viewer(watched: Watched, watcher: Watcher) -> None:
    await watched.connect(await watcher.join(watched))
    viewer = watched.viewer
    assert viewer is not None
    encoder = H264Encoder(WIDTH, HEIGHT, frame_rate=30, bit_rate=200_000, keyframe_interval=10)
    send(watched, 1, encoder)
    viewer.send_report(time.monotonic(), 1)
    await until(lambda: viewer.counters.receiver_reports)
    encoder.close()


class LossyPath:
    """A `path.Path` that loses some of the packets of pictures."""

    protocol = "udp"
    backlog = 0

    def __init__(self, path: Path, lost: frozenset[int]) -> None:
        self.remote = path.remote
        self._path = path
        self._lost = lost
        self._count = 0

    def send(self, datagram: bytes) -> bool:
        return self._path.send(datagram)

    def send_run(self, run: Run) -> bool:
        for offset in range(0, len(run.view), run.segment_size):
            if self._count not in self._lost:
                self._path.send(bytes(run.view[offset : offset + run.segment_size]))
            self._count += 1
        return True


async def test_lost_packets_are_asked_for_and_repaired(watched: Watched, watcher: Watcher) -> None:
    await watched.connect(await watcher.join(watched))
    viewer = watched.viewer
    assert viewer is not None
    viewer.path = LossyPath(viewer.path, frozenset((3, 10, 11, 20)))
    encoder = H264Encoder(WIDTH, HEIGHT, frame_rate=30, bit_rate=4_000_000, keyframe_interval=10)
    for number in range(1, 9):
        send(watched, number, encoder)
    await until(lambda: viewer.counters.retransmitted_packets_sent == 4)
    # aiortc decodes at most one picture for each packet that comes, so those behind the repaired one need more.
    for number in range(9, 19):
        send(watched, number, encoder)
    for _ in range(10):
        await watcher.frame()
    assert viewer.counters.retransmitted_packets_sent == 4
    assert set(viewer.drops) <= {"nack_too_soon"}, "aiortc names all that is missing again and again"
    encoder.close()


async def test_a_goodbye_is_seen_and_nothing_is_left(port: MediaPort, watcher: Watcher) -> None:
    before = asyncio.all_tasks()
    watched = Watched(port)
    channel = watcher.open_channel("control")
    await watched.connect(await watcher.join(watched))
    await until(lambda: channel.readyState == "open")
    local = watched.peer.ice.local
    await watched.peer.aclose()
    await until(lambda: channel.readyState == "closed")
    await until(lambda: watcher.connection.connectionState == "closed")
    assert port.address_count == 0
    assert watched.closed_count == 0
    refused = port.drops["unauthentic_check"]
    browser = await UdpEnd.open(HOST)
    browser.send(bytes(check(local)), (HOST, port.number))
    await until(lambda: port.drops["unauthentic_check"] > refused)
    browser.close()
    await watched.peer.aclose()
    await watcher.connection.close()
    await until(lambda: asyncio.all_tasks() <= before)


async def test_a_browser_that_leaves_is_noticed(watched: Watched, watcher: Watcher) -> None:
    await watched.connect(await watcher.join(watched))
    await until(lambda: watcher.connection.connectionState == "connected")
    await watcher.connection.close()
    await until(lambda: watched.closed_count)
    assert watched.closed_count == 1


async def test_another_certificate_than_the_one_in_the_sdp_is_refused(watched: Watched, watcher: Watcher) -> None:
    negotiated = await watcher.join(watched)
    remote = negotiated.remote
    other = (("sha-256", ":".join(["00"] * 32)),)
    forged = RemoteTransport(remote.ice, other, is_dtls_client=True, candidates=remote.candidates)
    with pytest.raises(DtlsFailed, match="certificate is not the one in the SDP"):
        await watched.connect(Negotiated(forged, negotiated.video, negotiated.data_channels))
    assert watched.viewer is None


async def test_closing_while_nobody_answers_leaves_no_task(watched: Watched) -> None:
    remote = RemoteTransport(IceCredentials("them", "x" * 24), (("sha-256", "AA"),), is_dtls_client=True, candidates=())
    before = asyncio.all_tasks()
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(watched.connect(Negotiated(remote, TRACK, None)))
        await asyncio.sleep(0)
        connecting.cancel()
        await watched.peer.aclose()
    assert connecting.cancelled()
    assert asyncio.all_tasks() <= before


class Stranger:
    """A browser's socket that speaks only as far as a test wants."""

    def __init__(self, watched: Watched, end: UdpEnd) -> None:
        self.watched = watched
        self.end = end
        self.address = (HOST, watched.port.number)

    async def check(self, local: IceCredentials | None = None, *, nominate: bool = False) -> oracle.Message:
        request = check(local or self.watched.peer.ice.local, nominate=nominate)
        self.end.send(bytes(request), self.address)
        while (response := await self.end.response()).transaction_id != request.transaction_id:
            pass
        return response

    def remote(self, *ports: int) -> RemoteTransport:
        candidates = tuple(Candidate("udp", f"127.0.0.{index + 1}", port, 1) for index, port in enumerate(ports))
        credentials = IceCredentials("them", "their password of 22+ chars")
        return RemoteTransport(credentials, (("sha-256", "AA"),), is_dtls_client=True, candidates=candidates)


@pytest.fixture
async def stranger(watched: Watched) -> AsyncIterator[Stranger]:
    end = await UdpEnd.open("0.0.0.0")  # hears every 127.x.y.z
    yield Stranger(watched, end)
    end.close()


async def test_datagrams_before_the_negotiation_are_counted(stranger: Stranger) -> None:
    await stranger.check()
    stranger.end.send(b"\x16\xfe\xfd hello", stranger.address)
    drops = stranger.watched.port.drops
    await until(lambda: drops["before_negotiation"])
    assert drops == {"before_negotiation": 1}


async def test_a_browser_that_floods_the_handshake_loses_datagrams(stranger: Stranger) -> None:
    watched = stranger.watched
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(watched.connect(Negotiated(stranger.remote(), TRACK, None)))
        await stranger.check()
        for index in range(80):
            watched.peer.datagram_received(b"\x16 no handshake %d" % index)
        assert watched.port.drops["dtls_queue_full"] == 16
        connecting.cancel()


async def test_no_datagram_of_a_connected_browser_raises(watched: Watched, watcher: Watcher) -> None:
    channel = watcher.open_channel("control")
    await watched.connect(await watcher.join(watched))
    await until(lambda: channel.readyState == "open")
    random = Random(1)
    for _ in range(2000):
        watched.peer.datagram_received(random.randbytes(random.randrange(1, 80)))
        # RTCP by its looks (RFC 5761 section 4).
        watched.peer.datagram_received(bytes((0x81, random.randrange(200, 208))) + random.randbytes(40))
        await asyncio.sleep(0)
    assert watched.port.drops["unauthentic_rtcp"] >= 2000
    assert watched.port.drops["unexpected_datagram"]
    channel.send("still here")
    await until(lambda: watched.messages)


async def test_our_own_checks_open_the_way_when_the_browsers_do_not_come(stranger: Stranger) -> None:
    watched = stranger.watched
    remote = stranger.remote(stranger.end.address[1])
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(watched.connect(Negotiated(remote, TRACK, None)))
        first, second = await stranger.end.response(), await stranger.end.response()
        assert first.transaction_id != second.transaction_id
        for request in (first, second):
            assert request.attributes["USERNAME"] == f"them:{watched.peer.ice.local.username_fragment}"
            assert request.check_message_integrity(remote.ice.password.encode())
        connecting.cancel()


async def test_trickled_candidates_are_checked_once_and_not_without_bound(stranger: Stranger) -> None:
    watched = stranger.watched
    port = stranger.end.address[1]
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(watched.connect(Negotiated(stranger.remote(), TRACK, None)))
        await asyncio.sleep(0)
        watched.peer.add_candidates(stranger.remote(*[port] * 40).candidates)
        watched.peer.add_candidates(stranger.remote(*[port] * 40).candidates)
        request = check(watched.peer.ice.local)
        stranger.end.send(bytes(request), stranger.address)
        checks = 0
        while (await stranger.end.response()).transaction_id != request.transaction_id:
            checks += 1
        assert checks == 16
        connecting.cancel()


async def test_after_a_restart_only_the_new_credentials_count(stranger: Stranger) -> None:
    watched = stranger.watched
    await stranger.check(nominate=True)
    before = watched.peer.ice.local
    theirs = new_credentials()
    after = watched.peer.restart_ice(theirs, ())
    assert after != before
    for old in (before, IceCredentials(before.username_fragment, after.password)):
        stranger.end.send(bytes(check(old)), stranger.address)
    await until(lambda: watched.port.drops["unauthentic_check"] == 2)
    await stranger.check(after, nominate=True)
    assert len(watched.paths) == 1, "the old path goes on"

"""DTLS, SRTP keys and data channels with aiortc and with OpenSSL at the other end.

Fails when an upgrade of aiortc moves the private names that `media_service.rtc.dtls` uses.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator
from functools import partial
from random import Random

import pylibsrtp
import pytest
from aiortc import RTCCertificate, RTCDataChannel, RTCDtlsTransport
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtp import RtcpByePacket, RtcpPacket, RtcpPsfbPacket, RtpPacket

from benchmarks.errors import BenchmarkError
from media_service.rtc.dtls import Certificate, DtlsFailed, DtlsTransport
from signaling.jsep import DataChannels
from tests.rtc.aiortc_end import AiortcEnd
from tests.rtc.joined import CERTIFICATE, CHROMIUM_PROFILES, SHA1_ONLY, JoinedEnds, joined_ends
from tests.waiting import until

CHANNELS = DataChannels(mid="1", port=5000, max_message_size=262_144)

Messages = list[tuple[str, str | bytes]]


def test_the_private_names_of_aiortc_are_where_we_expect_them() -> None:
    for name in ("_set_role", "start", "stop", "state"):
        assert hasattr(RTCDtlsTransport, name)
    assert list(inspect.signature(RTCCertificate._create_ssl_context).parameters) == ["self", "srtp_profiles"]
    source = inspect.getsource(RTCDtlsTransport)
    for name in ("self._srtp_profiles", "self._ssl", "self._tx_srtp", "self._rx_srtp", "transport._recv"):
        assert name in source


@pytest.fixture(params=[True, False], ids=["our-server", "our-client"])
async def aiortc_end(request: pytest.FixtureRequest) -> AsyncIterator[AiortcEnd]:
    end = AiortcEnd(is_our_server=request.param)
    yield end
    await end.aclose()


class OwnPair:
    """Two transports of ours, joined."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.server = DtlsTransport(
            CERTIFICATE, is_server=True, send=self._to_client, closed=lambda: self.closed.append("server")
        )
        self.client = DtlsTransport(
            CERTIFICATE, is_server=False, send=self._to_server, closed=lambda: self.closed.append("client")
        )

    async def connect(self, *, expected_of_client: str, expected_of_server: str) -> list[BaseException | None]:
        """Run both handshakes; what each raised, the server's first."""
        raised = await asyncio.gather(
            self.server.handshake((("sha-256", expected_of_client),)),
            self.client.handshake((("sha-256", expected_of_server),)),
            return_exceptions=True,
        )
        return list(raised)

    def _to_client(self, datagram: bytes) -> None:
        self.client.deliver(datagram)

    def _to_server(self, datagram: bytes) -> None:
        self.server.deliver(datagram)


@pytest.fixture
async def own_pair() -> AsyncIterator[OwnPair]:
    pair = OwnPair()
    yield pair
    await pair.server.aclose()
    await pair.client.aclose()


async def test_two_of_ours_connect_and_share_keys(own_pair: OwnPair) -> None:
    ours = CERTIFICATE.fingerprint()
    assert await own_pair.connect(expected_of_client=ours, expected_of_server=ours) == [None, None]
    assert own_pair.server.is_connected
    assert own_pair.client.is_connected
    for sender, receiver in ((own_pair.server, own_pair.client), (own_pair.client, own_pair.server)):
        compound = bytes(RtcpByePacket(sources=[7]))
        assert receiver.unprotect_rtcp(sender.protect_rtcp(compound)) == compound


async def test_the_wrong_fingerprint_fails_the_side_that_expected_another(own_pair: OwnPair) -> None:
    ours, other = CERTIFICATE.fingerprint(), Certificate.generateCertificate().fingerprint()
    server, client = await own_pair.connect(expected_of_client=other, expected_of_server=ours)
    assert isinstance(server, DtlsFailed)
    assert "certificate is not the one in the SDP" in str(server)
    assert client is None
    assert not own_pair.server.is_connected


async def test_a_closed_transport_tells_its_peer(own_pair: OwnPair) -> None:
    ours = CERTIFICATE.fingerprint()
    await own_pair.connect(expected_of_client=ours, expected_of_server=ours)
    await own_pair.client.aclose()
    await until(lambda: own_pair.closed)
    assert own_pair.closed == ["server"], "the one that closed is not told"
    assert not own_pair.server.is_connected


async def test_closing_ends_a_handshake_that_waits(own_pair: OwnPair) -> None:
    fingerprint = CERTIFICATE.fingerprint()
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(_failure_of(own_pair.server, fingerprint))
            await asyncio.sleep(0)
            await own_pair.server.aclose()
    assert isinstance(waiting.result(), DtlsFailed)


async def _failure_of(transport: DtlsTransport, fingerprint: str) -> DtlsFailed | None:
    try:
        await transport.handshake((("sha-256", fingerprint),))
    except DtlsFailed as error:
        return error
    return None


@pytest.mark.parametrize(
    ("profiles", "chosen", "tag_size"),
    [
        (CHROMIUM_PROFILES, "SRTP_AEAD_AES_128_GCM", 16),
        (b"SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_256_GCM", 16),
        (SHA1_ONLY, "SRTP_AES128_CM_SHA1_80", 10),
    ],
)
async def test_the_cheapest_cipher_that_the_browser_has_is_taken(profiles: bytes, chosen: str, tag_size: int) -> None:
    ends = await joined_ends(profiles=profiles)
    assert ends.dtls.srtp_profile == ends.srtp.profile == chosen
    assert ends.dtls.tag_size == tag_size
    packet = RtpPacket(102, 1, 5, 6, 7, b"payload").serialize()
    protected = ends.dtls.protect(packet)
    assert len(protected) == len(packet) + tag_size
    assert ends.srtp.inbound.unprotect(protected) == packet
    await ends.dtls.aclose()


async def test_as_the_client_the_keys_are_the_other_way_round() -> None:
    ends = await joined_ends(is_server=False)
    packet = RtpPacket(102, 1, 5, 6, 7, b"payload").serialize()
    assert ends.srtp.inbound.unprotect(ends.dtls.protect(packet)) == packet
    pli = RtcpPsfbPacket(1, 1, 2)
    assert len(ends.feedback(pli)) == 1
    await ends.dtls.aclose()


async def test_a_browser_without_srtp_is_refused() -> None:
    with pytest.raises((DtlsFailed, BenchmarkError)):
        await joined_ends(profiles=b"SRTP_AES128_CM_SHA1_32")


def test_rtcp_that_is_not_authentic_raises_what_is_documented(joined: JoinedEnds) -> None:
    genuine = joined.outbound.protect_rtcp(bytes(RtcpByePacket(sources=[7])))
    damaged = genuine[:10] + bytes((genuine[10] ^ 1,)) + genuine[11:]
    for datagram in (damaged, genuine[:12], b"\x80\xc8" + bytes(6), genuine + bytes(3000)):
        with pytest.raises((pylibsrtp.Error, ValueError)):
            joined.dtls.unprotect_rtcp(datagram)
    assert RtcpPacket.parse(joined.dtls.unprotect_rtcp(genuine)) == [RtcpByePacket(sources=[7])]


def test_the_queue_of_datagrams_is_bounded() -> None:
    async def overflow() -> list[bool]:
        dtls = DtlsTransport(CERTIFICATE, is_server=True, send=lambda _: None, closed=lambda: None)
        return [dtls.deliver(b"\x16" + bytes(20)) for _ in range(70)]

    assert asyncio.run(overflow()) == [True] * 64 + [False] * 6


async def test_garbage_does_not_end_a_connection(aiortc_end: AiortcEnd) -> None:
    random = Random(1)
    await aiortc_end.connect()
    for _ in range(300):
        aiortc_end.ours.deliver(bytes((random.randrange(20, 64),)) + random.randbytes(random.randrange(60)))
        await asyncio.sleep(0)
    assert aiortc_end.ours.is_connected
    messages: Messages = []
    await aiortc_end.ours.open_channels(CHANNELS, lambda _: None, lambda *message: messages.append(message))
    await aiortc_end.sctp.start(aiortc_end.sctp.getCapabilities(), 5000)
    control = aiortc_end.open_channel("control")
    await until(lambda: control.readyState == "open")
    control.send("still here")
    await until(lambda: messages)
    assert messages == [("control", "still here")]


def test_a_certificate_makes_its_context_once() -> None:
    certificate = Certificate.generateCertificate()
    assert certificate._create_ssl_context(SRTP_PROFILES) is certificate._create_ssl_context(SRTP_PROFILES)
    fingerprints = {each.algorithm: each.value for each in certificate.getFingerprints()}
    assert certificate.fingerprint() == fingerprints["sha-256"]
    assert certificate.fingerprint() != Certificate.generateCertificate().fingerprint()


def has_state(channel: RTCDataChannel, state: str) -> bool:
    return channel.readyState == state


class Talk:
    """A connected pair with data channels; what came to each end."""

    def __init__(self, end: AiortcEnd) -> None:
        self.end = end
        self.opened: list[str] = []
        self.ours: Messages = []
        self.theirs: list[str | bytes] = []

    async def start(self) -> None:
        await self.end.connect()
        await self.end.ours.open_channels(CHANNELS, self.opened.append, lambda *message: self.ours.append(message))
        await self.end.sctp.start(self.end.sctp.getCapabilities(), CHANNELS.port)

    async def open(self, label: str) -> RTCDataChannel:
        channel = self.end.open_channel(label)
        channel.on("message", self.theirs.append)
        await until(lambda: channel.readyState == "open")
        return channel


@pytest.fixture
async def talk(aiortc_end: AiortcEnd) -> Talk:
    started = Talk(aiortc_end)
    await started.start()
    return started


async def test_messages_go_both_ways(talk: Talk) -> None:
    control = await talk.open("control")
    control.send("tap")
    control.send(b"\0\1")
    await until(lambda: len(talk.ours) == 2)
    assert talk.opened == ["control"]
    assert talk.ours == [("control", "tap"), ("control", b"\0\1")]
    talk.end.ours.send_message("control", '{"type":"ack"}')
    talk.end.ours.send_message("other", "nobody has this label")
    talk.end.ours.send_message("control", "再见")
    await until(lambda: len(talk.theirs) == 2)
    assert talk.theirs == ['{"type":"ack"}', "再见"]


async def test_a_channel_that_was_closed_gets_nothing_more(talk: Talk) -> None:
    first, second = await talk.open("control"), await talk.open("control")
    first.send("one")
    second.send("two")
    await until(lambda: len(talk.ours) == 2)
    first.close()
    await until(lambda: first.readyState == "closed")
    talk.end.ours.send_message("control", "to the second only")
    await until(lambda: talk.theirs)
    assert talk.theirs == ["to the second only"]


async def test_a_browser_may_open_sixteen_channels(talk: Talk) -> None:
    channels = [await talk.open(f"channel {number}") for number in range(16)]
    one_too_many = talk.end.open_channel("one too many")
    await until(lambda: one_too_many.readyState == "closed")
    assert {channel.readyState for channel in channels} == {"open"}


async def test_channels_that_were_closed_make_room(talk: Talk) -> None:
    for number in range(20):
        channel = await talk.open(f"channel {number}")
        channel.close()
        await until(partial(has_state, channel, "closed"))
    (await talk.open("control")).send("one more")
    await until(lambda: talk.ours)
    assert talk.ours == [("control", "one more")]


async def test_messages_to_a_browser_that_does_not_listen_are_dropped_and_counted(talk: Talk) -> None:
    await talk.open("control")
    talk.end.is_link_up = False
    message = "x" * 50_000
    for _ in range(10):
        talk.end.ours.send_message("control", message)
    assert talk.end.ours.messages_dropped == 4, "the first six fill a backlog of 256 KiB"
    talk.end.is_link_up = True


async def test_closing_is_seen_by_the_browser_and_leaves_no_task(talk: Talk) -> None:
    control = await talk.open("control")
    await talk.end.ours.aclose()
    await until(lambda: control.readyState == "closed")
    await until(lambda: talk.end.dtls.state == "closed")
    await talk.end.ours.aclose()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    assert talk.end.closed_count == 0
    assert not talk.end.ours.is_connected


async def test_the_browser_that_leaves_is_noticed_once(talk: Talk) -> None:
    await talk.end.sctp.stop()
    await talk.end.dtls.stop()
    await until(lambda: talk.end.closed_count)
    assert talk.end.closed_count == 1

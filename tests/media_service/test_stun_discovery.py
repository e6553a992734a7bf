"""The address that STUN servers see, from servers that are played by real sockets."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog
from aioice import stun

from media_service.ice_url import IceUrl
from media_service.rtc.media_port import MediaPort
from media_service.rtc.stun import TransportAddress
from media_service.stun_discovery import StunDiscovery
from tests.rtc.receivers import free_ports
from tests.rtc.udp_end import UdpEnd
from tests.waiting import until

HOST = "127.0.0.1"
PUBLIC, PUBLIC_2, PUBLIC_3 = (("203.0.113.9", number) for number in (61_000, 61_001, 61_002))


class StunServer:
    """Answers each request with what a test says."""

    def __init__(self, end: UdpEnd) -> None:
        self.end = end
        self.url = IceUrl("stun", HOST, end.address[1])
        self.asked: list[TransportAddress] = []

    async def request(self) -> tuple[stun.Message, TransportAddress]:
        async with asyncio.timeout(10):
            datagram, sender = await self.end.arrived.get()
        self.asked.append(sender)
        return stun.parse_message(datagram), sender

    async def answer(self, address: TransportAddress | None = None) -> None:
        """Answer the next request: it was seen as `address`, or as what it is."""
        request, sender = await self.request()
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = address or sender
        self.end.send(bytes(response), sender)

    async def refuse(self) -> None:
        """Answer the next request with an error."""
        request, sender = await self.request()
        response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
        response.attributes["ERROR-CODE"] = (400, "Bad Request")
        self.end.send(bytes(response), sender)


class Scene:
    """A media port whose public address is looked for."""

    def __init__(self, port: MediaPort, server: StunServer) -> None:
        self.port = port
        self.server = server
        self.base = (HOST, port.number)
        self._task: asyncio.Task[None] | None = None
        self._servers = [server]

    async def add_server(self) -> StunServer:
        server = StunServer(await UdpEnd.open(HOST))
        self._servers.append(server)
        return server

    def start(self, *servers: IceUrl) -> StunDiscovery:
        discovery = StunDiscovery(self.port, servers or (self.server.url,))
        self._run(discovery)
        return discovery

    async def ask_again(self, discovery: StunDiscovery) -> None:
        """Have every server asked once more, now."""
        await self._stop()
        self._run(discovery)

    async def close(self) -> None:
        await self._stop()
        for server in self._servers:
            server.end.close()
        await self.port.aclose()

    def _run(self, discovery: StunDiscovery) -> None:
        self._task = asyncio.get_running_loop().create_task(discovery.run())

    async def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene(await MediaPort.open([HOST], free_ports()), StunServer(await UdpEnd.open(HOST)))
    yield made
    await made.close()


async def test_the_address_behind_the_nat_is_found_by_the_media_socket(scene: Scene) -> None:
    discovery = scene.start()
    await scene.server.answer(PUBLIC)
    await until(lambda: discovery.addresses)
    assert discovery.addresses == ((PUBLIC, scene.base),)
    assert scene.server.asked == [scene.base]


async def test_a_request_that_is_lost_is_repeated(scene: Scene) -> None:
    discovery = scene.start()
    await scene.server.request()
    await scene.server.answer(PUBLIC)
    await until(lambda: discovery.addresses)


async def test_who_waits_is_told_when_all_have_answered_and_does_not_wait_forever(scene: Scene) -> None:
    discovery = scene.start()
    assert not await discovery.gathered(0.01)
    await scene.server.answer(PUBLIC)
    assert await discovery.gathered(10.0)
    assert discovery.addresses == ((PUBLIC, scene.base),)


async def test_two_servers_that_see_the_same_give_one_address(scene: Scene) -> None:
    discovery = scene.start(scene.server.url, scene.server.url)
    await scene.server.answer(PUBLIC)
    await scene.server.answer(PUBLIC)
    await until(lambda: discovery.addresses)
    assert discovery.addresses == ((PUBLIC, scene.base),)


async def test_without_a_nat_there_is_nothing_to_announce(scene: Scene) -> None:
    discovery = scene.start(scene.server.url, scene.server.url)
    await scene.server.answer()
    await scene.server.answer(PUBLIC)
    await until(lambda: discovery.addresses)
    assert discovery.addresses == ((PUBLIC, scene.base),), "only the second answer told something new"


async def test_a_server_in_trouble_is_named_and_the_next_one_asked(scene: Scene) -> None:
    nobody = await UdpEnd.open(HOST)
    silent = IceUrl("stun", HOST, nobody.address[1])
    unresolvable = IceUrl("stun", "a" * 70 + ".invalid", 3478)
    with structlog.testing.capture_logs() as logs:
        discovery = scene.start(silent, unresolvable, scene.server.url, scene.server.url)
        await scene.server.refuse()
        await scene.server.answer(PUBLIC)
        await until(lambda: discovery.addresses)
    nobody.close()
    assert nobody.arrived.qsize() == 3
    warnings = [(log["server"], log["reason"]) for log in logs if log["log_level"] == "warning"]
    assert warnings[0] == (str(silent), f"it does not answer {HOST}")
    assert warnings[1][0] == str(unresolvable)
    assert warnings[1][1].startswith("its name cannot be resolved: ")
    assert warnings[2] == (str(scene.server.url), f"it does not answer {HOST}")
    assert len(warnings) == 3


async def test_what_a_server_said_counts_until_it_says_otherwise(scene: Scene) -> None:
    other = await scene.add_server()
    discovery = scene.start(scene.server.url, other.url)
    await scene.server.answer(PUBLIC)
    await other.answer(PUBLIC_2)
    await until(lambda: discovery.addresses)
    assert discovery.addresses == ((PUBLIC, scene.base), (PUBLIC_2, scene.base))
    await scene.ask_again(discovery)
    await scene.server.refuse()
    await other.answer(PUBLIC_3)
    await until(lambda: discovery.addresses != ((PUBLIC, scene.base), (PUBLIC_2, scene.base)))
    assert discovery.addresses == ((PUBLIC, scene.base), (PUBLIC_3, scene.base))
    await scene.ask_again(discovery)
    await scene.server.answer(PUBLIC_2)
    await other.refuse()
    await until(lambda: (PUBLIC, scene.base) not in discovery.addresses)
    assert discovery.addresses == ((PUBLIC_2, scene.base), (PUBLIC_3, scene.base))


async def test_an_answer_that_there_is_no_nat_any_more_counts(scene: Scene) -> None:
    discovery = scene.start()
    await scene.server.answer(PUBLIC)
    await until(lambda: discovery.addresses)
    await scene.ask_again(discovery)
    await scene.server.answer()
    await until(lambda: not discovery.addresses)


async def test_each_local_address_keeps_what_it_was_told(scene: Scene) -> None:
    await scene.port.aclose()
    hosts = (HOST, "127.0.0.2")
    scene.port = await MediaPort.open(hosts, free_ports())
    first, second = ((host, scene.port.number) for host in hosts)
    discovery = scene.start()
    await scene.server.answer(PUBLIC)
    await scene.server.answer(PUBLIC_2)
    await until(lambda: discovery.addresses)
    assert scene.server.asked == [first, second]
    assert discovery.addresses == ((PUBLIC, first), (PUBLIC_2, second))
    await scene.ask_again(discovery)
    await scene.server.refuse()
    await scene.server.answer(PUBLIC_3)
    await until(lambda: (PUBLIC_3, second) in discovery.addresses)
    assert discovery.addresses == ((PUBLIC, first), (PUBLIC_3, second))

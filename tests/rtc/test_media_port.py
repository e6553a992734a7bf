"""The one port for all viewers, on real loopback sockets; the checks are aioice's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from random import Random

import pytest
from aioice import stun as oracle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from media_service.rtc import stun
from media_service.rtc.media_port import SEND_BUFFER, MediaPort, NoMediaPort
from media_service.rtc.stun import TransportAddress
from signaling.jsep import IceCredentials
from tests.rtc.receivers import KeepingReceiver, free_ports
from tests.rtc.udp_end import HOSTS, UdpEnd, check
from tests.waiting import until

DTLS = b"\x16\xfe\xfd a record"


def has_dropped(port: MediaPort, count: int) -> bool:
    return port.drops.total() == count


class Scene:
    """An open port with one viewer registered, and a browser's socket."""

    def __init__(self, port: MediaPort, browser: UdpEnd, host: str) -> None:
        self.port = port
        self.browser = browser
        self.address: TransportAddress = (host, port.number)
        self.host = host
        self.viewer = self.add_viewer()
        self._opened = [browser]

    def add_viewer(self) -> KeepingReceiver:
        viewer = KeepingReceiver()
        self.port.register(viewer.local.username_fragment, viewer)
        return viewer

    async def open_browser(self) -> UdpEnd:
        end = await UdpEnd.open(self.host)
        self._opened.append(end)
        return end

    async def connect(
        self, browser: UdpEnd | None = None, viewer: KeepingReceiver | None = None, *, nominate: bool = False
    ) -> oracle.Message:
        """Send a valid check and return the answer, which must belong to it and be authentic."""
        browser, viewer = browser or self.browser, viewer or self.viewer
        request = check(viewer.local, nominate=nominate)
        browser.send(bytes(request), self.address)
        response = await browser.response()
        assert response.transaction_id == request.transaction_id
        assert response.check_message_integrity(viewer.local.password.encode())
        return response

    def close(self) -> None:
        for end in self._opened:
            end.close()


@pytest.fixture(params=HOSTS)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    port = await MediaPort.open(HOSTS, free_ports())
    made = Scene(port, await UdpEnd.open(request.param), request.param)
    yield made
    made.close()
    await port.aclose()


async def test_a_check_finds_its_viewer_and_is_answered(scene: Scene) -> None:
    other = scene.add_viewer()
    response = await scene.connect()
    assert response.message_class is oracle.Class.RESPONSE
    assert response.attributes["XOR-MAPPED-ADDRESS"] == scene.browser.address
    assert [path.remote for path in scene.viewer.paths] == [scene.browser.address]
    assert [path.protocol for path in scene.viewer.paths] == ["udp"]
    assert other.paths == []
    assert scene.port.checks_received == 1
    assert scene.port.address_count == 1


async def test_datagrams_find_the_viewer_by_address(scene: Scene) -> None:
    other_browser, other_viewer = await scene.open_browser(), scene.add_viewer()
    await scene.connect()
    await scene.connect(other_browser, other_viewer)
    scene.browser.send(DTLS + b"1", scene.address)
    other_browser.send(DTLS + b"2", scene.address)
    await until(lambda: scene.viewer.datagrams and other_viewer.datagrams)
    assert (scene.viewer.datagrams, other_viewer.datagrams) == ([DTLS + b"1"], [DTLS + b"2"])
    assert not scene.port.drops


async def test_what_the_viewer_sends_comes_from_the_address_that_was_asked(scene: Scene) -> None:
    await scene.connect()
    scene.viewer.paths[0].send(DTLS)
    datagram, sender = await scene.browser.arrived.get()
    assert (datagram, sender) == (DTLS, scene.address)


async def test_checks_that_are_nobodys_are_not_answered(scene: Scene) -> None:
    local = scene.viewer.local
    for stranger in (
        IceCredentials(local.username_fragment, "a wrong password of 22+"),
        IceCredentials("unknown", local.password),
        IceCredentials("", local.password),
    ):
        scene.browser.send(bytes(check(stranger)), scene.address)
    scene.browser.send(bytes(oracle.Message(oracle.Method.BINDING, oracle.Class.REQUEST)), scene.address)
    # The answer to this one is the first: the others had none.
    await scene.connect()
    assert scene.port.drops == {"unauthentic_check": 4}
    assert scene.port.checks_received == 1


async def test_a_role_conflict_is_answered(scene: Scene) -> None:
    scene.browser.send(bytes(check(scene.viewer.local, ICE_CONTROLLED=9)), scene.address)
    response = await scene.browser.response()
    assert response.error_code == 487
    assert scene.viewer.paths == []


async def test_a_viewer_that_moves_is_followed_and_heard_on_both_ways(scene: Scene) -> None:
    await scene.connect(nominate=True)
    elsewhere = await scene.open_browser()
    await scene.connect(elsewhere)
    assert len(scene.viewer.paths) == 1
    await scene.connect(elsewhere, nominate=True)
    assert [path.remote for path in scene.viewer.paths] == [scene.browser.address, elsewhere.address]
    scene.browser.send(DTLS + b"old", scene.address)
    elsewhere.send(DTLS + b"new", scene.address)
    await until(lambda: len(scene.viewer.datagrams) == 2)
    assert set(scene.viewer.datagrams) == {DTLS + b"old", DTLS + b"new"}


async def test_an_address_that_another_viewer_takes_over_is_the_new_ones(scene: Scene) -> None:
    await scene.connect()
    successor = scene.add_viewer()
    await scene.connect(viewer=successor)
    scene.browser.send(DTLS, scene.address)
    await until(lambda: successor.datagrams)
    assert scene.viewer.datagrams == []
    scene.port.forget(scene.viewer)
    assert scene.port.address_count == 1


async def test_a_viewer_has_at_most_sixteen_addresses(scene: Scene) -> None:
    browsers = [await scene.open_browser() for _ in range(20)]
    for browser in browsers:
        await scene.connect(browser)
    assert scene.port.address_count == 16
    browsers[1].send(DTLS + b"forgotten", scene.address)
    browsers[0].send(DTLS + b"in use", scene.address)
    browsers[-1].send(DTLS + b"newest", scene.address)
    await until(lambda: len(scene.viewer.datagrams) == 2)
    assert set(scene.viewer.datagrams) == {DTLS + b"in use", DTLS + b"newest"}
    assert scene.port.drops == {"unknown_address": 1}
    await scene.connect(browsers[1])
    scene.port.forget(scene.viewer)
    assert scene.port.address_count == 0


async def test_a_forgotten_viewer_is_a_stranger(scene: Scene) -> None:
    await scene.connect()
    scene.port.unregister(scene.viewer.local.username_fragment)
    scene.port.forget(scene.viewer)
    scene.browser.send(bytes(check(scene.viewer.local)), scene.address)
    scene.browser.send(DTLS, scene.address)
    await until(lambda: scene.port.drops["unknown_address"])
    assert scene.port.drops == {"unauthentic_check": 1, "unknown_address": 1}
    assert scene.viewer.datagrams == []
    assert scene.browser.arrived.empty()


async def test_garbage_is_counted_and_harms_nobody(scene: Scene) -> None:
    random = Random(1)
    with socket.socket(socket.AF_INET6 if ":" in scene.host else socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"", scene.address)  # asyncio's transports send no empty datagrams
    sent = 1
    for _ in range(10):
        for _ in range(100):
            scene.browser.send(random.randbytes(random.randrange(1, 60)), scene.address)
            sent += 1
        scene.browser.send(bytes((random.randrange(4),)) + random.randbytes(3000), scene.address)
        sent += 1
        await until(partial(has_dropped, scene.port, sent))
    assert set(scene.port.drops) == {"empty", "malformed_stun", "unknown_address"}
    await scene.connect()


damaged_checks = st.builds(lambda position, value: (position, value), st.integers(min_value=0), st.integers(0, 255))


@given(st.lists(st.binary(max_size=80) | damaged_checks, max_size=30))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_datagram_raises(scene: Scene, strange: list[bytes | tuple[int, int]]) -> None:
    errors: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
    for each in strange:
        if isinstance(each, tuple):
            datagram = bytearray(bytes(check(scene.viewer.local)))
            datagram[each[0] % len(datagram)] = each[1]
            scene.browser.send(bytes(datagram), scene.address)
        else:
            scene.browser.send(each, scene.address)
    request = check(scene.viewer.local)
    scene.browser.send(bytes(request), scene.address)
    # A damaged check may have had its answer: only the unauthenticated end of one was changed.
    while (await scene.browser.response()).transaction_id != request.transaction_id:
        pass
    assert errors == []


async def test_checks_of_our_own_reach_the_candidates(scene: Scene) -> None:
    scene.viewer.agent.remote = IceCredentials("them", "their password of 22+ chars")
    scene.port.send_checks(scene.viewer.agent.check, [scene.browser.address])
    request = await scene.browser.response()
    assert request.message_class is oracle.Class.REQUEST
    assert request.attributes["USERNAME"] == f"them:{scene.viewer.local.username_fragment}"
    assert request.check_message_integrity(b"their password of 22+ chars")
    assert not scene.port.drops, "only sockets of the candidate's family are used"


async def test_checks_need_the_remote_credentials(scene: Scene) -> None:
    scene.port.send_checks(scene.viewer.agent.check, [scene.browser.address])
    await scene.connect()
    assert scene.browser.arrived.empty()


async def test_a_stun_server_is_asked_from_the_media_socket(scene: Scene) -> None:
    answers: list[stun.StunMessage] = []
    stop_waiting = scene.port.ask(scene.host, scene.browser.address, answers.append)
    datagram, sender = await scene.browser.arrived.get()
    request = oracle.parse_message(datagram)
    assert sender == scene.address
    response = oracle.Message(request.message_method, oracle.Class.RESPONSE, request.transaction_id)
    response.attributes["XOR-MAPPED-ADDRESS"] = sender
    scene.browser.send(bytes(response), scene.address)
    await until(lambda: answers)
    assert stun.mapped_address(answers[0]) == scene.address
    scene.browser.send(bytes(response), scene.address)  # a late second answer
    await scene.connect()
    assert len(answers) == 1
    stop_waiting()


async def test_an_answer_that_is_not_waited_for_is_ignored(scene: Scene) -> None:
    answers: list[stun.StunMessage] = []
    scene.port.ask(scene.host, scene.browser.address, answers.append)()
    request = await scene.browser.response()
    response = oracle.Message(request.message_method, oracle.Class.RESPONSE, request.transaction_id)
    scene.browser.send(bytes(response), scene.address)
    await scene.connect()
    assert answers == []


async def test_the_next_port_is_taken_when_the_first_is_in_use() -> None:
    ports = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOSTS[0], ports[0]))
        port = await MediaPort.open(HOSTS, ports)
        assert port.number in ports[1:]
        await port.aclose()


async def test_a_port_that_is_in_use_for_tcp_only_is_not_taken() -> None:
    ports = free_ports()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind((HOSTS[0], ports[0]))
        other.listen()
        port = await MediaPort.open(HOSTS, ports)
        assert port.number in ports[1:]
        # What was bound before TCP failed is free again.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind((HOSTS[0], ports[0]))
        await port.aclose()


async def test_no_free_port_says_which_and_what_to_do() -> None:
    ports = free_ports(2)
    with ExitStack() as stack:
        for number in ports:
            other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            other.bind((HOSTS[0], number))
        with pytest.raises(NoMediaPort) as raised:
            await MediaPort.open([HOSTS[0]], ports)
    assert str(raised.value) == (
        f"no free media port in {ports[0]}..{ports[1]} on 127.0.0.1: "
        "widen ICE_PORT_MIN and ICE_PORT_MAX or stop what uses these ports"
    )


async def test_an_address_that_went_away_is_left_out() -> None:
    port = await MediaPort.open(["203.0.113.77", HOSTS[0]], free_ports())
    assert port.hosts == (HOSTS[0],)
    await port.aclose()


async def test_the_send_buffer_is_that_of_the_socket_with_the_smallest() -> None:
    sockets = []
    for number, size in ((1, 128 << 10), (2, 64 << 10), (3, 96 << 10)):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((f"127.0.0.{number}", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        sockets.append(sock)
    port = MediaPort(sockets)
    assert port.send_buffer == 64 << 10
    await port.aclose()


def buffer_to_expect() -> int:
    """What a socket of this process can have, as socket(7) says: only CAP_NET_ADMIN goes beyond wmem_max."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, 32, SEND_BUFFER)  # SO_SNDBUFFORCE
        except PermissionError:
            return min(SEND_BUFFER, int(Path("/proc/sys/net/core/wmem_max").read_text()))
        return SEND_BUFFER


async def test_the_port_has_the_largest_send_buffer_it_may_have() -> None:
    port = await MediaPort.open(HOSTS, free_ports())
    assert port.send_buffer == buffer_to_expect()
    await port.aclose()


async def test_closing_frees_the_port() -> None:
    ports = free_ports()
    first = await MediaPort.open(HOSTS, ports)
    number = first.number
    await first.aclose()
    second = await MediaPort.open(HOSTS, range(number, number + 1))
    assert second.number == number
    await second.aclose()

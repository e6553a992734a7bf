"""STUN and TURN: against the real coturn, and against servers that do what none should."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.diagnosis import stun_client
from media_service.diagnosis.finding import Finding, Status
from media_service.diagnosis.ice_servers import check
from media_service.diagnosis.stun_client import Credentials, NoAnswer, Refused, allocate, discover, error_of, server
from media_service.ice_url import IceUrl
from media_service.rtc import stun
from media_service.settings import Settings
from signaling.turn_credentials import turn_credentials
from tests.fixtures.adb import free_port
from tests.fixtures.coturn import RunningCoturn


async def look(**settings: object) -> list[Finding]:
    return [*await check(Settings.model_validate(settings))]


def turn_urls(coturn: RunningCoturn) -> str:
    return f"{coturn.udp_url},{coturn.tcp_url}"


async def test_coturn_takes_our_credentials_over_udp_and_tcp(coturn: RunningCoturn) -> None:
    found = await look(turn_urls=turn_urls(coturn), turn_secret=coturn.secret)
    assert [(finding.status, finding.text) for finding in found] == [
        (Status.OK, f"{url} takes our credentials; it gave a relay at 127.0.0.1")
        for url in (coturn.udp_url, coturn.tcp_url)
    ]


async def test_coturn_refuses_another_secret(coturn: RunningCoturn) -> None:
    found = await look(turn_urls=turn_urls(coturn), turn_secret="not the one")
    assert [finding.status for finding in found] == [Status.PROBLEM] * 2
    assert found[0].text == f"{coturn.udp_url} refuses a relay: 401 Unauthorized"
    assert "static-auth-secret" in found[0].remedy


async def test_coturn_refuses_a_user_that_it_does_not_know(coturn: RunningCoturn) -> None:
    (found,) = await look(turn_urls=coturn.udp_url, turn_username="somebody", turn_credential="hush-hush")
    assert (found.status, found.text) == (Status.PROBLEM, f"{coturn.udp_url} refuses a relay: 401 Unauthorized")


async def test_expired_credentials_are_refused(coturn: RunningCoturn) -> None:
    made = turn_credentials(coturn.secret, "late", 10, time.time() - 100)
    async with server(IceUrl.parse(coturn.udp_url)) as ask:
        with pytest.raises(Refused, match="401"):
            await allocate(ask, Credentials(made.username, made.credential))


async def test_the_relay_is_given_back(coturn: RunningCoturn) -> None:
    made = turn_credentials(coturn.secret, "briefly", 60, time.time())
    said: list[tuple[int, int]] = []
    async with server(IceUrl.parse(coturn.udp_url)) as ask:

        async def overheard(request: bytes) -> stun.StunMessage:
            answer = await ask(request)
            said.append((int.from_bytes(request[:2], "big"), answer.message_type))
            return answer

        await allocate(overheard, Credentials(made.username, made.credential))
    assert said == [
        (stun_client.ALLOCATE, 0x0113),
        (stun_client.ALLOCATE, 0x0103),
        (stun_client.REFRESH, 0x0104),
    ]


async def test_coturn_as_a_stun_server(coturn: RunningCoturn) -> None:
    (found,) = await look(stun_servers=f"stun:127.0.0.1:{coturn.port}")
    assert (found.status, found.text) == (
        Status.OK,
        f"stun:127.0.0.1:{coturn.port} answers; there is no NAT between",
    )


async def test_servers_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_client, "_ATTEMPTS", (0.05,))
    port = free_port()
    found = await look(
        stun_servers=f"stun:127.0.0.1:{port},stun:nowhere.invalid",
        turn_urls=f"turn:127.0.0.1:{port},turn:127.0.0.1:{port}?transport=tcp,turns:127.0.0.1:{port}",
        turn_secret="secret",
    )
    assert [finding.status for finding in found] == [Status.PROBLEM] * 5
    assert all(finding.remedy for finding in found)
    assert found[0].text == f"stun:127.0.0.1:{port}: Connection refused"
    assert found[3].text == f"turn:127.0.0.1:{port}?transport=tcp: Connection refused"


async def test_turn_without_tls_where_tls_is_expected(coturn: RunningCoturn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_client, "_STREAM_TIMEOUT", 0.5)
    (found,) = await look(turn_urls=f"turns:127.0.0.1:{coturn.port}", turn_secret=coturn.secret)
    assert found.status is Status.PROBLEM


async def test_dtls_is_not_tried() -> None:
    (found,) = await look(turn_urls="turns:127.0.0.1:1?transport=udp", turn_secret="secret")
    assert found.status is Status.INFO


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"nat_1to1_ips": "203.0.113.5"}, "viewers are told of 203.0.113.5 (NAT_1TO1_IPS)"),
        ({}, "which cannot be reached from the internet"),
    ],
)
async def test_what_viewers_are_told(settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.diagnosis.ice_servers.host_addresses", lambda: ("192.168.1.5", "127.0.0.1"))
    (found,) = await look(**settings)
    assert said in found.text


class UdpServer(asyncio.DatagramProtocol):
    """Answers every datagram with what `answer` makes of it, if anything."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        if (answer := self._answer(data)) is not None:
            self._transport.sendto(answer, addr)


@asynccontextmanager
async def udp_server(answer: Callable[[bytes], bytes | None]) -> AsyncIterator[str]:
    """The address of such a server."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: UdpServer(answer), local_addr=("127.0.0.1", 0))
    try:
        yield f"127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    finally:
        transport.close()


def seen_at(address: str) -> Callable[[bytes], bytes | None]:
    def answer(datagram: bytes) -> bytes | None:
        request = stun.parse(datagram)
        return stun.binding_success(request, (address, 4321), b"unused") if request is not None else None

    return answer


async def test_a_nat_between() -> None:
    async with udp_server(seen_at("203.0.113.5")) as address:
        (found,) = await look(stun_servers=f"stun:{address}")
        _, matches = await look(stun_servers=f"stun:{address}", nat_1to1_ips="203.0.113.5")
        _, differs = await look(stun_servers=f"stun:{address}", nat_1to1_ips="203.0.113.6")
    assert found.text == f"stun:{address} answers; it sees this machine at 203.0.113.5:4321"
    assert (found.status, matches.status, differs.status) == (Status.OK, Status.OK, Status.WARNING)
    assert differs.remedy.startswith("set NAT_1TO1_IPS=203.0.113.5 ")


def garbage(datagram: bytes) -> bytes | None:
    return secrets.token_bytes(40)


def without_address(datagram: bytes) -> bytes | None:
    return b"\x01\x01\0\0" + datagram[4:20]


def without_reason(datagram: bytes) -> bytes | None:
    return b"\x01\x13\0\0" + datagram[4:20]


def always_stale(datagram: bytes) -> bytes | None:
    body = stun_client._attribute(stun.ERROR_CODE, b"\0\0\x04\x26Stale Nonce")
    return b"\x01\x13" + len(body).to_bytes(2, "big") + datagram[4:20] + body


def generous(datagram: bytes) -> bytes | None:
    """Grants everything without knowing the password."""
    request = stun.parse(datagram)
    if request is None:
        return None
    if stun.USERNAME not in request.attributes:
        body = stun_client._attribute(stun.ERROR_CODE, b"\0\0\x04\x01")
        return b"\x01\x13" + len(body).to_bytes(2, "big") + datagram[4:20] + body
    body = stun_client._attribute(stun_client.XOR_RELAYED_ADDRESS, bytes(2) + bytes(6))
    return (request.message_type | 0x0100).to_bytes(2, "big") + len(body).to_bytes(2, "big") + datagram[4:20] + body


@pytest.mark.parametrize("answer", [garbage, without_address, without_reason, always_stale, generous, lambda _: None])
async def test_servers_that_talk_nonsense(
    answer: Callable[[bytes], bytes | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stun_client, "_ATTEMPTS", (0.02, 0.02))
    async with udp_server(answer) as address, server(IceUrl.parse(f"turn:{address}")) as ask:
        with pytest.raises(NoAnswer):
            await discover(ask)
        with pytest.raises((NoAnswer, Refused)):
            await allocate(ask, Credentials("user", "password"))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x01\x01\xff\xff" + bytes(16)])
async def test_streams_that_talk_nonsense(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stun_client, "_STREAM_TIMEOUT", 0.2)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        if not answer:
            await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        url = IceUrl.parse(f"turn:127.0.0.1:{listener.sockets[0].getsockname()[1]}?transport=tcp")
        async with server(url) as ask:
            with pytest.raises(NoAnswer):
                await discover(ask)


@given(st.binary(max_size=600))
def test_any_error_can_be_told_in_one_line(value: bytes) -> None:
    code, words = error_of(stun.StunMessage(0x0113, bytes(12), {stun.ERROR_CODE: value}, 0, b""))
    assert 0 <= code <= 955
    assert words.isprintable()
    assert len(words) <= 128

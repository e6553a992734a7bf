"""The control WebSocket over a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from capture.input_events import Key, ReadClipboard, Text, Touch, TouchAction, WriteClipboard
from signaling import outbox, websocket
from signaling.caller import Caller, Capability
from signaling.choices import QualityChoice, QualityLevel
from signaling.connection import MAX_MALFORMED, MAX_SESSIONS, MAX_WAITING_INPUTS
from signaling.guard import guard
from signaling.message_limits import OTHERS_AT_ONCE, REFUSALS_AT_ONCE
from signaling.problems import problems
from signaling.server_messages import Error
from signaling.websocket import MAX_MESSAGE_SIZE, PATH
from tests.signaling.memory_service import ANYBODY, Client, MemoryService, MemorySession, served
from tests.signaling.samples import LOCAL, description, edited
from tests.waiting import until

OFFER = description("chromium_video_data")
ANSWER = description("offer_high.chromium_answer")
CANDIDATE = {"candidate": "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
TIMEOUT = 10.0


class Page:
    """The browser's end of a socket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket
        self._last_id = 0

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=TIMEOUT))
        return message

    async def ask(self, **message: Any) -> dict[str, Any]:
        """The reply to a message, which is the next that comes."""
        self._last_id += 1
        await self.send(id=self._last_id, **message)
        reply = await self.receive()
        assert reply.pop("id") == self._last_id
        return reply

    async def refusal(self, **message: Any) -> tuple[str, str]:
        """Code and detail of the error that a message gets."""
        reply = await self.ask(**message)
        assert reply["type"] == "error"
        return reply["code"], reply["detail"]

    async def offer(self, device_id: str = "demo") -> str:
        """The id of a new session."""
        reply = await self.ask(type="offer", deviceId=device_id, sdp=OFFER)
        assert reply["type"] == "answer"
        session_id: str = reply["sessionId"]
        return session_id


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[Client]:
    async with served(service, allowed_origins=("https://phones.example.com",), loopback_only=True) as client:
        yield client


@pytest.fixture
async def page(client: Client) -> AsyncIterator[Page]:
    async with opened(client) as page:
        yield page


@asynccontextmanager
async def opened(client: Client) -> AsyncIterator[Page]:
    async with client.ws_connect(PATH) as socket:
        yield Page(socket)


async def until_closed(service: MemoryService, session_id: str) -> str | None:
    """Why the session was closed, once it is."""
    async with asyncio.timeout(TIMEOUT):
        await service.opened[session_id].closed.wait()
    return service.opened[session_id].closed_because


async def test_an_offer_is_answered(page: Page, service: MemoryService) -> None:
    reply = await page.ask(type="offer", deviceId="demo", sdp=OFFER)
    assert (reply["type"], reply["sessionId"]) == ("answer", "session-1")
    assert f"a=ice-pwd:{LOCAL.ice.password}\r\n" in reply["sdp"]
    assert service.session("session-1").negotiated is not None


async def test_a_join_gets_an_offer_that_the_browser_answers(page: Page, service: MemoryService) -> None:
    reply = await page.ask(type="join", deviceId="demo")
    assert (reply["type"], reply["sessionId"]) == ("offer", "session-1")
    assert "a=setup:actpass" in reply["sdp"]
    code, detail = await page.refusal(type="answer", sdp=edited(ANSWER, "a=recvonly", "a=inactive"))
    assert (code, "rejects the video" in detail) == ("no_common_codec", True)
    assert await page.ask(type="answer", sessionId="session-1", sdp=ANSWER) == {"type": "ok"}
    assert service.session("session-1").negotiated is not None
    assert (await page.refusal(type="answer", sdp=ANSWER))[0] == "wrong_state"


async def test_candidates_trickle(page: Page, service: MemoryService) -> None:
    await page.offer()
    assert await page.ask(type="ice-candidate", candidate=CANDIDATE) == {"type": "ok"}
    assert await page.ask(type="ice-candidate", candidate={**CANDIDATE, "candidate": ""}) == {"type": "ok"}
    session = service.session("session-1")
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1"]
    assert session.end_of_candidates
    assert (await page.refusal(type="ice-candidate", candidate={"candidate": "nonsense"}))[0] == "malformed_sdp"


async def test_candidates_right_behind_the_offer_wait_for_its_session(page: Page, service: MemoryService) -> None:
    service.opening_gate.clear()
    await page.send(type="offer", id=1, deviceId="demo", sdp=OFFER)
    await page.send(type="ice-candidate", id=2, candidate=CANDIDATE)
    service.opening_gate.set()
    assert [(await page.receive())["type"], (await page.receive())["type"]] == ["answer", "ok"]
    assert len(service.session("session-1").candidates) == 1


async def test_a_device_that_is_slow_to_start_does_not_hold_up_the_rest(page: Page, service: MemoryService) -> None:
    session_id = await page.offer()
    service.opening_gate.clear()
    await page.send(type="offer", id=77, deviceId="other", sdp=OFFER)
    assert await page.ask(type="input", sessionId=session_id, event={"type": "key", "keyCode": 3}) == {"type": "ok"}
    service.opening_gate.set()
    reply = await page.receive()
    assert (reply["type"], reply["id"]) == ("answer", 77)


async def test_input_is_injected_and_acknowledged(page: Page, service: MemoryService) -> None:
    await page.offer()
    touch = {"type": "touch", "action": "tap", "x": 1, "y": 2, "seq": 9}
    assert await page.ask(type="input", event=touch) == {"type": "ok"}
    acknowledgement = await page.receive()
    assert (acknowledgement["type"], acknowledgement["seq"]) == ("input-ack", 9)
    assert acknowledgement["injectedAt"] > 1.7e12
    assert acknowledgement["latencyMs"] >= 0
    await page.send(type="key", keyCode="back", seq=10)
    assert (await page.receive())["seq"] == 10
    assert service.session("session-1").events == [Touch(TouchAction.TAP, 1, 2), Key(4)]


async def test_inputs_keep_their_order(page: Page, service: MemoryService) -> None:
    await page.offer()
    for number in range(100):
        await page.send(type="text", text=str(number))
    assert await page.ask(type="text", text="end") == {"type": "ok"}
    assert service.session("session-1").events == [*(Text(str(number)) for number in range(100)), Text("end")]


async def test_input_that_a_device_refuses(page: Page) -> None:
    await page.offer()
    reply = await page.ask(type="text", text="refuse", seq=4)
    assert reply == {"type": "error", "code": "input_rejected", "detail": "the device takes no text", "seq": 4}


async def test_inputs_of_a_device_that_hangs_are_bounded(page: Page, service: MemoryService) -> None:
    await page.offer()
    session = service.session("session-1")
    session.input_gate.clear()
    for _ in range(MAX_WAITING_INPUTS):
        await page.send(type="key", keyCode=3)
    code, detail = await page.refusal(type="key", keyCode=3)
    assert (code, detail) == ("input_rejected", f"{MAX_WAITING_INPUTS} inputs wait for their devices already")
    session.input_gate.set()
    assert await page.ask(type="ping") == {"type": "pong"}


async def test_a_keyframe_request(page: Page, service: MemoryService) -> None:
    await page.offer()
    assert await page.ask(type="keyframe-request") == {"type": "ok"}
    assert service.session("session-1").keyframe_requests == 1


async def test_the_sound_is_chosen(page: Page, service: MemoryService) -> None:
    session_id = await page.offer()
    assert await page.ask(type="sound", action="off", sessionId=session_id) == {"type": "ok"}
    assert not service.session(session_id).wants_sound
    assert await page.ask(type="sound", action="on") == {"type": "ok"}
    assert service.session(session_id).wants_sound


async def test_the_quality_is_chosen_of_one_session(page: Page, service: MemoryService) -> None:
    first, second = await page.offer(), await page.offer("other")
    asked = {"type": "quality", "level": "480p", "maxBitrate": 900_000, "sessionId": second}
    assert await page.ask(**asked) == {"type": "ok"}
    assert service.session(second).quality == QualityChoice(QualityLevel.P480, 900_000, second)
    assert service.session(first).quality == QualityChoice(QualityLevel.AUTO)
    assert (await page.refusal(type="quality", level="auto"))[0] == "session_ambiguous"


async def test_a_quality_that_cannot_be_had_is_refused(page: Page, service: MemoryService) -> None:
    session_id = await page.offer()
    assert await page.refusal(type="quality", level="1080p") == (
        "quality_unavailable",
        "the phone is smaller than 1080p",
    )
    assert service.session(session_id).quality == QualityChoice(QualityLevel.AUTO)


async def test_statistics_are_pushed_until_they_are_not_wanted(page: Page) -> None:
    await page.offer()
    assert await page.ask(type="stats", periodMs=100) == {"type": "ok"}
    for _ in range(2):
        assert await page.receive() == {
            "type": "stats",
            "sessionId": "session-1",
            "stats": {"packetsSent": 12, "roundTripTime": 0.025},
        }
    await page.send(type="stats", id=50, periodMs=0)
    while (await page.receive()).get("id") != 50:
        pass
    assert await page.ask(type="ping") == {"type": "pong"}


async def test_states_are_pushed(page: Page, service: MemoryService) -> None:
    await page.offer()
    session = service.session("session-1")
    session.tell("device", "reconnecting", "adb lost it")
    assert await page.receive() == {
        "type": "device-state",
        "sessionId": "session-1",
        "deviceId": "demo",
        "state": "reconnecting",
        "reason": "adb lost it",
    }
    session.tell("stream", "screenrecord", "")
    assert (await page.receive())["type"] == "stream-state"


async def test_a_session_that_ended_is_forgotten(page: Page, service: MemoryService) -> None:
    await page.offer()
    session = service.session("session-1")
    session.tell("session", "failed", "the browser is not heard of any more")
    assert (await page.receive())["state"] == "failed"
    assert session.listeners == []
    assert (await page.refusal(type="keyframe-request"))[0] == "no_session"


async def test_several_sessions_on_one_socket(page: Page, service: MemoryService) -> None:
    first, second = await page.offer("demo"), await page.offer("other")
    code, detail = await page.refusal(type="key", keyCode=3)
    assert code == "session_ambiguous"
    assert detail == "this connection has 2 sessions: sessionId must say which is meant"
    assert await page.ask(type="key", keyCode=3, sessionId=second) == {"type": "ok"}
    assert await page.ask(type="key", keyCode=4, deviceId="demo") == {"type": "ok"}
    assert service.session(first).events == [Key(4)]
    assert service.session(second).events == [Key(3)]
    assert (await page.refusal(type="key", keyCode=4, deviceId="nobody"))[0] == "no_session"
    assert (await page.refusal(type="leave", sessionId="session-9"))[0] == "session_not_found"

    assert await page.ask(type="leave", sessionId=first) == {"type": "ok"}
    assert service.opened[first].closed_because == "the viewer left"
    assert await page.ask(type="key", keyCode=26) == {"type": "ok"}
    assert await page.ask(type="leave", deviceId="other") == {"type": "ok"}
    assert service.opened[second].closed_because == "the viewer left"


async def test_sessions_of_a_socket_are_bounded(page: Page) -> None:
    for _ in range(MAX_SESSIONS):
        await page.offer()
    assert (await page.refusal(type="join", deviceId="demo"))[0] == "too_many_sessions"


async def test_sessions_end_with_their_socket(client: Client, service: MemoryService) -> None:
    async with opened(client) as page:
        await page.offer("demo")
        await page.ask(type="join", deviceId="other")
        service.session("session-1").input_gate.clear()
        await page.send(type="key", keyCode=3, sessionId="session-1")
    assert await until_closed(service, "session-1") == "the viewer left"
    assert await until_closed(service, "session-2") == "the viewer left"
    assert service.opened["session-1"].listeners == []


async def test_an_opening_ends_with_its_socket(client: Client, service: MemoryService) -> None:
    service.opening_gate.clear()
    async with opened(client) as page:
        await page.send(type="offer", deviceId="demo", sdp=OFFER)
        assert await page.ask(type="ping") == {"type": "pong"}
    service.opening_gate.set()
    async with opened(client) as page:
        assert await page.offer() == "session-1"  # The first one never came to be.


async def test_one_socket_does_not_reach_the_sessions_of_another(client: Client, page: Page) -> None:
    session_id = await page.offer()
    async with opened(client) as other:
        code, _ = await other.refusal(type="key", keyCode=3, sessionId=session_id)
        assert code == "session_not_found"


async def posted(service: MemoryService, caller: Caller = ANYBODY) -> MemorySession:
    """A session that was opened by POST /api/media/sessions."""
    return (await service.answer("demo", OFFER, caller))[0]


async def test_a_session_that_was_opened_by_post_is_joined(client: Client, service: MemoryService) -> None:
    session = await posted(service)
    async with opened(client) as page:
        # As front-ends of dialect C do it, without an id.
        await page.send(type="join", sessionId=session.session_id)
        assert await page.receive() == {
            "type": "session-state",
            "sessionId": "session-1",
            "deviceId": "demo",
            "state": "connecting",
            "reason": "",
        }
        session.tell("stream", "scrcpy", "")
        assert (await page.receive())["type"] == "stream-state"
        await page.send(type="ice-candidate", sessionId=session.session_id, candidate=CANDIDATE["candidate"])
        assert await page.ask(type="key", keyCode=4) == {"type": "ok"}
        assert [candidate.address for candidate in session.candidates] == ["192.0.2.1"]
        assert session.events == [Key(4)]
        assert await page.ask(type="join", sessionId=session.session_id) == {"type": "ok"}  # It is already.
        assert len(session.listeners) == 1
    await until(lambda: not session.listeners)
    assert session.closed_because is None
    async with opened(client) as page:
        assert await page.ask(type="join", sessionId=session.session_id) == {"type": "ok"}
        assert (await page.receive())["type"] == "session-state"
        assert await page.ask(type="leave", sessionId=session.session_id) == {"type": "ok"}
    assert session.closed_because == "the viewer left"


async def test_an_answer_by_socket_to_an_offer_by_post(page: Page, service: MemoryService) -> None:
    session, _ = await service.offer("demo", ANYBODY)
    assert await page.ask(type="join", sessionId=session.session_id) == {"type": "ok"}
    assert (await page.receive())["type"] == "session-state"
    assert await page.ask(type="answer", sessionId=session.session_id, sdp=ANSWER) == {"type": "ok"}
    assert session.negotiated is not None


async def test_what_cannot_be_joined(page: Page, service: MemoryService) -> None:
    assert (await page.refusal(type="join", sessionId="session-9"))[0] == "session_not_found"
    session = await posted(service)
    for _ in range(MAX_SESSIONS):
        await page.offer()
    assert (await page.refusal(type="join", sessionId=session.session_id))[0] == "too_many_sessions"


class Tokens:
    """Knows two viewers. Fits `signaling.guard.Authenticator`."""

    expires_at: float | None = None

    async def caller(self, token: str, address: str) -> Caller:
        viewing = frozenset((Capability.VIEW, Capability.CONTROL))
        return Caller(token, address, viewing, expires_at=self.expires_at, has_token=True)


async def test_another_viewer_s_session_is_not_joined(service: MemoryService) -> None:
    async with (
        served(service, authenticator=Tokens()) as client,
        client.ws_connect(PATH, protocols=("bearer", "ada")) as socket,
        client.ws_connect(PATH, protocols=("bearer", "bob")) as other,
        client.ws_connect(PATH, headers={"Authorization": "Bearer ada"}) as own,
    ):
        assert socket.protocol == "bearer"
        session_id = await Page(socket).offer()
        assert service.opened[session_id].user_id == "ada"
        assert (await Page(other).refusal(type="join", sessionId=session_id))[0] == "session_not_found"
        assert await Page(own).ask(type="join", sessionId=session_id) == {"type": "ok"}


async def test_a_token_that_expires_ends_nothing_and_opens_nothing(service: MemoryService) -> None:
    now = 1000.0
    tokens = Tokens()
    tokens.expires_at = 1060.0
    app = web.Application(middlewares=[problems, guard(tokens)])
    websocket.add_routes(app, service, clock=lambda: now)
    async with (
        TestClient(TestServer(app)) as client,
        client.ws_connect(PATH, headers={"Authorization": "Bearer ada"}) as socket,
    ):
        page = Page(socket)
        session = service.opened[await page.offer()]
        elsewhere = await posted(service, Caller("ada"))
        now = 1070.0
        assert await page.ask(type="key", keyCode=4, sessionId=session.session_id) == {"type": "ok"}
        for message in (
            {"type": "offer", "deviceId": "demo", "sdp": OFFER},
            {"type": "join", "deviceId": "demo"},
            {"type": "join", "sessionId": elsewhere.session_id},
        ):
            assert (await page.refusal(**message))[0] == "token_expired"
        session.tell("device", "online", "")
        assert (await page.receive())["type"] == "device-state"
    assert len(service.opened) == 2
    assert session.closed_because == "the viewer left"
    assert elsewhere.closed_because is None


async def test_the_clipboard(page: Page, service: MemoryService) -> None:
    session = service.session(await page.offer())
    assert await page.ask(type="clipboard", action="set", text="mine") == {"type": "ok"}
    await page.send(type="clipboard", action="get", id=70)
    await until(lambda: len(session.events) == 2)
    assert session.events[0] == WriteClipboard("mine")
    reading = session.events[1]
    assert isinstance(reading, ReadClipboard)
    reading.tell("yours")
    assert await page.receive() == {"type": "clipboard", "text": "yours", "id": 70}


async def test_everybody_is_told(client: Client) -> None:
    assert client.app is not None
    async with opened(client) as first, opened(client) as second:
        for page in (first, second):
            assert await page.ask(type="ping") == {"type": "pong"}
        assert websocket.connection_count(client.app) == 2
        websocket.tell_all(client.app, Error("draining", "the service stops within 30 s", retry_after=10))
        for page in (first, second):
            assert await page.receive() == {
                "type": "error",
                "code": "draining",
                "detail": "the service stops within 30 s",
                "retryAfter": 10,
            }
    await until(lambda: websocket.connection_count(client.app) == 0)


async def test_messages_of_a_socket_are_limited(client: Client, page: Page) -> None:
    assert client.app is not None
    kinds: list[str] = []

    async def read() -> int | None:
        while True:
            frame = await page.socket.receive(timeout=TIMEOUT)
            if frame.type is not WSMsgType.TEXT:
                assert frame.extra == "too many messages"
                return page.socket.close_code
            message = json.loads(frame.data)
            kinds.append(message.get("code", message["type"]))

    reading = asyncio.get_running_loop().create_task(read())
    async with asyncio.timeout(TIMEOUT):
        while not reading.done():
            try:
                await page.send(type="ping")
            except ConnectionError:
                break
        assert await reading == 1008
    counts = {kind: kinds.count(kind) for kind in set(kinds)}
    assert set(counts) == {"pong", "too_many_requests"}
    assert counts["pong"] >= OTHERS_AT_ONCE
    assert counts["too_many_requests"] >= REFUSALS_AT_ONCE
    assert websocket.refused(client.app)["too_many_requests"] > REFUSALS_AT_ONCE


async def test_errors_of_the_service(page: Page) -> None:
    assert await page.ask(type="offer", deviceId="busy", sdp=OFFER) == {
        "type": "error",
        "code": "too_many_viewers",
        "detail": "3 viewers watch already, which is the limit",
        "retryAfter": 7,
    }
    assert await page.refusal(type="join", deviceId="nobody") == ("device_not_found", "adb knows no device 'nobody'")
    code, detail = await page.refusal(type="offer", deviceId="demo", sdp="hello")
    assert (code, "begins with v=0" in detail) == ("malformed_sdp", True)


async def test_a_bug_costs_one_message(page: Page) -> None:
    await page.offer()
    with capture_logs() as logs:
        code, detail = await page.refusal(type="text", text="crash")
        assert (await page.refusal(type="join", deviceId="crash"))[0] == "internal_error"
    assert (code, "on purpose" in detail) == ("internal_error", False)
    assert [entry["event"] for entry in logs] == ["a message crashed", "a message crashed"]
    assert await page.ask(type="text", text="still here") == {"type": "ok"}


async def test_malformed_messages_are_answered(page: Page) -> None:
    await page.socket.send_str("{")
    assert (await page.receive())["code"] == "malformed_message"
    await page.socket.send_bytes(b"\x00\x01")
    assert "text frame" in (await page.receive())["detail"]
    assert await page.refusal(type="dance") == (
        "malformed_message",
        "type must be one of join, offer, answer, ice-candidate, input, keyframe-request, stats, leave, ping, "
        'touch, key, text, scroll, swipe, clipboard, rotate, sound, quality, not "dance"',
    )
    assert await page.ask(type="ping") == {"type": "pong"}


async def test_too_many_malformed_messages_close_the_socket(page: Page) -> None:
    for _ in range(MAX_MALFORMED):
        await page.send(type="dance")
    closed = await last_frame(page)
    assert (closed.type, closed.data, closed.extra) == (WSMsgType.CLOSE, 1008, "20 malformed messages in a row")


async def test_a_message_too_large_closes_the_socket(page: Page) -> None:
    await page.socket.send_str("x" * (MAX_MESSAGE_SIZE + 1))
    assert (await last_frame(page)).data == 1009


async def test_a_burst_is_answered_whole(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(HANDSHAKE)
    await reader.readuntil(b"\r\n\r\n")
    numbers = range(100, 100 + 2 * outbox.CAPACITY)
    # All in one write, so that the service finds all of them waiting.
    writer.write(b"".join(text_frame({"type": "ping", "id": number}) for number in numbers))
    async with asyncio.timeout(TIMEOUT):
        for number in numbers:
            assert (await reader.readuntil(b"}"))[2:] == b'{"type":"pong","id":%d}' % number
    writer.close()


async def test_a_socket_that_does_not_read_is_closed(client: Client, service: MemoryService) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", client.port or 0))
        await loop.sock_sendall(deaf, HANDSHAKE + text_frame({"type": "offer", "deviceId": "demo", "sdp": OFFER}))
        question = text_frame({"type": "leave", "sessionId": "x" * 128}) * 100
        try:
            async with asyncio.timeout(TIMEOUT):
                while not service.opened or service.opened["session-1"].closed_because is None:
                    await loop.sock_sendall(deaf, question)
        except ConnectionError:
            pass
    assert await until_closed(service, "session-1") == "the viewer left"


HANDSHAKE = (
    f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
).encode()


def text_frame(message: dict[str, str | int]) -> bytes:
    """A client's frame, masked with zeros (RFC 6455 section 5.2)."""
    payload = json.dumps(message).encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


async def last_frame(page: Page) -> Any:
    """The frame after which nothing comes."""
    while True:
        frame = await page.socket.receive(timeout=TIMEOUT)
        if frame.type is not WSMsgType.TEXT:
            return frame


@pytest.mark.parametrize(
    ("origin", "is_taken"),
    [(None, True), ("https://phones.example.com", True), ("https://evil.example", False), ("null", False)],
)
async def test_the_origin(client: Client, origin: str | None, is_taken: bool) -> None:
    headers = {} if origin is None else {"Origin": origin}
    if is_taken:
        async with client.ws_connect(PATH, headers=headers) as socket:
            assert await Page(socket).ask(type="ping") == {"type": "pong"}
    else:
        with pytest.raises(WSServerHandshakeError) as caught:
            await client.ws_connect(PATH, headers=headers)
        assert caught.value.status == 403


async def test_a_plain_get_is_a_problem(client: Client) -> None:
    response = await client.get(PATH)
    assert (response.status, response.content_type) == (400, "application/problem+json")


async def test_sockets_are_closed_when_the_service_stops(service: MemoryService) -> None:
    async with served(service) as client, opened(client) as page:
        await page.offer()
        frames = asyncio.get_running_loop().create_task(last_frame(page))
        await client.server.close()
        frame = await frames
        assert (frame.data, frame.extra) == (1001, "the service stops")
    assert service.opened["session-1"].closed_because == "the viewer left"

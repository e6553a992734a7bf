"""The WebSocket of one device, as older front-ends speak it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, WSServerHandshakeError
from hypothesis import given
from hypothesis import strategies as st

from capture.input_events import Key, Text, Touch, TouchAction
from signaling.connection import MAX_MALFORMED
from signaling.device_socket import translated
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.samples import description
from tests.signaling.test_sessions_http import CANDIDATE, Users

ANSWER = description("offer_high.chromium_answer")
TIMEOUT = 10.0


class Page:
    """The browser's end of a socket."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send_str(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.socket.receive_str(timeout=TIMEOUT))
        return message

    async def start(self) -> dict[str, Any]:
        await self.send(type="start-stream")
        return await self.receive()


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[Client]:
    async with served(service) as client:
        yield client


@pytest.fixture
async def page(client: Client) -> AsyncIterator[Page]:
    async with opened(client) as page:
        yield page


@asynccontextmanager
async def opened(client: Client, device_id: str = "demo") -> AsyncIterator[Page]:
    async with client.ws_connect(f"/ws/device/{device_id}") as socket:
        yield Page(socket)


async def until_closed(service: MemoryService, session_id: str) -> str | None:
    """Why the session was closed, once it is."""
    async with asyncio.timeout(TIMEOUT):
        await service.opened[session_id].closed.wait()
    return service.opened[session_id].closed_because


async def test_a_stream_is_started_and_stopped(page: Page, service: MemoryService) -> None:
    offer = await page.start()
    assert (offer["type"], offer["sessionId"], "id" in offer) == ("offer", "session-1", False)
    assert "a=candidate:" in offer["sdp"]
    await page.send(type="answer", sdp=ANSWER)
    await page.send(type="ice-candidate", candidate=CANDIDATE)
    await page.send(type="ice-candidate", candidate=None)
    await page.send(type="ping")
    assert await page.receive() == {"type": "pong"}
    session = service.session("session-1")
    assert session.negotiated is not None
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1"]
    assert session.end_of_candidates
    await page.send(type="stop-stream", id=7)
    assert await page.receive() == {"type": "ok", "id": 7}
    assert session.closed_because == "the viewer left"
    assert (await page.start())["sessionId"] == "session-2"


@pytest.mark.parametrize("device_id", ["demo", "192.0.2.5:5555"])
async def test_input_by_any_name_of_the_device(client: Client, service: MemoryService, device_id: str) -> None:
    async with opened(client, device_id) as page:
        await page.start()
        session = service.session("session-1")
        assert session.device_id == "demo"
        await page.send(type="touch", action="tap", x=1, y=2, deviceId=device_id, timestamp=1700000000000)
        await page.send(type="key", action="press", keyCode=4)
        await page.send(type="text", text='"deviceId" start-stream', seq=3)
        ack = await page.receive()
        assert (ack["type"], ack["seq"]) == ("input-ack", 3)
        assert session.events == [Touch(TouchAction.TAP, 1, 2), Key(4), Text('"deviceId" start-stream')]


async def test_states_are_pushed(page: Page, service: MemoryService) -> None:
    await page.start()
    for kind, state in (("session", "connected"), ("device", "lost"), ("stream", "scrcpy")):
        service.session("session-1").tell(kind, state, "why")  # type: ignore[arg-type]
        pushed = await page.receive()
        assert (pushed["type"], pushed["state"], pushed["reason"]) == (f"{kind}-state", state, "why")


async def test_the_session_ends_with_the_socket(client: Client, service: MemoryService) -> None:
    async with opened(client) as page:
        await page.start()
    assert await until_closed(service, "session-1") == "the viewer left"


async def test_a_second_start_begins_anew(page: Page, service: MemoryService) -> None:
    await page.start()
    assert (await page.start())["sessionId"] == "session-2"
    assert service.opened["session-1"].closed_because == "the viewer left"
    await page.send(type="answer", sdp=ANSWER, id=1)
    assert await page.receive() == {"type": "ok", "id": 1}
    assert service.session("session-2").negotiated is not None


async def test_a_stop_while_it_is_started(page: Page, service: MemoryService) -> None:
    service.opening_gate.clear()
    await page.send(type="start-stream")
    await page.send(type="stop-stream", id=1)
    service.opening_gate.set()
    assert (await page.receive())["type"] == "offer"
    assert await page.receive() == {"type": "ok", "id": 1}
    assert service.opened["session-1"].closed_because == "the viewer left"


async def test_what_cannot_be_done_is_said(page: Page) -> None:
    for message, code in (
        ({"type": "stop-stream"}, "no_session"),
        ({"type": "answer", "sdp": ANSWER}, "no_session"),
        ({"type": "answer", "sdp": 5}, "malformed_message"),
        ({"type": "start"}, "malformed_message"),
        ({"type": ["start-stream"]}, "malformed_message"),
        ({"type": "touch", "action": "tap", "x": 1, "y": 2}, "no_session"),
    ):
        await page.send(**message)
        error = await page.receive()
        assert (error["type"], error["code"]) == ("error", code)
    await page.start()
    await page.send(type="answer", sdp="v=1")
    assert (await page.receive())["code"] == "malformed_sdp"
    await page.send(type="text", text="refuse")
    assert (await page.receive())["code"] == "input_rejected"


async def test_rubbish_closes_the_socket(page: Page) -> None:
    rubbish = ("start-stream", '"start-stream"', '["start-stream"]', '{"deviceId":', "[" * 9999 + '"deviceId"')
    for number in range(MAX_MALFORMED):
        await page.socket.send_str(rubbish[number % len(rubbish)])
    *refusals, last = [frame async for frame in frames(page.socket)]
    assert {json.loads(frame.data)["code"] for frame in refusals} == {"malformed_message"}
    assert (last.type, last.data) == (WSMsgType.CLOSE, 1008)


async def frames(socket: ClientWebSocketResponse) -> AsyncIterator[WSMessage]:
    """Every frame until the socket is closed, and that."""
    while True:
        frame = await socket.receive(TIMEOUT)
        yield frame
        if frame.type is WSMsgType.CLOSE:
            return


async def test_a_device_that_there_is_not(client: Client) -> None:
    with pytest.raises(WSServerHandshakeError) as refused:
        await client.ws_connect("/ws/device/nobody")
    assert refused.value.status == 404
    response = await client.get("/ws/device/demo")
    assert (response.status, (await response.json())["code"]) == (400, "bad_request")


async def test_tokens(service: MemoryService) -> None:
    async with served(service, authenticator=Users()) as client:
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/ws/device/demo")
        assert refused.value.status == 401
        async with client.ws_connect("/ws/device/demo", protocols=("bearer", "ana")) as socket:
            assert socket.protocol == "bearer"
            await Page(socket).start()
            assert service.session("session-1").user_id == "ana"


async def test_sockets_are_closed_when_the_service_stops(service: MemoryService) -> None:
    async with served(service) as client, opened(client) as page:
        await page.start()
        await client.server.close()
        frame = await page.socket.receive(TIMEOUT)
        assert (frame.type, frame.data) == (WSMsgType.CLOSE, 1001)
    assert await until_closed(service, "session-1") == "the viewer left"


# What is translated.


def test_translation() -> None:
    def told(text: str) -> list[Any]:
        return [json.loads(each) for each in translated(text, "demo")]

    leave, join = {"type": "leave", "deviceId": "demo"}, {"type": "join", "deviceId": "demo"}
    assert told('{"type": "start-stream"}') == [leave, join]
    assert told('{"type": "start-stream", "id": 3, "deviceId": "x"}') == [leave, {**join, "id": 3}]
    assert told('{"type": "stop-stream"}') == [{"type": "leave"}]
    assert told('{"type": "stop-stream", "id": 3, "deviceId": "x"}') == [{"type": "leave", "id": 3}]
    assert told('{"type": "key", "deviceId": "x"}') == [{"type": "key", "deviceId": "demo"}]


@given(st.text())
def test_what_is_not_translated_is_as_it_was(text: str) -> None:
    assert translated(text, "demo") == [text]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text()
    | st.sampled_from(["start-stream", "stop-stream"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["type", "deviceId", "id"]) | st.text(), inner),
)


@given(_JSON)
def test_anything_can_be_translated(value: Any) -> None:
    for text in translated(json.dumps(value), "demo"):
        message = json.loads(text)
        if isinstance(message, dict) and "deviceId" in message:
            assert message["deviceId"] == "demo"

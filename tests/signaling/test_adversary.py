"""What was found by somebody who meant no good, or who took the contract at its word."""

import asyncio
import json
from typing import Any

from aiohttp import ClientWebSocketResponse

from signaling.caller import Caller
from tests.signaling.memory_service import MemoryService, MemorySession, served
from tests.signaling.samples import description

OFFER = description("chromium_video_data")
SERIAL = "192.0.2.5:5555"


class TwoNames(MemoryService):
    """One phone, `demo`, that is found by its serial too."""

    async def answer(self, device_id: str, offer_sdp: str, caller: Caller) -> tuple[MemorySession, str]:
        return await super().answer("demo" if device_id == SERIAL else device_id, offer_sdp, caller)

    async def offer(self, device_id: str, caller: Caller) -> tuple[MemorySession, str]:
        return await super().offer("demo" if device_id == SERIAL else device_id, caller)


async def test_a_whep_session_is_where_its_location_says_by_whichever_name_it_was_opened() -> None:
    async with served(TwoNames()) as client:
        response = await client.post(
            f"/api/media/whep/{SERIAL}",
            data=OFFER,
            headers={"Content-Type": "application/sdp", "X-Forwarded-Prefix": "/phones"},
        )
        location, etag = response.headers["Location"], response.headers["ETag"]
        assert location == "/phones/api/media/whep/demo/session-1"
        session = location.removeprefix("/phones")
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag}
        patched = await client.patch(session, data="a=end-of-candidates\r\n", headers=headers)
        ended = await client.delete(session)
        assert (patched.status, ended.status) == (204, 200)


async def test_messages_may_call_a_device_as_the_join_did() -> None:
    service = TwoNames()
    async with served(service) as client, client.ws_connect("/api/media/ws") as socket:
        assert (await reply(socket, type="join", deviceId=SERIAL))["type"] == "offer"
        assert (await reply(socket, type="join", deviceId="other"))["type"] == "offer"
        session = service.opened["session-1"]
        for name in (SERIAL, "demo"):
            tap = {"type": "touch", "action": "tap", "x": 1, "y": 1, "deviceId": name}
            assert (await reply(socket, **tap))["type"] == "ok"
        assert len(session.events) == 2
        assert (await reply(socket, type="leave", deviceId=SERIAL))["type"] == "ok"
        assert session.closed.is_set()
        assert not service.opened["session-2"].closed.is_set()


async def reply(socket: ClientWebSocketResponse, **message: Any) -> dict[str, Any]:
    """What answers a message."""
    await socket.send_str(json.dumps({"id": 1, **message}))
    async with asyncio.timeout(10):
        while True:
            answer: dict[str, Any] = await socket.receive_json()
            if answer.get("id") == 1:
                return answer

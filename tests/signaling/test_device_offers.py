"""Offers and candidates that name only a device; bad bodies are in `test_sessions_http`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling.caller import Caller
from signaling.device_offers import NewestSessions
from tests.signaling.documented import DocumentedClient, Reply
from tests.signaling.memory_service import MemoryService, MemorySession, served
from tests.signaling.samples import description
from tests.signaling.test_sessions_http import CANDIDATE, MDNS, Users, token

OFFER = description("chromium_video_data")
NOT_FOUND = (404, "session_not_found")


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[DocumentedClient]:
    async with served(service) as client:
        yield await DocumentedClient.of(client)


async def offer(client: DocumentedClient, device_id: str = "demo", offer: object = OFFER, **request: Any) -> Reply:
    return await client.ask("POST", f"/api/webrtc/{device_id}/offer", json={"offer": offer}, **request)


async def trickle(
    client: DocumentedClient, device_id: str = "demo", candidate: object = CANDIDATE, *, user: str = "", **more: str
) -> Reply:
    body = {"candidate": candidate, **more}
    headers = token(user) if user else {}
    return await client.ask("POST", f"/api/webrtc/{device_id}/candidate", json=body, headers=headers)


@pytest.mark.parametrize("given", [OFFER, {"type": "offer", "sdp": OFFER}])
async def test_an_offer_is_answered(client: DocumentedClient, service: MemoryService, given: object) -> None:
    reply = await offer(client, offer=given)
    assert (reply.status, list(reply.value)) == (200, ["answer", "sessionId"])
    assert reply.value["answer"].startswith("v=0\r\n")
    assert service.session(reply.value["sessionId"]).negotiated is not None


async def test_an_offer_that_is_refused(client: DocumentedClient) -> None:
    assert (await offer(client, "nobody")).problem[:2] == (404, "device_not_found")
    assert (await offer(client, "busy")).problem[:2] == (503, "too_many_viewers")
    assert (await offer(client, offer="hello")).problem[:2] == (400, "malformed_sdp")


async def test_a_candidate_is_for_the_newest_session(client: DocumentedClient, service: MemoryService) -> None:
    assert (await trickle(client)).problem[:2] == NOT_FOUND
    for device_id in ("demo", "demo", "other"):
        await offer(client, device_id)
    assert (await trickle(client)).value == {"status": "ok"}
    assert (await trickle(client, candidate=MDNS)).status == 200
    assert [len(session.candidates) for session in service.opened.values()] == [0, 1, 0]
    assert (await trickle(client, candidate=None, sessionId="session-1")).status == 200
    assert [session.end_of_candidates for session in service.opened.values()] == [True, False, False]
    assert (await trickle(client, sessionId="session-9")).problem[:2] == NOT_FOUND
    assert (await trickle(client, candidate="nonsense")).problem[:2] == (400, "malformed_sdp")


async def test_an_ended_session_is_forgotten(client: DocumentedClient, service: MemoryService) -> None:
    await offer(client)
    await offer(client)
    service.session("session-1").tell("session", "closed", "")
    assert (await trickle(client)).status == 200
    service.session("session-2").tell("stream", "scrcpy", "")
    assert (await trickle(client)).status == 200
    service.session("session-2").tell("session", "failed", "")
    assert (await trickle(client)).problem[:2] == NOT_FOUND


async def test_a_candidate_waits_for_the_session_that_is_opened() -> None:
    asked = asyncio.Event()

    class Noting(MemoryService):
        async def answer(self, device_id: str, offer_sdp: str, caller: Caller) -> tuple[MemorySession, str]:
            asked.set()
            return await super().answer(device_id, offer_sdp, caller)

    service = Noting()
    service.opening_gate.clear()
    async with served(service) as plain, asyncio.TaskGroup() as group:
        client = await DocumentedClient.of(plain)
        offering = group.create_task(offer(client))
        await asked.wait()
        trickling = group.create_task(trickle(client))
        await trickle(client, sessionId="session-9")
        assert not trickling.done()
        service.opening_gate.set()
        await trickling
        await offering
    assert (offering.result().status, trickling.result().status) == (200, 200)
    assert len(service.session("session-1").candidates) == 1


async def test_callers_do_not_meet(service: MemoryService) -> None:
    async with served(service, authenticator=Users()) as plain:
        client = await DocumentedClient.of(plain)
        await offer(client, headers=token("ana"))
        assert (await trickle(client, user="bob")).problem[:2] == NOT_FOUND
        assert (await trickle(client, user="bob", sessionId="session-1")).problem[:2] == NOT_FOUND
        assert (await trickle(client, user="ana")).status == 200
        assert (await trickle(client)).problem[:2] == (401, "token_missing")


KEY = ("ana", "192.0.2.1", "demo")


async def test_a_session_that_cannot_be_opened_is_none(service: MemoryService) -> None:
    newest = NewestSessions()

    async def fail() -> Any:
        gate.set()
        await failing.wait()
        raise ValueError("on purpose")

    gate, failing = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        opening = group.create_task(_refused(newest, fail()))
        await gate.wait()
        asking = group.create_task(newest.session_id(KEY))
        giving_up = group.create_task(newest.session_id(KEY))
        await asyncio.sleep(0)
        giving_up.cancel()
        await asyncio.sleep(0)
        failing.set()
    assert opening.result() == "on purpose"
    assert asking.result() is None
    assert len(newest) == 0


async def _refused(newest: NewestSessions, work: Any) -> str:
    try:
        await newest.opening(KEY, work)
    except ValueError as error:
        return str(error)
    return ""


async def test_only_so_many_are_remembered(service: MemoryService) -> None:
    newest = NewestSessions(capacity=2)
    for number in (1, 2, 1, 3):
        await newest.opening(("ana", "192.0.2.1", str(number)), service.answer("demo", OFFER, Caller()))
    assert len(newest) == 2
    known = [await newest.session_id(("ana", "192.0.2.1", str(number))) for number in (1, 2, 3)]
    assert known == ["session-3", None, "session-4"]

"""The sessions API over a real socket, each answer held against the OpenAPI document."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from signaling import http
from signaling.caller import Caller, Capability
from signaling.errors import Unauthorized
from signaling.problems import Handler
from tests.signaling.documented import DocumentedClient, Reply
from tests.signaling.memory_service import MemoryService, served
from tests.signaling.samples import LOCAL, description, edited

OFFER = description("chromium_video_data")
ANSWER = description("offer_high.chromium_answer")
CANDIDATE = {"candidate": "candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
MDNS = {**CANDIDATE, "candidate": "candidate:1 1 udp 2122260223 3a7d-4.local 61764 typ host"}
SESSIONS = "/api/media/sessions"
ICE_SERVERS = [
    {"urls": "stun:stun.example.net:3478"},
    {"urls": ["turn:turn.example.net", "turns:turn.example.net"], "username": "me", "credential": 'a"b'},
]


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[DocumentedClient]:
    async with served(service) as client:
        yield await DocumentedClient.of(client)


class Users:
    """Fits `signaling.guard.Authenticator`: a token is the user's name."""

    async def caller(self, token: str, address: str) -> Caller:
        if token == "nobody":
            raise Unauthorized("the token has expired", code="token_expired")
        capabilities = frozenset(Capability) if token == "admin" else frozenset({Capability.VIEW, Capability.CONTROL})
        return Caller(token, address, capabilities, has_token=True)


def token(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {user}"}


@pytest.fixture
async def guarded(service: MemoryService) -> AsyncIterator[DocumentedClient]:
    async with served(service, authenticator=Users()) as client:
        yield await DocumentedClient.of(client)


async def post(client: DocumentedClient, path: str, body: Mapping[str, Any], **request: Any) -> Reply:
    return await client.ask("POST", f"{SESSIONS}{path}", json=body, **request)


async def offered(client: DocumentedClient, **request: Any) -> str:
    """The id of a session that begins with our offer."""
    reply = await post(client, "", {"deviceId": "demo"}, **request)
    assert reply.status == 201
    session_id: str = reply.value["sessionId"]
    return session_id


# The server offers.


async def test_the_server_offers_and_is_answered(client: DocumentedClient, service: MemoryService) -> None:
    reply = await post(client, "", {"deviceId": "demo", "userId": "ana", "framerate": 30})
    assert reply.status == 201
    assert reply.headers["Location"] == f"{SESSIONS}/session-1"
    assert reply.headers["Cache-Control"] == "no-store"
    assert list(reply.value) == ["sessionId", "offer", "iceServers"]
    assert reply.value["offer"]["type"] == "offer"
    assert f"a=ice-ufrag:{LOCAL.ice.username_fragment}\r\n" in reply.value["offer"]["sdp"]
    assert reply.value["iceServers"] == ICE_SERVERS
    answer = {"sessionId": "session-1", "answer": {"type": "answer", "sdp": ANSWER}}
    assert (await post(client, "/answer", answer)).value == {"status": "ok"}
    session = service.session("session-1")
    assert session.negotiated is not None
    assert session.user_id == "ana"
    assert (await post(client, "/answer", answer)).problem[:2] == (409, "wrong_state")


async def test_an_answer_may_be_its_text_alone(client: DocumentedClient, service: MemoryService) -> None:
    session_id = await offered(client)
    assert (await post(client, "/answer", {"sessionId": session_id, "answer": ANSWER})).status == 200
    assert service.session(session_id).negotiated is not None


async def test_an_answer_without_our_video(client: DocumentedClient) -> None:
    answer = edited(ANSWER, "a=recvonly", "a=inactive")
    reply = await post(client, "/answer", {"sessionId": await offered(client), "answer": {"sdp": answer}})
    assert reply.problem[:2] == (406, "no_common_codec")


async def test_candidates_trickle_one_by_one(client: DocumentedClient, service: MemoryService) -> None:
    session_id = await offered(client)
    for candidate in (CANDIDATE, MDNS, CANDIDATE["candidate"]):
        reply = await post(client, "/ice-candidate", {"sessionId": session_id, "candidate": candidate})
        assert reply.value == {"status": "ok"}
    session = service.session(session_id)
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1", "192.0.2.1"]
    ended = [session.end_of_candidates]
    await post(client, "/ice-candidate", {"sessionId": session_id, "candidate": None})
    assert [*ended, session.end_of_candidates] == [False, True]
    reply = await post(client, "/ice-candidate", {"sessionId": session_id, "candidate": {"candidate": "nonsense"}})
    assert reply.problem[:2] == (400, "malformed_sdp")


async def test_candidates_trickle_together(client: DocumentedClient, service: MemoryService) -> None:
    session_id = await offered(client)
    bad = {"candidate": "candidate:1 1 udp 1 192.0.2.1 0 typ host"}
    asked = {"sessionId": session_id, "candidates": [CANDIDATE, bad, MDNS, "nonsense", {"candidate": ""}]}
    reply = await post(client, "/ice-candidates", asked)
    assert reply.value == {"status": "ok", "added": 3, "total": 5}
    session = service.session(session_id)
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1"]
    assert session.end_of_candidates
    reply = await post(client, "/ice-candidates", {"sessionId": session_id, "candidates": []})
    assert reply.value == {"status": "ok", "added": 0, "total": 0}


# The browser offers.


@pytest.mark.parametrize("offer", [OFFER, {"type": "offer", "sdp": OFFER}, {"sdp": OFFER}])
async def test_an_offer_is_answered(client: DocumentedClient, service: MemoryService, offer: object) -> None:
    reply = await post(client, "", {"deviceId": "demo", "offer": offer})
    assert (reply.status, reply.headers["Location"]) == (201, f"{SESSIONS}/session-1")
    assert list(reply.value) == ["id", "sessionId", "answer", "iceServers"]
    assert reply.value["id"] == reply.value["sessionId"] == "session-1"
    assert reply.value["answer"].startswith("v=0\r\n")
    assert service.session("session-1").negotiated is not None


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"deviceId": "nobody"}, 404, "device_not_found"),
        ({"deviceId": "busy"}, 503, "too_many_viewers"),
        ({"deviceId": "demo", "offer": "v=1"}, 400, "malformed_sdp"),
        ({"deviceId": "demo", "offer": OFFER.replace("H264/90000", "H265/90000")}, 406, "no_common_codec"),
    ],
)
async def test_a_session_that_cannot_be(
    client: DocumentedClient, body: Mapping[str, Any], status: int, code: str
) -> None:
    reply = await post(client, "", body)
    assert reply.problem[:2] == (status, code)
    assert ("Retry-After" in reply.headers) == (status == 503)


# What there is.


async def test_sessions_are_listed(client: DocumentedClient) -> None:
    assert (await client.ask("GET", SESSIONS)).value == {"sessions": [], "total": 0}
    await post(client, "", {"deviceId": "demo", "userId": "ana"})
    await post(client, "", {"deviceId": "other"})
    listed = (await client.ask("GET", SESSIONS)).value
    assert listed["total"] == 2
    described = {
        "sessionId": "session-1",
        "deviceId": "demo",
        "userId": "ana",
        "state": "connecting",
        "reason": "",
        "createdAt": "2023-11-14T22:13:20.000Z",
        "lastActive": "2023-11-14T22:14:20.500Z",
    }
    assert listed["sessions"][0] == described
    assert listed["sessions"][1]["userId"] is None
    assert (await client.ask("GET", f"{SESSIONS}/session-1")).value == described


async def test_a_session_is_explained(client: DocumentedClient) -> None:
    explained = (await client.ask("GET", f"{SESSIONS}/{await offered(client)}/explain")).value
    assert explained == {"sessionId": "session-1", "video": {"coding": "passthrough"}}


async def test_a_session_is_ended(client: DocumentedClient, service: MemoryService) -> None:
    session_id = await offered(client)
    reply = await client.ask("DELETE", f"{SESSIONS}/{session_id}")
    assert (reply.status, reply.value) == (200, {"status": "ok"})
    assert service.opened[session_id].closed_because == "the viewer left"


async def test_statistics(client: DocumentedClient) -> None:
    await offered(client)
    async with client.client.ws_connect("/api/media/ws"), client.client.ws_connect("/ws/device/demo"):
        counted = (await client.ask("GET", "/api/media/stats")).value
    assert counted == {
        "totalSessions": 2,
        "activeSessions": 1,
        "connectingSessions": 0,
        "failedSessions": 1,
        "wsConnections": 2,
        "openedSessions": 2,
        "streams": 1,
    }


async def test_turn_credentials(client: DocumentedClient) -> None:
    reply = await client.ask("GET", "/api/media/turn-credentials")
    assert reply.value == {"iceServers": ICE_SERVERS}
    assert reply.headers["Cache-Control"] == "no-store"
    assert (await client.ask("GET", "/api/media/ice-servers")).value == reply.value


@pytest.mark.parametrize("how", ["unknown", "ended"])
async def test_a_session_that_there_is_not(client: DocumentedClient, how: str) -> None:
    session_id = await offered(client)
    if how == "unknown":
        session_id = "nobody's"
    else:
        await client.ask("DELETE", f"{SESSIONS}/{session_id}")
    replies = [
        await client.ask("GET", f"{SESSIONS}/{session_id}"),
        await client.ask("GET", f"{SESSIONS}/{session_id}/explain"),
        await client.ask("DELETE", f"{SESSIONS}/{session_id}"),
        await post(client, "/answer", {"sessionId": session_id, "answer": ANSWER}),
        await post(client, "/ice-candidate", {"sessionId": session_id, "candidate": CANDIDATE}),
        await post(client, "/ice-candidates", {"sessionId": session_id, "candidates": [CANDIDATE]}),
    ]
    assert {reply.problem[:2] for reply in replies} == {(404, "session_not_found")}


# Who asks.


async def test_without_a_token_nothing_is_told(guarded: DocumentedClient) -> None:
    for method, path in (
        ("GET", SESSIONS),
        ("POST", SESSIONS),
        ("GET", "/api/media/stats"),
        ("GET", "/api/media/devices"),
    ):
        reply = await guarded.ask(method, path)
        assert reply.problem[:2] == (401, "token_missing")
        assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert (await guarded.ask(method, path, headers=token("nobody"))).problem[:2] == (401, "token_expired")


async def test_a_session_is_the_tokens_user(guarded: DocumentedClient, service: MemoryService) -> None:
    for body in ({"deviceId": "demo"}, {"deviceId": "demo", "userId": "ana"}, {"deviceId": "demo", "userId": None}):
        assert (await post(guarded, "", body, headers=token("ana"))).status == 201
    assert {session.user_id for session in service.opened.values()} == {"ana"}


@pytest.mark.parametrize("user", ["ana", "admin"])
async def test_nobody_opens_a_session_for_another_user(guarded: DocumentedClient, user: str) -> None:
    reply = await post(guarded, "", {"deviceId": "demo", "userId": "bob"}, headers=token(user))
    assert reply.problem == (403, "forbidden", "userId 'bob' is not the token's user")


async def test_somebody_elses_session_is_not_there(guarded: DocumentedClient) -> None:
    session_id = await offered(guarded, headers=token("ana"))
    for method in ("GET", "DELETE"):
        reply = await guarded.ask(method, f"{SESSIONS}/{session_id}", headers=token("bob"))
        assert reply.problem[:2] == (404, "session_not_found")
    assert (await guarded.ask("GET", SESSIONS, headers=token("bob"))).value["total"] == 0
    assert (await guarded.ask("GET", SESSIONS, headers=token("admin"))).value["total"] == 1


async def test_the_document_is_open(guarded: DocumentedClient) -> None:
    for path in ("/api/media/openapi.json", "/api/media/docs"):
        assert (await guarded.ask("GET", path)).status == 200


# Bad input.

BODIES: dict[str, dict[str, Any]] = {
    SESSIONS: {"deviceId": "demo", "offer": OFFER},
    f"{SESSIONS}/answer": {"sessionId": "session-1", "answer": {"type": "answer", "sdp": ANSWER}},
    f"{SESSIONS}/ice-candidate": {"sessionId": "session-1", "candidate": CANDIDATE},
    f"{SESSIONS}/ice-candidates": {"sessionId": "session-1", "candidates": [CANDIDATE]},
    "/api/webrtc/demo/offer": {"offer": OFFER},
    "/api/webrtc/demo/candidate": {"candidate": CANDIDATE},
}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", BODIES)
async def test_bodies_that_are_no_json_of_ours(client: DocumentedClient, path: str) -> None:
    whole = json.dumps(BODIES[path]).encode()
    for body in (
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"5",
        b"null",
        b"\xff\xfe{}",
        b"[" * 9999,
        b'{"a":' * 9999,
        whole[:-1],
        whole[:20],
    ):
        reply = await client.ask("POST", path, data=body, headers=JSON)
        assert reply.problem[:2] == (400, "malformed_message"), body[:20]


@pytest.mark.parametrize("path", BODIES)
async def test_each_field_has_its_type(client: DocumentedClient, path: str) -> None:
    for name, good in BODIES[path].items():
        for wrong in (
            5,
            True,
            [],
            [good, 5],
            {"unknown": good},
            {"sdp": [good]},
            {"candidate": {"a": 1}},
            "",
            "x" * 100_000,
        ):
            if name == "candidate" and wrong in ("", {"unknown": good}, {"sdp": [good]}):
                continue  # A candidate without text is the end of them.
            if (name, wrong) == ("candidates", []):
                continue
            reply = await client.ask("POST", path, json={**BODIES[path], name: wrong})
            status, code, detail = reply.problem
            assert (status, code) == (400, "malformed_message"), (name, wrong)
            assert detail.startswith(name), detail
            assert len(detail) < 300
            assert "candidate:" not in detail
            assert "v=0" not in detail


@pytest.mark.parametrize("path", BODIES)
async def test_other_media_types(client: DocumentedClient, path: str) -> None:
    body = json.dumps(BODIES[path])
    for content_type in ("text/plain", "application/sdp", "application/x-www-form-urlencoded", "application/jsonx"):
        reply = await client.ask("POST", path, data=body, headers={"Content-Type": content_type})
        assert reply.problem[:2] == (415, "unsupported_media_type")
        assert reply.headers["Accept-Post"] == "application/json"


@pytest.mark.parametrize("path", BODIES)
async def test_large_bodies(client: DocumentedClient, path: str) -> None:
    for size in (http.MAX_BODY_SIZE, 10 * http.MAX_BODY_SIZE):
        reply = await client.ask("POST", path, data=io.BytesIO(b" " * size + b"{}"), headers=JSON)
        assert reply.problem[:2] == (413, "body_too_large")


@pytest.mark.parametrize("path", BODIES)
async def test_bodies_that_cannot_be_decoded(client: DocumentedClient, path: str) -> None:
    reply = await client.ask("POST", path, data=b"candidate:secret", headers={**JSON, "Content-Encoding": "gzip"})
    assert reply.problem[:2] == (400, "bad_request")
    assert "secret" not in reply.value["detail"]


async def test_what_is_missing_is_named(client: DocumentedClient) -> None:
    reply = await post(client, "/ice-candidates", {"sessionId": "session-1", "candidates": [CANDIDATE, {"sdpMid": 5}]})
    detail = "candidates[1].sdpMid must be a string of at most 128 characters or null, not 5"
    assert reply.problem == (400, "malformed_message", detail)
    reply = await post(client, "", {})
    detail = "deviceId is missing: it must be a string of 1 to 128 characters"
    assert reply.problem == (400, "malformed_message", detail)


async def test_a_request_that_ends_early_is_no_crash(service: MemoryService) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @web.middleware
    async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun.set()
        try:
            return await handler(request)
        finally:
            ended.set()

    app = http.application(service)
    app.middlewares.append(observed)
    # As media_service serves: TestServer would cancel the handler when the client is gone.
    runner = web.AppRunner(app, handler_cancellation=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        with capture_logs() as logs:
            _, writer = await asyncio.open_connection(host, port)
            writer.write(f"POST {SESSIONS} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 90\r\n".encode())
            writer.write(b'Content-Type: application/json\r\n\r\n{"deviceId": "demo",')
            async with asyncio.timeout(10):
                await begun.wait()
                writer.transport.abort()
                await ended.wait()
            await runner.cleanup()
    finally:
        await runner.cleanup()
    assert logs == []
    assert not service.opened

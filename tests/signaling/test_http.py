"""The application: lists, problems, and who may ask."""

from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs
from yarl import URL

from capture.errors import (
    AdbError,
    AdbTimeout,
    AdbUnavailable,
    CaptureError,
    CommandFailed,
    DeviceNotFound,
    DeviceOffline,
    InputRejected,
    SourceEnded,
)
from signaling.problems import told
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.samples import description

OFFER = description("chromium_video_data")
SDP = {"Content-Type": "application/sdp"}
FRIEND, STRANGER = "https://phones.example.com", "https://evil.example"


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served(MemoryService(), allowed_origins=(FRIEND,), loopback_only=True) as client:
        yield client


DEMO = {
    "deviceId": "demo",
    "name": "demo",
    "serial": "192.0.2.5:5555",
    "origin": "ADB_DEVICES",
    "model": "Demo phone",
    "state": "online",
    "captureMode": "screenrecord",
    "reason": "no scrcpy",
    "width": 720,
    "height": 1280,
    "rotation": 90,
    "screen": "shown",
    "audio": False,
    "viewers": 2,
}


async def test_devices(client: Client) -> None:
    response = await client.get("/api/media/devices")
    assert response.headers["Cache-Control"] == "no-store"
    assert await response.json() == {"devices": [DEMO], "total": 1}


@pytest.mark.parametrize("device_id", ["demo", "192.0.2.5:5555", "192.0.2.5%3A5555"])
async def test_a_device(client: Client, device_id: str) -> None:
    response = await client.get(URL(f"/api/media/devices/{device_id}", encoded=True))
    assert response.headers["Cache-Control"] == "no-store"
    assert await response.json() == DEMO


async def test_a_device_that_there_is_not(client: Client) -> None:
    response = await client.get(URL("/api/media/devices/%3Brm%20-rf%20x", encoded=True))
    assert (response.status, response.content_type) == (404, "application/problem+json")
    problem = await response.json()
    assert (problem["code"], problem["detail"]) == ("device_not_found", "there is no device ';rm -rf x'")


async def test_ice_servers(client: Client) -> None:
    response = await client.get("/api/media/ice-servers")
    (stun, turn) = (await response.json())["iceServers"]
    assert stun == {"urls": "stun:stun.example.net:3478"}
    assert turn["username"] == "me"


async def test_what_there_is_not_is_a_problem_too(client: Client) -> None:
    response = await client.get("/api/media/nothing")
    assert (response.status, response.content_type) == (404, "application/problem+json")
    assert await response.json() == {
        "title": "Not Found",
        "status": 404,
        "code": "not_found",
        "detail": "Not Found",
        "error": "Not Found",
    }
    response = await client.put("/api/media/devices")
    assert (response.status, (await response.json())["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET,HEAD"


async def test_a_bug_is_logged_once_and_not_told(client: Client) -> None:
    with capture_logs() as logs:
        response = await client.post("/api/media/whep/crash", data=OFFER, headers=SDP)
    problem = await response.json()
    assert (response.status, problem["code"]) == (500, "internal_error")
    assert "on purpose" not in problem["detail"]
    assert [(entry["event"], entry["method"], entry["route"]) for entry in logs] == [
        ("a request crashed", "POST", "/api/media/whep/{device_id}")
    ]


@pytest.mark.parametrize(
    ("error", "status", "code", "has_retry"),
    [
        (DeviceNotFound("x"), 404, "device_not_found", False),
        (DeviceOffline("x"), 503, "device_offline", True),
        (AdbTimeout("x"), 503, "adb_timeout", True),
        (AdbUnavailable("x"), 503, "adb_unavailable", True),
        (AdbError("x"), 503, "adb_error", True),
        (CommandFailed("input tap", 1, "no"), 503, "command_failed", True),
        (SourceEnded("x"), 503, "source_ended", True),
        (InputRejected("x"), 409, "input_rejected", False),
    ],
)
def test_what_a_client_is_told_of_a_device(error: CaptureError, status: int, code: str, has_retry: bool) -> None:
    problem = told(error)
    assert (problem.status, problem.code, problem.retry_after is not None) == (status, code, has_retry)
    assert problem.detail == str(error)


def own_origin(client: Client) -> str:
    return str(client.make_url("/").origin())


async def test_own_pages_may_ask(client: Client) -> None:
    response = await client.get("/api/media/devices", headers={"Origin": own_origin(client)})
    assert response.status == 200
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        ("https://localhost", "localhost", 200),
        ("http://localhost:80", "localhost", 200),
        ("https://LOCALHOST", "localhost:443", 200),
        ("http://localhost:8080", "localhost:8081", 403),
        ("http://localhost.evil.example", "localhost", 403),
        ("null", "localhost", 403),
        ("", "localhost", 403),
        (STRANGER, "localhost", 403),
    ],
)
async def test_the_origin(client: Client, origin: str, host: str, status: int) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        path = "/api/media/devices" if method == "GET" else "/api/media/whep/demo"
        response = await client.request(
            method, path, data=OFFER if method == "POST" else None, headers={**SDP, "Origin": origin, "Host": host}
        )
        assert (response.status == 403) == (status == 403)
        if status == 403:
            assert (await response.json())["code"] == "forbidden"
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_an_allowed_origin_has_cors(client: Client) -> None:
    preflight = await client.options(
        "/api/media/whep/demo",
        headers={
            "Origin": FRIEND,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        },
    )
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == FRIEND
    assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert "If-Match" in preflight.headers["Access-Control-Allow-Headers"]
    answer = await client.post("/api/media/whep/demo", data=OFFER, headers={**SDP, "Origin": FRIEND})
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"], answer.headers["Vary"]) == (
        201,
        FRIEND,
        "Origin",
    )
    assert {"Location", "ETag", "Link"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
    refusal = await client.post("/api/media/whep/nobody", data=OFFER, headers={**SDP, "Origin": FRIEND})
    assert (refusal.status, refusal.headers["Access-Control-Allow-Origin"]) == (404, FRIEND)


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("localhost", True),
        ("localhost:30006", True),
        ("phone.localhost:1", True),
        ("127.0.0.1:30006", True),
        ("192.168.1.7", True),
        ("[::1]:30006", True),
        ("phones.example.com", True),
        ("evil.example", False),
        ("evil.example:30006", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
async def test_the_host_name(client: Client, host: str, is_known: bool) -> None:
    response = await client.get("/api/media/devices", headers={"Host": host})
    assert response.status == (200 if is_known else 403)
    if not is_known:
        assert "ALLOWED_ORIGINS" in (await response.json())["detail"]


async def test_any_name_may_be_used_where_it_is_not_guarded_by_loopback() -> None:
    async with served(MemoryService()) as client:
        assert (await client.get("/api/media/devices", headers={"Host": "phones.example.net"})).status == 200

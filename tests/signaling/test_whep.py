"""WHEP over a real socket."""

from collections.abc import AsyncIterator

import pytest

from signaling.candidates import parse_trickle_fragment
from signaling.whep import ice_server_links
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.samples import LOCAL, description, edited

OFFER = description("chromium_video_data")
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
UFRAG = next(line for line in OFFER.split("\r\n") if line.startswith("a=ice-ufrag:"))
CANDIDATE = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
RESTART = f"a=ice-ufrag:newOne\r\na=ice-pwd:{'n' * 24}\r\n{CANDIDATE}"


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[Client]:
    async with served(service) as client:
        yield client


async def start(client: Client) -> str:
    """The session's URL."""
    response = await client.post("/api/media/whep/demo", data=OFFER, headers=SDP)
    assert response.status == 201
    return response.headers["Location"]


async def test_a_post_starts_a_session(client: Client) -> None:
    response = await client.post("/api/media/whep/demo", data=OFFER, headers=SDP)
    assert response.status == 201
    assert response.content_type == "application/sdp"
    text = await response.text()
    assert text.startswith("v=0\r\n")
    assert f"a=ice-ufrag:{LOCAL.ice.username_fragment}\r\n" in text
    assert response.headers["Location"] == "/api/media/whep/demo/session-1"
    assert response.headers["ETag"] == '"ice-1"'
    assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.getall("Link") == [
        '<stun:stun.example.net:3478>; rel="ice-server"',
        '<turn:turn.example.net>; rel="ice-server"; username="me"; credential="a\\"b"; credential-type="password"',
        '<turns:turn.example.net>; rel="ice-server"; username="me"; credential="a\\"b"; credential-type="password"',
    ]


def test_no_ice_servers_no_links() -> None:
    assert ice_server_links([]) == []


async def test_candidates_trickle(client: Client, service: MemoryService) -> None:
    url = await start(client)
    for body in (CANDIDATE, f"{UFRAG}\r\na=ice-pwd:{'p' * 22}\r\n{CANDIDATE}a=end-of-candidates\r\n"):
        response = await client.patch(url, data=body, headers={**FRAGMENT, "If-Match": '"ice-1"'})
        assert (response.status, await response.text()) == (204, "")
    session = service.session("session-1")
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1", "192.0.2.1"]
    assert session.end_of_candidates
    assert session.generation == 1


@pytest.mark.parametrize("if_match", ["*", '"*"', '"ice-1"', '"other", "ice-1"'])
async def test_ice_restarts(client: Client, service: MemoryService, if_match: str) -> None:
    url = await start(client)
    response = await client.patch(url, data=RESTART, headers={**FRAGMENT, "If-Match": if_match})
    assert response.status == 200
    assert response.content_type == "application/trickle-ice-sdpfrag"
    assert response.headers["ETag"] == '"ice-2"'
    fragment = parse_trickle_fragment(await response.text())
    assert fragment.credentials is not None
    assert fragment.credentials.username_fragment == "server2"
    assert (fragment.mid, fragment.end_of_candidates, len(fragment.candidates)) == ("0", True, 1)
    assert service.session("session-1").remote_username_fragment == "newOne"
    # The old entity tag is no longer valid.
    response = await client.patch(url, data=CANDIDATE, headers={**FRAGMENT, "If-Match": '"ice-1"'})
    assert response.status == 412


@pytest.mark.parametrize(
    ("headers", "body", "status", "code"),
    [
        (FRAGMENT, CANDIDATE, 428, "precondition_required"),
        ({**FRAGMENT, "If-Match": '"ice-0"'}, CANDIDATE, 412, "precondition_failed"),
        ({**FRAGMENT, "If-Match": 'W/"ice-1"'}, CANDIDATE, 412, "precondition_failed"),
        ({**FRAGMENT, "If-Match": "nonsense"}, CANDIDATE, 412, "precondition_failed"),
        ({"Content-Type": "application/json", "If-Match": '"ice-1"'}, "{}", 415, "unsupported_media_type"),
        ({**FRAGMENT, "If-Match": '"ice-1"'}, "{}", 400, "malformed_sdp"),
        ({**FRAGMENT, "If-Match": '"ice-1"'}, "a=ice-ufrag:abcd\r\n", 400, "malformed_sdp"),
    ],
)
async def test_patches_that_are_refused(
    client: Client, service: MemoryService, headers: dict[str, str], body: str, status: int, code: str
) -> None:
    response = await client.patch(await start(client), data=body, headers=headers)
    assert (response.status, (await response.json())["code"]) == (status, code)
    assert service.session("session-1").candidates == []
    if status == 415:
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_a_delete_ends_the_session(client: Client, service: MemoryService) -> None:
    url = await start(client)
    session = service.session("session-1")
    response = await client.delete(url)
    assert (response.status, await response.text()) == (200, "")
    assert session.closed_because == "the viewer left"
    for again in (await client.delete(url), await client.get(url), await client.patch(url)):
        assert (again.status, (await again.json())["code"]) == (404, "session_not_found")


async def test_a_session_is_found_under_its_device_only(client: Client) -> None:
    await start(client)
    response = await client.delete("/api/media/whep/other/session-1")
    assert (response.status, (await response.json())["code"]) == (404, "session_not_found")


async def test_get_and_head(client: Client) -> None:
    url = await start(client)
    for path in ("/api/media/whep/demo", url):
        response = await client.get(path)
        assert (response.status, await response.read()) == (204, b"")
        assert (await client.head(path)).status == 200


async def test_options(client: Client) -> None:
    response = await client.options("/api/media/whep/demo")
    assert (response.status, response.headers["Accept-Post"]) == (204, "application/sdp")
    response = await client.options("/api/media/whep/demo/session-1")
    assert (response.status, response.headers["Accept-Patch"]) == (204, "application/trickle-ice-sdpfrag")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize(
    ("device", "body", "content_type", "status", "code", "detail"),
    [
        (
            "demo",
            OFFER,
            "text/plain",
            415,
            "unsupported_media_type",
            "Content-Type must be application/sdp, not 'text/plain'",
        ),
        ("demo", "hello", "application/sdp", 400, "malformed_sdp", "begins with v=0"),
        ("demo", "", "application/sdp", 400, "malformed_sdp", "begins with v=0"),
        ("demo", b"v=0\xff", "application/sdp", 400, "malformed_sdp", "UTF-8"),
        ("demo", "v=0\r\n" + "a" * 70_000, "application/sdp", 400, "malformed_sdp", "at most 65536"),
        ("demo", "v" * 200_000, "application/sdp", 413, "body_too_large", "131072"),
        ("demo", OFFER.replace("H264", "H265"), "application/sdp", 406, "no_common_codec", "needed is H264"),
        ("demo", edited(OFFER, "recvonly", "sendonly"), "application/sdp", 400, "malformed_sdp", "sendonly"),
        ("nobody", OFFER, "application/sdp", 404, "device_not_found", "adb knows no device 'nobody'"),
    ],
)
async def test_offers_that_are_refused(
    client: Client, device: str, body: str | bytes, content_type: str, status: int, code: str, detail: str
) -> None:
    response = await client.post(f"/api/media/whep/{device}", data=body, headers={"Content-Type": content_type})
    assert response.status == status
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    problem = await response.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert detail in problem["detail"]
    assert problem["error"] == problem["detail"]
    if status == 415:
        assert response.headers["Accept-Post"] == "application/sdp"


async def test_a_full_service_says_when_to_come_back(client: Client) -> None:
    response = await client.post("/api/media/whep/busy", data=OFFER, headers=SDP)
    assert (response.status, response.headers["Retry-After"]) == (503, "7")
    assert (await response.json())["code"] == "too_many_viewers"


async def test_the_serial_of_a_network_phone_is_a_path_segment(client: Client) -> None:
    response = await client.post("/api/media/whep/192.168.1.2:5555", data=OFFER, headers=SDP)
    assert "'192.168.1.2:5555'" in (await response.json())["detail"]

"""WHEP over a real socket."""

import asyncio
import gzip
import re
from collections.abc import AsyncIterator

import pytest
import structlog

from signaling.caller import Caller, Capability
from signaling.candidates import parse_trickle_fragment
from signaling.errors import Unauthorized
from signaling.whep import ice_server_links
from tests.signaling.memory_service import Client, MemoryService, served
from tests.signaling.samples import LOCAL, description, edited

OFFER = description("chromium_video_data")
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
UFRAG = next(line for line in OFFER.split("\r\n") if line.startswith("a=ice-ufrag:"))
CANDIDATE = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n"
TRUNCATED = b"POST /api/media/whep/demo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/sdp\r\n"
LINKS = [
    '<stun:stun.example.net:3478>; rel="ice-server"',
    '<turn:turn.example.net>; rel="ice-server"; username="me"; credential="a\\"b"; credential-type="password"',
    '<turns:turn.example.net>; rel="ice-server"; username="me"; credential="a\\"b"; credential-type="password"',
]
RESTART = f"a=ice-ufrag:newOne\r\na=ice-pwd:{'n' * 24}\r\n{CANDIDATE}"


@pytest.fixture
def service() -> MemoryService:
    return MemoryService()


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[Client]:
    async with served(service) as client:
        yield client


class Everybody:
    """Takes any token but one, as the name of who sends it."""

    async def caller(self, token: str, address: str) -> Caller:
        if token == "nobody":
            raise Unauthorized("not this one")
        return Caller(token, address, frozenset({Capability.VIEW, Capability.CONTROL}), has_token=True)


async def start(client: Client) -> str:
    """The session's URL."""
    response = await client.post("/api/media/whep/demo", data=OFFER, headers=SDP)
    assert response.status == 201
    return response.headers["Location"]


async def test_a_post_starts_a_session(client: Client) -> None:
    response = await client.post("/api/media/whep/demo", data=OFFER, headers=SDP)
    assert response.status == 201
    assert response.headers["Content-Type"] == "application/sdp"
    text = await response.text()
    assert text.startswith("v=0\r\n")
    assert f"a=ice-ufrag:{LOCAL.ice.username_fragment}\r\n" in text
    assert response.headers["Location"] == "/api/media/whep/demo/session-1"
    assert response.headers["ETag"] == '"ice-1"'
    assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.getall("Link") == LINKS


@pytest.mark.parametrize("content_type", ["application/sdp; charset=utf-8", "Application/SDP"])
async def test_the_media_type_is_read_as_http_says(client: Client, content_type: str) -> None:
    response = await client.post("/api/media/whep/demo", data=OFFER, headers={"Content-Type": content_type})
    assert response.status == 201


@pytest.mark.parametrize(
    ("prefix", "location"),
    [
        ("/phones", "/phones/api/media/whep/demo/session-1"),
        ("/a/b%20c/", "/a/b%20c/api/media/whep/demo/session-1"),
        ("/", "/api/media/whep/demo/session-1"),
        ("//elsewhere.example", "/api/media/whep/demo/session-1"),
        ("https://elsewhere.example", "/api/media/whep/demo/session-1"),
        ("/a b", "/api/media/whep/demo/session-1"),
        ("/\u00e4", "/api/media/whep/demo/session-1"),
        ("/x" * 20, "/api/media/whep/demo/session-1"),
    ],
)
async def test_the_location_is_right_behind_a_proxy_that_takes_a_prefix_away(
    client: Client, prefix: str, location: str
) -> None:
    response = await client.post("/api/media/whep/demo", data=OFFER, headers={**SDP, "X-Forwarded-Prefix": prefix})
    assert (response.status, response.headers["Location"]) == (201, location)


def test_no_ice_servers_no_links() -> None:
    assert ice_server_links([]) == []


async def test_candidates_trickle(client: Client, service: MemoryService) -> None:
    url = await start(client)
    for body in (CANDIDATE, f"{UFRAG}\r\na=ice-pwd:{'p' * 22}\r\n{CANDIDATE}a=end-of-candidates\r\n"):
        response = await client.patch(url, data=body, headers={**FRAGMENT, "If-Match": '"ice-1"'})
        assert (response.status, await response.text()) == (204, "")
        assert "ETag" not in response.headers
    session = service.session("session-1")
    assert [candidate.address for candidate in session.candidates] == ["192.0.2.1", "192.0.2.1"]
    assert session.end_of_candidates
    assert session.generation == 1


@pytest.mark.parametrize("if_match", ["*", '"*"', '"ice-1"', '"other", "ice-1"'])
async def test_ice_restarts(client: Client, service: MemoryService, if_match: str) -> None:
    url = await start(client)
    response = await client.patch(url, data=RESTART, headers={**FRAGMENT, "If-Match": if_match})
    assert response.status == 200
    assert response.headers["Content-Type"] == "application/trickle-ice-sdpfrag"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["ETag"] == '"ice-2"'
    fragment = parse_trickle_fragment(await response.text())
    assert fragment.credentials is not None
    assert fragment.credentials.username_fragment == "server2"
    assert (fragment.mid, fragment.end_of_candidates, len(fragment.candidates)) == ("0", True, 1)
    assert service.session("session-1").remote_username_fragment == "newOne"
    # The old entity tag is no longer valid.
    response = await client.patch(url, data=CANDIDATE, headers={**FRAGMENT, "If-Match": '"ice-1"'})
    assert response.status == 412


async def test_a_restart_is_answered_for_the_section_that_it_names(client: Client) -> None:
    body = RESTART.replace("m=video", "m=audio").replace("a=mid:0", "a=mid:sound")
    response = await client.patch(await start(client), data=body, headers={**FRAGMENT, "If-Match": "*"})
    assert "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:sound\r\n" in await response.text()


async def test_candidates_that_nobody_can_use_are_passed_over(client: Client, service: MemoryService) -> None:
    unusable = (
        "a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n"
        "a=candidate:3 1 udp 2122260223 8c1d2f3a-1111.local 61764 typ host\r\n"
        "a=candidate:4 1 carrier-pigeon 1 roof 0 typ host\r\n"
    )
    response = await client.patch(
        await start(client), data=CANDIDATE + unusable, headers={**FRAGMENT, "If-Match": '"ice-1"'}
    )
    assert response.status == 204
    assert [candidate.address for candidate in service.session("session-1").candidates] == ["192.0.2.1"]


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
        ({**FRAGMENT, "If-Match": '"ice-1"'}, b"a=candidate:\xff\x00", 400, "malformed_sdp"),
        ({**FRAGMENT, "If-Match": '"ice-1"'}, "a=" + "x" * 70_000, 400, "malformed_sdp"),
        ({**FRAGMENT, "If-Match": '"ice-1"'}, "a=" + "x" * 200_000, 413, "body_too_large"),
        ({**SDP, "If-Match": '"ice-1"'}, OFFER, 415, "unsupported_media_type"),
        ({"If-Match": '"ice-1"'}, CANDIDATE, 415, "unsupported_media_type"),
    ],
)
async def test_patches_that_are_refused(
    client: Client, service: MemoryService, headers: dict[str, str], body: str | bytes, status: int, code: str
) -> None:
    skipped = [] if "Content-Type" in headers else ["Content-Type"]
    response = await client.patch(
        await start(client),
        data=body.encode() if isinstance(body, str) else body,
        headers=headers,
        skip_auto_headers=skipped,
    )
    assert (response.status, (await response.json())["code"]) == (status, code)
    assert service.session("session-1").candidates == []
    if status == 415:
        assert response.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_a_delete_ends_the_session(client: Client, service: MemoryService) -> None:
    url = await start(client)
    session = service.session("session-1")
    # It is the session that ends, whatever ICE session a header names.
    response = await client.delete(url, headers={"If-Match": '"ice-0"'})
    assert (response.status, await response.text()) == (200, "")
    assert session.closed_because == "the viewer left"
    for again in (await client.delete(url), await client.get(url), await client.patch(url)):
        assert (again.status, (await again.json())["code"]) == (404, "session_not_found")


async def test_a_session_is_found_under_its_device_only(client: Client) -> None:
    await start(client)
    response = await client.delete("/api/media/whep/other/session-1")
    assert (response.status, (await response.json())["code"]) == (404, "session_not_found")


async def test_a_session_is_its_viewers_alone(service: MemoryService) -> None:
    mine, theirs = ({"Authorization": f"Bearer {name}"} for name in ("me", "somebody"))
    async with served(service, authenticator=Everybody()) as client:
        response = await client.post("/api/media/whep/demo", data=OFFER, headers={**SDP, **mine})
        url = response.headers["Location"]
        patch = {**FRAGMENT, "If-Match": "*"}
        for refused in (
            await client.get(url, headers=theirs),
            await client.patch(url, data=RESTART, headers={**patch, **theirs}),
            await client.delete(url, headers=theirs),
        ):
            assert (refused.status, (await refused.json())["code"]) == (404, "session_not_found")
        assert (await client.head(url, headers=theirs)).status == 404
        for refused in (await client.delete(url), await client.post("/api/media/whep/demo", data=OFFER, headers=SDP)):
            assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await client.patch(url, data=RESTART, headers={**patch, **mine})).status == 200
        assert (await client.delete(url, headers=mine)).status == 200


async def test_get_and_head(client: Client) -> None:
    url = await start(client)
    for path in ("/api/media/whep/demo", url):
        response = await client.get(path)
        assert (response.status, await response.read()) == (204, b"")
        assert (await client.head(path)).status == 200
    # A player that is given an address asks so whether it is one of WHEP's.
    assert (await client.head("/api/media/whep/demo")).headers["Content-Type"] == "application/sdp"


async def test_options(client: Client) -> None:
    response = await client.options("/api/media/whep/demo")
    assert (response.status, response.headers["Accept-Post"]) == (200, "application/sdp")
    # For those that have to know the servers before they offer.
    assert response.headers.getall("Link") == LINKS
    assert response.headers["Cache-Control"] == "no-store"
    response = await client.options("/api/media/whep/demo/session-1")
    assert (response.status, response.headers["Accept-Patch"]) == (200, "application/trickle-ice-sdpfrag")
    assert "Access-Control-Allow-Origin" not in response.headers


async def test_a_preflight_is_told_no_credentials(service: MemoryService) -> None:
    origin = "https://phones.example.com"
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    async with served(service, allowed_origins=[origin], authenticator=Everybody()) as client:
        for headers in (asked, {"Access-Control-Request-Method": "POST"}):
            response = await client.options("/api/media/whep/demo", headers=headers)
            assert response.ok
            assert "Link" not in response.headers
        response = await client.options("/api/media/whep/demo")
        assert (response.status, "Link" in response.headers) == (401, False)
        response = await client.options("/api/media/whep/demo", headers={"Authorization": "Bearer me"})
        assert response.headers.getall("Link") == LINKS


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/api/media/whep/demo", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PUT", "/api/media/whep/demo", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("DELETE", "/api/media/whep/demo", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/api/media/whep/demo/session-1", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("PUT", "/api/media/whep/demo/session-1", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
    ],
)
async def test_other_methods_are_not_allowed(client: Client, method: str, path: str, allowed: set[str]) -> None:
    response = await client.request(method, path, data=b"")
    assert (response.status, (await response.json())["code"]) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].replace(" ", "").split(",")) == allowed
    stated = (await client.options(path)).headers["Allow"]
    assert set(stated.replace(" ", "").split(",")) == allowed


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
        ("demo", bytes(range(256)), "application/sdp", 400, "malformed_sdp", "UTF-8"),
        ("demo", b"v=0\r\n" + bytes(500), "application/sdp", 400, "malformed_sdp", "line 2"),
        ("demo", OFFER[: OFFER.index("a=rtpmap")], "application/sdp", 400, "malformed_sdp", "BUNDLE names '1'"),
        ("demo", OFFER.replace("m=video", "m=audio"), "application/sdp", 400, "malformed_sdp", "no m=video"),
        ("demo", edited(OFFER, "recvonly", "inactive"), "application/sdp", 400, "malformed_sdp", "inactive"),
        ("demo", edited(OFFER, "m=video 9", "m=video 0"), "application/sdp", 400, "malformed_sdp", "port 0"),
        ("demo", edited(OFFER, "a=rtcp-mux\r\n", ""), "application/sdp", 400, "malformed_sdp", "rtcp-mux"),
        ("demo", edited(OFFER, "BUNDLE 0", "BUNDLE 9"), "application/sdp", 400, "malformed_sdp", "BUNDLE names '9'"),
        ("demo", f"v=0\r\n{CANDIDATE}", "application/sdp", 400, "malformed_sdp", "no a=rtpmap"),
        (
            "demo",
            re.sub("a=ice-pwd:.*\r\n", "", OFFER),
            "application/sdp",
            400,
            "malformed_sdp",
            "a=ice-pwd is missing",
        ),
        ("demo", edited(OFFER, "actpass", "holdconn"), "application/sdp", 400, "malformed_sdp", "a=setup must be"),
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


@pytest.mark.parametrize(
    ("old", "new", "answered"),
    [
        ("a=setup:actpass", "a=setup:active", "a=setup:passive"),
        ("a=setup:actpass", "a=setup:passive", "a=setup:active"),
        ("a=recvonly\r\n", "a=sendrecv\r\n", "a=sendonly"),
        ("a=recvonly\r\n", "", "a=sendonly"),
        ("a=group:BUNDLE 0 1\r\n", "", "a=sendonly"),
        ("a=group:BUNDLE 0 1", "a=group:LS 0\r\na=group:BUNDLE 1 0", "a=group:BUNDLE 1 0"),
        ("m=application 9", "m=application 0", "m=application 0"),
        # RFC 8858 section 4.3 wants no rtcp-mux-only in an answer.
        ("a=rtcp-mux\r\n", "a=rtcp-mux\r\na=rtcp-mux-only\r\n", "a=rtcp-mux\r\na=rtcp-rsize"),
        ("\r\na=mid:0", f"\r\n{CANDIDATE.splitlines()[2]}\r\na=end-of-candidates\r\na=mid:0", "a=sendonly"),
    ],
)
async def test_offers_that_are_taken(client: Client, service: MemoryService, old: str, new: str, answered: str) -> None:
    response = await client.post("/api/media/whep/demo", data=edited(OFFER, old, new), headers=SDP)
    assert response.status == 201, await response.text()
    assert answered in await response.text()
    negotiated = service.session("session-1").negotiated
    assert negotiated is not None
    assert len(negotiated.remote.candidates) == ("192.0.2.1" in new)


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 5000\r\n\r\n" + OFFER.encode()[:1000],
        b"Transfer-Encoding: chunked\r\n\r\n10\r\nv=0\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\nv=0\r\n",
    ],
)
async def test_an_offer_that_breaks_off_opens_nothing(client: Client, service: MemoryService, rest: bytes) -> None:
    with structlog.testing.capture_logs() as log:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(TRUNCATED + rest)
        writer.write_eof()
        # Nobody is left to tell, unless it is what is there already that is wrong.
        assert (await reader.read())[:12] in (b"", b"HTTP/1.0 400")
        writer.close()
        await writer.wait_closed()
        await start(client)
    assert list(service.opened) == ["session-1"]
    assert log == []


@pytest.mark.parametrize(
    ("body", "status"), [(gzip.compress(b"v" * 3_000_000), 413), (b"not gzip at all", 400)], ids=["bomb", "lie"]
)
async def test_compressed_bodies_are_no_way_around_the_limits(client: Client, body: bytes, status: int) -> None:
    headers = {**SDP, "Content-Encoding": "gzip"}
    response = await client.post("/api/media/whep/demo", data=body, headers=headers)
    assert response.status == status

"""The whole service at LOG_LEVEL=debug, used and abused: no secret, typed text or candidate gets into its log."""

import asyncio
import json
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import pytest
from aiortc import RTCSessionDescription

from media_service.redaction import BLACKENED
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.service import RunningService, running_service
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.waiting import until

pytestmark = pytest.mark.adb

JWT_SECRET = "marker-of-the-jwt-secret-kR3vQ9zL1xW7"
SETTINGS = {
    "LOG_LEVEL": "debug",
    "JWT_SECRET": JWT_SECRET,
    "TURN_URLS": "turn:192.0.2.1",
    "TURN_SECRET": "marker-of-the-turn-secret",
    "TURN_USERNAME": "someone",
    "TURN_CREDENTIAL": "marker-of-the-turn-credential",
    "REDIS_ENABLED": "true",
    "REDIS_HOST": "127.0.0.1",
    "REDIS_PASSWORD": "marker-of-the-redis-password",
    "RABBITMQ_ENABLED": "true",
    "CONSUL_ENABLED": "true",
    "CONSUL_HOST": "127.0.0.1",
}
IN_SETTINGS = [value for value in SETTINGS.values() if "marker" in value] + ["marker-of-the-broker-password"]


def token(secret: str = JWT_SECRET, **claims: object) -> str:
    usual = {
        "sub": "alice",
        "iss": "cloudphone-platform",
        "aud": "cloudphone-users",
        "exp": int(time.time()) + 600,
        "roles": ["admin"],
    }
    return jwt.encode(usual | claims, secret, "HS256")


@dataclass
class Said:
    """What was told to the service and must not come out again."""

    secrets: set[str] = field(default_factory=set)

    def __call__(self, secret: str) -> str:
        """`secret`, remembered."""
        self.secrets.add(secret)
        return secret

    def token(self, made: str) -> str:
        """A token: its signature is what nobody may see, nor its claims."""
        self.secrets.update(part for part in made.split(".")[1:] if len(part) >= 8)
        return made


@pytest.fixture(scope="module")
def service(adb_server: RunningAdb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    nobody = str(free_port())
    environment = {
        **SETTINGS,
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "REDIS_PORT": nobody,
        "RABBITMQ_URL": f"amqp://guest:marker-of-the-broker-password@127.0.0.1:{nobody}/",
        "CONSUL_PORT": nobody,
        "ENABLE_FILE_LOGGING": "true",
    }
    folder = tmp_path_factory.mktemp("secrets")
    with running_service(["--demo"], environment | {"LOG_FILE": str(folder / "app.log")}, folder) as service:
        yield service


async def online_device(service: RunningService, said: Said) -> str:
    """Wait until the phone can be watched; what it is called."""
    headers = {"Authorization": f"Bearer {said.token(token())}"}
    async with aiohttp.ClientSession(headers=headers) as http, asyncio.timeout(20):
        while True:
            async with http.get(f"{service.address}api/media/devices") as response:
                devices = (await response.json())["devices"]
            for device in devices:
                if device["state"] == "online":
                    return str(device["deviceId"])
            await asyncio.sleep(0.01)


async def join_by_whep(root: str, device: str, viewer: AiortcViewer, said: Said) -> None:
    """Watch, type by data channel, trickle candidates, ask for credentials, and leave."""
    connection = viewer.connection
    connection.addTransceiver("video", direction="recvonly")
    viewer.control = connection.createDataChannel("control")
    viewer.control.on("message", viewer.messages.append)
    await connection.setLocalDescription(await connection.createOffer())
    mine = {"Authorization": f"Bearer {said.token(token())}"}
    async with aiohttp.ClientSession(headers=mine) as http:
        endpoint = f"{root}/api/media/whep/{device}"
        headers = {"Content-Type": "application/sdp"}
        async with http.post(endpoint, data=connection.localDescription.sdp, headers=headers) as response:
            assert response.status == 201
            answer, location = await response.text(), root + response.headers["Location"]
            etag = response.headers["ETag"]
            for link in response.headers.getall("Link", ()):
                said.secrets.update(re.findall(r'credential="([^"]+)"', link))
        for sdp in (connection.localDescription.sdp, answer):
            said.secrets.update(re.findall(r"a=ice-pwd:(\S+)", sdp))
            said.secrets.update(re.findall(r"a=fingerprint:sha-256 (\S+)", sdp))
        said(location.rpartition("/")[2])
        fragment = (
            f"a=ice-ufrag:{re.findall('a=ice-ufrag:(.+)', connection.localDescription.sdp)[0].strip()}\r\n"
            f"a=ice-pwd:{re.findall('a=ice-pwd:(.+)', connection.localDescription.sdp)[0].strip()}\r\n"
            f"m=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
            f"a=candidate:1 1 udp 2130706431 {said('203.0.113.77')} 41234 typ host\r\n"
        )
        headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": etag}
        async with http.patch(location, data=fragment, headers=headers) as response:
            assert response.status == 204
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        await viewer.watched(1)
        for event in (
            {"type": "text", "text": said("marker-typed-by-channel")},
            {"type": "clipboard", "action": "set", "text": said("marker-of-the-clipboard")},
            {"type": "text", "text": said("marker-typed-wrongly"), "deviceId": 7},
        ):
            await viewer.send(json.dumps(event | {"seq": 1}))
        await viewer.heard('"seq"')
        await viewer.send(said("{marker-malformed-by-channel"))
        async with http.get(f"{root}/api/media/ice-servers") as response:
            for server in (await response.json())["iceServers"]:
                if "credential" in server:
                    said(server["credential"])
        async with http.delete(location) as response:
            assert response.status == 200


async def join_by_websocket(root: str, device: str, viewer: AiortcViewer, said: Said) -> None:
    """Watch by the service's offer, type, trickle and send what is malformed."""
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{root}/api/media/ws", protocols=("bearer", said.token(token(sub="bob")))) as wire,
    ):
        await wire.send_json({"type": "join", "id": 1, "deviceId": device})
        offer = await reply_to(wire, 1)
        said(offer["sessionId"])
        said.secrets.update(re.findall(r"a=ice-pwd:(\S+)", offer["sdp"]))
        await wire.send_json({"type": "answer", "id": 2, "sdp": await viewer.answer(offer["sdp"])})
        await reply_to(wire, 2)
        candidate = f"candidate:1 1 udp 2130706431 {said('203.0.113.78')} 41235 typ host"
        await wire.send_json({"type": "ice-candidate", "id": 3, "candidate": {"candidate": candidate, "sdpMid": "0"}})
        await reply_to(wire, 3)
        await viewer.watched(1)
        await wire.send_json(
            {"type": "input", "id": 4, "event": {"type": "text", "text": said("marker-typed-by-socket")}}
        )
        await reply_to(wire, 4)
        for malformed in (
            said("marker-of-no-json"),
            json.dumps({"type": said("marker-of-no-type"), "id": 5}),
            json.dumps({"type": "answer", "sdp": said("marker-of-no-sdp")}),
            json.dumps({"type": "ice-candidate", "candidate": said("candidate:marker-of-no-candidate")}),
            json.dumps({"type": "input", "event": {"type": "text", "text": [said("marker-of-no-text")]}}),
        ):
            await wire.send_str(malformed)
        await wire.send_bytes(said("marker-of-a-binary-frame").encode())
        await wire.send_json({"type": "ping", "id": 6})
        await reply_to(wire, 6)


async def reply_to(wire: aiohttp.ClientWebSocketResponse, message_id: int) -> dict[str, Any]:
    async with asyncio.timeout(20):
        while True:
            message: dict[str, Any] = await wire.receive_json()
            if message.get("id") == message_id:
                assert message["type"] != "error", message
                return message


async def knock(root: str, device: str, said: Said) -> None:
    """Ask with tokens and bodies of every wrong kind. What is answered does not matter here."""
    wrong = (
        token("another-secret-that-is-long-enough-for-hs256"),
        token(exp=1),
        token(aud="somebody else"),
        jwt.encode({"sub": "eve"}, "", "none"),
        said("marker-of-no-token"),
    )
    async with aiohttp.ClientSession() as http:
        for bad in wrong:
            said.token(bad)
            headers = {"Authorization": f"Bearer {bad}", "Cookie": f"session={said('marker-of-a-cookie')}"}
            await (await http.get(f"{root}/api/media/devices", headers=headers)).read()
            for protocols in (("bearer", bad), ("access_token", bad)):
                try:
                    async with http.ws_connect(f"{root}/api/media/ws", protocols=protocols):
                        pass
                except aiohttp.WSServerHandshakeError:
                    pass
        mine = {"Authorization": f"Bearer {token()}"}
        async with http.post(f"{root}/api/media/tickets", headers=mine) as response:
            ticket = (await response.json()).get("ticket", "no-ticket-without-tokens")
        async with http.ws_connect(f"{root}/api/media/ws?ticket={said(ticket)}"):
            pass
        async with http.get(f"{root}/api/media/turn-credentials", headers=mine) as response:
            for server in (await response.json()).get("iceServers", ()):
                if "credential" in server:
                    said(server["credential"])
        for query in ("token", "access_token", "ticket"):
            path = f"{root}/api/media/devices?{query}={said(f'marker-of-a-query-{query}')}"
            await (await http.get(path)).read()
            await (await http.get(path, headers=mine)).read()
        for path in (f"whep/{device}", f"whep/{said('marker-of-a-device')}", "sessions", "sessions/answer", "tickets"):
            for body, kind in (
                (said("v=0 marker-of-a-bad-sdp"), "application/sdp"),
                (said("{marker-of-bad-json"), "application/json"),
                (json.dumps({"deviceId": device, "answer": said("marker-of-a-wrong-type")}), "application/json"),
                (b"\xff" + said("marker-of-no-utf8").encode(), "application/sdp"),
                (said("marker-of-a-large-body") * 20_000, "application/sdp"),
            ):
                headers = mine | {"Content-Type": kind}
                await (await http.post(f"{root}/api/media/{path}", data=body, headers=headers)).read()
    # What no HTTP client sends.
    address = urlsplit(root)
    for raw in (
        said("marker-of-a-bad-method") + " / HTTP/1.1\r\n\r\n",
        f"GET /?token={said('marker-of-a-bad-version')} HTTP/9.9\r\n\r\n",
        f"GET / HTTP/1.1\r\nAuthorization: Bearer {said('marker-of-a-bad-header')}\x01\r\n\r\n",
        f"GET / HTTP/1.1\r\n{said('marker-of-no-header')}\r\n\r\n",
        f"POST /api/media/sessions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"{said('marker-of-a-bad-chunk')}\r\n",
    ):
        with socket.create_connection((str(address.hostname), int(address.port or 80)), 5) as wire:
            wire.sendall(raw.encode())
            wire.shutdown(socket.SHUT_WR)
            while wire.recv(65536):
                pass


async def test_nothing_secret_is_logged(service: RunningService) -> None:
    said, root = Said(set(IN_SETTINGS)), service.address.rstrip("/")
    device = await online_device(service, said)
    for join in (join_by_whep, join_by_websocket):
        viewer = AiortcViewer(service.address, device)
        try:
            await join(root, device, viewer, said)
        finally:
            await viewer.leave()
    await asyncio.to_thread(lambda: asyncio.run(knock(root, device, said)))
    left = '"event": "viewer left"'
    await until(lambda: sum(left in line for line in service.log) == 2)
    log_file = Path(f"/proc/{service.process_id}/cwd/app.log").read_text  # Of the folder that it runs in.
    await until(lambda: log_file().count(left) == 2)
    for log in ("\n".join(service.log), log_file()):
        assert len(log.splitlines()) > 5
        leaked = sorted(secret for secret in said.secrets if secret in log)
        assert leaked == []
        # Nor did anybody try, and only the second net caught it.
        assert BLACKENED not in log
        assert "marker" not in log

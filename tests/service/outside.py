"""What somebody outside the service has: its address, HTTP, tokens, and its process where that is one of its own."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
from aiortc import RTCSessionDescription

from media_service.settings import Settings
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import RunningService, running_service
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.waiting import until

PICTURES = "test:size=180x320,fps=10"
"""A source that costs little and needs no phone."""

SECRET = "the secret of the tests of the whole service"
ISSUER, AUDIENCE = "cloudphone-platform", "cloudphone-users"


def settings(adb: RunningAdb, **others: object) -> Settings:
    """The settings of a service in this process."""
    return Settings.model_validate({"port": 0, "android_adb_server_port": adb.port, **others})


@asynccontextmanager
async def service_process(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> AsyncIterator[RunningService]:
    """`running_service`, while the event loop goes on."""
    with ExitStack() as stack:
        running = running_service(arguments, environment, folder)
        service = await asyncio.to_thread(stack.enter_context, running)
        try:
            yield service
        finally:
            await asyncio.to_thread(stack.close)


async def exit_code(service: RunningService, timeout: float) -> int:
    """Wait until the service has ended by itself; with what."""

    def ended() -> os.waitid_result | None:
        # It stays there for the one who started it to be waited for.
        return os.waitid(os.P_PID, service.process_id, os.WEXITED | os.WNOHANG | os.WNOWAIT)

    await until(ended, timeout=timeout, pause=0.01)
    result = ended()
    assert result is not None
    assert result.si_code == os.CLD_EXITED, "a signal ended it"
    return result.si_status


def token(secret: str = SECRET, **claims: Any) -> str:
    """A token of `ann` for a day, with such claims; ... leaves one out."""
    usual = {"sub": "ann", "iss": ISSUER, "aud": AUDIENCE, "exp": int(time.time()) + 86400}
    return jwt.encode({name: value for name, value in (usual | claims).items() if value is not ...}, secret, "HS256")


def bearing(bearer: str) -> dict[str, str]:
    """The header that brings a token; without one, none."""
    return {"Authorization": f"Bearer {bearer}"} if bearer else {}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Of a problem, which it must be."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        problem = self.json
        assert problem["status"] == self.status
        assert problem["error"] == problem["detail"]
        return str(problem["code"])


async def ask(address: str, path: str, *, method: str = "GET", bearer: str = "", **how: Any) -> Answer:
    """Ask the service at `address` (with a slash at the end) for `path`; `how` is what aiohttp takes."""
    headers = {**bearing(bearer), **how.pop("headers", {})}
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, address + path, headers=headers, timeout=aiohttp.ClientTimeout(20), **how) as response,
    ):
        return Answer(response.status, response.headers, await response.read())


async def join(address: str, device: str, *, bearer: str = "", user: str | None = None) -> Answer:
    """Open a session by the sessions API: the service offers, and nobody has to answer."""
    body = {"deviceId": device} | ({"userId": user} if user is not None else {})
    return await ask(address, "api/media/sessions", method="POST", bearer=bearer, json=body)


async def sessions(address: str, bearer: str = "") -> dict[str, dict[str, Any]]:
    """The caller's sessions by id."""
    answer = await ask(address, "api/media/sessions", bearer=bearer)
    return {each["sessionId"]: each for each in answer.json["sessions"]}


class Guest(AiortcViewer):
    """A viewer who brings a token."""

    def __init__(self, address: str, device: str, bearer: str) -> None:
        super().__init__(address, device)
        self._bearer, self._device_id = bearer, device
        self.session_id = ""

    async def watch(self) -> None:
        """Join by the sessions API, with an offer. Raises RuntimeError when the service says no."""
        self.connection.addTransceiver("video", direction="recvonly")
        self.control = self.connection.createDataChannel("control")
        self.control.on("message", self.messages.append)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        body = {"deviceId": self._device_id, "offer": self.connection.localDescription.sdp}
        answer = await ask(self._address, "api/media/sessions", method="POST", bearer=self._bearer, json=body)
        if answer.status != 201:
            raise RuntimeError(answer.body.decode())
        self.session_id = answer.json["sessionId"]
        await self.connection.setRemoteDescription(RTCSessionDescription(answer.json["answer"], "answer"))


async def reply_to(wire: aiohttp.ClientWebSocketResponse, message_id: int) -> dict[str, Any]:
    """The reply to that message on a WebSocket; what else comes is passed over."""
    async with asyncio.timeout(20):
        while True:
            message: dict[str, Any] = await wire.receive_json()
            if message.get("id") == message_id:
                return message

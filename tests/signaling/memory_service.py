"""A service that only remembers, and a real HTTP server with its routes on a loopback socket."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request

from capture.errors import DeviceNotFound, InputRejected
from capture.input_events import InputEvent, Text
from signaling import http
from signaling.answerer import create_answer, parse_offer
from signaling.caller import Caller, Capability
from signaling.choices import QualityChoice, QualityLevel
from signaling.errors import Conflict, Forbidden, Full, NotFound
from signaling.guard import Authenticator
from signaling.jsep import Candidate, IceCredentials, Negotiated, OfferedMedia, TrickleFragment
from signaling.offerer import accept_answer, create_offer
from signaling.server_messages import StateChange
from signaling.service import DeviceDescription, Listener, ServiceStatistics, SessionDescription
from tests.signaling.samples import LOCAL

Client = TestClient[Request, Application]

ANYBODY = Caller()


@dataclass(eq=False)
class MemorySession:
    """Fits `signaling.service.SessionHandle`."""

    session_id: str
    device_id: str
    user_id: str | None = None
    may_control: bool = True
    negotiated: Negotiated | None = None
    offered: OfferedMedia | None = None
    state: str = "connecting"
    generation: int = 1
    remote_credentials: IceCredentials | None = None
    candidates: list[Candidate] = field(default_factory=list)
    end_of_candidates: bool = False
    events: list[InputEvent] = field(default_factory=list)
    keyframe_requests: int = 0
    wants_sound: bool = True
    quality: QualityChoice = field(default_factory=lambda: QualityChoice(QualityLevel.AUTO))
    closed_because: str | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    input_gate: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: list[Listener] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.input_gate.set()

    @property
    def etag(self) -> str:
        return f'"ice-{self.generation}"'

    @property
    def remote_username_fragment(self) -> str | None:
        return self.remote_credentials.username_fragment if self.remote_credentials else None

    def accept_answer(self, sdp: str) -> None:
        if self.offered is None or self.negotiated is not None:
            raise Conflict("the session takes no answer now")
        self.negotiated = accept_answer(self.offered, sdp)
        self.remote_credentials = self.negotiated.remote.ice

    def add_candidates(self, fragment: TrickleFragment) -> None:
        self.candidates += fragment.candidates
        self.end_of_candidates |= fragment.end_of_candidates

    def restart_ice(self, fragment: TrickleFragment) -> TrickleFragment:
        self.remote_credentials = fragment.credentials
        self.generation += 1
        ours = IceCredentials(f"server{self.generation}", "p" * 22)
        return TrickleFragment(ours, (Candidate("udp", "127.0.0.1", 50000, 2130706431),), end_of_candidates=True)

    def watch(self, listener: Listener) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, kind: Literal["session", "device", "stream"], state: str, reason: str) -> None:
        change = StateChange(kind, self.session_id, self.device_id, state, reason)
        for listener in tuple(self.listeners):
            listener(change)

    async def inject(self, event: InputEvent) -> float:
        await self.input_gate.wait()
        if not self.may_control:
            raise Forbidden("this token does not allow control")
        if event == Text("refuse"):
            raise InputRejected("the device takes no text")
        if event == Text("crash"):
            raise RuntimeError("a bug, on purpose")
        self.events.append(event)
        return time.monotonic()

    def request_keyframe(self) -> None:
        self.keyframe_requests += 1

    def choose_sound(self, is_wanted: bool) -> None:
        self.wants_sound = is_wanted

    def choose_quality(self, choice: QualityChoice) -> None:
        if choice.level is QualityLevel.P1080:
            raise Conflict("the phone is smaller than 1080p", code="quality_unavailable")
        self.quality = choice

    def statistics(self) -> dict[str, float | int | str | None]:
        return {"packetsSent": 12, "roundTripTime": 0.025}

    async def aclose(self, reason: str) -> None:
        self.closed_because = reason
        self.closed.set()


class MemoryService:
    """Fits `signaling.service.Service`: one device, `demo`, and one that is busy."""

    def __init__(self) -> None:
        self.opened: dict[str, MemorySession] = {}
        self.opening_gate = asyncio.Event()
        self.opening_gate.set()

    async def answer(self, device_id: str, offer_sdp: str, caller: Caller) -> tuple[MemorySession, str]:
        offer = parse_offer(offer_sdp)
        session = await self._open(device_id, caller)
        text, session.negotiated = create_answer(offer, "42c01f", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001)
        session.remote_credentials = offer.remote.ice
        return session, text

    async def offer(self, device_id: str, caller: Caller) -> tuple[MemorySession, str]:
        session = await self._open(device_id, caller)
        text, session.offered = create_offer("640033", LOCAL, session_id=7, ssrc=1000, rtx_ssrc=1001)
        return session, text

    def session(self, session_id: str, caller: Caller = ANYBODY) -> MemorySession:
        session = self.opened.get(session_id)
        if session is None or session.closed_because is not None or not caller.owns(session.user_id):
            raise NotFound("there is no such session", code="session_not_found")
        return session

    async def devices(self, caller: Caller) -> Sequence[DeviceDescription]:
        return [await self.device("demo", caller)]

    async def device(self, device_id: str, caller: Caller) -> DeviceDescription:
        if device_id not in ("demo", "192.0.2.5:5555"):
            raise NotFound(f"there is no device {device_id!r}", code="device_not_found")
        return DeviceDescription(
            "demo",
            "Demo phone",
            "online",
            "screenrecord",
            "no scrcpy",
            720,
            1280,
            2,
            name="demo",
            serial="192.0.2.5:5555",
            origin="ADB_DEVICES",
            screen="shown",
            rotation=90,
        )

    def sessions(self, caller: Caller) -> Sequence[SessionDescription]:
        return [
            SessionDescription(one.session_id, one.device_id, one.user_id, one.state, "", 1.7e9, 1.7e9 + 60.5)
            for one in self.opened.values()
            if one.closed_because is None and caller.owns(one.user_id)
        ]

    def describe_session(self, session_id: str, caller: Caller) -> SessionDescription:
        self.session(session_id, caller)
        return next(one for one in self.sessions(caller) if one.session_id == session_id)

    def explain(self, session_id: str, caller: Caller) -> Mapping[str, Any]:
        return {"sessionId": self.session(session_id, caller).session_id, "video": {"coding": "passthrough"}}

    async def end(self, session_id: str, caller: Caller) -> None:
        await self.session(session_id, caller).aclose("the viewer left")

    def statistics(self) -> ServiceStatistics:
        still_open = len([one for one in self.opened.values() if one.closed_because is None])
        return ServiceStatistics(still_open + 1, still_open, 0, 1, len(self.opened) + 1, 1)

    def ice_servers(self, caller: Caller) -> Sequence[dict[str, str | list[str]]]:
        return [
            {"urls": "stun:stun.example.net:3478"},
            {"urls": ["turn:turn.example.net", "turns:turn.example.net"], "username": "me", "credential": 'a"b'},
        ]

    async def _open(self, device_id: str, caller: Caller) -> MemorySession:
        if device_id == "busy":
            raise Full("3 viewers watch already, which is the limit", retry_after=7)
        if device_id == "crash":
            raise RuntimeError("a bug, on purpose")
        if device_id not in ("demo", "other"):
            raise DeviceNotFound(f"adb knows no device {device_id!r}")
        await self.opening_gate.wait()
        caller.require(Capability.VIEW, (device_id,))
        session = MemorySession(
            f"session-{len(self.opened) + 1}",
            device_id,
            caller.user_id,
            may_control=caller.may(Capability.CONTROL, (device_id,)),
        )
        self.opened[session.session_id] = session
        return session


@asynccontextmanager
async def served(
    service: MemoryService,
    *,
    allowed_origins: Sequence[str] = (),
    loopback_only: bool = False,
    authenticator: Authenticator | None = None,
) -> AsyncIterator[Client]:
    """A client of a real server that serves `service`."""
    app = http.application(
        service, allowed_origins=allowed_origins, loopback_only=loopback_only, authenticator=authenticator
    )
    async with TestClient(TestServer(app)) as client:
        yield client

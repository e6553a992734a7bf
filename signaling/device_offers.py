"""Offers and candidates that name only a device, as some older front-ends send them.

    POST /api/webrtc/{deviceId}/offer        {offer} -> {answer, sessionId}
    POST /api/webrtc/{deviceId}/candidate    {candidate, sessionId?}

A candidate without a `sessionId` is for the newest session that the same user at the same address opened this way on
the device; one that comes while that is being opened waits for it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable
from functools import partial

from aiohttp import web

from signaling.bodies import DeviceAnswered, DeviceCandidateRequest, DeviceOfferRequest, Done, candidate_of, sdp_of
from signaling.caller import Caller
from signaling.errors import NotFound
from signaling.guard import caller_of
from signaling.json_body import read_json
from signaling.operations import Answer, Operation, Tag, add_route, operation
from signaling.problem_codes import OPENING
from signaling.server_messages import StateChange
from signaling.service import Service, SessionHandle
from signaling.sessions_http import fragment_of, respond

MAX_REMEMBERED = 1000
"""Callers and devices whose newest session is known; the one that offered longest ago is forgotten first."""


def add_routes(app: web.Application, service: Service) -> None:
    """Add the two routes."""
    offers = DeviceOffers(service)
    add_route(app, "POST", "/api/webrtc/{device_id}/offer", offers.offer)
    add_route(app, "POST", "/api/webrtc/{device_id}/candidate", offers.add_candidate)


class DeviceOffers:
    """The two requests, and the sessions that the second one means."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._newest = NewestSessions()

    @operation(
        Operation(
            "offerToDevice",
            "Watch a device",
            Tag.OTHER_DIALECTS,
            {200: Answer("Our answer, with all of our candidates.", DeviceAnswered)},
            OPENING,
            body=DeviceOfferRequest,
        )
    )
    async def offer(self, request: web.Request) -> web.Response:
        asked = await read_json(request, DeviceOfferRequest)
        caller, device_id = caller_of(request), request.match_info["device_id"]
        opening = self._service.answer(device_id, sdp_of(asked.offer), caller)
        session, answer = await self._newest.opening(_key(caller, device_id), opening)
        return respond(DeviceAnswered(answer=answer, session_id=session.session_id))

    @operation(
        Operation(
            "addDeviceCandidate",
            "Trickle a candidate",
            Tag.OTHER_DIALECTS,
            {200: Answer("It was taken, or is none that can be reached from here.", Done)},
            ("malformed_sdp", "session_not_found", "too_many_requests"),
            body=DeviceCandidateRequest,
        )
    )
    async def add_candidate(self, request: web.Request) -> web.Response:
        asked = await read_json(request, DeviceCandidateRequest)
        caller, device_id = caller_of(request), request.match_info["device_id"]
        fragment = fragment_of(candidate_of(asked.candidate))
        session_id = asked.session_id or await self._newest.session_id(_key(caller, device_id))
        if session_id is None:
            raise NotFound(
                f"you have no session on {device_id[:100]!r}: the offer comes first", code="session_not_found"
            )
        self._service.session(session_id, caller).add_candidates(fragment)
        return respond(Done(status="ok"))


Key = tuple[str | None, str, str]
"""User, address and device, as they were named."""


class NewestSessions:
    """The newest session of each key, while it is opened and until it ends. Bounded."""

    def __init__(self, capacity: int = MAX_REMEMBERED) -> None:
        self._capacity = capacity
        self._sessions: OrderedDict[Key, asyncio.Future[str | None]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    async def opening(self, key: Key, work: Awaitable[tuple[SessionHandle, str]]) -> tuple[SessionHandle, str]:
        """What `work` gives: a session, which is the newest of `key` from this moment on, and its answer."""
        session_id: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._sessions[key] = session_id
        self._sessions.move_to_end(key)
        if len(self._sessions) > self._capacity:
            self._sessions.popitem(last=False)
        try:
            session, answer = await work
        except BaseException:
            self._forget(key, session_id)
            session_id.set_result(None)
            raise
        session_id.set_result(session.session_id)
        session.watch(partial(self._changed, key, session_id))
        return session, answer

    async def session_id(self, key: Key) -> str | None:
        """The newest session of `key`, once it is there; None when there is none, or it could not be opened."""
        session_id = self._sessions.get(key)
        return None if session_id is None else await asyncio.shield(session_id)

    def _changed(self, key: Key, session_id: asyncio.Future[str | None], change: StateChange) -> None:
        if change.kind == "session" and change.state in ("failed", "closed"):
            self._forget(key, session_id)

    def _forget(self, key: Key, session_id: asyncio.Future[str | None]) -> None:
        # A newer one may have taken its place.
        if self._sessions.get(key) is session_id:
            del self._sessions[key]


def _key(caller: Caller, device_id: str) -> Key:
    return caller.user_id, caller.address, device_id

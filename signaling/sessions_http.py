"""Sessions over plain HTTP, as older front-ends know them: we offer and they answer, or the other way round.

POST   /api/media/sessions                    {deviceId, userId} -> our offer; with {offer} -> our answer
POST   /api/media/sessions/answer             {sessionId, answer}
POST   /api/media/sessions/ice-candidate      {sessionId, candidate}
POST   /api/media/sessions/ice-candidates     {sessionId, candidates}
GET    /api/media/sessions                    the caller's
GET    /api/media/sessions/{id}               and /explain: why it looks as it does
DELETE /api/media/sessions/{id}
GET    /api/media/stats
GET    /api/media/turn-credentials
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from aiohttp import hdrs, web
from pydantic import BaseModel

from signaling.bodies import (
    AnswerRequest,
    CandidateRequest,
    CandidatesAdded,
    CandidatesRequest,
    Done,
    Explanation,
    IceServer,
    IceServers,
    OurOffer,
    SessionAnswered,
    SessionBody,
    SessionList,
    SessionOffered,
    SessionRequest,
    Statistics,
    candidate_of,
    sdp_of,
)
from signaling.caller import Caller
from signaling.candidates import parse_candidate
from signaling.errors import MalformedSdp
from signaling.guard import caller_of
from signaling.jsep import Candidate, TrickleFragment
from signaling.json_body import JSON, read_json
from signaling.operations import Answer, Operation, Tag, add_route, operation
from signaling.problem_codes import OPENING
from signaling.service import Service, SessionHandle

SESSIONS = "/api/media/sessions"


def add_routes(app: web.Application, service: Service, connection_count: Callable[[web.Application], int]) -> None:
    """Add the routes; `connection_count` knows how many WebSockets of the application are open."""
    sessions = SessionRoutes(service)
    add_route(app, "POST", SESSIONS, sessions.start)
    add_route(app, "GET", SESSIONS, sessions.list)
    add_route(app, "POST", f"{SESSIONS}/answer", sessions.answer)
    add_route(app, "POST", f"{SESSIONS}/ice-candidate", sessions.add_candidate)
    add_route(app, "POST", f"{SESSIONS}/ice-candidates", sessions.add_candidates)
    add_route(app, "GET", f"{SESSIONS}/{{session_id}}", sessions.describe)
    add_route(app, "DELETE", f"{SESSIONS}/{{session_id}}", sessions.end)
    add_route(app, "GET", f"{SESSIONS}/{{session_id}}/explain", sessions.explain)
    add_route(app, "GET", "/api/media/turn-credentials", sessions.turn_credentials)
    add_route(app, "GET", "/api/media/stats", StatisticsRoute(service, connection_count).get)


def respond(body: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A JSON response that no cache keeps."""
    return web.Response(
        status=status,
        text=body.model_dump_json(),
        content_type=JSON,
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


def fragment_of(candidate: str) -> TrickleFragment:
    """What a session is told of one candidate's text; the empty one ends them. Raises `MalformedSdp`."""
    parsed = parse_candidate(candidate)
    return TrickleFragment(
        credentials=None, candidates=(parsed,) if parsed is not None else (), end_of_candidates=not candidate
    )


def ice_servers(service: Service, caller: Caller) -> list[IceServer]:
    """What a browser of the caller puts into `RTCConfiguration`."""
    return IceServers.model_validate({"iceServers": service.ice_servers(caller)}).ice_servers


@dataclass(frozen=True, slots=True)
class SessionRoutes:
    """Everything that is done with sessions."""

    service: Service

    @operation(
        Operation(
            "openSession",
            "Watch a device",
            Tag.SESSIONS,
            {201: Answer("Our offer, or our answer.", (SessionOffered, SessionAnswered), headers=("Location",))},
            OPENING,
            body=SessionRequest,
            description="Without an `offer` the service offers and the answer goes to `/sessions/answer`; with one it"
            " is answered at once. Both descriptions have all of our candidates.",
        )
    )
    async def start(self, request: web.Request) -> web.Response:
        asked = await read_json(request, SessionRequest)
        caller = caller_of(request)
        caller = replace(caller, user_id=caller.acting_as(asked.user_id))
        started: BaseModel
        if asked.offer is None:
            session, sdp = await self.service.offer(asked.device_id, caller)
            started = SessionOffered(
                session_id=session.session_id,
                offer=OurOffer(type="offer", sdp=sdp),
                ice_servers=ice_servers(self.service, caller),
            )
        else:
            session, sdp = await self.service.answer(asked.device_id, sdp_of(asked.offer), caller)
            started = SessionAnswered(
                id=session.session_id,
                session_id=session.session_id,
                answer=sdp,
                ice_servers=ice_servers(self.service, caller),
            )
        return respond(started, status=201, headers={hdrs.LOCATION: f"{SESSIONS}/{session.session_id}"})

    @operation(
        Operation(
            "answerSession",
            "Answer our offer",
            Tag.SESSIONS,
            {200: Answer("The session connects.", Done)},
            ("malformed_sdp", "session_not_found", "no_common_codec", "wrong_state"),
            body=AnswerRequest,
        )
    )
    async def answer(self, request: web.Request) -> web.Response:
        asked = await read_json(request, AnswerRequest)
        self._session(asked.session_id, request).accept_answer(sdp_of(asked.answer))
        return respond(Done(status="ok"))

    @operation(
        Operation(
            "addCandidate",
            "Trickle a candidate",
            Tag.SESSIONS,
            {200: Answer("It was taken, or is none that can be reached from here.", Done)},
            ("malformed_sdp", "session_not_found", "too_many_requests"),
            body=CandidateRequest,
        )
    )
    async def add_candidate(self, request: web.Request) -> web.Response:
        asked = await read_json(request, CandidateRequest)
        self._session(asked.session_id, request).add_candidates(fragment_of(candidate_of(asked.candidate)))
        return respond(Done(status="ok"))

    @operation(
        Operation(
            "addCandidates",
            "Trickle several candidates",
            Tag.SESSIONS,
            {200: Answer("Those that could be read were taken.", CandidatesAdded)},
            ("session_not_found", "too_many_requests"),
            body=CandidatesRequest,
        )
    )
    async def add_candidates(self, request: web.Request) -> web.Response:
        asked = await read_json(request, CandidatesRequest)
        session = self._session(asked.session_id, request)
        fragments = []
        for given in asked.candidates:
            try:
                fragments.append(fragment_of(candidate_of(given)))
            except MalformedSdp:
                continue  # The others are as good as without it; the count tells.
        found: list[Candidate] = [candidate for fragment in fragments for candidate in fragment.candidates]
        is_end = any(fragment.end_of_candidates for fragment in fragments)
        session.add_candidates(TrickleFragment(credentials=None, candidates=tuple(found), end_of_candidates=is_end))
        return respond(CandidatesAdded(status="ok", added=len(fragments), total=len(asked.candidates)))

    @operation(
        Operation(
            "listSessions",
            "The caller's sessions",
            Tag.SESSIONS,
            {200: Answer("Those that are open, and those that failed a while ago.", SessionList)},
        )
    )
    async def list(self, request: web.Request) -> web.Response:
        sessions = [SessionBody.of(session) for session in self.service.sessions(caller_of(request))]
        return respond(SessionList(sessions=sessions, total=len(sessions)))

    @operation(
        Operation(
            "describeSession",
            "One session",
            Tag.SESSIONS,
            {200: Answer("How it is now.", SessionBody)},
            ("session_not_found",),
        )
    )
    async def describe(self, request: web.Request) -> web.Response:
        return respond(
            SessionBody.of(self.service.describe_session(request.match_info["session_id"], caller_of(request)))
        )

    @operation(
        Operation(
            "endSession",
            "Stop watching",
            Tag.SESSIONS,
            {200: Answer("It is over, and everything it held is free.", Done)},
            ("session_not_found",),
        )
    )
    async def end(self, request: web.Request) -> web.Response:
        await self.service.end(request.match_info["session_id"], caller_of(request))
        return respond(Done(status="ok"))

    @operation(
        Operation(
            "explainSession",
            "Why a session looks as it does",
            Tag.SESSIONS,
            {200: Answer("Codec, coding, path, loss, bottleneck and keyframes, with the reasons.", Explanation)},
            ("session_not_found",),
        )
    )
    async def explain(self, request: web.Request) -> web.Response:
        explained = self.service.explain(request.match_info["session_id"], caller_of(request))
        return respond(Explanation(dict(explained)))

    @operation(
        Operation(
            "getTurnCredentials",
            "STUN and TURN servers",
            Tag.SESSIONS,
            {200: Answer("With credentials of the caller's own, which expire.", IceServers)},
            description="The same as `/api/media/ice-servers`.",
        )
    )
    async def turn_credentials(self, request: web.Request) -> web.Response:
        return respond(IceServers(ice_servers=ice_servers(self.service, caller_of(request))))

    def _session(self, session_id: str, request: web.Request) -> SessionHandle:
        return self.service.session(session_id, caller_of(request))


@dataclass(frozen=True, slots=True)
class StatisticsRoute:
    """How much there is of everything."""

    service: Service
    connection_count: Callable[[web.Application], int]

    @operation(
        Operation(
            "getStatistics",
            "How much there is",
            Tag.SESSIONS,
            {200: Answer("Counts of this process.", Statistics)},
        )
    )
    async def get(self, request: web.Request) -> web.Response:
        return respond(Statistics.of(self.service.statistics(), self.connection_count(request.app)))

"""One control WebSocket: what its messages do, and the sessions that were opened through it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, assert_never

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from capture.errors import CaptureError
from signaling.caller import Caller
from signaling.candidates import parse_candidate
from signaling.choices import QualityChoice, SoundChoice
from signaling.errors import Conflict, MalformedMessage, NotFound, SignalingError
from signaling.input_messages import Input
from signaling.jsep import TrickleFragment
from signaling.messages import (
    BrowserAnswer,
    BrowserMessage,
    BrowserOffer,
    Error,
    InputAck,
    Join,
    KeyframeRequest,
    Leave,
    Ok,
    Ping,
    Pong,
    ServerAnswer,
    ServerMessage,
    ServerOffer,
    StateChange,
    Stats,
    StatsSubscription,
    TrickledCandidate,
    parse,
    serialize,
)
from signaling.outbox import Outbox
from signaling.problems import INTERNAL_ERROR, told
from signaling.service import Service, SessionHandle

MAX_SESSIONS = 64
"""Sessions of one socket: a wall of phones on one page."""

MAX_WAITING_INPUTS = 256
"""Input events of one socket that devices have not taken yet."""

MAX_MALFORMED = 20
"""Malformed messages in a row after which the socket is closed: that is no client of ours."""

_log = structlog.get_logger(__name__)


class Connection:
    """One socket and the sessions that were opened through it; they end with it."""

    def __init__(self, service: Service, socket: web.WebSocketResponse, caller: Caller) -> None:
        self._service = service
        self._caller = caller
        self._socket = socket
        self._outbox = Outbox()
        self._sessions: dict[str, SessionHandle] = {}
        self._unwatch: dict[str, Callable[[], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._openings: set[asyncio.Task[None]] = set()
        self._statistics: dict[str, asyncio.Task[None]] = {}
        self._waiting_inputs = 0
        self._malformed_in_a_row = 0

    async def run(self) -> None:
        """Serve the socket until it is closed."""
        code, reason = int(WSCloseCode.OK), ""
        try:
            async with asyncio.TaskGroup() as group:
                self._start(group, self._send())
                try:
                    code, reason = await self._receive(group)
                finally:
                    for task in self._tasks:
                        task.cancel()
        except* ConnectionError:
            pass  # The browser is gone; there is nobody left to be told.
        except* Exception:
            code, reason = WSCloseCode.INTERNAL_ERROR, "something went wrong here"
            _log.exception("a WebSocket crashed")
        finally:
            await self._end_sessions(tuple(self._sessions))
        await self._socket.close(code=code, message=reason.encode(), drain=False)
        if self._outbox.dropped:
            _log.info("a WebSocket was too slow", dropped=dict(self._outbox.dropped))

    def _start(self, group: asyncio.TaskGroup, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do `work` beside the receiving; it is cancelled when that ends."""
        task = group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _send(self) -> None:
        while True:
            await self._socket.send_str(await self._outbox.next())

    async def _receive(self, group: asyncio.TaskGroup) -> tuple[int, str]:
        """Take messages until the socket is closed, or has to be: then with what is returned."""
        async for frame in self._socket:
            if frame.type is WSMsgType.ERROR:
                break  # A broken frame: aiohttp has closed the socket, with the code that says why.
            if frame.type is WSMsgType.TEXT:
                await self._take(frame.data, group)
            else:
                self._refuse(MalformedMessage("a message is a text frame with JSON in it, not a binary one"), None)
                self._malformed_in_a_row += 1
            if self._malformed_in_a_row >= MAX_MALFORMED:
                return WSCloseCode.POLICY_VIOLATION, f"{MAX_MALFORMED} malformed messages in a row"
            if self._outbox:
                # Of many frames that came at once, the replies to the first ones leave before the last.
                await asyncio.sleep(0)
            if self._outbox.is_overrun:
                return WSCloseCode.POLICY_VIOLATION, "the replies are not read"
        return WSCloseCode.OK, ""

    async def _take(self, text: str, group: asyncio.TaskGroup) -> None:
        try:
            message, message_id = parse(text)
        except MalformedMessage as error:
            self._malformed_in_a_row += 1
            self._refuse(error, error.message_id)
            return
        self._malformed_in_a_row = 0
        seq = message.seq if isinstance(message, Input) else None
        await self._answering(partial(self._act, message, message_id, group), message_id, seq)

    async def _act(self, message: BrowserMessage, message_id: int | None, group: asyncio.TaskGroup) -> None:
        match message:
            case Input():
                session = await self._session(message.session_id, message.device_id)
                self._start_input(session, message, message_id, group)
            case Ping():
                self._reply(Pong(), message_id)
            case Join() | BrowserOffer():
                self._start_opening(message, message_id, group)
            case BrowserAnswer():
                (await self._session(message.session_id)).accept_answer(message.sdp)
                self._done(message_id)
            case TrickledCandidate():
                candidate = parse_candidate(message.candidate)
                (await self._session(message.session_id)).add_candidates(
                    TrickleFragment(
                        credentials=None,
                        candidates=(candidate,) if candidate is not None else (),
                        end_of_candidates=not message.candidate,
                        mid=message.sdp_mid,
                    )
                )
                self._done(message_id)
            case KeyframeRequest():
                (await self._session(message.session_id)).request_keyframe()
                self._done(message_id)
            case SoundChoice():
                (await self._session(message.session_id)).choose_sound(message.is_wanted)
                self._done(message_id)
            case QualityChoice():
                (await self._session(message.session_id)).choose_quality(message)
                self._done(message_id)
            case StatsSubscription():
                session = await self._session(message.session_id)
                self._subscribe(session, message.period_ms, group)
                self._done(message_id)
            case Leave():
                await self._leave(message)
                self._done(message_id)
            case _:
                assert_never(message)

    # Sessions.

    def _start_opening(self, message: Join | BrowserOffer, message_id: int | None, group: asyncio.TaskGroup) -> None:
        """Open a session beside what else is said: a device may take seconds to show its first picture."""
        if len(self._sessions) + len(self._openings) >= MAX_SESSIONS:
            raise Conflict(f"one connection has at most {MAX_SESSIONS} sessions", code="too_many_sessions")
        task = self._start(group, self._answering(partial(self._open, message, message_id), message_id))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    async def _open(self, message: Join | BrowserOffer, message_id: int | None) -> None:
        reply: ServerMessage
        if isinstance(message, Join):
            session, sdp = await self._service.offer(message.device_id, self._caller)
            reply = ServerOffer(session.session_id, sdp)
        else:
            session, sdp = await self._service.answer(message.device_id, message.sdp, self._caller)
            reply = ServerAnswer(session.session_id, sdp)
        self._sessions[session.session_id] = session
        self._reply(reply, message_id)
        self._unwatch[session.session_id] = session.watch(partial(self._changed, session))

    async def _session(self, session_id: str | None, device_id: str | None = None) -> SessionHandle:
        """The session that a message is for."""
        if session_id is not None:
            session = self._sessions.get(session_id)
            if session is None:
                raise NotFound(f"this connection has no session {session_id!r}", code="session_not_found")
            return session
        if not self._sessions and self._openings:
            # A browser trickles candidates right behind its offer, before it knows the session's id.
            await asyncio.wait(self._openings)
        sessions = [one for one in self._sessions.values() if device_id is None or one.device_id == device_id]
        if len(sessions) != 1:
            whose = "this connection" if device_id is None else f"this connection with {device_id!r}"
            raise Conflict(
                f"{whose} has {len(sessions)} sessions: "
                + ("sessionId must say which is meant" if sessions else "join or offer comes first"),
                code="session_ambiguous" if sessions else "no_session",
            )
        return sessions[0]

    async def _leave(self, message: Leave) -> None:
        if message.session_id is None and message.device_id is not None:
            await self._end_sessions(
                tuple(key for key, session in self._sessions.items() if session.device_id == message.device_id)
            )
        else:
            await self._end_sessions(((await self._session(message.session_id)).session_id,))

    async def _end_sessions(self, session_ids: tuple[str, ...]) -> None:
        ending = [self._sessions[session_id] for session_id in session_ids]
        for session_id in session_ids:
            self._forget(session_id)
        await asyncio.gather(*(session.aclose("the viewer left") for session in ending))

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        if (stop := self._unwatch.pop(session_id, None)) is not None:
            stop()
        if (task := self._statistics.pop(session_id, None)) is not None:
            task.cancel()

    def _changed(self, session: SessionHandle, change: StateChange) -> None:
        self._push(f"{change.kind}-state", change)
        if change.kind == "session" and change.state in ("failed", "closed"):
            self._forget(session.session_id)

    # Input and statistics.

    def _start_input(
        self, session: SessionHandle, message: Input, message_id: int | None, group: asyncio.TaskGroup
    ) -> None:
        if self._waiting_inputs >= MAX_WAITING_INPUTS:
            raise Conflict(f"{MAX_WAITING_INPUTS} inputs wait for their devices already", code="input_rejected")
        self._waiting_inputs += 1
        self._start(
            group, self._answering(partial(self._inject, session, message, message_id), message_id, message.seq)
        )

    async def _inject(self, session: SessionHandle, message: Input, message_id: int | None) -> None:
        received_at = time.monotonic()
        try:
            injected_at = await session.inject(message.event)
        finally:
            self._waiting_inputs -= 1
        self._done(message_id)
        if message.seq is not None:
            wall_clock = time.time() - (time.monotonic() - injected_at)
            self._reply(InputAck(message.seq, wall_clock * 1000, (injected_at - received_at) * 1000), None)

    def _subscribe(self, session: SessionHandle, period_ms: int, group: asyncio.TaskGroup) -> None:
        if (task := self._statistics.pop(session.session_id, None)) is not None:
            task.cancel()
        if period_ms:
            push = partial(self._push_statistics, session, period_ms / 1000)
            pushing = self._start(group, self._answering(push, None))
            self._statistics[session.session_id] = pushing

    async def _push_statistics(self, session: SessionHandle, period: float) -> None:
        while True:
            self._push("stats", Stats(session.session_id, session.statistics()))
            await asyncio.sleep(period)

    # What is said.

    async def _answering(
        self, work: Callable[[], Awaitable[None]], message_id: int | None, seq: int | None = None
    ) -> None:
        """Do `work`; what cannot be done is said, and costs the other sessions of the socket nothing."""
        try:
            await work()
        except SignalingError as error:
            self._refuse(error, message_id, seq)
        except CaptureError as error:
            self._refuse(told(error), message_id, seq)
        except Exception:
            _log.exception("a message crashed")
            self._refuse(INTERNAL_ERROR, message_id, seq)

    def _done(self, message_id: int | None) -> None:
        if message_id is not None:
            self._reply(Ok(), message_id)

    def _refuse(self, error: SignalingError, message_id: int | None, seq: int | None = None) -> None:
        self._reply(Error(error.code, error.detail, error.retry_after, seq), message_id)

    def _reply(self, message: ServerMessage, message_id: int | None) -> None:
        self._outbox.reply(serialize(message, message_id))

    def _push(self, kind: str, message: ServerMessage) -> None:
        self._outbox.push(kind, serialize(message))

"""One control WebSocket: what its messages do.

Whose it is is known when the socket is opened. A token that ends later ends neither the socket nor its sessions, but no
other session is opened or joined with it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import assert_never

from aiohttp import web

from capture.input_events import ReadClipboard
from signaling.browser_messages import (
    Attach,
    BrowserAnswer,
    BrowserMessage,
    BrowserOffer,
    Join,
    KeyframeRequest,
    Leave,
    Ping,
    StatsSubscription,
    TrickledCandidate,
)
from signaling.caller import Caller
from signaling.candidates import parse_candidate
from signaling.choices import QualityChoice, SoundChoice
from signaling.claims import LEEWAY
from signaling.errors import Conflict, Unauthorized
from signaling.input_messages import ClipboardRequest, Input
from signaling.jsep import TrickleFragment
from signaling.message_socket import MAX_MALFORMED, MessageSocket
from signaling.server_messages import (
    InputAck,
    Pong,
    ServerAnswer,
    ServerMessage,
    ServerOffer,
    StateChange,
    Stats,
    clipboard_answer,
)
from signaling.service import Service, SessionHandle
from signaling.socket_sessions import SocketSessions

__all__ = ["MAX_MALFORMED", "MAX_SESSIONS", "MAX_WAITING_INPUTS", "Connection"]

MAX_SESSIONS = 64
"""Sessions of one socket: a wall of phones on one page."""

MAX_WAITING_INPUTS = 256
"""Input events of one socket that devices have not taken yet."""


class Connection:
    """One socket and the sessions it speaks for. Those that were opened through it end with it, joined ones go on."""

    def __init__(
        self,
        service: Service,
        socket: web.WebSocketResponse,
        caller: Caller,
        clock: Callable[[], float] = time.time,
        refused: Counter[str] | None = None,
    ) -> None:
        """`clock` gives the seconds since 1970; `refused` counts messages answered by an error, by its code."""
        self._service = service
        self._caller = caller
        self._clock = clock
        self._socket = MessageSocket(socket, Counter() if refused is None else refused)
        self._sessions = SocketSessions()
        self._openings: set[asyncio.Task[None]] = set()
        self._statistics: dict[str, asyncio.Task[None]] = {}
        self._waiting_inputs = 0

    async def run(self) -> None:
        """Serve the socket until it is closed."""
        try:
            code, reason = await self._socket.serve(self._act)
        finally:
            ending = self._sessions.ending
            for session in self._sessions:
                self._sessions.forget(session.session_id)
            await self._end(ending)
        await self._socket.close(code, reason)

    def tell(self, message: ServerMessage) -> None:
        """Send what nobody asked for, and what everybody should know."""
        self._socket.push("told", message)

    async def _act(self, message: BrowserMessage, message_id: int | None) -> None:
        match message:
            case Input() | ClipboardRequest():
                self._start_input(await self._session(message.session_id, message.device_id), message, message_id)
            case Ping():
                self._socket.reply(Pong(), message_id)
            case Join() | BrowserOffer():
                self._start_opening(message, message_id)
            case Attach():
                self._attach(message.session_id, message_id)
            case BrowserAnswer():
                (await self._session(message.session_id)).accept_answer(message.sdp)
                self._socket.done(message_id)
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
                self._socket.done(message_id)
            case KeyframeRequest():
                (await self._session(message.session_id)).request_keyframe()
                self._socket.done(message_id)
            case SoundChoice():
                (await self._session(message.session_id)).choose_sound(message.is_wanted)
                self._socket.done(message_id)
            case QualityChoice():
                (await self._session(message.session_id)).choose_quality(message)
                self._socket.done(message_id)
            case StatsSubscription():
                self._subscribe(await self._session(message.session_id), message.period_ms)
                self._socket.done(message_id)
            case Leave():
                await self._leave(message)
                self._socket.done(message_id)
            case _:
                assert_never(message)

    # Sessions.

    def _start_opening(self, message: Join | BrowserOffer, message_id: int | None) -> None:
        """Open a session beside what else is said: a device may take seconds to show its first picture."""
        self._require_room()
        task = self._socket.start(self._socket.answering(partial(self._open, message, message_id), message_id))
        self._openings.add(task)
        task.add_done_callback(self._openings.discard)

    def _require_room(self) -> None:
        """Raises an error unless another session may be had on this socket."""
        ends_at = self._caller.expires_at
        if ends_at is not None and self._clock() >= ends_at + LEEWAY:
            raise Unauthorized(
                "the token that opened this connection has expired: what it watches goes on, but another session needs "
                "a connection with a new token",
                code="token_expired",
            )
        if len(self._sessions) + len(self._openings) >= MAX_SESSIONS:
            raise Conflict(f"one connection has at most {MAX_SESSIONS} sessions", code="too_many_sessions")

    async def _open(self, message: Join | BrowserOffer, message_id: int | None) -> None:
        reply: ServerMessage
        if isinstance(message, Join):
            session, sdp = await self._service.offer(message.device_id, self._caller)
            reply = ServerOffer(session.session_id, sdp)
        else:
            session, sdp = await self._service.answer(message.device_id, message.sdp, self._caller)
            reply = ServerAnswer(session.session_id, sdp)
        self._sessions.add(session, called=message.device_id, ends_with_socket=True)
        self._socket.reply(reply, message_id)
        self._watch(session)

    def _attach(self, session_id: str, message_id: int | None) -> None:
        """Speak for a session that the same caller opened elsewhere."""
        if session_id in self._sessions:
            self._socket.done(message_id)
            return
        self._require_room()
        session = self._service.session(session_id, self._caller)
        self._sessions.add(session, ends_with_socket=False)
        self._socket.done(message_id)
        self._socket.push("session-state", StateChange("session", session_id, session.device_id, session.state, ""))
        self._watch(session)

    def _watch(self, session: SessionHandle) -> None:
        self._sessions.when_forgotten(session.session_id, partial(self._unsubscribe, session.session_id))
        self._sessions.when_forgotten(session.session_id, session.watch(partial(self._changed, session)))

    async def _session(self, session_id: str | None, device_id: str | None = None) -> SessionHandle:
        """The session that a message is for."""
        if session_id is None and not self._sessions and self._openings:
            # A browser trickles candidates right behind its offer, before it knows the session's id.
            await asyncio.wait(self._openings)
        return self._sessions.find(session_id, device_id)

    async def _leave(self, message: Leave) -> None:
        if message.session_id is None and message.device_id is not None:
            if self._openings:
                # What was asked for before is left too, though it is not there yet.
                await asyncio.wait(self._openings)
            await self._end(self._sessions.of_device(message.device_id))
        else:
            await self._end([await self._session(message.session_id)])

    async def _end(self, sessions: list[SessionHandle]) -> None:
        for session in sessions:
            self._sessions.forget(session.session_id)
        await asyncio.gather(*(session.aclose("the viewer left") for session in sessions))

    def _changed(self, session: SessionHandle, change: StateChange) -> None:
        self._socket.push(f"{change.kind}-state", change)
        if change.kind == "session" and change.state in ("failed", "closed"):
            self._sessions.forget(session.session_id)

    # Input and statistics.

    def _start_input(self, session: SessionHandle, message: Input | ClipboardRequest, message_id: int | None) -> None:
        if self._waiting_inputs >= MAX_WAITING_INPUTS:
            raise Conflict(f"{MAX_WAITING_INPUTS} inputs wait for their devices already", code="input_rejected")
        self._waiting_inputs += 1
        work = partial(self._inject, session, message, message_id)
        self._socket.start(self._socket.answering(work, message_id, message.seq))

    async def _inject(self, session: SessionHandle, message: Input | ClipboardRequest, message_id: int | None) -> None:
        received_at = time.monotonic()
        seq = message.seq
        try:
            if isinstance(message, Input):
                injected_at = await session.inject(message.event)
                self._socket.done(message_id)
            else:
                injected_at = await session.inject(
                    ReadClipboard(lambda text: self._socket.reply(clipboard_answer(text, seq), message_id))
                )
        finally:
            self._waiting_inputs -= 1
        if seq is not None:
            wall_clock = time.time() - (time.monotonic() - injected_at)
            self._socket.reply(InputAck(seq, wall_clock * 1000, (injected_at - received_at) * 1000), None)

    def _subscribe(self, session: SessionHandle, period_ms: int) -> None:
        self._unsubscribe(session.session_id)
        if period_ms:
            push = partial(self._push_statistics, session, period_ms / 1000)
            self._statistics[session.session_id] = self._socket.start(self._socket.answering(push, None))

    def _unsubscribe(self, session_id: str) -> None:
        if (task := self._statistics.pop(session_id, None)) is not None:
            task.cancel()

    async def _push_statistics(self, session: SessionHandle, period: float) -> None:
        while True:
            self._socket.push("stats", Stats(session.session_id, session.statistics()))
            await asyncio.sleep(period)

"""All sessions of the process, and the service that the signaling routes ask (`signaling.service.Service`)."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from capture.controller import Controller
from capture.source import Sources
from media_service.admission import Admission, Limits, Place
from media_service.device_access import DeviceAccess
from media_service.device_description import describe, names_of
from media_service.devices import ONLINE, Device, Devices
from media_service.explanation import explain
from media_service.failed_sessions import FailedSessions
from media_service.ownership import Holdings, Ownership
from media_service.rtc.viewer import ntp_time
from media_service.rung_encoder import Transcoding
from media_service.session import Session, Surroundings
from media_service.session_record import SessionObserver, SessionRecord
from media_service.session_state import SessionEvent, SessionState
from media_service.stream import Stream, StreamState
from media_service.streams import Streams
from media_service.totals import Totals
from media_service.tracing import Join
from media_service.visibility import Visibility
from signaling.answerer import create_answer, parse_offer
from signaling.caller import Caller, Capability
from signaling.errors import Full, NotFound
from signaling.offerer import create_offer
from signaling.server_messages import Error
from signaling.service import DeviceDescription, ServiceStatistics, SessionDescription

IceServers = Sequence[dict[str, str | list[str]]]

FIRST_PICTURE_TIMEOUT = 20.0
"""Seconds that a viewer waits for a source to begin: time for a phone to fail in one way and begin in another."""

REMEMBERED = 1800.0
"""Seconds that a failed session is listed."""

_DRAINING_RETRY = 5
_ROUND = 1.0
_SLICES = 5


def _no_ice_servers(caller: Caller) -> IceServers:
    return ()


def draining(patience: float) -> Error:
    """What viewers are told when the service is about to stop, in `patience` seconds at most."""
    return Error("draining", f"the service stops within {patience:g} s", retry_after=_DRAINING_RETRY)


class Sessions:
    """Opens sessions on streams, and looks after them until they end."""

    def __init__(
        self,
        surroundings: Surroundings,
        devices: Devices,
        sources: Sources,
        open_shell: Callable[[str], Controller],
        *,
        grace: float,
        ice_servers: Callable[[Caller], IceServers] = _no_ice_servers,
        limits: Limits | None = None,
        remembered: float = REMEMBERED,
        observers: Sequence[SessionObserver] = (),
        ownership: Ownership | None = None,
        transcoding: Transcoding | None = None,
        always_encoded: str = "",
    ) -> None:
        """`open_shell` gives what injects input by the shell of the phone of that serial.

        Failed sessions stay listed for `remembered` seconds. `ownership` says which devices are ours to capture;
        without it all are. Without `transcoding` nothing is coded again; `always_encoded` says why everything is.
        """
        self.streams = Streams(
            surroundings.tasks,
            surroundings.egress,
            self._stream_changed,
            grace=grace,
            transcoding=transcoding,
            always_encoded=always_encoded,
        )
        self.totals = Totals()
        self.opened = 0
        self.failed = 0
        self.is_draining = False
        """Whether no more sessions are opened, since the service is about to stop."""
        self.admission = Admission(limits or Limits())
        self._surroundings = surroundings
        self._visibility = Visibility(devices)
        self._device_access = DeviceAccess(devices, sources, open_shell, surroundings.tasks)
        self._ice_servers = ice_servers
        self._observers = observers
        self._holdings = Holdings(ownership)
        self._sessions: dict[str, Session] = {}
        self._failed = FailedSessions(remembered)
        self._is_empty = asyncio.Event()
        self._is_empty.set()

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    async def answer(self, device_id: str, offer_sdp: str, caller: Caller) -> tuple[Session, str]:
        offer = parse_offer(offer_sdp)
        async with self._opening(device_id, caller) as (session, profile_level_id):
            ssrc, rtx_ssrc, audio_ssrc = _new_ssrcs()
            text, negotiated = create_answer(
                offer,
                profile_level_id,
                session.local_transport(),
                session_id=secrets.randbits(62),
                ssrc=ssrc,
                rtx_ssrc=rtx_ssrc,
                audio_ssrc=audio_ssrc if session.stream.has_audio else None,
                feedback=self._surroundings.feedback,
            )
            session.answered(negotiated)
            return session, text

    async def offer(self, device_id: str, caller: Caller) -> tuple[Session, str]:
        async with self._opening(device_id, caller) as (session, profile_level_id):
            ssrc, rtx_ssrc, audio_ssrc = _new_ssrcs()
            text, media = create_offer(
                profile_level_id,
                session.local_transport(),
                session_id=secrets.randbits(62),
                ssrc=ssrc,
                rtx_ssrc=rtx_ssrc,
                audio_ssrc=audio_ssrc if session.stream.has_audio else None,
                feedback=self._surroundings.feedback,
            )
            session.offered(media)
            return session, text

    def session(self, session_id: str, caller: Caller) -> Session:
        session = self._sessions.get(session_id)
        if session is None or not self._visibility.covers(caller, session.user_id, session.device_id):
            raise _no_such_session()
        if session.may_control:
            # What a stronger token of the same user opened is not lent to a weaker one.
            caller.require(Capability.CONTROL, self._visibility.names(session.device_id))
        return session

    def sessions(self, caller: Caller) -> Sequence[SessionDescription]:
        records = (*(session.record() for session in self), *self._failed)
        return [_described(each) for each in records if self._visibility.covers(caller, each.user_id, each.device_id)]

    def describe_session(self, session_id: str, caller: Caller) -> SessionDescription:
        session = self._sessions.get(session_id)
        record = session.record() if session is not None else self._failed.get(session_id)
        if record is None or not self._visibility.covers(caller, record.user_id, record.device_id):
            raise _no_such_session()
        return _described(record)

    def explain(self, session_id: str, caller: Caller) -> Mapping[str, Any]:
        self.describe_session(session_id, caller)
        session = self._sessions.get(session_id)
        return explain(session) if session is not None else self._failed.explanation(session_id) or {}

    async def end(self, session_id: str, caller: Caller) -> None:
        if session_id in self._sessions:
            await self.session(session_id, caller).aclose("the viewer left")
        else:
            self.describe_session(session_id, caller)
            self._failed.forget(session_id)

    def statistics(self) -> ServiceStatistics:
        states = Counter(session.state for session in self)
        return ServiceStatistics(
            total_sessions=len(self) + len(self._failed),
            active_sessions=states[SessionState.CONNECTED],
            connecting_sessions=states[SessionState.NEW] + states[SessionState.CONNECTING],
            failed_sessions=len(self._failed),
            opened_sessions=self.opened,
            streams=len(self.streams),
        )

    async def devices(self, caller: Caller) -> Sequence[DeviceDescription]:
        visible = self._visibility.devices(caller)
        return [describe(device, self.streams.get(device.device_id)) for device in visible]

    async def device(self, device_id: str, caller: Caller) -> DeviceDescription:
        device = self._visibility.device(device_id, caller)
        return describe(device, self.streams.get(device.device_id))

    def ice_servers(self, caller: Caller) -> IceServers:
        return self._ice_servers(caller)

    def device_changed(self, device_id: str, state: str) -> None:
        """Have a stream that waits for its device try again at once when that is back."""
        stream = self.streams.get(device_id)
        if stream is not None and state == ONLINE:
            stream.retry()

    async def drain(self, patience: float) -> None:
        """Open no more sessions, tell every viewer, and wait until all have left, `patience` seconds at most."""
        self.is_draining = True
        for session in self:
            session.tell(draining(patience))
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._is_empty.wait()

    async def look_after(self) -> None:
        """Send sender reports, look after the streams and end what has lost consent, once per second. Never ends."""
        # In slices: a report costs some 15 microseconds, and there may be hundreds of viewers.
        turn = 0
        while True:
            await asyncio.sleep(_ROUND / _SLICES)
            self.look(time.monotonic(), time.time(), turn)
            turn = (turn + 1) % _SLICES

    def look(self, now: float, wall_clock: float, turn: int) -> None:
        """One of the five turns of a round, at `now` in monotonic seconds and `wall_clock` in seconds since 1970."""
        if turn == 0:
            for stream in tuple(self.streams):
                stream.look(now)
        for stream in tuple(self.streams):
            stream.renditions.look(now)
        ntp = ntp_time(wall_clock)
        for session in tuple(self._sessions.values())[turn::_SLICES]:
            if not session.has_consent(now):
                session.close(SessionEvent.BROKE, "the browser is not heard of any more")
            elif session.viewer is not None:
                session.viewer.send_report(now, ntp)

    async def forget_failed(self, interval: float) -> None:
        """Every `interval` seconds forget the failed sessions that were remembered for long enough. Never ends."""
        while True:
            await asyncio.sleep(interval)
            self.sweep(time.time())

    def sweep(self, wall_clock: float) -> None:
        """Forget the failed sessions that were remembered for long enough at `wall_clock`, seconds since 1970."""
        self._failed.sweep(wall_clock)

    async def aclose(self) -> None:
        """Say goodbye to every viewer."""
        await asyncio.gather(*(session.aclose("the service stops") for session in self))

    @asynccontextmanager
    async def _opening(self, device_id: str, caller: Caller) -> AsyncIterator[tuple[Session, str]]:
        """A new session on the device's stream, and the stream's profile; undone when the block raises."""
        device = self._visibility.find(device_id, caller)
        caller.require(Capability.VIEW, names_of(device))
        self._require_open()
        place = self.admission.take(caller.user_id, device.device_id, time.monotonic())
        join = self._surroundings.tracing.join(device.device_id)
        try:
            async with self._holdings.opening(device.device_id):
                stream = self.streams.hold(device.device_id, self._device_access.opener(device))
            try:
                profile_level_id = await stream.ready(FIRST_PICTURE_TIMEOUT)
                self._require_open()  # It may have begun to stop while the device was waited for.
            except BaseException:
                self.streams.release(stream)
                raise
        except BaseException as error:
            place.give_back()
            join.failed(str(error))
            raise
        join.captured(stream.facts.kind if stream.facts is not None else "")
        session = self._add(stream, device, place, join, caller)
        try:
            yield session, profile_level_id
        except BaseException as error:
            await session.aclose(str(error))
            raise
        session.was_announced = True
        for observer in self._observers:
            observer.session_opened(session.record())

    def _require_open(self) -> None:
        if self.is_draining:
            self.admission.refused["draining"] += 1
            raise Full("the service is about to stop", code="draining", retry_after=_DRAINING_RETRY)

    def _add(self, stream: Stream, device: Device, place: Place, join: Join, caller: Caller) -> Session:
        session = Session(
            self._surroundings,
            stream,
            self._device_access.controller(device, stream),
            self._session_ended,
            place,
            join,
            may_control=caller.may(Capability.CONTROL, names_of(device)),
        )
        self._sessions[session.session_id] = session
        self._is_empty.clear()
        self.opened += 1
        return session

    def _session_ended(self, session: Session) -> None:
        self._sessions.pop(session.session_id, None)
        record = session.record()
        if record.state is SessionState.FAILED:
            self.failed += 1
            self._failed.add(record, explain(session))
        self.totals.input_drops.update(session.control.dropped)
        if session.viewer is not None:
            self.totals.viewer_left(session.viewer)
        self.streams.release(session.stream)
        session.place.give_back()
        if not self._sessions:
            self._is_empty.set()
        if session.was_announced:
            for observer in self._observers:
                observer.session_ended(record)

    def _stream_changed(self, stream: Stream) -> None:
        for session in self:
            if session.stream is stream:
                session.stream_changed()
        if stream.state is not StreamState.STOPPED:
            return
        self.totals.stream_stopped(stream)
        if self.streams.get(stream.device_id) is None:
            self._holdings.release(stream.device_id)
        self._device_access.stream_stopped(stream.device_id)


def _described(record: SessionRecord) -> SessionDescription:
    return SessionDescription(
        record.session_id,
        record.device_id,
        record.user_id,
        record.state,
        record.reason,
        record.created_at,
        record.last_active,
    )


def _no_such_session() -> NotFound:
    return NotFound("there is no such session; it may have ended", code="session_not_found")


def _new_ssrcs() -> tuple[int, int, int]:
    """Three different random SSRCs (RFC 3550 section 8.1)."""
    ssrc = secrets.randbits(32) | 3
    return ssrc, ssrc ^ 1, ssrc ^ 2

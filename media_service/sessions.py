"""All sessions of the process, and the service that the signaling routes ask (`signaling.service.Service`)."""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from capture.controller import Controller
from capture.errors import DeviceNotFound, DeviceOffline
from capture.phone_controller import PhoneController
from capture.source import Source, Sources
from media_service.devices import ONLINE, Device, Devices
from media_service.rtc.viewer import ntp_time
from media_service.rung_encoder import Transcoding
from media_service.session import Session, Surroundings
from media_service.session_record import SessionRecord
from media_service.session_state import SessionEvent, SessionState
from media_service.stream import Stream, StreamState
from media_service.streams import Streams
from media_service.totals import Totals
from signaling.answerer import create_answer, parse_offer
from signaling.caller import Caller
from signaling.errors import Full, NotFound
from signaling.offerer import create_offer
from signaling.service import DeviceDescription, ServiceStatistics, SessionDescription

LARGEST_SESSION_COUNT = 1000
FIRST_PICTURE_TIMEOUT = 20.0
"""Seconds that a viewer waits for a source to begin: time for a phone to fail in one way and begin in another."""

_ROUND = 1.0
_SLICES = 5


class Sessions:
    """Opens sessions on streams, and looks after them until they end."""

    def __init__(
        self,
        surroundings: Surroundings,
        devices: Devices,
        sources: Sources,
        ice_servers: Sequence[dict[str, str | list[str]]],
        open_shell: Callable[[str], Controller],
        *,
        grace: float,
        transcoding: Transcoding | None = None,
        always_encoded: str = "",
    ) -> None:
        """`open_shell` gives what injects input by the shell of the phone of that serial.

        Without `transcoding` nothing is coded again; `always_encoded` says why everything is.
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
        self._surroundings = surroundings
        self._devices = devices
        self._sources = sources
        self._ice_servers = ice_servers
        self._open_shell = open_shell
        self._controllers: dict[str, PhoneController] = {}
        self._sessions: dict[str, Session] = {}

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
        if session is None or not caller.owns(session.user_id):
            raise NotFound("there is no such session; it may have ended", code="session_not_found")
        return session

    def sessions(self, caller: Caller) -> Sequence[SessionDescription]:
        return [_described(session.record()) for session in self if caller.owns(session.user_id)]

    def describe_session(self, session_id: str, caller: Caller) -> SessionDescription:
        return _described(self.session(session_id, caller).record())

    def explain(self, session_id: str, caller: Caller) -> Mapping[str, Any]:
        return self.session(session_id, caller).statistics()

    def statistics(self) -> ServiceStatistics:
        states = Counter(session.state for session in self)
        connecting = states[SessionState.NEW] + states[SessionState.CONNECTING]
        return ServiceStatistics(
            len(self), states[SessionState.CONNECTED], connecting, 0, self.opened, len(self.streams)
        )

    async def devices(self, caller: Caller) -> Sequence[DeviceDescription]:
        return [self._describe(device) for device in self._devices]

    async def device(self, device_id: str, caller: Caller) -> DeviceDescription:
        return self._describe(self._devices.find(device_id))

    def ice_servers(self, caller: Caller) -> Sequence[dict[str, str | list[str]]]:
        return self._ice_servers

    async def look_after(self) -> None:
        """Send sender reports, look after the streams and end what has lost consent, once per second. Never ends."""
        # In slices: a report costs some 15 microseconds, and there may be hundreds of viewers.
        turn = 0
        while True:
            await asyncio.sleep(_ROUND / _SLICES)
            now, ntp = time.monotonic(), ntp_time(time.time())
            if turn == 0:
                for stream in tuple(self.streams):
                    stream.look(now)
            for stream in tuple(self.streams):
                stream.renditions.look(now)
            for session in tuple(self._sessions.values())[turn::_SLICES]:
                if not session.has_consent(now):
                    session.close(SessionEvent.BROKE, "the browser is not heard of any more")
                elif session.viewer is not None:
                    session.viewer.send_report(now, ntp)
            turn = (turn + 1) % _SLICES

    async def aclose(self) -> None:
        """Say goodbye to every viewer."""
        await asyncio.gather(*(session.aclose("the service stops") for session in self))

    @asynccontextmanager
    async def _opening(self, device_id: str, caller: Caller) -> AsyncIterator[tuple[Session, str]]:
        """A new session on the device's stream, and the stream's profile; undone when the block raises."""
        device = self._devices.find(device_id)
        if len(self._sessions) >= LARGEST_SESSION_COUNT:
            raise Full(f"{LARGEST_SESSION_COUNT} viewers are connected, which is the limit", retry_after=10)
        stream = self.streams.hold(device.device_id, self._opener(device))
        try:
            profile_level_id = await stream.ready(FIRST_PICTURE_TIMEOUT)
        except BaseException:
            self.streams.release(stream)
            raise
        session = Session(
            self._surroundings, stream, self._controller(device, stream), self._session_ended, caller.user_id
        )
        self._sessions[session.session_id] = session
        self.opened += 1
        try:
            yield session, profile_level_id
        except BaseException as error:
            await session.aclose(str(error))
            raise

    def _opener(self, device: Device) -> Callable[[], Awaitable[Source]]:
        async def open_source() -> Source:
            try:
                # Asked every time: a container's phone may have come back at another address.
                return await self._sources.open(self._devices.source(device.device_id))
            except (DeviceNotFound, DeviceOffline) as error:
                # To adb it is only away; who connects it knows more.
                if reason := self._why_away(device.device_id):
                    raise type(error)(reason) from error
                raise

        return open_source

    def _why_away(self, device_id: str) -> str:
        try:
            return self._devices.find(device_id).reason
        except NotFound:
            return ""

    def device_changed(self, device_id: str, state: str) -> None:
        """Have a stream that waits for its device try again at once when that is back."""
        stream = self.streams.get(device_id)
        if stream is not None and state == ONLINE:
            stream.retry()

    def _controller(self, device: Device, stream: Stream) -> Controller | None:
        """What injects input into a phone; None for what is none."""
        controller = self._controllers.get(device.device_id)
        if controller is None and device.serial is not None:
            controller = self._controllers[device.device_id] = PhoneController(
                lambda: self._devices.source(device.device_id).removeprefix("adb:"),
                self._open_shell,
                lambda: stream.controller,
                stream.wake,
            )
        return controller

    def _session_ended(self, session: Session) -> None:
        self._sessions.pop(session.session_id, None)
        self.failed += session.state is SessionState.FAILED
        self.totals.input_drops.update(session.control.dropped)
        if session.viewer is not None:
            self.totals.viewer_left(session.viewer)
        self.streams.release(session.stream)

    def _stream_changed(self, stream: Stream) -> None:
        for session in self:
            if session.stream is stream:
                session.stream_changed()
        if stream.state is not StreamState.STOPPED:
            return
        self.totals.stream_stopped(stream)
        if stream.device_id in self._controllers:
            controller = self._controllers.pop(stream.device_id)
            self._surroundings.tasks.start(controller.aclose(), f"controller {stream.device_id} closing")

    def _describe(self, device: Device) -> DeviceDescription:
        stream = self.streams.get(device.device_id)
        facts = stream.facts if stream is not None else None
        sps = stream.sps if stream is not None else None
        return DeviceDescription(
            device_id=device.device_id,
            model=device.model,
            state=device.state,
            capture_mode=facts.kind if facts is not None else None,
            reason=device.reason or (stream.reason if stream is not None else ""),
            width=sps.width if sps is not None else None,
            height=sps.height if sps is not None else None,
            viewers=len(stream.renditions.viewers) if stream is not None else 0,
            name=device.name,
            serial=device.serial,
            origin=device.origin,
            audio=facts is not None and facts.has_audio,
            screen=facts.screen if facts is not None else None,
            rotation=facts.rotation if facts is not None else None,
        )


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


def _new_ssrcs() -> tuple[int, int, int]:
    """Three different random SSRCs (RFC 3550 section 8.1)."""
    ssrc = secrets.randbits(32) | 3
    return ssrc, ssrc ^ 1, ssrc ^ 2

"""One viewer's session: from negotiation to goodbye."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Literal

import structlog

from capture.controller import Controller
from capture.input_events import InputEvent
from media_service.admission import Place
from media_service.control import CONTROL_CHANNEL, Control
from media_service.rtc import rtcp
from media_service.rtc.bandwidth import BandwidthEstimator, RateLimits
from media_service.rtc.dtls import Certificate, DtlsFailed, DtlsTransport
from media_service.rtc.egress import Egress
from media_service.rtc.media_port import MediaPort
from media_service.rtc.path import Path
from media_service.rtc.peer import Peer
from media_service.rtc.viewer import Viewer, ntp_time
from media_service.rungs import Wish
from media_service.session_record import SessionRecord
from media_service.session_state import SessionEvent, SessionState, transition
from media_service.session_statistics import statistics_of
from media_service.stream import Stream, StreamState
from media_service.tasks import Tasks
from media_service.tracing import Join, NoTracing, Tracing
from signaling.allowance import Allowance
from signaling.candidates import own_candidates
from signaling.choices import QualityChoice
from signaling.errors import Conflict, TooMany
from signaling.jsep import BandwidthFeedback, LocalTransport, Negotiated, OfferedMedia, TrickleFragment, VideoTrack
from signaling.offerer import accept_answer
from signaling.server_messages import ServerMessage, StateChange, VideoState, serialize
from signaling.service import Listener

_log = structlog.get_logger(__name__)

_NEAR = 0.01
"""Seconds of round trip within which a viewer is taken to be on the same local network."""

_TRICKLES_PER_SECOND = 10
_TRICKLES_AT_ONCE = 200
"""Messages with candidates, and ICE restarts: a browser sends a few dozen as it connects, few as its paths change."""

CONNECT_TIMEOUT = 30.0
"""Seconds to connect: a browser may still gather TURN candidates (RFC 8863 asks for patience)."""


def _ignore(seconds: float) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session shares."""

    port: MediaPort
    certificate: Certificate
    egress: Egress
    tasks: Tasks
    candidates: Callable[[], tuple[str, ...]]
    """What our SDP announces now."""
    observe_join: Callable[[float], None]
    """Gets the seconds from a session's creation to its first media."""
    connect_timeout: float
    """Seconds for ICE and DTLS together."""
    open_estimator: Callable[[VideoTrack, RateLimits, float], BandwidthEstimator]
    """Makes what estimates a viewer's path, by the feedback that was negotiated; the last is the time."""
    feedback: BandwidthFeedback = BandwidthFeedback.REMB
    """What browsers are asked for."""
    observe_first_picture: Callable[[float], None] = _ignore
    """Gets the seconds from a session's creation to its first picture."""
    tracing: Tracing = field(default_factory=NoTracing)


class Session:
    """What one viewer's signaling, transport and stream have in common. Fits `signaling.service.SessionHandle`."""

    def __init__(
        self,
        surroundings: Surroundings,
        stream: Stream,
        controller: Controller | None,
        ended: Callable[["Session"], None],
        place: Place,
        join: Join | None = None,
        *,
        may_control: bool = True,
    ) -> None:
        """`ended` is called once, when everything the session held is free; stream and place are then the caller's.

        `join` is the trace of how it comes about. Without `may_control` its viewer may only watch.
        """
        self.session_id = secrets.token_urlsafe(18)
        self.place = place
        self._join = join or NoTracing().join(stream.device_id)
        self.may_control = may_control
        self.was_announced = False
        """Whether observers were told of it: one that is undone while it opens is none."""
        self.state = SessionState.NEW
        self.reason = ""
        self.created_at = time.time()
        self.ended_at: float | None = None
        self.stream = stream
        self.viewer: Viewer | None = None
        self.negotiated: Negotiated | None = None
        self.control = Control(
            stream.device_id, controller, surroundings.tasks, self._send_control, self, is_allowed=may_control
        )
        self.peer = Peer(surroundings.port, surroundings.certificate, self)
        self._surroundings = surroundings
        self._ended = ended
        self._trickles = Allowance(_TRICKLES_PER_SECOND, _TRICKLES_AT_ONCE)
        self._listeners: dict[Listener, None] = {}
        self._offered: OfferedMedia | None = None
        self._wants_sound = True
        self._wish = Wish()
        self._least: int | None = None
        self._first: int | None = None
        self._level = ""
        """Of the coding that the log named last."""
        self._connecting: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._log = _log.bind(session=self.session_id[:6], device=stream.device_id)
        if place.user_id is not None:
            self._log = self._log.bind(user=place.user_id)

    @property
    def device_id(self) -> str:
        return self.stream.device_id

    @property
    def user_id(self) -> str | None:
        return self.place.user_id

    @property
    def last_active(self) -> float:
        """When its browser was heard of last, in seconds since 1970."""
        if self.state is SessionState.NEW:
            return self.created_at
        return max(self.created_at, time.time() - (time.monotonic() - self.peer.ice.last_check))

    @property
    def etag(self) -> str:
        return f'"{self.peer.ice.local.username_fragment}"'

    @property
    def remote_username_fragment(self) -> str | None:
        remote = self.peer.ice.remote
        return remote.username_fragment if remote is not None else None

    def record(self) -> SessionRecord:
        """How it is now."""
        return SessionRecord(
            self.session_id,
            self.device_id,
            self.user_id,
            self.state,
            self.reason,
            self.created_at,
            self.last_active,
            self.ended_at,
        )

    def local_transport(self) -> LocalTransport:
        """What our SDP announces."""
        return self.peer.local_transport(self._surroundings.candidates())

    def offered(self, media: OfferedMedia) -> None:
        """Note our offer and wait for the answer, for a while."""
        self._offered = media
        self._connecting = self._surroundings.tasks.start(self._connect(None), f"session {self.session_id[:6]}")

    def answered(self, negotiated: Negotiated) -> None:
        """Begin to connect: both descriptions are known."""
        self.negotiated = negotiated
        self._advance(SessionEvent.NEGOTIATED, "")
        self._join.negotiated()
        self.peer.negotiated(negotiated)
        if self._connecting is not None:
            self._connecting.cancel()
        self._connecting = self._surroundings.tasks.start(self._connect(negotiated), f"session {self.session_id[:6]}")

    def accept_answer(self, sdp: str) -> None:
        if self._offered is None or self.state is not SessionState.NEW:
            raise Conflict(f"the session is {self.state}: it takes no answer now")
        self.answered(accept_answer(self._offered, sdp))

    def add_candidates(self, fragment: TrickleFragment) -> None:
        self._admit_trickle()
        remote = self.peer.ice.remote
        # RFC 8838 section 10: candidates of another ICE generation are not for this one.
        if fragment.credentials is None or remote is None or fragment.credentials == remote:
            self.peer.add_candidates(fragment.candidates)

    def restart_ice(self, fragment: TrickleFragment) -> TrickleFragment:
        if fragment.credentials is None or self.state not in (SessionState.CONNECTING, SessionState.CONNECTED):
            raise Conflict(f"the session is {self.state}: ICE cannot be restarted now")
        self._admit_trickle()
        local = self.peer.restart_ice(fragment.credentials, fragment.candidates)
        candidates = own_candidates(self._surroundings.candidates())
        return TrickleFragment(credentials=local, candidates=candidates, end_of_candidates=True)

    def tell(self, message: ServerMessage) -> None:
        """Send a message on the data channel, if that is open."""
        self._send_control(message)

    async def inject(self, event: InputEvent) -> float:
        return await self.control.inject(event)

    def request_keyframe(self) -> None:
        if self.viewer is not None:
            self.viewer.request_keyframe("request", time.monotonic())

    def choose_sound(self, is_wanted: bool) -> None:
        self._wants_sound = is_wanted
        if self.viewer is not None:
            self.viewer.choose_sound(is_wanted=is_wanted)

    def choose_quality(self, choice: QualityChoice) -> None:
        wish = Wish(choice.level, choice.max_bit_rate)
        if self.viewer is None:
            self._least, self._first = choice.min_bit_rate, choice.start_bit_rate
        elif choice.min_bit_rate is not None or choice.start_bit_rate is not None:
            raise Conflict(
                "minBitrate and startBitrate can be chosen before the media flows, not any more",
                code="already_connected",
            )
        else:
            self.stream.renditions.choose(self.viewer, wish)
        self._wish = wish

    def statistics(self) -> dict[str, float | int | str | None]:
        return statistics_of(self.state, self.viewer, self.stream)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` how device and stream are, and every change from now on; returns what ends it."""
        self._listeners[listener] = None
        for change in self._present():
            listener(change)

        def stop() -> None:
            self._listeners.pop(listener, None)

        return stop

    def stream_changed(self) -> None:
        """Pass on that the stream's state changed."""
        stream = self.stream
        if stream.state is StreamState.STOPPED:
            self.close(SessionEvent.BROKE, "the stream ended")
            return
        for change in self._present():
            self._tell(change)

    def has_consent(self, now: float) -> bool:
        """Whether the browser still wants media (RFC 7675)."""
        return self.state is not SessionState.CONNECTED or self.peer.ice.has_consent(now)

    def close(self, event: SessionEvent, reason: str) -> None:
        """End the session; what it held is freed in the background. Idempotent."""
        if self._closing is not None or not self._advance(event, reason):
            return
        if self._connecting is not None:
            self._connecting.cancel()
        self._closing = self._surroundings.tasks.start(self._free(), f"session {self.session_id[:6]} closing")

    async def aclose(self, reason: str) -> None:
        self.close(SessionEvent.ENDED, reason)
        if self._closing is not None:
            await asyncio.shield(self._closing)

    # What the peer tells (media_service.rtc.peer.PeerEvents).

    def path_changed(self, path: Path) -> None:
        if self.viewer is not None:
            self.viewer.path = path

    def channel_opened(self, label: str) -> None:
        if label == CONTROL_CHANNEL:
            for change in self._present():
                self._send_control(change)

    def message_received(self, label: str, message: str | bytes) -> None:
        self.control.message_received(label, message)

    def rtcp_received(self, packets: Sequence[rtcp.RtcpPacket], now: float) -> None:
        if self.viewer is not None:
            self.viewer.rtcp_received(packets, now, ntp_time(time.time()))

    def closed_by_peer(self) -> None:
        self.close(SessionEvent.ENDED, "the browser left")

    async def _connect(self, negotiated: Negotiated | None) -> None:
        try:
            async with asyncio.timeout(self._surroundings.connect_timeout):
                if negotiated is None:
                    await asyncio.Event().wait()
                else:
                    await self.peer.connect(negotiated, self._connected)
        except TimeoutError:
            had_check = self.peer.ice.path is not None
            missing = "the DTLS handshake did not end" if had_check else "no connectivity check reached the media port"
            waited_for = missing if negotiated else "no answer came"
            self.close(SessionEvent.BROKE, f"{waited_for} within {self._surroundings.connect_timeout:g} s")
        except DtlsFailed as error:
            self.close(SessionEvent.BROKE, str(error))

    def _connected(self, dtls: DtlsTransport, path: Path) -> None:
        if self.negotiated is None or not self._advance(SessionEvent.ESTABLISHED, ""):
            return
        connected_after = time.time() - self.created_at
        self._surroundings.observe_join(connected_after)
        self._join.connected(path.protocol)
        negotiated, egress = self.negotiated, self._surroundings.egress
        video, renditions = negotiated.video, self.stream.renditions
        limits = _rate_limits(self.peer.ice.round_trip, self._least, self._first)
        estimator = self._surroundings.open_estimator(video, limits, time.monotonic())
        self.viewer = Viewer(
            video, dtls, path, egress, estimator, renditions.lagging, negotiated.audio, self._first_picture
        )
        self.viewer.choose_sound(is_wanted=self._wants_sound)
        renditions.add(self.viewer, video.playable_profiles, self._quality_changed)
        if self._wish != Wish():
            # What it asked for before it was connected may not be there.
            with suppress(Conflict):
                renditions.choose(self.viewer, self._wish)
        self._level = renditions.quality(self.viewer).level
        self._log.info(
            "viewer joined",
            after=round(connected_after, 3),
            path=path.protocol,
            srtp=dtls.srtp_profile,
            profile=video.profile_level_id,
            quality=self._level,
            sound=self.viewer.audio is not None,
        )

    def _first_picture(self) -> None:
        self._surroundings.observe_first_picture(time.time() - self.created_at)

    async def _free(self) -> None:
        if self.viewer is not None:
            self.stream.renditions.remove(self.viewer)
            if self.peer.dtls is not None and self.peer.dtls.is_connected:
                self.viewer.send_goodbye()
            self.viewer.close()
        await self.peer.aclose()
        counters = asdict(self.viewer.counters) if self.viewer is not None else {}
        self._log.info(
            "viewer left",
            reason=self.reason,
            seconds=round(time.time() - self.created_at, 1),
            state=self.state,
            **counters,
        )
        self._ended(self)

    def _admit_trickle(self) -> None:
        if not self._trickles.take(time.monotonic()):
            raise TooMany(
                f"a session takes at most {_TRICKLES_PER_SECOND} messages with candidates per second", retry_after=1
            )

    def _advance(self, event: SessionEvent, reason: str) -> bool:
        following = transition(self.state, event)
        if following is None:
            return False
        self.state, self.reason = following, reason
        if following in (SessionState.FAILED, SessionState.CLOSED):
            self.ended_at = time.time()
            self._join.failed(reason)
        self._tell(self._change("session", following, reason))
        return True

    def _present(self) -> list[StateChange]:
        """How the device and its stream are now."""
        stream = self.stream
        if stream.state is not StreamState.RUNNING:
            return [self._change("device", "lost" if stream.is_lost else "reconnecting", stream.reason)]
        changes = [self._change("device", "online", "")]
        if stream.facts is not None:
            changes.append(self._change("stream", stream.facts.kind, stream.reason, stream.video_state(self.viewer)))
        return changes

    def _change(
        self, kind: Literal["session", "device", "stream"], state: str, reason: str, video: VideoState | None = None
    ) -> StateChange:
        return StateChange(kind, self.session_id, self.device_id, state, reason, video)

    def _quality_changed(self) -> None:
        """The viewer gets another coding than before."""
        quality = self.stream.renditions.quality(self.viewer)
        if self._level not in ("", quality.level):
            self._level = quality.level
            self._log.info("quality changed", quality=quality.level, reason=quality.reason)
        self.stream_changed()

    def _tell(self, change: StateChange) -> None:
        for listener in tuple(self._listeners):
            listener(change)
        self._send_control(change)

    def _send_control(self, message: ServerMessage) -> None:
        self.peer.send_message(CONTROL_CHANNEL, serialize(message))


def _rate_limits(round_trip: float | None, least: int | None, first: int | None) -> RateLimits:
    """Where a viewer's estimate begins, before anything is known but how far it is and what it asked for."""
    is_near = round_trip is not None and round_trip < _NEAR
    usual = RateLimits(start=100_000_000, highest=100_000_000) if is_near else RateLimits()
    lowest = least or usual.lowest
    start = max(first or usual.start, lowest)
    return RateLimits(start, lowest, max(usual.highest, start))

"""One source shared by its viewers."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum

import structlog

from capture.controller import Controller
from capture.errors import AdbTimeout, CaptureError, DeviceNotFound, DeviceOffline, SourceEnded
from capture.source import ScreenCondition, Source, SourceFacts, WakefulSource
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket
from encoders.errors import CodedVideoError
from encoders.h264 import SequenceParameterSet
from media_service.capture_counters import CaptureCounters
from media_service.renditions import Renditions
from media_service.rtc.audio import Soundtrack
from media_service.rtc.egress import Egress
from media_service.rtc.viewer import Viewer
from media_service.rung_encoder import Transcoding
from media_service.rungs import SOURCE
from signaling.errors import DeviceUnavailable
from signaling.h264_match import COMMON_PROFILE_LEVEL_ID
from signaling.server_messages import VideoState

_log = structlog.get_logger(__name__)

_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.25, 5.0
_STILL_AFTER = 3.0
"""Seconds without a picture after which a screen is called still."""
_LOST_AFTER = 30.0
"""Seconds without a source after which a device is called lost; it is tried again all the same."""
_NOTHING_TO_SHOW = {ScreenCondition.OFF: "its screen is off", ScreenCondition.BOOTING: "it is starting"}


class StreamState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    RECONNECTING = "reconnecting"
    STOPPED = "stopped"


class Stream:
    """Takes access units from its source and hands them to the egress for every viewer.

    When the source ends it is opened again for as long as the stream runs; the viewers keep their last picture.
    """

    def __init__(
        self,
        device_id: str,
        open_source: Callable[[], Awaitable[Source]],
        egress: Egress,
        state_changed: Callable[["Stream"], None],
        transcoding: Transcoding | None = None,
        always_encoded: str = "",
    ) -> None:
        """Without `transcoding` nothing is encoded here; `always_encoded` says why nobody gets it as it is captured."""
        self.device_id = device_id
        self.state = StreamState.STARTING
        self.reason = ""
        """Why the state is what it is, in words."""
        self.facts: SourceFacts | None = None
        """What the current source says about itself."""
        self.is_lost = False
        """Whether it has been reconnecting for long."""
        self.trouble = ""
        """What was said last in the log of why there are no pictures; empty when there have been some since."""
        self.pictures = 0
        self.captured: dict[str, CaptureCounters] = {}
        """By the kind of capture, which may change: none of these ever falls."""
        self.renditions = Renditions(device_id, egress, self._ask_for_keyframe, transcoding, always_encoded)
        """Who watches, and in which coding."""
        self._open_source = open_source
        self._state_changed = state_changed
        self._source: Source | None = None
        self._soundtrack = Soundtrack(egress.buffer)
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_still = False
        self._last_picture_at = float("-inf")
        self._reconnecting_since = 0.0
        self._retry = asyncio.Event()

    @property
    def sps(self) -> SequenceParameterSet | None:
        """What the pictures say of themselves, as they are captured."""
        return self.renditions.source.sps

    @property
    def has_audio(self) -> bool:
        """Whether the current source has sound."""
        return self.facts is not None and self.facts.has_audio

    async def ready(self, timeout: float) -> str:
        """Wait until pictures come; the profile-level-id of what a viewer is shown (RFC 6184 section 8.1).

        Raises `DeviceUnavailable` when the source cannot be opened, sends nothing in time, or no browser can play it.
        """
        if self.sps is None or self.state is not StreamState.RUNNING:
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiting)
            try:
                async with asyncio.timeout(timeout):
                    await waiting
            except TimeoutError:
                reason = ": ".join(filter(None, [f"no picture within {timeout:g} s", self._why_no_picture()]))
                raise DeviceUnavailable(f"{self.device_id!r} sent {reason}", code="no_picture", retry_after=5) from None
            finally:
                self._waiting.discard(waiting)
        sps = self.sps
        if sps is None:
            raise DeviceUnavailable(f"{self.device_id!r} sent no picture", code="no_picture", retry_after=5)
        if not self.renditions.unplayable:
            return sps.profile_level_id
        if not self.renditions.can_encode:
            raise DeviceUnavailable(
                f"{self.device_id!r} cannot be shown as it is, and nothing is encoded here: "
                f"{self.renditions.unplayable}",
                code="unplayable_video",
            )
        return COMMON_PROFILE_LEVEL_ID

    async def run(self) -> None:
        """Capture until cancelled."""
        backoff = _FIRST_BACKOFF
        while True:
            pictures = self.pictures
            # A word that the device is back counts even if it came while this attempt was failing.
            self._retry.clear()
            try:
                await self._capture()
                reason = "the source ended"
            except (CaptureError, CodedVideoError, OSError) as error:
                reason = str(error)
                self._fail(error)
                if isinstance(error, AdbTimeout):
                    backoff = _FIRST_BACKOFF  # It has taken long enough.
            if self.pictures > pictures:
                backoff = _FIRST_BACKOFF
                self.trouble = ""
            if self.state is not StreamState.RECONNECTING:
                self._reconnecting_since = time.monotonic()
            if reason != self.trouble:
                self.trouble = reason
                _log.warning("capture ended", device=self.device_id, reason=reason)
            if (self.state, self.reason) != (StreamState.RECONNECTING, reason):
                self._set_state(StreamState.RECONNECTING, reason)
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff):
                    await self._retry.wait()
                    backoff = _FIRST_BACKOFF
            backoff = min(2 * backoff, _LONGEST_BACKOFF)

    @property
    def controller(self) -> Controller | None:
        """Injects input the way that the pictures come now; None where the device's shell is the only way."""
        return self._source.controller if self._source is not None else None

    def wake(self) -> None:
        """Have the source look at once: somebody has touched the screen."""
        source = self._source
        if source is not None and isinstance(source, WakefulSource):
            source.wake()

    def retry(self) -> None:
        """Open the source again now, if it is being waited for: the device is back."""
        self._retry.set()

    def look(self, now: float) -> None:
        """Notice what no picture tells: a still screen, another word of the device on it, a device that is lost."""
        is_still = self.state is StreamState.RUNNING and now - self._last_picture_at > _STILL_AFTER
        is_lost = self.state is StreamState.RECONNECTING and now - self._reconnecting_since > _LOST_AFTER
        source = self._source
        has_news = source is not None and source.facts is not self.facts
        if (is_still, is_lost) != (self._is_still, self.is_lost) or has_news:
            self._is_still, self.is_lost = is_still, is_lost
            self._take_facts()

    def video_state(self, viewer: Viewer | None) -> VideoState:
        """What `viewer` is shown now; without one, what the stream shows."""
        facts = self.facts
        quality = self.renditions.quality(viewer)
        sps = quality.sps
        screen = facts.screen if facts is not None else ScreenCondition.SHOWN
        return VideoState(
            width=sps.width if sps is not None else None,
            height=sps.height if sps is not None else None,
            rotation=facts.rotation if facts is not None else None,
            screen="still" if self._is_still and screen is ScreenCondition.SHOWN else screen.value,
            has_audio=facts is not None and facts.has_audio,
            quality=quality.level,
            is_encoded=quality.level != SOURCE or (facts is not None and facts.is_coded_here),
            quality_reason=quality.reason,
            levels=quality.levels,
        )

    def stopped(self) -> None:
        """Note that nothing runs any more."""
        self._set_state(StreamState.STOPPED, "nobody watches")
        self._fail(SourceEnded("its stream was stopped"))
        self.renditions.close()

    async def _capture(self) -> None:
        source = await self._open_source()
        try:
            self._source, self.facts = source, source.facts
            self.renditions.source.keyframe_on_demand = source.facts.keyframe_on_demand
            source.on_audio = self._push_audio
            async for access_unit in source:
                if source.facts is not self.facts:
                    self._take_facts()
                self._push(access_unit)
        finally:
            self._source = None
            await source.aclose()

    def _push(self, access_unit: AccessUnit) -> None:
        former = self.sps
        self.pictures += 1
        self._last_picture_at = time.monotonic()
        picture = self.renditions.push(access_unit)
        counters = self._counters()
        counters.pictures += 1
        counters.octets += picture.octets
        if self.state is not StreamState.RUNNING:
            self.is_lost = self._is_still = False
            self._set_state(StreamState.RUNNING, self.facts.reason if self.facts else "")
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)
        elif self._is_still or self.sps is not former:
            self._is_still = False
            self._state_changed(self)

    def _take_facts(self) -> None:
        """Pass on what the source says about itself now."""
        if self._source is not None:
            self.facts = self._source.facts
            self.renditions.source.keyframe_on_demand = self.facts.keyframe_on_demand
        if self.state is StreamState.RUNNING and self.facts is not None:
            self.reason = self.facts.reason
        self._state_changed(self)

    def _push_audio(self, packet: AudioPacket) -> None:
        self._soundtrack.push(packet, self.renditions.viewers)

    def _ask_for_keyframe(self) -> None:
        if self._source is not None:
            self._counters().keyframes_requested += 1
            self._source.request_keyframe()

    def _why_no_picture(self) -> str:
        """In words, as far as that is known."""
        if self.state is StreamState.RECONNECTING:
            return self.reason
        return _NOTHING_TO_SHOW.get(self.facts.screen, "") if self.facts is not None else ""

    def _counters(self) -> CaptureCounters:
        """Of the way that is captured now."""
        kind = self.facts.kind if self.facts is not None else ""
        return self.captured.setdefault(kind, CaptureCounters())

    def _fail(self, error: CaptureError | CodedVideoError | OSError) -> None:
        match error:
            case DeviceNotFound():
                # To adb. It is among our devices, or nobody would want to watch it, so it is only away.
                code = DeviceOffline.code
            case CaptureError():
                code = error.code
            case CodedVideoError():
                code = "broken_video"
            case _:
                code = "host_error"
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(
                    DeviceUnavailable(f"{self.device_id!r} cannot be watched: {error}", code=code, retry_after=5)
                )

    def _set_state(self, state: StreamState, reason: str) -> None:
        self.state, self.reason = state, reason
        self._state_changed(self)

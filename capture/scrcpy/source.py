"""The phone's own H.264 and its sound, by scrcpy's server.

Each packet comes with its capture time and its length, a keyframe comes when it is asked for, and a phone that is
turned goes on in the same stream with another size.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Self

import structlog

from capture.access_unit_queue import AccessUnitQueue
from capture.adb.client import AdbClient
from capture.controller import Controller
from capture.errors import SourceEnded
from capture.scrcpy.control_message import reset_video
from capture.scrcpy.controller import ScrcpyController
from capture.scrcpy.device_clock import DeviceClock
from capture.scrcpy.server import ScrcpyServer, ServerOptions
from capture.scrcpy.session import ScrcpySession
from capture.scrcpy.tracks import AudioTrack, VideoTrack
from capture.scrcpy.wire import (
    DISABLED,
    MISCONFIGURED,
    OPUS,
    RAW_AUDIO,
    AudioEvent,
    Codec,
    DeviceMessage,
    DeviceName,
    Packet,
    Session,
    VideoEvent,
)
from capture.source import AudioSink, SourceFacts, ignore_audio
from encoders.access_unit import AccessUnit
from encoders.errors import BitstreamError
from encoders.sound_format import SoundFormat

QUEUE_LIMIT: Final = 64
"""Pictures that wait for a slow reader: two seconds."""

KEYFRAME_INTERVAL: Final = 0.5
"""Seconds between two requests for a keyframe, at least: each one starts the phone's encoder anew."""

KEYFRAME_LOST_AFTER: Final = 2.0
"""Seconds after which a request that brought no keyframe may be made again."""

BEGIN_TIMEOUT: Final = 10.0
"""Seconds that the encoder has to start."""

AUDIO_TIMEOUT: Final = 2.0
"""Seconds that the sound may come later than the video and still be there from the beginning."""

AUDIO_DOUBT: Final = 0.3
"""Seconds within which a server ends that has no sound because its encoder is missing; others go on without sound."""

log = structlog.get_logger(__name__)


async def open_scrcpy(
    client: AdbClient,
    serial: str,
    server: ScrcpyServer,
    *,
    max_size: int,
    bit_rate: int,
    frame_rate: int,
    sound: SoundFormat | None,
) -> "ScrcpySource":
    """Start capturing the device `serial` by `server`; bit rates are bits per second, `max_size` 0 is the screen's own.

    With `sound` there is sound when the device can: its own Opus where the format is what phones capture, or raw sound
    that is encoded here in any other and when the device has no encoder. Returns when the encoder has started and it
    is known whether there is sound. Raises `SourceEnded`, in the device's own words, when it cannot be captured in this
    way, an `AdbError` when it cannot be reached, and `ValueError` for numbers that no server takes.
    """
    codecs: tuple[str, ...] = ()
    if sound is not None:
        codecs = (OPUS.name, RAW_AUDIO.name) if sound.is_captured else (RAW_AUDIO.name,)
    raw_format = sound or SoundFormat()
    for codec in codecs:
        options = ServerOptions(max_size, bit_rate, frame_rate, codec, raw_format.bit_rate)
        source = ScrcpySource(client, serial, server, options, raw_format)
        try:
            await source.start()
        except SourceEnded as error:
            if not source.lacks_audio:
                raise
            log.info("scrcpy's server has no such sound", device=serial, audio_codec=codec, error=str(error))
        else:
            return source
    source = ScrcpySource(client, serial, server, ServerOptions(max_size, bit_rate, frame_rate))
    await source.start()
    return source


class ScrcpySource:
    """One device as scrcpy's server captures it; fits `capture.source.Source`.

    Iteration raises `SourceEnded`, with the server's last words, when the server or its stream ends, and an `AdbError`
    when the device is gone.
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        server: ScrcpyServer,
        options: ServerOptions,
        raw_format: SoundFormat | None = None,
    ) -> None:
        """Sound that comes raw is encoded as `raw_format`. `start` begins the capture."""
        self.on_audio: AudioSink = ignore_audio
        self.device_name = ""
        """What the device calls itself."""
        self.lacks_audio = False
        """Whether the device said that it has no sound to give, or not in this coding."""
        self._serial = serial
        self._options = options
        self._session = ScrcpySession(self, client, serial, server)
        self._controller = ScrcpyController(client, serial, self._session, server.version)
        self._facts = SourceFacts(
            kind="scrcpy",
            reason=f"scrcpy's server {server.version}: the phone's own encoder, with its clock and keyframes on demand",
            keyframe_on_demand=True,
        )
        self._queue = AccessUnitQueue(QUEUE_LIMIT)
        clock = DeviceClock()
        self._video = VideoTrack(server.version, clock)
        self._audio = AudioTrack(clock, raw_format or SoundFormat())
        self._has_video = False
        self._is_audio_known = options.audio_codec is None
        self._changed = asyncio.Event()
        self._requested_at = float("-inf")
        self._awaits_answer = False
        self._request_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def facts(self) -> SourceFacts:
        """See `Source.facts`."""
        return self._facts

    @property
    def controller(self) -> Controller | None:
        """Input goes the way that the pictures come."""
        return self._controller

    @property
    def dropped(self) -> Mapping[str, int]:
        """What did not get into the streams, by reason: `slow_reader`, `no_keyframe`, `broken_audio`."""
        return {
            **self._audio.dropped,
            "slow_reader": self._queue.dropped,
            "no_keyframe": self._video.headless_pictures,
        }

    async def start(self) -> None:
        """Begin to capture; see `open_scrcpy`. When it raises, nothing is left."""
        try:
            await self._session.open(self._options)
            await self._begun()
        except BaseException:
            await self.aclose()
            raise

    def __aiter__(self) -> Self:
        self._queue.skip_to_keyframe()
        if self._queue.awaits_keyframe and self._video.has_begun:  # The first one comes anyhow.
            self.request_keyframe()
        return self

    async def __anext__(self) -> AccessUnit:
        access_unit = await self._queue.get()
        if access_unit is None:
            if self._is_closed:
                raise StopAsyncIteration
            raise await self._session.why_ended()
        if self._queue.awaits_keyframe:
            self.request_keyframe()
        return access_unit

    def request_keyframe(self) -> None:
        """Have the encoder begin anew, with a keyframe; see `Source.request_keyframe`."""
        now = time.monotonic()
        if self._session.is_over or self._request_timer is not None:
            return
        if self._awaits_answer and now - self._requested_at < KEYFRAME_LOST_AFTER:
            return
        wait = self._requested_at + KEYFRAME_INTERVAL - now
        if wait > 0:
            self._request_timer = asyncio.get_running_loop().call_later(wait, self._reset_video)
        else:
            self._reset_video()

    async def aclose(self) -> None:
        """End the server; see `Source.aclose`."""
        self._is_closed = True
        self._queue.clear()
        self._queue.end()
        self._cancel_request()
        await self._controller.aclose()
        await self._session.aclose()

    # What the session tells: `capture.scrcpy.session.SessionOwner`.

    def video(self, event: VideoEvent) -> None:
        """A piece of the video stream is complete; raises `SourceEnded` when it is of no use."""
        match event:
            case Packet():
                self._take_picture(event)
            case Session():
                self._video.size = self._controller.video_size = event.size
            case DeviceName():
                self.device_name = event.name
            case Codec():
                self._has_video = True
                self._changed.set()

    def audio(self, event: AudioEvent) -> None:
        """A piece of the audio stream is complete."""
        if isinstance(event, Packet):
            self._take_sound(event)
            return
        if event in (DISABLED, MISCONFIGURED):
            self.lacks_audio = True
        else:
            self._audio.begin(event)
            self._facts = replace(self._facts, has_audio=True)
        self._is_audio_known = True
        self._changed.set()

    def message(self, message: DeviceMessage) -> None:
        """The device answers on the control connection."""
        self._controller.message(message)

    def writable(self) -> None:
        """The control connection takes bytes again."""
        self._controller.writable()

    def audio_ended(self, complaint: str) -> None:
        """No more sound will come."""
        if complaint:
            log.warning("scrcpy's sound ended", device=self._serial, error=complaint)
        self._facts = replace(self._facts, has_audio=False)
        self._is_audio_known = True
        self._changed.set()

    def ended(self) -> None:
        """The session is over."""
        self._cancel_request()
        self._controller.disconnected()
        self._queue.end()
        self._changed.set()

    async def _begun(self) -> None:
        """Wait until the encoder has started and it is known whether there is sound."""
        if not await self._until(lambda: self._has_video, BEGIN_TIMEOUT):
            raise SourceEnded(f"scrcpy's server on {self._serial!r} started no encoder within {BEGIN_TIMEOUT:g} s")
        await self._until(lambda: self._is_audio_known, AUDIO_TIMEOUT)
        if self.lacks_audio:
            await self._until(lambda: self._session.is_over, AUDIO_DOUBT)
        if self._session.is_over:
            raise await self._session.why_ended()

    async def _until(self, condition: Callable[[], bool], limit: float) -> bool:
        """Wait for `condition` or the session's end, for at most `limit` seconds; False when the time is over."""
        try:
            async with asyncio.timeout(limit):
                while not (condition() or self._session.is_over):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _take_picture(self, packet: Packet) -> None:
        try:
            access_unit = self._video.take(packet, time.monotonic())
        except BitstreamError as error:
            raise SourceEnded(f"its video is no H.264: {error}") from error
        if access_unit is None:
            return
        if access_unit.is_keyframe:
            self._awaits_answer = False
            self._controller.video_size = self._video.size
        self._queue.put(access_unit)

    def _take_sound(self, packet: Packet) -> None:
        for audio_packet in self._audio.take(packet, time.monotonic()):
            self.on_audio(audio_packet)

    def _reset_video(self) -> None:
        self._request_timer = None
        self._requested_at = time.monotonic()
        self._awaits_answer = True
        self._session.send(reset_video())

    def _cancel_request(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

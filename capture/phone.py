"""Opens a phone: asks what it can, and puts the ways to capture it on a ladder."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import fit_screen
from capture.encoded_source import Encoding, own_threads
from capture.errors import AdbError, AdbUnavailable, SourceEnded
from capture.input_events import VideoSize
from capture.ladder import CaptureMode, Ladder
from capture.live_source import OpenMode
from capture.phone_source import PhoneSource
from capture.probe import PhoneFacts, probe
from capture.rawvideo import RawvideoSource, open_rawvideo
from capture.scrcpy.server import ScrcpyServer
from capture.scrcpy.source import open_scrcpy
from capture.screen_watch import ScreenWatch
from capture.screencap import open_screencap
from capture.screenrecord import ScreenrecordSource, open_screenrecord
from capture.source import Source
from encoders.h264_encoder import H264Encoder
from encoders.pool import EncoderPool
from encoders.sound_format import SoundFormat
from encoders.video_encoder import OpenEncoder

SDK_WITH_SCRCPY = 21
"""Android 5, which scrcpy's server needs."""

ANSWER_TIMEOUT = 5.0
"""Seconds in which a phone that is there answers."""


@dataclass(frozen=True, slots=True)
class CaptureWishes:
    """How phones are to be captured."""

    box: VideoSize
    """The picture is scaled down to fit into it, turned as the phone is."""
    bit_rate: int
    """Bits per second."""
    frame_rate: int
    """Pictures per second, at most."""
    preset: str
    """Of our own encoder, where the phone's is not used."""
    open_encoder: OpenEncoder = H264Encoder.of
    """Our own encoder."""
    pool: EncoderPool = field(default_factory=own_threads)
    """Whose threads code with it."""
    mode: CaptureMode | None = None
    """The only way that is wanted; None for the best that works."""
    scrcpy: ScrcpyServer | None = None
    sound: SoundFormat | None = None
    """How the sound is to be coded; None for no sound."""
    takes_b_frames: bool = False
    """Whether pictures that browsers do not show are wanted all the same, since they are coded again."""


async def open_phone(client: AdbClient, serial: str, wishes: CaptureWishes) -> PhoneSource:
    """Open the device `serial` in the best way that works.

    Raises `SourceEnded`, which says why for each way, when it cannot be captured, and an `AdbError` when it cannot be
    reached.
    """
    watch = ScreenWatch(client, serial)
    looking = asyncio.get_running_loop().create_task(watch.poll())
    try:
        facts = await probe(client, serial)
        state = await looking
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    excluded = excluded_modes(facts, wishes)
    if wishes.mode is not None:
        if wishes.mode in excluded:
            raise SourceEnded(f"{serial!r} cannot be captured: {wishes.mode.value}: {excluded[wishes.mode]}")
        modes, excluded = [wishes.mode], {}
    else:
        modes = [mode for mode in CaptureMode if mode not in excluded]
    ways = _ways(client, serial, wishes, facts)
    source = PhoneSource(serial, Ladder(modes, excluded), ways, watch, state, takes_b_frames=wishes.takes_b_frames)
    await source.start()
    return source


def excluded_modes(facts: PhoneFacts, wishes: CaptureWishes) -> Mapping[CaptureMode, str]:
    """The ways that need not be tried on this phone, and why. `screencap` is never among them."""
    excluded: dict[CaptureMode, str] = {}
    lacks_encoder = "the phone has no H.264 encoder" if facts.h264_encoders == () else ""
    if wishes.scrcpy is None:
        excluded[CaptureMode.SCRCPY] = "SCRCPY_SERVER_PATH is not set"
    elif 0 < facts.sdk < SDK_WITH_SCRCPY:
        excluded[CaptureMode.SCRCPY] = f"the phone's Android is too old (API level {facts.sdk})"
    elif lacks_encoder:
        excluded[CaptureMode.SCRCPY] = lacks_encoder
    if facts.recorder.exists is False:
        missing = "the phone has no screenrecord"
        excluded |= {CaptureMode.SCREENRECORD: missing, CaptureMode.RAWVIDEO: missing}
    else:
        if lacks_encoder:
            excluded[CaptureMode.SCREENRECORD] = lacks_encoder
        if facts.recorder.exists and not facts.recorder.has_raw_frames:
            excluded[CaptureMode.RAWVIDEO] = "the phone's screenrecord gives no raw frames"
    return excluded


def _ways(client: AdbClient, serial: str, wishes: CaptureWishes, facts: PhoneFacts) -> Mapping[CaptureMode, OpenMode]:
    encoding = Encoding(
        bit_rate=wishes.bit_rate,
        frame_rate=wishes.frame_rate,
        preset=wishes.preset,
        open_encoder=wishes.open_encoder,
        pool=wishes.pool,
    )

    def fitted(screen: VideoSize) -> VideoSize:
        return fit_screen(screen, wishes.box)

    async def scrcpy(screen: VideoSize) -> Source:
        if wishes.scrcpy is None:
            raise ValueError("scrcpy is not set up")
        size = fitted(screen)
        return await open_scrcpy(
            client,
            serial,
            wishes.scrcpy,
            max_size=max(size.width, size.height),
            bit_rate=wishes.bit_rate,
            frame_rate=wishes.frame_rate,
            sound=wishes.sound,
        )

    async def screenrecord(screen: VideoSize) -> Source:
        return await open_screenrecord(client, serial, size=fitted(screen), bit_rate=wishes.bit_rate, sdk=facts.sdk)

    async def rawvideo(screen: VideoSize) -> Source:
        has_limit = facts.recorder.time_limit is not None
        return await open_rawvideo(client, serial, size=fitted(screen), encoding=encoding, has_limit=has_limit)

    async def screencap(_: VideoSize) -> Source:
        return await open_screencap(client, serial, box=wishes.box, encoding=encoding)

    def checked(opened: Callable[[VideoSize], Awaitable[Source]]) -> Callable[[VideoSize], Awaitable[Source]]:
        async def open_or_say_whose_fault(screen: VideoSize) -> Source:
            try:
                return await opened(screen)
            except AdbUnavailable:
                raise
            except AdbError as error:
                # A phone that answers is not gone: this way does not work on it, as when nothing can be pushed.
                await client.shell(serial, command_line(["true"]), timeout=ANSWER_TIMEOUT)
                raise SourceEnded(str(error)) from error

        return open_or_say_whose_fault

    def turn(source: Source, screen: VideoSize) -> None:
        if isinstance(source, ScreenrecordSource | RawvideoSource):
            source.use_size(fitted(screen))

    return {
        CaptureMode.SCRCPY: OpenMode(checked(scrcpy)),
        CaptureMode.SCREENRECORD: OpenMode(checked(screenrecord), turn),
        CaptureMode.RAWVIDEO: OpenMode(checked(rawvideo), turn),
        CaptureMode.SCREENCAP: OpenMode(checked(screencap)),
    }

"""The video of scrcpy's server: runs of the encoder, one after another (com.genymobile.scrcpy.video.SurfaceEncoder).

A run begins with a size, the encoder's parameter sets and an IDR picture. It ends when the screen has another size or
when the client wants to begin anew. On a still screen the last picture is coded ten times more, ten times a second,
and then nothing comes (KEY_REPEAT_PREVIOUS_FRAME_AFTER; kRepeatLastFrameCount in Android's GraphicBufferSource).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from capture.demo_phone.display import Picture, Pictures
from capture.demo_phone.phone import Phone
from capture.demo_phone.picture_coder import PictureCoder
from capture.demo_phone.scrcpy import wire
from capture.demo_phone.scrcpy.connection import Socket
from capture.demo_phone.scrcpy.encoders import encoder_list, encoder_of, mime_type
from capture.demo_phone.scrcpy.frame_dropper import FrameDropper
from capture.demo_phone.scrcpy.log import BadConfiguration, Log, Thrown
from capture.demo_phone.scrcpy.options import Options
from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.scrcpy.video_size import smaller_max_size, video_size
from capture.input_events import VideoSize
from capture.worker_thread import WorkerThread
from encoders.annexb import picture_nal_units, to_annexb
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type

_REPEAT_AFTER, _REPEATS = 0.1, 10
_RETRY_PAUSE, _MOST_ERRORS = 0.05, 3
_TOO_LONG = 2**31 - 1
_PARAMETER_SETS = (NalUnitType.SPS, NalUnitType.PPS)

_ENCODER = (
    "com.genymobile.scrcpy.video.SurfaceEncoder.streamCapture(SurfaceEncoder.java)",
    "com.genymobile.scrcpy.video.SurfaceEncoder.lambda$start$0(SurfaceEncoder.java)",
    "java.lang.Thread.run(Thread.java)",
)


class Video:
    """One server's video."""

    last_words = "Screen streaming stopped"

    def __init__(self, phone: Phone, socket: Socket, options: Options, version: ServerVersion, log: Log) -> None:
        self.size: VideoSize | None = None
        """The size of its pictures; None before the first run of the encoder."""
        self._phone = phone
        self._socket = socket
        self._options = options
        self._version = version
        self._log = log
        self._max_size = options.max_size
        self._pictures: Pictures | None = None
        self._is_stopped = False
        self._written = 0
        self._errors = 0
        self._knows_limits = options.ignore_video_encoder_constraints
        self._worker = WorkerThread("scrcpy")
        socket.on_closed = self.stop

    def reset(self) -> None:
        """Begin a new run of the encoder."""
        if self._pictures is not None:
            self._pictures.close()

    def stop(self) -> None:
        """Come to an end."""
        self._is_stopped = True
        self.reset()

    async def run(self) -> None:
        """Send the video. Raises `StreamClosed`, `BadConfiguration`, and `Thrown` for what the Java code would not
        catch."""
        try:
            await self._choose_encoder()
            is_header_written = False
            while not self._is_stopped:
                screen = VideoSize(self._phone.display.width, self._phone.display.height)
                size = video_size(screen, self._version, self._max_size, self._options.min_size_alignment)
                # Before 4.0 the header has the size that is tried first, whether the encoder then takes it or not.
                if not is_header_written:
                    is_header_written = True
                    await self._write_meta(
                        wire.video_header(self._version, self._options.video_codec, size.width, size.height)
                    )
                try:
                    await self._run_encoder(screen, size)
                except EncoderError:
                    await self._prepare_retry(size)
        finally:
            self._worker.close()

    async def _choose_encoder(self) -> None:
        codec, name = self._options.video_codec, self._options.video_encoder
        encoder = encoder_of(codec, self._phone.faults)
        if name and name != encoder:
            listed = encoder_list("video", self._phone.faults)
            await self._log.error(f"Video encoder '{name}' for {codec} not found\n{listed}")
            raise BadConfiguration
        if encoder is None:
            listed = encoder_list("video", self._phone.faults)
            await self._log.error(f"Could not create default video encoder for {codec}\n{listed}")
            raise missing_encoder(codec)
        await self._log.debug(f"Using video encoder: '{encoder}'")

    async def _run_encoder(self, screen: VideoSize, size: VideoSize) -> None:
        """One run. Raises `EncoderError` when the encoder does not take the size."""
        coder = self._open_coder(size)
        try:
            self.size = size
            if self._version.has_sessions:
                await self._write_meta(wire.session_packet(size.width, size.height))
            with self._phone.display.watch() as self._pictures:
                packets = _Packets(self._phone, self._version, self._options.send_frame_meta)
                async with aclosing(self._pictures_to_code(self._pictures, screen)) as pictures:
                    async for picture in pictures:
                        self._die_if_asked()
                        for packet in packets.of(picture, await self._worker.run(partial(coder.encode, picture))):
                            await self._socket.write(packet)
                        self._written += 1
                        self._errors = 0
                        await self._fail_if_asked()
        finally:
            self._pictures = None
            await self._worker.run(coder.close)

    def _open_coder(self, size: VideoSize) -> PictureCoder:
        faults, spec = self._phone.faults, self._phone.spec
        if faults.largest_video is not None and max(size.width, size.height) > faults.largest_video:
            raise EncoderError(f"more than {faults.largest_video} pixels a side")
        return PictureCoder(
            size.width,
            size.height,
            frame_rate=max(1, min(spec.frame_rate, round(self._options.max_fps) or spec.frame_rate)),
            bit_rate=self._options.video_bit_rate,
            single_idr=faults.single_idr,
            b_frames=faults.b_frames,
            halved_after=faults.sps_changes_after,
        )

    async def _pictures_to_code(self, pictures: Pictures, screen: VideoSize) -> AsyncGenerator[Picture, None]:
        """The pictures of this screen and the repeated ones; the first, which may be an old one, happens now."""
        began_at = time.monotonic()
        dropper = FrameDropper(self._options.max_fps)
        latest: Picture | None = None
        repeats = 0
        while True:
            try:
                async with asyncio.timeout(_REPEAT_AFTER if latest is not None and repeats else None):
                    picture = await anext(pictures)
            except TimeoutError:
                assert latest is not None
                repeats -= 1
                latest = replace(latest, drawn_at=latest.drawn_at + _REPEAT_AFTER)
                yield latest
                continue
            except StopAsyncIteration:
                return
            if (picture.frame.width, picture.frame.height) != (screen.width, screen.height):
                return
            latest = replace(picture, drawn_at=max(picture.drawn_at, began_at))
            repeats = _REPEATS
            if not dropper.drops(latest.drawn_at):
                yield latest

    async def _prepare_retry(self, failed: VideoSize) -> None:
        """Choose what to try after the encoder failed. Raises `Thrown` when there is nothing left."""
        error = Thrown("Error 0x80001001", "android.media.MediaCodec$CodecException", _ENCODER)
        word = "Encoding" if self._version.number < (3, 1) else "Capture/encoding"
        await self._log.error(f"{word} error: {error.java_class}: {error.message}")
        if self._written:
            self._errors += 1
            if self._errors < _MOST_ERRORS:
                await asyncio.sleep(_RETRY_PAUSE)
                return
        if not self._options.downsize_on_error:
            raise error
        if self._version.tries_declared_limits and not self._knows_limits:
            # The demo phone's encoder declares no limits, as some do that have them all the same.
            self._knows_limits = True
            await self._log.info("Applying video encoder constraints")
            return
        smaller = smaller_max_size(failed)
        if self._errors >= _MOST_ERRORS or not smaller:
            raise error
        self._max_size = smaller
        await self._log.info(f"Retrying with -m{smaller}...")

    async def _write_meta(self, data: bytes) -> None:
        if self._options.send_stream_meta:
            await self._socket.write(data)

    def _die_if_asked(self) -> None:
        limit = self._phone.faults.scrcpy_dies_after
        if limit is not None and self._written >= limit:
            raise Thrown("Failed to allocate a 8294416 byte allocation", "java.lang.OutOfMemoryError", _ENCODER)

    async def _fail_if_asked(self) -> None:
        faults = self._phone.faults
        if _is_due(faults.scrcpy_oversizes_after, self._written):
            pts = round((time.monotonic() - self._phone.booted_at) * 1_000_000)
            await self._socket.write(wire.frame_header(self._version, pts, _TOO_LONG, is_keyframe=False))
        if _is_due(faults.scrcpy_truncates_after, self._written):
            header = wire.frame_header(self._version, 0, 1000, is_keyframe=False)
            await self._socket.write(header[: wire.FRAME_HEADER_SIZE // 2])
            raise BadConfiguration


def _is_due(after: int | None, written: int) -> bool:
    return after is not None and written >= after


def missing_encoder(codec: str) -> Thrown:
    """What Android throws when it is asked for an encoder it has not."""
    return Thrown(
        f"Failed to initialize {mime_type(codec)}, error 0xfffffffe (NAME_NOT_FOUND)",
        at=(
            "android.media.MediaCodec.native_setup(Native Method)",
            "android.media.MediaCodec.<init>(MediaCodec.java)",
            "android.media.MediaCodec.createEncoderByType(MediaCodec.java)",
        ),
    )


class _Packets:
    """Makes the packets of one run of the encoder out of its pictures.

    As Android's encoders do, parameter sets come on their own, and only when they are others than before.
    """

    def __init__(self, phone: Phone, version: ServerVersion, has_headers: bool) -> None:
        self._phone = phone
        self._version = version
        self._has_headers = has_headers
        self._config = b""
        self._uncoded: list[Picture] = []

    def of(self, picture: Picture, coded: bytes) -> list[bytes]:
        """The packets for what the coder gave for `picture`: none while it waits for the next one."""
        self._uncoded.append(picture)
        nal_units = picture_nal_units(coded)
        if not nal_units:
            return []
        packets = []
        config = to_annexb(nal for nal in nal_units if nal_unit_type(nal) in _PARAMETER_SETS)
        if config and config != self._config:
            self._config = config
            packets.append(wire.config_packet(self._version, config) if self._has_headers else config)
        slices = [nal for nal in nal_units if nal_unit_type(nal) not in _PARAMETER_SETS]
        is_keyframe = any(nal_unit_type(nal) is NalUnitType.IDR_SLICE for nal in slices)
        data = to_annexb(slices)
        if self._has_headers:
            pts = round((self._shown(slices[-1]).drawn_at - self._phone.booted_at) * 1_000_000)
            data = wire.frame_header(self._version, pts, len(data), is_keyframe=is_keyframe) + data
        return [*packets, data]

    def _shown(self, nal: bytes) -> Picture:
        """The picture that this slice is of. Where the coder reorders, a reference (nal_ref_idc) comes before the
        picture that is shown before it."""
        return self._uncoded.pop(0 if not nal[0] & 0x60 or len(self._uncoded) == 1 else 1)

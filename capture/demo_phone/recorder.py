"""`screenrecord`: pictures of the display, coded and written as they come.

Its limits are Android's: an IDR picture every 10 seconds at most, no way to ask for one, 180 seconds before Android 14,
nothing written while the screen is still. A reader that is too slow loses pictures before they are coded.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import av

from capture.demo_phone.canvas import Canvas
from capture.demo_phone.display import Picture, Pictures
from capture.demo_phone.files import StorageError
from capture.demo_phone.layout import even
from capture.demo_phone.recording import HelpWanted, RecordingOptions, UsageError, parse_options
from capture.demo_phone.shell import Invocation
from capture.worker_thread import WorkerThread
from encoders.annexb import to_annexb
from encoders.errors import EncoderError
from encoders.h264_encoder import H264Encoder

_KEYFRAME_INTERVAL = 10.0  # KEY_I_FRAME_INTERVAL in screenrecord.cpp
_NEVER = 3600.0
_CANNOT_CONFIGURE, _DEAD_CODEC = -38, -32
_NO_OUTPUT = 1


class RecordingFailed(Exception):
    """A recording that cannot begin or go on, with Android's error number."""

    def __init__(self, message: str, error: int) -> None:
        super().__init__(f"{message} (err={error})")
        self.exit_code = error & 0xFF


async def screenrecord(invocation: Invocation) -> int:
    """`screenrecord [--size WxH] [--bit-rate N] [--time-limit S] --output-format=h264 FILE|-`."""
    try:
        options = parse_options(invocation.arguments, invocation.phone.spec.sdk)
    except UsageError as error:
        await invocation.complain(str(error))
        return error.exit_code
    except HelpWanted as wanted:
        await invocation.complain(str(wanted))
        return 0
    if options.output_format != "h264":
        await invocation.complain(f"ERROR: the demo phone records h264 only, not {options.output_format}")
        return _NO_OUTPUT
    try:
        return await _record(invocation, options)
    except RecordingFailed as failure:
        await invocation.complain(str(failure))
        return failure.exit_code


async def _record(invocation: Invocation, options: RecordingOptions) -> int:
    phone = invocation.phone
    worker = WorkerThread("screenrecord")
    try:
        coder = await worker.run(partial(_Coder, invocation, options))
    except BaseException:
        worker.close()
        raise
    output = _Output(invocation, options.filename)
    try:
        with phone.display.watch() as pictures, _ended_in_time(invocation, options, pictures):
            written = 0
            async for picture in pictures:
                if written == phone.faults.crash_after:
                    raise RecordingFailed("Encoder failed", _DEAD_CODEC)
                if phone.faults.hang_after is not None and written >= phone.faults.hang_after:
                    continue
                await output.write(await worker.run(partial(coder.encode, picture)))
                written += 1
    finally:
        await worker.aclose(coder.close)
    return await output.save()


@contextmanager
def _ended_in_time(invocation: Invocation, options: RecordingOptions, pictures: Pictures) -> Iterator[None]:
    """End the pictures at the time limit and by SIGINT, which screenrecord takes for the wish to stop."""
    invocation.process.on_interrupt = pictures.close
    override = invocation.phone.faults.time_limit
    limit = options.time_limit if override is None else override
    if limit is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(limit, pictures.close)
    try:
        yield
    finally:
        timer.cancel()


class _Coder:
    """Scales and encodes; made and used in the worker thread."""

    def __init__(self, invocation: Invocation, options: RecordingOptions) -> None:
        phone = invocation.phone
        self._width, self._height = options.size or (phone.screen.width, phone.screen.height)
        try:
            if phone.faults.encoder_fails:
                raise EncoderError("asked to fail")
            self._encoder = H264Encoder(
                self._width,
                self._height,
                frame_rate=phone.spec.frame_rate,
                bit_rate=options.bit_rate,
                keyframe_interval=_NEVER if phone.faults.single_idr else _KEYFRAME_INTERVAL,
            )
        except EncoderError as error:
            size = f"{self._width}x{self._height}"
            raise RecordingFailed(f"ERROR: unable to configure video/avc codec at {size}", _CANNOT_CONFIGURE) from error

    def encode(self, picture: Picture) -> bytes:
        """The picture as Annex B bytes. Raises `RecordingFailed`."""
        try:
            access_unit = self._encoder.encode(_fitted(picture.frame, self._width, self._height), picture.drawn_at)
        except EncoderError as error:
            raise RecordingFailed("Encoder failed", _DEAD_CODEC) from error
        return to_annexb(access_unit.nal_units)

    def close(self) -> None:
        self._encoder.close()


def _fitted(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The frame for a video of this size: scaled with its aspect kept, black beside it (setDisplayProjection).

    Always a frame of its own where the size is the same: the encoder writes into it, and others encode it too.
    """
    canvas = Canvas.over(frame, frame.height)
    if (frame.width, frame.height) == (width, height):
        return canvas.to_frame()
    scale = min(width / frame.width, height / frame.height)
    inner_width = min(width, max(2, even(frame.width * scale + 1)))
    inner_height = min(height, max(2, even(frame.height * scale + 1)))
    scaled = frame.reformat(inner_width, inner_height, interpolation="FAST_BILINEAR")
    if (inner_width, inner_height) == (width, height):
        return scaled
    whole = Canvas.black(width, height)
    whole.put(even((width - inner_width) / 2), even((height - inner_height) / 2), Canvas.over(scaled, inner_height))
    return whole.to_frame()


class _Output:
    """Where a recording goes: the standard output, or a file that is there when the recording has ended."""

    def __init__(self, invocation: Invocation, filename: str) -> None:
        self._invocation = invocation
        self._filename = filename
        self._data = bytearray()
        self._room = invocation.phone.files.room(filename)

    async def write(self, data: bytes) -> None:
        if self._filename == "-":
            await self._invocation.stdio.write(data)
        elif len(self._data) <= self._room:
            self._data += data

    async def save(self) -> int:
        if self._filename == "-":
            return 0
        phone = self._invocation.phone
        try:
            phone.files.write(self._filename, bytes(self._data), 0o660, phone.wall_time())
        except StorageError as error:
            await self._invocation.complain(f"Unable to open '{self._filename}': {error}")
            return _NO_OUTPUT
        return 0

"""`screenrecord`: pictures of the display, coded and written as they come.

Its limits are Android's: an IDR picture every 10 seconds at most, no way to ask for one, 180 seconds before Android 14,
nothing written while the screen is still. A reader that is too slow loses pictures before they are coded.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from capture.demo_phone.display import Pictures
from capture.demo_phone.faults import Faults
from capture.demo_phone.files import StorageError
from capture.demo_phone.layout import even
from capture.demo_phone.phone import Phone
from capture.demo_phone.picture_coder import PictureCoder
from capture.demo_phone.raw_recorder import RawFrameCoder
from capture.demo_phone.recording import HelpWanted, RecordingOptions, UsageError, parse_options
from capture.demo_phone.shell import Invocation
from capture.worker_thread import WorkerThread
from encoders.errors import EncoderError

_CANNOT_CONFIGURE, _DEAD_CODEC = -38, -32
_UNKNOWN_ERROR = -(2**31)  # and so the exit code 0: screenrecord ends as if all were well
_NO_OUTPUT, _CANNOT_OPEN = 1, 255

_FALLBACK = (1280, 720)
"""What is tried when the codec does not take the screen's own size; turned where the screen is tall."""

_PICTURES_PER_TEXT = 30


class RecordingFailed(Exception):
    """A recording that cannot begin or go on, with Android's error number."""

    def __init__(self, message: str, error: int) -> None:
        super().__init__(message if error == _UNKNOWN_ERROR else f"{message} (err={error})")
        self.exit_code = error & 0xFF


async def screenrecord(invocation: Invocation) -> int:
    """`screenrecord [--size WxH] [--bit-rate N] [--time-limit S] --output-format=h264|raw-frames FILE|-`."""
    try:
        options = parse_options(invocation.arguments, invocation.phone.spec.sdk)
    except UsageError as error:
        await invocation.complain(str(error))
        return error.exit_code
    except HelpWanted as wanted:
        await invocation.complain(str(wanted))
        return 0
    is_known = options.output_format in ("h264", "raw-frames")
    if not is_known and not (invocation.phone.faults.no_encoder and options.needs_encoder):
        await invocation.complain(f"ERROR: the demo phone records h264 and raw-frames, not {options.output_format}")
        return _NO_OUTPUT
    try:
        return await _record(invocation, options)
    except RecordingFailed as failure:
        await invocation.complain(str(failure))
        return failure.exit_code


async def _record(invocation: Invocation, options: RecordingOptions) -> int:
    if invocation.phone.faults.no_space and options.filename != "-":
        await invocation.complain("fopen raw failed: No space left on device")
        return _CANNOT_OPEN
    output = _Output(invocation, options.filename)
    coder = await _open_coder(invocation, options)
    worker = WorkerThread("screenrecord")
    try:
        with invocation.phone.display.watch() as pictures, _ended_in_time(invocation, options, pictures):
            await _write_pictures(pictures, coder, worker, output, invocation.phone.faults)
    finally:
        await worker.aclose(coder.close)
    return await output.save()


async def _open_coder(invocation: Invocation, options: RecordingOptions) -> PictureCoder | RawFrameCoder:
    phone = invocation.phone
    width, height = options.size or (even(phone.display.width), even(phone.display.height))
    if not options.needs_encoder:
        return RawFrameCoder(width, height, (phone.display.width, phone.display.height))
    try:
        return _coder(phone, width, height, options.bit_rate)
    except RecordingFailed as failure:
        fallback = _FALLBACK if width >= height else _FALLBACK[::-1]
        if options.size is not None or width == fallback[0] or height == fallback[1]:
            raise
        await invocation.complain(str(failure))
    await invocation.complain(f"WARNING: failed at {width}x{height}, retrying at {fallback[0]}x{fallback[1]}")
    return _coder(phone, *fallback, options.bit_rate)


def _coder(phone: Phone, width: int, height: int, bit_rate: int) -> PictureCoder:
    faults = phone.faults
    if faults.no_encoder:
        raise RecordingFailed("ERROR: unable to create video/avc codec instance", _UNKNOWN_ERROR)
    try:
        if faults.encoder_fails:
            raise EncoderError("asked to fail")
        if faults.largest_video is not None and max(width, height) > faults.largest_video:
            raise EncoderError(f"more than {faults.largest_video} pixels a side")
        return PictureCoder(
            width,
            height,
            frame_rate=phone.spec.frame_rate,
            bit_rate=bit_rate,
            single_idr=faults.single_idr,
            b_frames=faults.b_frames,
            halved_after=faults.sps_changes_after,
        )
    except EncoderError as error:
        message = f"ERROR: unable to configure video/avc codec at {width}x{height}"
        raise RecordingFailed(message, _CANNOT_CONFIGURE) from error


async def _write_pictures(
    pictures: Pictures, coder: PictureCoder | RawFrameCoder, worker: WorkerThread, output: "_Output", faults: Faults
) -> None:
    written = 0
    async for picture in pictures:
        if faults.crash_after is not None and written >= faults.crash_after:
            raise RecordingFailed("Encoder failed", _DEAD_CODEC)
        if faults.hang_after is not None and written >= faults.hang_after:
            continue
        try:
            coded = await worker.run(partial(coder.encode, picture))
        except EncoderError as error:
            raise RecordingFailed("Encoder failed", _DEAD_CODEC) from error
        if faults.prints_text and written % _PICTURES_PER_TEXT == 0:
            await output.write(faults.prints_text.encode(errors="surrogateescape"))
        if coded:
            await output.write(coded)
        written += 1


@contextmanager
def _ended_in_time(invocation: Invocation, options: RecordingOptions, pictures: Pictures) -> Iterator[None]:
    """End the pictures at the time limit and by SIGINT, which screenrecord takes for the wish to stop."""
    invocation.process.on_interrupt = pictures.close
    override = invocation.phone.faults.time_limit
    # The loop that writes raw frames does not look at the limit.
    limit = override if override is not None else options.time_limit if options.needs_encoder else None
    if limit is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(limit, pictures.close)
    try:
        yield
    finally:
        timer.cancel()


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

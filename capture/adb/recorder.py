"""One run of `screenrecord` on a phone: its bytes become pictures.

A picture in the pipe is known to be over only when the next one begins, and on a still screen that is never. So a pipe
that was quiet for some milliseconds is taken to have sent all of it (`quiet`); where that guess was wrong, the parser
notices, and the owner is told that a picture was `torn`.

What a library prints into the pipe is taken out again where it can be told from a picture: before the first one, where
one must begin, and behind one when the same words came before.
"""

import asyncio
import fcntl
import struct
import termios
import time
from typing import Protocol, cast

from capture.adb.command_line import CommandLine, command_line
from capture.adb.wire import EXIT, STDERR, ShellParser
from capture.errors import AdbProtocolError
from capture.input_events import VideoSize
from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser
from encoders.errors import BitstreamError

PIPE_CHUNK = 4096
"""A chunk that is a multiple of this many bytes was probably cut by a pipe rather than by the end of a picture."""

MORE_TO_COME = 12
"""How many times longer the pipe must be quiet after such a chunk."""

_LEAST_WAIT = 0.001  # the resolution of an event loop's timers
_MESSAGE_SIZE = 1000
_START_CODE = b"\x00\x00\x01"
_LEAST_TEXT = 4
"""Bytes: fewer may be the rest of a torn picture and look like text by chance."""
_KNOWN_TEXTS = 8


def screenrecord_command(size: VideoSize | None, bit_rate: int, *, has_limit: bool) -> CommandLine:
    """The recorder's command line; raises `ValueError` for a bit rate or size that no recorder takes."""
    if bit_rate < 1:
        raise ValueError(f"a bit rate of {bit_rate} is impossible: it must be 1 or more")
    words = ["screenrecord", "--output-format=h264", "--bit-rate", str(bit_rate)]
    if size is not None:
        if size.width < 2 or size.height < 2 or size.width % 2 or size.height % 2:
            raise ValueError(f"a video of {size.width}x{size.height} is impossible: both must be even and at least 2")
        words += ["--size", f"{size.width}x{size.height}"]
    if not has_limit:
        words += ["--time-limit", "0"]
    return command_line([*words, "-"])


class RecorderOwner(Protocol):
    """Whom a recorder tells what it does. Called from the event loop, never blocks."""

    def picture(self, recorder: "Recorder", access_unit: AccessUnit) -> None:
        """A picture is complete."""

    def torn(self, recorder: "Recorder") -> None:
        """A picture was given too early; the recorder gives no more until its next keyframe, which may be far."""

    def printed(self, recorder: "Recorder", text: str) -> None:
        """Words came among the pictures, where only pictures should be; told once for the same words."""

    def ended(self, recorder: "Recorder") -> None:
        """No more will come."""


class Recorder(asyncio.Protocol):
    """Parses what one recorder sends and hands the pictures to its owner.

    It is the protocol of the connection on which `screenrecord` runs: a `shell,v2` service, or with `is_raw` an `exec`
    service. Closing it ends the recorder on the phone.
    """

    def __init__(self, owner: RecorderOwner, number: int, quiet: float, *, is_raw: bool) -> None:
        self.number = number
        """Counts the recorders of one owner, in the order of their start."""
        self.quiet = quiet
        """Seconds without a byte after which the pending picture is taken to be whole."""
        self.exit_code: int | None = None
        self.started_at = time.monotonic()
        self._owner = owner
        self._parser = AnnexBParser()
        self._shell = None if is_raw else ShellParser()
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        self._last_at = 0.0
        self._last_size = 0
        self._torn_pictures = 0
        self._complaint = b""
        self._has_flushed = False  # what comes next must be the beginning of a picture
        self._texts: tuple[bytes, ...] = ()

    @property
    def last_at(self) -> float:
        """When the last bytes came, by `time.monotonic()`; 0 before the first."""
        return self._last_at

    @property
    def message(self) -> str:
        """What the recorder said instead of, or beside, its pictures; empty for nothing."""
        return (self._parser.preamble + self._complaint).decode(errors="replace").strip()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass of it.
        self._descriptor = transport.get_extra_info("socket").fileno()

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        now = time.monotonic()
        try:
            if self._shell is not None:
                data = self._unwrap(self._shell, data)
                if not data:
                    return
            self._last_at = now
            self._last_size = len(data)
            if self._has_flushed:
                data = self._without_text(data)
            access_units = parser.feed(data, now)
        except (AdbProtocolError, BitstreamError) as error:
            self.close(str(error))
            return
        for access_unit in access_units:
            self._give(access_unit)
        if parser.cut_pictures != self._torn_pictures:
            self._torn_pictures = parser.cut_pictures
            self._owner.torn(self)
        if self.exit_code == 0:
            self._flush()  # It has ended by itself, and so behind a whole picture.
        elif parser.is_pending:
            self._await_quiet()

    def connection_lost(self, error: Exception | None) -> None:
        # What is pending is left out: the recorder may have died in the middle of it.
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._transport = None
        self._owner.ended(self)

    def close(self, why: str = "") -> None:
        """End the recorder, here and on the phone. Idempotent; `ended` is told soon after."""
        self._complain(why.encode())
        if self._transport is not None:
            self._transport.abort()

    def _unwrap(self, shell: ShellParser, data: bytes) -> bytes:
        """What of a shell's stream is the recorder's standard output."""
        output = b""
        for stream, piece in shell.feed(data):
            if stream == EXIT:
                self.exit_code = piece[0]
            elif stream == STDERR:
                self._complain(piece)
            else:
                output = output + piece if output else piece
        return output

    def _complain(self, text: bytes) -> None:
        self._complaint = (self._complaint + text)[-_MESSAGE_SIZE:]

    def _await_quiet(self) -> None:
        """Have `_check_quiet` called when the pipe may have been quiet for long enough since the last chunk."""
        if self._timer is not None:
            # One timer does for all chunks of a picture: it looks at the last one when it fires. But one that was set
            # for a chunk after which more had to come may be far off.
            if self._timer.when() <= self._loop.time() + self.quiet + _LEAST_WAIT:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(self.quiet, self._check_quiet)

    def _check_quiet(self) -> None:
        """Give the pending picture, if the pipe was quiet for long enough."""
        self._timer = None
        if self._transport is None or self._transport.is_closing() or not self._parser.is_pending:
            return
        wait = self.quiet if self._last_size % PIPE_CHUNK else self.quiet * MORE_TO_COME
        left = self._last_at + wait - time.monotonic()
        if left > 0 or self._has_unread_bytes():
            self._timer = self._loop.call_later(max(left, _LEAST_WAIT), self._check_quiet)
            return
        self._flush()

    def _flush(self) -> None:
        for access_unit in self._parser.flush():
            self._give(access_unit)
        self._has_flushed = True

    def _give(self, access_unit: AccessUnit) -> None:
        if not self._texts and (preamble := self._parser.preamble):
            self._print(preamble)
        last = access_unit.nal_units[-1]
        for text in self._texts:
            if last.endswith(text):
                nal_units = (*access_unit.nal_units[:-1], last.removesuffix(text).rstrip(b"\x00"))
                access_unit = AccessUnit(nal_units, access_unit.captured_at, access_unit.is_keyframe)
                break
        self._owner.picture(self, access_unit)

    def _without_text(self, data: bytes) -> bytes:
        """What came behind a picture that was taken to be whole, without the words before the next one."""
        start = data.find(_START_CODE)
        words = data[:start].rstrip(b"\x00") if start >= 0 else data
        if not words:
            self._has_flushed = start < 0
            return data
        if len(words) < _LEAST_TEXT or not _is_text(words):
            self._has_flushed = False
            return data
        self._print(words)
        self._has_flushed = start < 0
        return data[len(words) :]

    def _print(self, words: bytes) -> None:
        if words not in self._texts and len(self._texts) < _KNOWN_TEXTS:
            self._texts = (*self._texts, words)
            self._owner.printed(self, words.decode(errors="replace").strip())

    def _has_unread_bytes(self) -> bool:
        """Whether the socket holds bytes that a busy event loop has not come to yet: then the pipe was not quiet."""
        count: int = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
        return count > 0


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\r\n" for character in text)

"""One run of `screenrecord` on a phone: its bytes become pictures.

A picture in the pipe is known to be over only when the next one begins, and on a still screen that is never. So a pipe
that was quiet for some milliseconds is taken to have sent all of it (`quiet`); where that guess was wrong, the parser
notices, and the owner is told that a picture was `torn`.
"""

import asyncio
import fcntl
import struct
import termios
import time
from typing import Protocol, cast

from capture.adb.wire import EXIT, STDERR, ShellParser
from capture.errors import AdbProtocolError
from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser
from encoders.errors import BitstreamError

PIPE_CHUNK = 4096
"""A chunk that is a multiple of this many bytes was probably cut by a pipe rather than by the end of a picture."""

MORE_TO_COME = 4
"""How many times longer the pipe must be quiet after such a chunk."""

_LEAST_WAIT = 0.001  # the resolution of an event loop's timers
_MESSAGE_SIZE = 1000


class RecorderOwner(Protocol):
    """Whom a recorder tells what it does. Called from the event loop, never blocks."""

    def picture(self, recorder: "Recorder", access_unit: AccessUnit) -> None:
        """A picture is complete."""

    def torn(self, recorder: "Recorder") -> None:
        """A picture was given too early; the recorder gives no more until its next keyframe, which may be far."""

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
            access_units = parser.feed(data, now)
        except (AdbProtocolError, BitstreamError) as error:
            self.close(str(error))
            return
        for access_unit in access_units:
            self._owner.picture(self, access_unit)
        if parser.cut_pictures != self._torn_pictures:
            self._torn_pictures = parser.cut_pictures
            self._owner.torn(self)
        if self._timer is None and parser.is_pending:
            # One timer for all chunks of a picture: it looks at the last one when it fires.
            self._timer = self._loop.call_later(self.quiet, self._check_quiet)

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
        for access_unit in self._parser.flush():
            self._owner.picture(self, access_unit)

    def _has_unread_bytes(self) -> bool:
        """Whether the socket holds bytes that a busy event loop has not come to yet: then the pipe was not quiet."""
        count: int = struct.unpack("i", fcntl.ioctl(self._descriptor, termios.FIONREAD, b"\0\0\0\0"))[0]
        return count > 0

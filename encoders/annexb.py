"""The byte stream format: NAL units behind start codes (H.264 annex B), and access units cut from a pipe of it.

In such a pipe a picture is known to be over only when the next one begins. On a still screen that is never, so whoever
reads the pipe calls `flush` when it has been quiet for a few milliseconds:

    data  > feed  > the pictures that are surely over
    quiet > flush > the picture that is pending, taken to be whole

A flush that came too early is noticed by what comes next, because a picture begins with a start code and with its
first slice. The picture that was given out is then a torn one, and all pictures up to the next keyframe build on it:
the parser counts it, drops the rest of it, and gives nothing more until a keyframe comes. The owner watches
`waits_for_keyframe` and asks for one, or restarts the recorder.
"""

from collections.abc import Iterable
from enum import Enum, auto
from typing import Final

from encoders.access_unit import AccessUnit
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType

START_CODE: Final = b"\x00\x00\x00\x01"

_START_CODE_PREFIX: Final = b"\x00\x00\x01"
_PREAMBLE_SIZE: Final = 1024
_NAL_UNIT_OVERHEAD: Final = 64
"""What a bytes object costs beside its bytes: millions of tiny NAL units must not get past the limit either."""

_FIRST_SLICES: Final = frozenset({NalUnitType.SLICE, NalUnitType.PARTITION_A, NalUnitType.IDR_SLICE})
"""What may hold a picture's first macroblock; all begin with first_mb_in_slice (section 7.3.3)."""

_HEADS: Final = frozenset({6, 7, 8, 9, 14, 15, 16, 17, 18})
"""What begins a new access unit when it comes after a slice (section 7.4.1.2.3): SEI, parameter sets, delimiters…"""

_CONTINUATIONS: Final = frozenset({3, 4, 19, 20, 21})
"""What belongs to a picture that has begun: data partitions, auxiliary slices and slice extensions."""

_LEFT_OUT: Final = frozenset({0, 9, 10, 11, 12, *range(24, 32)})
"""Delimiters, ends of sequence or stream, filler, unspecified: they show nothing, and RFC 6184 has its own 24 to 31."""


def to_annexb(nal_units: Iterable[bytes]) -> bytes:
    """The byte stream of `nal_units`, a four-byte start code before each."""
    return b"".join(part for nal in nal_units for part in (START_CODE, nal))


def split_nal_units(data: bytes) -> list[bytes]:
    """All NAL units of a whole byte stream, without start codes and trailing zero bytes (section B.1).

    Bytes before the first start code are no NAL unit and left out; so are empty NAL units.
    """
    _, *parts = data.split(_START_CODE_PREFIX)
    return [nal for part in parts if (nal := part.rstrip(b"\x00"))]


def picture_nal_units(data: bytes) -> tuple[bytes, ...]:
    """The NAL units that an access unit carries, of the byte stream of one picture: without delimiters and filler."""
    return tuple(nal for nal in split_nal_units(data) if nal[0] & 0x1F not in _LEFT_OUT)


class _AccessUnitBuilder:
    """Collects NAL units and knows where one picture ends and the next begins."""

    def __init__(self) -> None:
        self.has_slice = False
        self.size = 0
        self.cut_pictures = 0
        self.dropped_pictures = 0
        self.waits_for_keyframe = False
        self._nal_units: list[bytes] = []
        self._captured_at = 0.0
        self._is_keyframe = False
        self._is_headless = True  # what comes belongs to a picture whose beginning nobody got
        self._was_flushed = False  # the picture before was given out on a guess

    def begin(self, header: int, following: int, now: float) -> AccessUnit | None:
        """A NAL unit begins with these two bytes; the access unit that is over by this."""
        kind = header & 0x1F
        is_slice = kind in _FIRST_SLICES
        is_first = is_slice and following & 0x80 != 0  # first_mb_in_slice is 0: ue(v) with its first bit set
        access_unit = None
        if is_first or kind in _HEADS:
            if self.has_slice:
                access_unit = self.end()
            self._is_headless = False
        elif not self.has_slice and (is_slice or kind in _CONTINUATIONS):
            if self._was_flushed:
                self.cut()
            self._is_headless = True
        if is_slice and not self._is_headless:
            if not self.has_slice:
                self.has_slice = True
                self._captured_at = now
            if kind == NalUnitType.IDR_SLICE:
                self._is_keyframe = True
        return access_unit

    def add(self, nal: bytes) -> None:
        """The NAL unit that had begun is over."""
        if nal and not self._is_headless and nal[0] & 0x1F not in _LEFT_OUT:
            self._nal_units.append(nal)
            self.size += len(nal) + _NAL_UNIT_OVERHEAD

    def end(self, *, flushed: bool = False) -> AccessUnit | None:
        """The picture is over; None if it is of no use."""
        access_unit = AccessUnit(tuple(self._nal_units), self._captured_at, self._is_keyframe)
        self._nal_units.clear()
        self.size = 0
        self.has_slice = self._is_keyframe = False
        self._was_flushed = flushed
        if self.waits_for_keyframe:
            if not access_unit.is_keyframe:
                self.dropped_pictures += 1
                return None
            self.waits_for_keyframe = False
        return access_unit

    def cut(self) -> None:
        """The picture that was flushed goes on: it was torn."""
        self.cut_pictures += 1
        self.waits_for_keyframe = True
        self._is_headless = True
        self._was_flushed = False


class _Place(Enum):
    """Where the next bytes belong."""

    PREAMBLE = auto()
    """Before the first start code."""
    NAL_UNIT = auto()
    """To the NAL unit that has begun."""
    FLUSHED = auto()
    """Behind a flushed picture, where a start code must come."""
    TORN = auto()
    """To a NAL unit that was flushed too early: they are thrown away."""


class AnnexBParser:
    """Cuts a byte stream, given in chunks of any size, into access units.

    A new access unit begins at a delimiter, parameter set or SEI after a slice, and at a slice with first_mb_in_slice 0
    (section 7.4.1.2.3; not exact for arbitrary slice order and redundant pictures, which no phone sends).
    `captured_at` is the `now` of the chunk that brought the beginning of the picture's first slice. Left out are
    delimiters, filler, ends of stream, unspecified NAL units, and slices whose picture began before the first byte.

    Memory is bounded: `feed` raises `BitstreamError` when a picture, or what comes before the first start code, grows
    past `limit` bytes (of a NAL unit: its bytes and 64 more). The parser is of no use after that.
    """

    def __init__(self, *, limit: int = 8 * 1024 * 1024) -> None:
        self._limit = limit
        self._builder = _AccessUnitBuilder()
        self._place = _Place.PREAMBLE
        self._buffer = bytearray()  # from the beginning of the open NAL unit, or what may begin a start code
        self._scanned = 0  # no start code begins in the buffer before here
        self._is_header_read = False
        self._preamble = b""
        self._preamble_size = 0

    @property
    def is_pending(self) -> bool:
        """Whether a picture has begun that is not known to be over: there is something to flush."""
        return self._builder.has_slice

    @property
    def preamble(self) -> bytes:
        """The first kilobyte of what came before the first start code: a recorder's error message, perhaps."""
        rest = self._buffer if self._place is _Place.PREAMBLE else b""
        return (self._preamble + rest)[:_PREAMBLE_SIZE].rstrip(b"\x00")

    @property
    def cut_pictures(self) -> int:
        """How many pictures were flushed before they were whole."""
        return self._builder.cut_pictures

    @property
    def dropped_pictures(self) -> int:
        """How many whole pictures were dropped while waiting for a keyframe."""
        return self._builder.dropped_pictures

    @property
    def waits_for_keyframe(self) -> bool:
        """Whether nothing is given until a keyframe comes, because a picture was cut."""
        return self._builder.waits_for_keyframe

    def feed(self, data: bytes, now: float) -> list[AccessUnit]:
        """Take the next bytes, which came at `now`; the pictures that are over by them."""
        buffer = self._buffer
        buffer += data
        start = 0
        access_units: list[AccessUnit] = []
        while (found := buffer.find(_START_CODE_PREFIX, self._scanned)) >= 0:
            if self._place is _Place.NAL_UNIT:
                self._read_header(start, now, access_units)
                self._check_size(found - start)
                self._builder.add(bytes(buffer[start:found]).rstrip(b"\x00"))
            else:
                self._skip(found)
            start = self._scanned = found + len(_START_CODE_PREFIX)
            self._place = _Place.NAL_UNIT
            self._is_header_read = False
        if self._place is _Place.NAL_UNIT:
            if len(buffer) >= start + 2:
                self._read_header(start, now, access_units)
            self._check_size(len(buffer) - start)
        else:
            start = max(len(buffer) - 2, 0)
            self._skip(start)
        del buffer[:start]
        self._scanned = max(len(buffer) - 2, 0)
        return access_units

    def flush(self) -> list[AccessUnit]:
        """The pipe went quiet: the picture that is pending, if there is one. At the end of the stream, call it too."""
        if not self._builder.has_slice:
            return []
        if self._is_header_read:
            nal = bytes(self._buffer).rstrip(b"\x00")
            self._builder.add(nal)
            # Zeros at the end may already belong to the next start code.
            del self._buffer[: max(len(nal), len(self._buffer) - 2)]
            self._scanned = 0
            self._place = _Place.FLUSHED
        access_unit = self._builder.end(flushed=True)
        return [access_unit] if access_unit else []

    def _read_header(self, start: int, now: float, access_units: list[AccessUnit]) -> None:
        """Tell the builder, once for each NAL unit, what begins; behind one of a single byte comes a zero byte."""
        if self._is_header_read:
            return
        self._is_header_read = True
        access_unit = self._builder.begin(self._buffer[start], self._buffer[start + 1], now)
        if access_unit:
            access_units.append(access_unit)

    def _skip(self, end: int) -> None:
        """What the buffer holds up to `end` belongs to no NAL unit."""
        if self._place is _Place.PREAMBLE:
            self._preamble = (self._preamble + self._buffer[:end])[:_PREAMBLE_SIZE]
            self._preamble_size += end
            if self._preamble_size > self._limit:
                raise BitstreamError(f"no H.264 start code in {self._preamble_size} bytes: {self._preamble[:80]!r}")
        elif self._place is _Place.FLUSHED and self._buffer[:end].strip(b"\x00"):
            self._place = _Place.TORN
            self._builder.cut()

    def _check_size(self, size: int) -> None:
        if self._builder.size + size > self._limit:
            raise BitstreamError(f"a picture is longer than {self._limit} bytes: this is no H.264")

"""Pixels as Android's own tools write them: bytes in, frames out.

    screenrecord --output-format=raw-frames -    width * height * 3 bytes of RGB per frame, one right after the other
    screencap                                    width, height, format, colour space (little-endian 32); then the rows

Facts, from AOSP's frameworks/av cmds/screenrecord (FrameOutput.cpp, screenrecord.cpp) and frameworks/base
cmds/screencap/screencap.cpp: raw frames are read back from the GPU, top row first, without padding and without any
header (the format `frames` has one of 20 bytes), and need no codec. screencap's rows have no padding either; its colour
space came with Android 9, before that the header is 12 bytes, and only the length of the whole tells which one it is.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from capture.input_events import VideoSize

LARGEST_SIDE: Final = 8192
LARGEST_AREA: Final = 1 << 24
"""Pixels; a screencap that claims more is none, and gets no memory for them."""

_HEADER = struct.Struct("<3I")
_SHORT_HEADER: Final = 12
_LONG_HEADER: Final = 16
_MESSAGE_SIZE: Final = 1000


class UnreadableFrame(ValueError):
    """Bytes that are no frame, or one of a kind that is not understood."""


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How a frame's pixels are packed."""

    name: str
    """FFmpeg's name for it."""
    bytes_per_pixel: int


RGB: Final = PixelFormat("rgb24", 3)

SCREENCAP_FORMATS: Final[Mapping[int, PixelFormat]] = {
    1: PixelFormat("rgba", 4),  # RGBA_8888
    2: PixelFormat("rgba", 4),  # RGBX_8888: nobody looks at the fourth byte of either
    3: RGB,  # RGB_888
    4: PixelFormat("rgb565le", 2),  # RGB_565
    5: PixelFormat("bgra", 4),  # BGRA_8888
    43: PixelFormat("x2bgr10le", 4),  # RGBA_1010102
}
"""What screencap writes, by the number of AOSP's system/graphics-base.h that its header has."""


@dataclass(frozen=True, slots=True, eq=False)
class RawFrame:
    """One uncompressed picture."""

    size: VideoSize
    pixel_format: PixelFormat
    data: bytearray
    """Holds the rows, without padding, from `offset` on."""
    offset: int
    captured_at: float
    """When its last byte had come, in seconds of `time.monotonic()`."""

    def looks_like(self, other: "RawFrame") -> bool:
        """Whether both show the same, exactly. 2.7 MB cost 0.06 ms when they do, and less when they do not."""
        return (
            self.size == other.size
            and self.pixel_format == other.pixel_format
            and self.offset == other.offset
            and self.data == other.data
        )


class RawFrameParser:
    """Frames of one size out of a stream that arrives in any chunks; each byte is copied once."""

    def __init__(self, size: VideoSize) -> None:
        """Raises ValueError for a size without pixels."""
        if size.width < 1 or size.height < 1:
            raise ValueError(f"frames of {size.width}x{size.height} are impossible: both must be 1 or more")
        self.frames = 0
        """Frames that were complete so far."""
        self._size = size
        self._data = bytearray(size.width * size.height * RGB.bytes_per_pixel)
        self._filled = 0

    def feed(self, data: bytes | memoryview, now: float) -> list[RawFrame]:
        """Take the next bytes, which came at `now`; the frames that are complete with them."""
        frames = []
        view = memoryview(data)
        while view:
            count = min(len(view), len(self._data) - self._filled)
            self._data[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]
            if self._filled == len(self._data):
                frames.append(RawFrame(self._size, RGB, self._data, 0, now))
                self.frames += 1
                self._data = bytearray(len(self._data))
                self._filled = 0
        return frames

    @property
    def text(self) -> str:
        """What was written instead of a frame, where the stream has none and what there is can be read as text."""
        return "" if self.frames else readable(self._data[: self._filled])


class ScreencapParser:
    """The one frame that a `screencap` writes, out of chunks of any size."""

    def __init__(self) -> None:
        self._data = bytearray(_SHORT_HEADER)
        self._filled = 0
        self._format: PixelFormat | None = None
        self._size = VideoSize(0, 0)
        self._problem = ""

    def feed(self, data: bytes | memoryview) -> None:
        """Take the next bytes."""
        view = memoryview(data)
        while view:
            if self._filled == len(self._data) and not self._make_room():
                return
            count = min(len(view), len(self._data) - self._filled)
            self._data[self._filled : self._filled + count] = view[:count]
            self._filled += count
            view = view[count:]

    def finish(self, now: float) -> RawFrame:
        """The frame, when the tool has ended at `now`; raises `UnreadableFrame`, with what it wrote instead."""
        if self._problem:
            raise UnreadableFrame(self._problem)
        if self._format is None:
            start = bytes(self._data[: self._filled])
            raise UnreadableFrame(
                readable(start) or f"screencap wrote no frame, but bytes that begin {start[:16].hex(' ')!r}"
            )
        pixels = self._size.width * self._size.height * self._format.bytes_per_pixel
        offset = self._filled - pixels
        if offset not in (_SHORT_HEADER, _LONG_HEADER):
            raise UnreadableFrame(
                f"screencap wrote {self._filled} bytes, where {pixels} of pixels and 12 or 16 of header belong"
            )
        return RawFrame(self._size, self._format, self._data, offset, now)

    def _make_room(self) -> bool:
        """Get ready for what the header announces; False where no more is wanted."""
        if self._format is not None:
            self._problem = f"screencap wrote more than the {len(self._data)} bytes that its header announces"
            return False
        if len(self._data) > _SHORT_HEADER:
            return False  # It is text, and there is enough of it.
        width, height, number = _HEADER.unpack_from(self._data)
        if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE and width * height <= LARGEST_AREA):
            self._data.extend(bytes(_MESSAGE_SIZE))
            return True
        pixel_format = SCREENCAP_FORMATS.get(number)
        if pixel_format is None:
            known = ", ".join(map(str, SCREENCAP_FORMATS))
            self._problem = f"screencap wrote pixels of format {number}: only {known} are understood"
            return False
        self._size = VideoSize(width, height)
        self._format = pixel_format
        self._data.extend(bytes(_LONG_HEADER - _SHORT_HEADER + width * height * pixel_format.bytes_per_pixel))
        return True


def readable(data: bytes | bytearray) -> str:
    """The last words of a tool, where the bytes can be such; else nothing."""
    try:
        text = bytes(data[-_MESSAGE_SIZE:]).decode().strip()
    except UnicodeDecodeError:
        return ""
    return text if all(character.isprintable() or character in "\r\n\t" for character in text) else ""

"""FLV, as far as `ffmpeg` writes H.264 into a pipe: it says how long a picture is before its bytes come.

In a plain byte stream a picture is known to be over only when the next one begins; here it is whole with its last byte
(Adobe Flash Video File Format Specification 10.1, annex E; AVCDecoderConfigurationRecord: ISO/IEC 14496-15).
"""

from dataclasses import dataclass
from typing import Final

from encoders.errors import BitstreamError

_HEADER_SIZE: Final = 9
_PREVIOUS_TAG_SIZE: Final = 4
_TAG_HEADER_SIZE: Final = 11
_VIDEO: Final = 9
_TAG_TYPES: Final = frozenset({8, _VIDEO, 18})
_AVC: Final = 7
_SEQUENCE_HEADER, _NAL_UNITS = 0, 1


@dataclass(frozen=True, slots=True)
class FlvVideo:
    """What one video tag brought."""

    nal_units: tuple[bytes, ...]
    """Without start codes and lengths."""

    is_header: bool
    """Whether these are the parameter sets of the pictures that follow, not a picture."""


class FlvParser:
    """Cuts a pipe of FLV, given in chunks of any size, into its H.264.

    `feed` raises `BitstreamError` for what is not such a pipe, and when a tag is longer than `limit` bytes. The parser
    is of no use after that.
    """

    def __init__(self, *, limit: int = 8 * 1024 * 1024) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._is_begun = False
        self._length_size = 0  # of the lengths before NAL units: not known before the sequence header

    def feed(self, data: bytes) -> list[FlvVideo]:
        """Take the next bytes; what is whole by them."""
        buffer = self._buffer
        buffer += data
        found: list[FlvVideo] = []
        start = 0
        if not self._is_begun:
            if len(buffer) < _HEADER_SIZE + _PREVIOUS_TAG_SIZE:
                return found
            if buffer[:4] != b"FLV\x01" or int.from_bytes(buffer[5:9], "big") != _HEADER_SIZE:
                raise BitstreamError(f"no FLV: it begins with {bytes(buffer[:_HEADER_SIZE])!r}")
            self._is_begun = True
            start = _HEADER_SIZE + _PREVIOUS_TAG_SIZE
        # The size of the tag before is waited for by nobody: it comes with the next tag's header.
        while len(buffer) - start >= _TAG_HEADER_SIZE:
            kind, size = buffer[start], int.from_bytes(buffer[start + 1 : start + 4], "big")
            if kind not in _TAG_TYPES:
                raise BitstreamError(f"an FLV tag is of type {kind}: it must be 8, 9 or 18")
            if size > self._limit:
                raise BitstreamError(f"an FLV tag has {size} bytes: at most {self._limit} are taken")
            begin = start + _TAG_HEADER_SIZE
            end = begin + size + _PREVIOUS_TAG_SIZE
            if len(buffer) < end:
                break
            if kind == _VIDEO:
                found += self._read_video(bytes(buffer[begin : begin + size]))
            start = end
        del buffer[:start]
        return found

    def _read_video(self, tag: bytes) -> list[FlvVideo]:
        if len(tag) < 5 or tag[0] & 0x0F != _AVC:
            raise BitstreamError(f"an FLV video tag that begins with {tag[:5]!r} is no H.264")
        if tag[1] == _SEQUENCE_HEADER:
            if len(tag) == 5:  # FFmpeg writes an empty one for an encoder that has no parameter sets yet
                return []
            self._length_size, nal_units = _read_configuration(tag[5:])
            return [FlvVideo(nal_units, True)]
        if tag[1] == _NAL_UNITS:
            if not self._length_size:
                raise BitstreamError("an FLV picture came before the sequence header")
            return [FlvVideo(_split(tag[5:], self._length_size), False)]
        return []  # the end of the sequence


def _read_configuration(record: bytes) -> tuple[int, tuple[bytes, ...]]:
    """The size of lengths, and the parameter sets (ISO/IEC 14496-15 section 5.3.3.1)."""
    if len(record) < 7 or record[0] != 1:
        raise BitstreamError(f"no decoder configuration record: {record[:7]!r}")
    nal_units: list[bytes] = []
    position, count = 6, record[5] & 0x1F
    for kind in ("sequence", "picture"):
        for _ in range(count):
            begin = position + 2
            end = begin + int.from_bytes(record[position:begin], "big")
            if end > len(record) or begin == end:
                raise BitstreamError(
                    f"a {kind} parameter set of {end - begin} bytes is not in a record of {len(record)}"
                )
            nal_units.append(record[begin:end])
            position = end
        if kind == "sequence":
            if position >= len(record):
                raise BitstreamError("a decoder configuration record ends before its picture parameter sets")
            count = record[position]
            position += 1
    return (record[4] & 3) + 1, tuple(nal_units)


def _split(data: bytes, length_size: int) -> tuple[bytes, ...]:
    nal_units: list[bytes] = []
    position = 0
    while position < len(data):
        begin = position + length_size
        end = begin + int.from_bytes(data[position:begin], "big")
        if begin >= end or end > len(data):
            raise BitstreamError(f"a NAL unit of {end - begin} bytes is not in a picture of {len(data)}")
        nal_units.append(data[begin:end])
        position = end
    return tuple(nal_units)

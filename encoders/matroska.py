"""Raw video in Matroska, as far as a pipe into `ffmpeg` needs it: with raw video alone a picture has no time.

RFC 9559; elements are an identifier, a size and what they hold (EBML, RFC 8794).
"""

from typing import Final

_CODEC: Final = b"V_UNCOMPRESSED"
_PIXEL_FORMAT: Final = b"I420"
_WRITER: Final = b"media-service"
_TRACK: Final = 1


def matroska_header(width: int, height: int, frame_rate: int) -> bytes:
    """What comes before the first picture: one track of yuv420p pictures, times in milliseconds, no end known."""
    ebml = _element(
        0x1A45DFA3,
        _number(0x4286, 1)  # EBMLVersion
        + _number(0x42F7, 1)  # EBMLReadVersion
        + _number(0x42F2, 4)  # EBMLMaxIDLength
        + _number(0x42F3, 8)  # EBMLMaxSizeLength
        + _element(0x4282, b"matroska")  # DocType
        + _number(0x4287, 4)  # DocTypeVersion
        + _number(0x4285, 2),  # DocTypeReadVersion
    )
    times = _number(0x2AD7B1, 1_000_000)  # TimestampScale: nanoseconds
    information = _element(0x1549A966, times + _element(0x4D80, _WRITER) + _element(0x5741, _WRITER))
    video = _element(0xE0, _number(0xB0, width) + _number(0xBA, height) + _element(0x2EB524, _PIXEL_FORMAT))
    track = _element(
        0xAE,
        _number(0xD7, _TRACK)  # TrackNumber
        + _number(0x73C5, _TRACK)  # TrackUID
        + _number(0x83, 1)  # TrackType: video
        + _number(0x9C, 0)  # FlagLacing
        + _number(0x23E383, round(1_000_000_000 / frame_rate))  # DefaultDuration
        + _element(0x86, _CODEC)
        + video,
    )
    segment = b"\x18\x53\x80\x67" + b"\x01" + b"\xff" * 7  # of unknown size
    return ebml + segment + information + _element(0x1654AE6B, track)


def matroska_picture(milliseconds: int, size: int) -> bytes:
    """What comes before the `size` bytes of a picture: a cluster of its own, with one block."""
    time = _number(0xE7, milliseconds)
    block = b"\xa3" + _size(4 + size) + bytes((0x80 | _TRACK, 0, 0, 0x80))
    return b"\x1f\x43\xb6\x75" + _size(len(time) + len(block) + size) + time + block


def _element(identifier: int, data: bytes) -> bytes:
    return identifier.to_bytes((identifier.bit_length() + 7) // 8, "big") + _size(len(data)) + data


def _number(identifier: int, number: int) -> bytes:
    return _element(identifier, number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big"))


def _size(size: int) -> bytes:
    return (1 << 56 | size).to_bytes(8, "big")

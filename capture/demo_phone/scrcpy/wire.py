"""The bytes that scrcpy's server writes, by version (com.genymobile.scrcpy.device.Streamer, DesktopConnection).

    first socket    one zero byte, the phone's name in 64 bytes
    video socket    before 4.0:  codec, width, height, then packets
                    since 4.0:   codec, then for each run of the encoder a session packet and packets
    audio socket    codec, then packets; or one code, and nothing more
    packet          8 bytes of flags and time, 4 bytes of length, the data

Everything is big-endian. The flags of a packet are one bit further down since 4.0, whose highest bit marks a session.
"""

from enum import IntEnum
from struct import Struct

from capture.demo_phone.scrcpy.version import ServerVersion

DUMMY_BYTE = b"\0"
"""What tells the client of a forwarded socket that somebody listens at its other end."""

AUDIO_DISABLED = b"\0\0\0\0"
"""Instead of the audio codec: there is no sound, but all the rest."""

AUDIO_ERROR = b"\0\0\0\1"
"""Instead of the audio codec: something is wrong, and the client is to end."""

_DEVICE_NAME_SIZE = 64
_VIDEO_HEADER = Struct(">4sII")
_SESSION = Struct(">III")
_FRAME_HEADER = Struct(">QI")
_LENGTH = Struct(">BI")
_SEQUENCE = Struct(">Bq")
_LONGEST_CLIPBOARD = (1 << 18) - _LENGTH.size

FRAME_HEADER_SIZE = _FRAME_HEADER.size


class DeviceMessage(IntEnum):
    """What the phone says on the control socket."""

    CLIPBOARD = 0
    ACK_CLIPBOARD = 1


def device_name(name: str) -> bytes:
    """The phone's name: at most 63 bytes of UTF-8, never half a character, filled up with zeros."""
    return _cut(name, _DEVICE_NAME_SIZE - 1).ljust(_DEVICE_NAME_SIZE, b"\0")


def codec_id(codec: str) -> bytes:
    """A codec's four bytes: its name, with zeros before it."""
    return codec.encode().rjust(4, b"\0")


def video_header(version: ServerVersion, codec: str, width: int, height: int) -> bytes:
    """What comes before all packets of a video."""
    if version.has_sessions:
        return codec_id(codec)
    return _VIDEO_HEADER.pack(codec_id(codec), width, height)


def session_packet(width: int, height: int) -> bytes:
    """What comes before the packets of one run of the encoder (4.0): the size of its pictures."""
    return _SESSION.pack(1 << 31, width, height)


def config_packet(version: ServerVersion, data: bytes) -> bytes:
    """A packet that holds no picture or sound, but what its decoder needs."""
    return _FRAME_HEADER.pack(1 << (62 if version.has_sessions else 63), len(data)) + data


def frame_header(version: ServerVersion, pts: int, length: int, *, is_keyframe: bool) -> bytes:
    """What comes before a picture or a piece of sound. `pts` counts microseconds of the phone's clock."""
    keyframe_bit = 61 if version.has_sessions else 62
    return _FRAME_HEADER.pack(pts | is_keyframe << keyframe_bit, length)


def clipboard_message(text: str) -> bytes:
    """The clipboard holds `text`; what is too long for a message is cut off."""
    data = _cut(text, _LONGEST_CLIPBOARD)
    return _LENGTH.pack(DeviceMessage.CLIPBOARD, len(data)) + data


def acknowledgement(sequence: int) -> bytes:
    """The SET_CLIPBOARD of this number was done."""
    return _SEQUENCE.pack(DeviceMessage.ACK_CLIPBOARD, sequence)


def _cut(text: str, size: int) -> bytes:
    """The UTF-8 of as many whole characters as fit into `size` bytes."""
    return text.encode(errors="replace")[:size].decode(errors="ignore").encode()

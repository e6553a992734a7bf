"""The RTP header of our packets: fixed part and one-byte extensions (RFC 3550 section 5.1, RFC 8285). Pure."""

import struct
from dataclasses import dataclass
from functools import lru_cache

from signaling.jsep import AudioTrack, VideoTrack

_ONE_BYTE_PROFILE = b"\xbe\xde"
PLAYOUT_DELAY_NONE = bytes(3)
"""Minimum and maximum playout delay 0: show each picture as soon as it is decoded, whatever else it belongs to."""

PLAYOUT_DELAY_OF_SOUND = bytes((0, 0, 10))
"""At most 100 ms, in units of 10: so long may pictures wait for their sound. With a maximum of 0 Chromium shows each
one at once and never plays the two together; with this one it adds what is missing, and no more than a touch can bear.
"""


def absolute_send_time(now: float) -> bytes:
    """Seconds of `now` as 6.18 fixed point: the 3 bytes of abs-send-time."""
    return (int(now * 262144) & 0xFFFFFF).to_bytes(3, "big")


@dataclass(frozen=True, slots=True, eq=False)
class PacketShape:
    """What the packets of all viewers have in common who can share a template.

    Equal ones are the same object (`packet_shape` sees to it), so that looking a template up costs no comparison.
    """

    payload_type: int
    extensions: bytes
    """The extension block with abs-send-time zero; empty without extensions."""
    send_time_offset: int
    """Where abs-send-time sits in `extensions`; 0 when it is not sent."""
    transport_sequence_offset: int
    """Where the transport-wide sequence number sits in `extensions`, zero; 0 when it is not sent.

    It comes first of all, so that it is always at the same place: 5.
    """
    tag_size: int
    """Bytes that SRTP appends."""

    @property
    def header_size(self) -> int:
        return 12 + len(self.extensions)

    def header(self, payload_type: int, send_time: bytes, *, marker: bool = False) -> bytes:
        """The header with sequence number, timestamp and SSRC left zero."""
        extensions = self.extensions
        if self.send_time_offset:
            at = self.send_time_offset
            extensions = extensions[:at] + send_time + extensions[at + 3 :]
        first = 0x90 if extensions else 0x80
        return bytes((first, payload_type | (0x80 if marker else 0))) + bytes(10) + extensions


def packet_shape(
    track: VideoTrack, tag_size: int, playout_delay: bytes = PLAYOUT_DELAY_NONE, *, numbers_packets: bool = False
) -> PacketShape:
    """The shape that the video's negotiated extensions and the SRTP profile give.

    Transport-wide sequence numbers are in it only where `numbers_packets` says that they are counted.
    """
    number = _element(track.transport_sequence_extension, bytes(2)) if numbers_packets else b""
    number_offset = 5 if number else 0
    elements = number + _element(track.mid_extension, track.mid.encode())
    send_time = _element(track.absolute_send_time_extension, bytes(3))
    send_time_offset = 4 + len(elements) + 1 if send_time else 0
    elements += send_time + _element(track.playout_delay_extension, playout_delay)
    return _shape(track.payload_type, _block(elements), send_time_offset, number_offset, tag_size)


def audio_shape(track: AudioTrack, tag_size: int) -> PacketShape:
    """The shape of the sound's packets: only the mid is in their extensions."""
    return _shape(track.payload_type, _block(_element(track.mid_extension, track.mid.encode())), 0, 0, tag_size)


def _element(identifier: int | None, value: bytes) -> bytes:
    # A one-byte element holds 1 to 16 bytes (RFC 8285 section 4.2); a mid can be longer, and is then left out.
    if identifier is None or not 1 <= len(value) <= 16:
        return b""
    return bytes((identifier << 4 | len(value) - 1,)) + value


def _block(elements: bytes) -> bytes:
    if not elements:
        return b""
    elements += bytes(-len(elements) % 4)
    return _ONE_BYTE_PROFILE + struct.pack("!H", len(elements) // 4) + elements


@lru_cache(maxsize=1024)
def _shape(
    payload_type: int, extensions: bytes, send_time_offset: int, transport_sequence_offset: int, tag_size: int
) -> PacketShape:
    return PacketShape(payload_type, extensions, send_time_offset, transport_sequence_offset, tag_size)

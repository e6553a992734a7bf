"""Packets that are sent again: on a stream of their own (RFC 4588), or just as they were where there is none."""

import secrets
import struct

from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.header_extensions import PacketShape, absolute_send_time
from media_service.rtc.history import SentPacket
from signaling.jsep import VideoTrack

_pack_numbering = struct.Struct("!HII").pack_into
_pack_number = struct.Struct("!H").pack_into


class RetransmissionStream:
    """Writes one viewer's packets once more."""

    def __init__(self, track: VideoTrack, dtls: DtlsTransport) -> None:
        self.is_separate = track.rtx_payload_type is not None
        """Whether the receiver takes any packet any number of times; if not, only what it may have missed."""
        self._track = track
        self._dtls = dtls
        # The lower half: libsrtp guesses the roll-over counter from the first packet that it sees (RFC 3711 3.3.1).
        self._sequence = secrets.randbits(15)

    def again(self, packet: SentPacket, shape: PacketShape, number: int, now: float) -> bytes:
        """`packet` once more, encrypted, in `shape` and with the transport-wide sequence `number` if it has its own.

        Raises `pylibsrtp.Error` when libsrtp repeats it no more.
        """
        track = self._track
        if track.rtx_payload_type is not None:
            # RFC 4588 section 4: own SSRC and numbering, the original sequence number first in the payload.
            header = bytearray(shape.header(track.rtx_payload_type, absolute_send_time(now), marker=packet.is_last))
            _pack_numbering(header, 2, self._sequence & 0xFFFF, packet.timestamp, track.rtx_ssrc)
            self._sequence += 1
            payload = packet.sequence.to_bytes(2, "big") + packet.payload
        else:
            # The very same packet: with anything else in it the cipher's nonce would be used for two plaintexts.
            shape, number, payload = packet.shape, packet.number, packet.payload
            header = bytearray(shape.header(track.payload_type, packet.send_time, marker=packet.is_last))
            _pack_numbering(header, 2, packet.sequence, packet.timestamp, track.ssrc)
        if shape.transport_sequence_offset:
            _pack_number(header, 12 + shape.transport_sequence_offset, number & 0xFFFF)
        return self._dtls.protect(bytes(header) + payload)

"""A viewer's packets of video on their way out: numbered, encrypted, sent and remembered."""

import secrets
import struct
from collections.abc import Sequence

from media_service.rtc.bandwidth import BandwidthEstimator
from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.header_extensions import PacketShape
from media_service.rtc.history import History, SentBurst, SentPacket
from media_service.rtc.pacer import Budget
from media_service.rtc.path import Path
from media_service.rtc.retransmission import RetransmissionStream
from media_service.rtc.srtp import PacketBuffer, protect
from media_service.rtc.template import Template
from signaling.jsep import VideoTrack

_pack_numbering = struct.Struct("!HII").pack_into
_pack_numbers = struct.Struct("!HII5sH").pack_into
"""The same, and the transport-wide number behind what extensions begin with."""


class VideoSender:
    """Sends what it is told to, at once: whether the path carries it is for others to say."""

    def __init__(
        self, track: VideoTrack, dtls: DtlsTransport, buffer: PacketBuffer, estimator: BandwidthEstimator
    ) -> None:
        self.history = History()
        """What was sent lately."""
        self.budget = Budget()
        """Pays for everything that leaves."""
        # The lower half: libsrtp guesses the roll-over counter from the first packet that it sees (RFC 3711 3.3.1).
        self.sequence = secrets.randbits(15)
        """The next packet's sequence number, unwrapped."""
        self.timestamp_offset = secrets.randbits(32)
        """What is added to every RTP timestamp."""
        self.number = 0
        """The next transport-wide sequence number, unwrapped."""
        self._ssrc = track.ssrc
        self._context = dtls.srtp_context
        self._buffer = buffer
        self._estimator = estimator
        self._retransmissions = RetransmissionStream(track, dtls)

    @property
    def repeats_anything(self) -> bool:
        """Whether any packet may be sent again any number of times; if not, only what the receiver may have missed."""
        return self._retransmissions.is_separate

    def send(
        self,
        path: Path,
        batches: Sequence[Template],
        payloads: tuple[bytes, ...],
        shape: PacketShape,
        timestamp: int,
        send_time: bytes,
        now: float,
        ends_picture: bool = True,
    ) -> str:
        """Send packets of one picture, these `payloads` laid out in `batches`, at an unwrapped RTP `timestamp`.

        Returns why the receiver has not got all of them: `srtp_error` or `buffer_full`; empty when nothing is wrong.
        """
        buffer = self._buffer
        data, size, context, ssrc = buffer.data, buffer.length, self._context, self._ssrc
        encrypt, pack, pack_numbers = protect, _pack_numbering, _pack_numbers
        wire_timestamp = timestamp + self.timestamp_offset & 0xFFFFFFFF
        sequence = first_sequence = self.sequence
        number = first_number = self.number
        before_number = shape.extensions[: shape.transport_sequence_offset]
        send_run = path.send_run
        is_sent = True
        sent_octets = 0
        for clear, packets, runs, laid_out_at, send_time_offsets, sizes, octets in batches:
            data[: len(clear)] = clear
            if laid_out_at != send_time:
                for offset in send_time_offsets:
                    data[offset : offset + 3] = send_time
            for pointer, offset, length in packets:
                if before_number:
                    # In one call: this runs for every packet and viewer.
                    pack_numbers(data, offset, sequence & 0xFFFF, wire_timestamp, ssrc, before_number, number & 0xFFFF)
                    number += 1
                else:
                    pack(data, offset, sequence & 0xFFFF, wire_timestamp, ssrc)
                size[0] = length
                if encrypt(context, pointer, size):
                    # What libsrtp refuses to encrypt is not sent in clear.
                    self.sequence = sequence + 1
                    return "srtp_error"
                sequence += 1
            for run in runs:
                if not send_run(run):
                    is_sent = False
            sent_octets += octets
            if before_number:
                self._estimator.packets_sent(self.number, sizes, now)
                self.number = number
        self.sequence = sequence
        self.budget.spend(sent_octets)
        self.history.add(
            SentBurst(first_sequence, payloads, wire_timestamp, send_time, now, shape, ends_picture, first_number)
        )
        return "" if is_sent else "buffer_full"

    def repeat(self, path: Path, packet: SentPacket, shape: PacketShape, now: float) -> int:
        """Send a packet once more, in `shape` where it need not be the very same; its octets, 0 when it did not leave.

        Raises `pylibsrtp.Error` when libsrtp repeats it no more.
        """
        protected = self._retransmissions.again(packet, shape, self.number, now)
        if not path.send(protected):
            return 0
        octets = len(protected)
        self.budget.spend(octets)
        if shape.transport_sequence_offset and self._retransmissions.is_separate:
            self._estimator.packets_sent(self.number, (octets,), now)
            self.number += 1
        return octets

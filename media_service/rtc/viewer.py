"""One receiver of a stream: its RTP numbering, what was sent to it, and what it reports (RFC 3550, 4585, 4588)."""

import secrets
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from pylibsrtp import Error as SrtpError

from media_service.rtc import rtcp
from media_service.rtc.audio import AudioSender
from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.header_extensions import PLAYOUT_DELAY_OF_SOUND, absolute_send_time, packet_shape
from media_service.rtc.history import History, SentPicture
from media_service.rtc.path import Path
from media_service.rtc.patience import Patience
from media_service.rtc.picture import CLOCK_RATE, Picture
from media_service.rtc.srtp import PacketBuffer, protect
from media_service.rtc.template import Template
from signaling.jsep import AudioTrack, VideoTrack, canonical_name

_NTP_EPOCH_OFFSET = 2_208_988_800
_DEFAULT_ROUND_TRIP = 0.05
_WONDERS_AFTER = 2.5
"""Seconds without a picture after which a PLI may mean no more than that. libwebrtc sends one after three."""
_pack_numbering = struct.Struct("!HII").pack_into


def ntp_time(seconds: float) -> int:
    """The 64-bit NTP timestamp of a Unix time (RFC 3550 section 4)."""
    return int((seconds + _NTP_EPOCH_OFFSET) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


class Following(Enum):
    """How a viewer follows its stream."""

    WAITING = "waiting"
    """Nothing is sent until a keyframe comes or a replay begins."""
    REPLAYING = "replaying"
    """It gets the pictures since the last keyframe in fast forward."""
    LIVE = "live"
    """It gets each picture as it comes."""


@dataclass(slots=True)
class ViewerCounters:
    """What happened to one viewer's packets, named as in webrtc-stats where it has a name."""

    packets_sent: int = 0
    bytes_sent: int = 0
    retransmitted_packets_sent: int = 0
    pictures_sent: int = 0
    pictures_replayed: int = 0
    nack_count: int = 0
    pli_count: int = 0
    fir_count: int = 0
    receiver_reports: int = 0


@dataclass(frozen=True, slots=True)
class Reception:
    """What the receiver last said about what it gets."""

    fraction_lost: float = 0.0
    packets_lost: int = 0
    jitter: float = 0.0
    """Seconds."""
    round_trip_time: float | None = None
    """Seconds; None until a report mentions one of ours."""


class Viewer:
    """Sends pictures to one receiver. Everything here is synchronous and never waits."""

    def __init__(
        self,
        track: VideoTrack,
        dtls: DtlsTransport,
        path: Path,
        buffer: PacketBuffer,
        lagging: Callable[["Viewer", str], None],
        audio: AudioTrack | None = None,
    ) -> None:
        """`lagging(viewer, reason)` is called when the viewer needs a keyframe or a replay to go on."""
        self.audio = AudioSender(audio, dtls, buffer) if audio is not None else None
        """Sends it the sound; None when it takes none."""
        self._silent_shape = packet_shape(track, dtls.tag_size)
        self._sound_shape = packet_shape(track, dtls.tag_size, PLAYOUT_DELAY_OF_SOUND)
        self.shape = self._silent_shape if audio is None else self._sound_shape
        """What its pictures' packets have in common with others'."""
        self.path = path
        self.counters = ViewerCounters()
        self.reception = Reception()
        self.estimated_bit_rate: int | None = None
        """The receiver's estimate (REMB) of what the path carries, in bits per second."""
        self.drops: Counter[str] = Counter()
        self.following = Following.WAITING
        self.has_gap = True
        """Whether the receiver lacks some of what was sent: only a keyframe helps then."""
        self.picture_number = -1
        """The number of the last picture sent."""
        self.last_timestamp: int | None = None
        """The timestamp of the last picture sent, unwrapped."""
        self._acknowledged: int | None = None
        """The highest sequence number that the receiver has reported."""
        self._nacked_at = float("-inf")
        self._track = track
        self._ssrc = track.ssrc
        self._dtls = dtls
        self._context = dtls.srtp_context
        self._buffer = buffer
        self._lagging = lagging
        self._history = History()
        # The lower half: libsrtp guesses the roll-over counter from the first packet that it sees (RFC 3711 3.3.1).
        self._sequence = secrets.randbits(15)
        self._rtx_sequence = secrets.randbits(15)
        self._timestamp_offset = secrets.randbits(32)
        self._cname = canonical_name(track.ssrc).encode()
        self.patience = Patience()
        """When it may be helped again."""

    def send(self, picture: Picture, batches: Sequence[Template], timestamp: int, send_time: bytes, now: float) -> None:
        """Send `picture`, laid out in `batches` for `self.shape`, at an unwrapped RTP `timestamp`."""
        buffer = self._buffer
        data, size, context, ssrc = buffer.data, buffer.length, self._context, self._ssrc
        encrypt, pack = protect, _pack_numbering
        wire_timestamp = timestamp + self._timestamp_offset & 0xFFFFFFFF
        sequence = first_sequence = self._sequence
        send_run = self.path.send_run
        is_sent = True
        for clear, packets, runs, laid_out_at, send_time_offsets in batches:
            data[: len(clear)] = clear
            if laid_out_at != send_time:
                for offset in send_time_offsets:
                    data[offset : offset + 3] = send_time
            for pointer, offset, length in packets:
                pack(data, offset, sequence & 0xFFFF, wire_timestamp, ssrc)
                size[0] = length
                if encrypt(context, pointer, size):
                    # What libsrtp refuses to encrypt is not sent in clear.
                    self._sequence = sequence + 1
                    self.has_gap = True
                    self.fell_behind("srtp_error")
                    return
                sequence += 1
            for run in runs:
                if not send_run(run):
                    is_sent = False
        self._sequence = sequence
        self._history.add(SentPicture(first_sequence, picture.payloads, wire_timestamp, send_time, now))
        self.picture_number = picture.number
        self.last_timestamp = timestamp
        if picture.is_keyframe:
            self.has_gap = False
        counters = self.counters
        counters.packets_sent += sequence - first_sequence
        counters.bytes_sent += picture.octets
        counters.pictures_sent += 1
        if not is_sent:
            # A picture with a hole is worth nothing to the decoder: nothing more until a keyframe or a replay.
            self.has_gap = True
            self.fell_behind("buffer_full")

    def fell_behind(self, reason: str) -> None:
        """Note that a picture is missing: nothing more is sent until a keyframe or a replay."""
        self.drops[reason] += 1
        self.following = Following.WAITING
        self._lagging(self, reason)

    def rtcp_received(self, packets: Sequence[rtcp.RtcpPacket], now: float, ntp: int) -> None:
        """Act on what the receiver reports; `ntp` is the time that `now` has on the NTP clock."""
        for packet in packets:
            match packet:
                case rtcp.Nack():
                    self.counters.nack_count += 1
                    self._nacked_at = now
                    if packet.ssrc == self._track.ssrc:
                        self._retransmit(packet.sequence_numbers, now)
                case rtcp.ReceptionReport():
                    if packet.ssrc == self._track.ssrc:
                        self._report_received(packet, ntp)
                    elif self.audio is not None and packet.ssrc == self.audio.ssrc:
                        self.audio.fraction_lost = packet.fraction_lost
                case rtcp.KeyframeRequest():
                    if packet.kind == "pli":
                        self.counters.pli_count += 1
                    else:
                        self.counters.fir_count += 1
                    if packet.kind == "fir" or not self._lacks_nothing(now):
                        self.request_keyframe(packet.kind, now)
                case rtcp.Remb():
                    self.estimated_bit_rate = packet.bit_rate
                case rtcp.Bye():
                    pass

    def request_keyframe(self, reason: str, now: float) -> None:
        """Ask for what the decoder can start with again; too soon after the last time it is not asked for."""
        # While a replay runs, what it asks for is on its way.
        if self.following is not Following.REPLAYING and self.patience.is_over(now):
            self.patience.take(now)
            self.has_gap = True
            self._lagging(self, reason)

    def choose_sound(self, *, is_wanted: bool) -> None:
        """Send sound or leave it; pictures wait for it only where it is heard."""
        if self.audio is None or self.audio.is_wanted == is_wanted:
            return
        self.audio.is_wanted = is_wanted
        self.shape = self._sound_shape if is_wanted else self._silent_shape
        if self._track.rtx_payload_type is None:
            # Only the very same packets may be sent again, and those of before had another shape.
            self._history = History()

    def send_report(self, now: float, ntp: int) -> None:
        """Send sender reports (RFC 3550 section 6.4.1) for the moment `now`, which is `ntp` on the NTP clock.

        Picture and sound are reported for the same moment: the receiver plays them together by that.
        """
        reports = b""
        if self.last_timestamp is not None:
            timestamp = int(now * CLOCK_RATE) + self._timestamp_offset
            counters = self.counters
            reports = rtcp.sender_report(
                self._track.ssrc, ntp, timestamp, counters.packets_sent, counters.bytes_sent, self._cname
            )
        if self.audio is not None:
            reports += self.audio.report(now, ntp, self._cname)
        if reports:
            self.path.send(self._dtls.protect_rtcp(reports))

    def send_goodbye(self) -> None:
        """Tell the receiver that our sources end (RFC 3550 section 6.6)."""
        ssrcs = [self._track.ssrc]
        if self._track.rtx_payload_type is not None:
            ssrcs.append(self._track.rtx_ssrc)
        if self.audio is not None:
            ssrcs.append(self.audio.ssrc)
        self.path.send(self._dtls.protect_rtcp(rtcp.bye(tuple(ssrcs), self._cname)))

    def _lacks_nothing(self, now: float) -> bool:
        """Whether the receiver has all that was sent, and that was long ago: it only wonders why no more comes.

        Of a screen that stands still, or a phone that is away, it would be shown old pictures once more.
        """
        sent_at = self._history.newest_sent_at
        return (
            self.following is Following.LIVE
            and not self.has_gap
            and sent_at is not None
            and now - sent_at > _WONDERS_AFTER
            and self._nacked_at < sent_at
            and self._acknowledged is not None
            and (self._sequence - 1 - self._acknowledged) & 0xFFFF == 0
        )

    def _report_received(self, report: rtcp.ReceptionReport, ntp: int) -> None:
        self.counters.receiver_reports += 1
        self._acknowledged = report.highest_sequence
        round_trip = self.reception.round_trip_time
        if report.last_sender_report:
            # RFC 3550 section 6.4.1: in units of 1/65536 s; a clock step would show as hours.
            units = (ntp >> 16) - report.last_sender_report - report.delay_since_last & 0xFFFFFFFF
            if units < 60 << 16:
                round_trip = units / 65536
        self.reception = Reception(report.fraction_lost, report.packets_lost, report.jitter / CLOCK_RATE, round_trip)

    def _retransmit(self, sequence_numbers: Sequence[int], now: float) -> None:
        round_trip = self.reception.round_trip_time or _DEFAULT_ROUND_TRIP
        for sequence in sequence_numbers:
            packet = self._history.find(sequence)
            if packet is None:
                self.drops["nack_too_old"] += 1
                continue
            if not self._history.may_repeat(sequence, now, round_trip):
                self.drops["nack_too_soon"] += 1
                continue
            track = self._track
            if track.rtx_payload_type is not None:
                # RFC 4588 section 4: own SSRC and numbering, the original sequence number first in the payload.
                header = bytearray(
                    self.shape.header(track.rtx_payload_type, absolute_send_time(now), marker=packet.is_last)
                )
                _pack_numbering(header, 2, self._rtx_sequence & 0xFFFF, packet.timestamp, track.rtx_ssrc)
                self._rtx_sequence += 1
                data = bytes(header) + sequence.to_bytes(2, "big") + packet.payload
            else:
                # The very same packet: with another send time the cipher's nonce would be used for two plaintexts.
                header = bytearray(self.shape.header(track.payload_type, packet.send_time, marker=packet.is_last))
                _pack_numbering(header, 2, sequence, packet.timestamp, track.ssrc)
                data = bytes(header) + packet.payload
            try:
                protected = self._dtls.protect(data)
            except SrtpError:
                # libsrtp repeats a sequence number only within its window of 1024 packets.
                self.drops["nack_too_old"] += 1
                continue
            if self.path.send(protected):
                self.counters.retransmitted_packets_sent += 1

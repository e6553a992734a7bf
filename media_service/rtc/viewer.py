"""One receiver of a stream: its RTP numbering, what was sent to it and when, what it reports (RFC 3550, 4585, 4588).

A picture that its path carries at once leaves at once. Of a larger one as much leaves as the budget allows; the rest
waits, and so does what comes after it (see `pacer`). The egress then comes back every few milliseconds.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from media_service.rtc import rtcp
from media_service.rtc.audio import AudioSender
from media_service.rtc.bandwidth import BandwidthEstimator
from media_service.rtc.counters import ViewerCounters
from media_service.rtc.dtls import DtlsTransport
from media_service.rtc.header_extensions import PLAYOUT_DELAY_OF_SOUND, absolute_send_time, packet_shape
from media_service.rtc.history import SentPacket
from media_service.rtc.pacer import PACE, PACING_INTERVAL, Backlog, Padding, room
from media_service.rtc.path import Path
from media_service.rtc.patience import Patience
from media_service.rtc.picture import CLOCK_RATE, Picture
from media_service.rtc.repair import Repair
from media_service.rtc.srtp import PacketBuffer
from media_service.rtc.template import Template, templates
from media_service.rtc.video_sender import VideoSender
from signaling.jsep import AudioTrack, VideoTrack, canonical_name

_NTP_EPOCH_OFFSET = 2_208_988_800
_DEFAULT_ROUND_TRIP = 0.05
_WONDERS_AFTER = 2.5
"""Seconds without a picture after which a PLI may mean no more than that. libwebrtc sends one after three."""
_TURN: Final = 0.005
"""Seconds between two looks at what waits."""
_PROBE_INTERVAL: Final = 0.05
"""Seconds between two questions whether to probe."""
_REMINDER: Final = 0.25
"""Seconds after which a keyframe that a congested path needs is asked for again."""
_PADDING_PACKETS: Final = 16
_PADDING_PER_TURN: Final = 100
"""Packets: a machine that is late makes up for that no faster."""
_NEVER: Final = float("inf")


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


@dataclass(frozen=True, slots=True)
class Reception:
    """What the receiver last said about what it gets."""

    fraction_lost: float = 0.0
    packets_lost: int = 0
    jitter: float = 0.0
    """Seconds."""
    round_trip_time: float | None = None
    """Seconds; None until a report mentions one of ours."""


class Outlet(Protocol):
    """Where viewers lay out their packets, and who comes back for what waits. The egress is one."""

    buffer: PacketBuffer

    def attend(self, viewer: "Viewer") -> None:
        """Call `viewer.serve` in a few milliseconds, and again when it says."""
        ...


def _ignore() -> None:
    pass


class Viewer:
    """Sends pictures to one receiver. Everything here is synchronous and never waits."""

    def __init__(
        self,
        track: VideoTrack,
        dtls: DtlsTransport,
        path: Path,
        outlet: Outlet,
        estimator: BandwidthEstimator,
        lagging: Callable[["Viewer", str], None],
        audio: AudioTrack | None = None,
        first_picture: Callable[[], None] = _ignore,
    ) -> None:
        """`lagging(viewer, reason)` is called when the viewer needs a keyframe or a replay to go on.

        `first_picture` is called when there is a first one for it.
        """
        self.audio = AudioSender(audio, dtls, outlet.buffer) if audio is not None else None
        """Sends it the sound; None when it takes none."""
        numbers = estimator.numbers_packets
        self._silent_shape = packet_shape(track, dtls.tag_size, numbers_packets=numbers)
        self._sound_shape = packet_shape(track, dtls.tag_size, PLAYOUT_DELAY_OF_SOUND, numbers_packets=numbers)
        self.shape = self._silent_shape if audio is None else self._sound_shape
        """What its pictures' packets have in common with others'."""
        self.path = path
        self.estimator = estimator
        """Says what the path carries."""
        self.counters = ViewerCounters()
        self.reception = Reception()
        self.drops: Counter[str] = Counter()
        self.following = Following.WAITING
        self.has_gap = True
        """Whether the receiver lacks some of what was sent: only a keyframe helps then."""
        self.picture_number = -1
        """The number of the last picture sent, or that waits."""
        self.last_timestamp: int | None = None
        """The timestamp of the last picture sent, or that waits; unwrapped."""
        self._acknowledged: int | None = None
        """The highest sequence number that the receiver has reported."""
        self._nacked_at = float("-inf")
        self._track = track
        self._dtls = dtls
        self._outlet = outlet
        self._lagging = lagging
        self._first_picture = first_picture
        self._sender = VideoSender(track, dtls, outlet.buffer, estimator)
        self._history = self._sender.history
        self._budget = self._sender.budget
        self._backlog = Backlog()
        self._repair = Repair(self._sender, estimator, self.counters, self.drops)
        self._keyframe_octets = 0
        """Of the last keyframe, in whole packets."""
        self._remind_at = _NEVER
        """When to ask for the keyframe that a congested path needs."""
        self._wanted_bit_rate = 0
        # A probe is made of retransmissions, which a receiver takes any number of only on their own stream.
        self._probe_at = 0.0 if self._sender.repeats_anything else _NEVER
        """When to ask next whether to probe."""
        self._padding: Padding | None = None
        self._repeatable: list[SentPacket] = []
        """What the padding consists of."""
        self._cname = canonical_name(track.ssrc).encode()
        self.patience = Patience()
        """When it may be helped again."""

    @property
    def pacing_rate(self) -> float:
        """Octets per second that it is sent at most."""
        estimator, padding = self.estimator, self._padding
        rate = estimator.bit_rate * PACE[estimator.is_congested]
        return rate if padding is None else max(rate, padding.rate)

    @property
    def waiting_seconds(self) -> float:
        """How long what waits, here and on the path, would take by the estimate."""
        return (self._backlog.octets + self.path.backlog) * 8 / self.estimator.bit_rate

    @property
    def wanted_bit_rate(self) -> int:
        """What it could make use of, in bits per second: where the estimate is below it, it is worth a probe.

        To be set again every now and then: it is looked at then whether the estimate has fallen.
        """
        return self._wanted_bit_rate

    @wanted_bit_rate.setter
    def wanted_bit_rate(self, wanted: int) -> None:
        self._wanted_bit_rate = wanted
        if wanted > self.estimator.bit_rate and self._probe_at < _NEVER:
            self._outlet.attend(self)

    def seconds_for(self, octets: int) -> float:
        """How long it takes to send so much, at the pacing rate."""
        return octets / self.pacing_rate

    def charge(self, octets: int) -> None:
        """Note that `octets` left that no budget was asked for."""
        self._budget.spend(octets)

    def send(self, picture: Picture, batches: Sequence[Template], timestamp: int, send_time: bytes, now: float) -> None:
        """Send `picture`, laid out in `batches` for `self.shape`, at an unwrapped RTP `timestamp`.

        What of it cannot leave now waits; or all that waits is given up, so that only a keyframe helps.
        """
        octets = batches[0].octets if len(batches) == 1 else sum(batch.octets for batch in batches)
        # Not by the property: this runs for every viewer and picture.
        estimator = self.estimator
        rate = estimator.bit_rate * PACE[estimator.is_congested] if self._padding is None else self.pacing_rate
        level = self._budget.earn(rate, now)
        if octets > level or self._backlog.octets or self._repair.missing or self.path.backlog:
            self._send_paced(picture, octets, timestamp, now)
            return
        self._took(picture, octets, timestamp)
        payloads, counters = picture.payloads, self.counters
        failure = self._sender.send(self.path, batches, payloads, self.shape, timestamp, send_time, now)
        counters.packets_sent += len(payloads)
        counters.bytes_sent += picture.octets
        counters.pictures_sent += 1
        if failure:
            self._failed(failure, ends_picture=True)
        elif self._repair.sends_copies:
            self._repair.copy_tail(now)
            self._outlet.attend(self)

    def serve(self, now: float) -> float:
        """Send what waits, as far as the budget goes; seconds after which to do so again, infinity for never."""
        self._budget.earn(self.pacing_rate, now)
        repair = self._repair
        if repair.missing:
            repair.send_missing(self.path, self.shape, now)
        if self._backlog.octets:
            self._send_waiting(now)
        if repair.copies:
            repair.send_copies(self.path, self.shape, now)
        if now >= self._remind_at:
            self._remind(now)
        if self._padding is not None:
            self._pad(self._padding, now)
        elif self._wanted_bit_rate > self.estimator.bit_rate and now >= self._probe_at:
            self._consider_probe(now)
        if self._backlog.octets or repair.is_waiting or self._padding is not None or self._remind_at < _NEVER:
            return _TURN
        may_gain = self._wanted_bit_rate > self.estimator.bit_rate and self._probe_at < _NEVER
        return _PROBE_INTERVAL if may_gain else _NEVER

    def give_up(self, now: float) -> None:
        """Drop what waits but for keyframes, and ask for a keyframe until one comes: the path is too full."""
        self.drops["congested"] += self._backlog.thin()
        self._abandon()
        self.has_gap = True
        self.following = Following.WAITING
        self._remind_at = now
        self._remind(now)
        self._outlet.attend(self)

    def change_coding(self) -> None:
        """Go on with another coding of the stream, whose pictures are numbered anew, at its next keyframe."""
        self.picture_number = -1
        self.has_gap = True
        self.following = Following.WAITING

    def close(self) -> None:
        """Send nothing more of what waits."""
        self._backlog.clear()
        self._repair.clear()
        self._padding = None
        self._wanted_bit_rate = 0
        self._remind_at = _NEVER

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
                        self._packets_missed(packet.sequence_numbers, now)
                case rtcp.ReceptionReport():
                    if packet.ssrc == self._track.ssrc:
                        self._report_received(packet, now, ntp)
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
                    self.estimator.remb_received(packet.bit_rate, now)
                case rtcp.TransportFeedback():
                    self.estimator.feedback_received(packet, now)
                    if lacking := self._repair.lacking(packet):
                        self._packets_lacking(lacking, now)
                case rtcp.Bye():
                    pass

    def request_keyframe(self, reason: str, now: float) -> None:
        """Ask for what the decoder can start with again; too soon after the last time it is not asked for."""
        # While a replay runs or a keyframe waits, what it asks for is on its way.
        is_coming = self.following is Following.REPLAYING or self._backlog.has_keyframe
        if not is_coming and self.patience.is_over(now):
            self.patience.take(now)
            self.has_gap = True
            self._lagging(self, reason)

    def choose_sound(self, *, is_wanted: bool) -> None:
        """Send sound or leave it; pictures wait for it only where it is heard."""
        if self.audio is None or self.audio.is_wanted == is_wanted:
            return
        self.audio.is_wanted = is_wanted
        self.shape = self._sound_shape if is_wanted else self._silent_shape

    def send_report(self, now: float, ntp: int) -> None:
        """Send sender reports (RFC 3550 section 6.4.1) for the moment `now`, which is `ntp` on the NTP clock.

        Picture and sound are reported for the same moment: the receiver plays them together by that.
        """
        reports = b""
        if self.last_timestamp is not None:
            timestamp = int(now * CLOCK_RATE) + self._sender.timestamp_offset
            counters = self.counters
            reports = rtcp.sender_report(
                self._track.ssrc, ntp, timestamp, counters.packets_sent, counters.bytes_sent, self._cname
            )
        if self.audio is not None:
            reports += self.audio.report(now, ntp, self._cname)
        if reports:
            protected = self._dtls.protect_rtcp(reports)
            self.path.send(protected)
            self.charge(len(protected))

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
            and not self._backlog.octets
            and sent_at is not None
            and now - sent_at > _WONDERS_AFTER
            and self._nacked_at < sent_at
            and self._acknowledged is not None
            and (self._sender.sequence - 1 - self._acknowledged) & 0xFFFF == 0
        )

    def _report_received(self, report: rtcp.ReceptionReport, now: float, ntp: int) -> None:
        self.counters.receiver_reports += 1
        self._acknowledged = report.highest_sequence
        round_trip = self.reception.round_trip_time
        if report.last_sender_report:
            # RFC 3550 section 6.4.1: in units of 1/65536 s; a clock step would show as hours.
            units = (ntp >> 16) - report.last_sender_report - report.delay_since_last & 0xFFFFFFFF
            if units < 60 << 16:
                round_trip = units / 65536
        self.reception = Reception(report.fraction_lost, report.packets_lost, report.jitter / CLOCK_RATE, round_trip)
        self.estimator.loss_reported(report.fraction_lost, round_trip, now)
        self._repair.loss_reported(report.fraction_lost, now)

    def _send_paced(self, picture: Picture, octets: int, timestamp: int, now: float) -> None:
        """Have `picture` wait for its turn, and send what the budget pays for."""
        backlog = self._backlog
        if picture.is_keyframe:
            overtaken = backlog.overtake(octets)
            if overtaken:
                self.drops["overtaken"] += overtaken
                self._abandon()
        elif backlog.octets + self.path.backlog + octets > room(self.estimator.bit_rate, self._keyframe_octets):
            self.drops["congested"] += 1
            self.give_up(now)
            return
        backlog.append(picture, self.shape, timestamp, octets)
        self._took(picture, octets, timestamp)
        self._repair.send_missing(self.path, self.shape, now)
        self._send_waiting(now)
        if backlog.octets or self._repair.is_waiting:
            self._outlet.attend(self)

    def _took(self, picture: Picture, octets: int, timestamp: int) -> None:
        if self.last_timestamp is None:
            self._first_picture()
        self.picture_number = picture.number
        self.last_timestamp = timestamp
        if picture.is_keyframe:
            self._keyframe_octets = octets
            self._remind_at = _NEVER
            self.has_gap = False

    def _send_waiting(self, now: float) -> None:
        """Send what the budget pays for of the pictures that wait."""
        budget, backlog, counters = self._budget, self._backlog, self.counters
        send_time = absolute_send_time(now)
        most_ahead = self.pacing_rate * PACING_INTERVAL
        # What waits on the path can be neither dropped nor overtaken.
        while budget.level > 0 and self.path.backlog <= most_ahead:
            part = backlog.take(budget.level, self._sender.sequence)
            if part is None:
                return
            payloads, shape, timestamp, is_last = part
            batches = templates(payloads, shape, self._outlet.buffer, send_time, ends_picture=is_last)
            failure = self._sender.send(
                self.path, batches, payloads, shape, timestamp, send_time, now, ends_picture=is_last
            )
            counters.packets_sent += len(payloads)
            counters.bytes_sent += sum(map(len, payloads))
            counters.pictures_sent += is_last
            if failure:
                self._failed(failure, ends_picture=is_last)
                return
            if is_last and self._repair.sends_copies:
                self._repair.copy_tail(now)

    def _failed(self, reason: str, *, ends_picture: bool) -> None:
        """A picture with a hole is worth nothing to the decoder, nor is what waits behind it."""
        # What has not left whole is counted among those that wait.
        self.drops[reason] += self._backlog.clear() - (not ends_picture)
        self.has_gap = True
        self.fell_behind(reason)

    def _abandon(self) -> None:
        """Note that what was sent leads nowhere, unless it is the keyframe that goes on."""
        begun = self._backlog.begun_keyframe
        self._history.abandon(self._sender.sequence if begun is None else begun)
        self._repair.abandon()

    def _remind(self, now: float) -> None:
        """Ask for a keyframe, unless one is on its way already."""
        if self.following is Following.WAITING and not self._backlog.has_keyframe:
            self._remind_at = now + _REMINDER
            self._lagging(self, "congested")

    def _packets_missed(self, sequence_numbers: Sequence[int], now: float) -> None:
        """Send again what is worth it and the budget pays for, and the rest before anything else."""
        self._budget.earn(self.pacing_rate, now)
        round_trip = self.reception.round_trip_time or _DEFAULT_ROUND_TRIP
        self._repair.nacked(sequence_numbers, self.path, self.shape, round_trip, now)
        if self._repair.is_waiting:
            self._outlet.attend(self)

    def _packets_lacking(self, packets: Sequence[SentPacket], now: float) -> None:
        """The same for what nobody asked for, but feedback says is missing."""
        self._budget.earn(self.pacing_rate, now)
        self._repair.repair(packets, self.path, self.shape, now)
        if self._repair.is_waiting:
            self._outlet.attend(self)

    def _consider_probe(self, now: float) -> None:
        """Ask whether it is time for a probe, and begin it."""
        self._probe_at = now + _PROBE_INTERVAL * 0.9
        if self.following is not Following.LIVE:
            return
        probe = self.estimator.next_probe(self._wanted_bit_rate, now)
        if probe is not None:
            self._repeatable = self._history.large_packets(_PADDING_PACKETS)
            if self._repeatable:
                self._padding = Padding(probe, self._budget.spent, now)

    def _pad(self, padding: Padding, now: float) -> None:
        """Send what is missing to the probe's rate: packets that were sent already, once more."""
        due = padding.due(self._budget.spent, now)
        counters, packets = self.counters, self._repeatable
        for _ in range(_PADDING_PER_TURN):
            if due <= 0 or self.estimator.is_congested:
                break
            packet = packets[counters.padding_packets_sent % len(packets)]
            octets = self._repair.repeat(packet, self.path, self.shape, now)
            if not octets:
                break
            due -= octets
            counters.padding_packets_sent += 1
            counters.padding_bytes_sent += octets
        if padding.is_over(now) or self.estimator.is_congested:
            self._padding = None
            self._repeatable = []

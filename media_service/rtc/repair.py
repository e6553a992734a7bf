"""What one viewer's receiver lacks is sent again: after a NACK (RFC 4585), or by transport-wide feedback without one.

A round of asking and sending takes a round trip, and a picture that waits for two of them is a freeze. So where the
path loses packets though it is not full, what is sent again leaves twice, and the end of each picture too: nobody
would notice its loss before the next picture.
"""

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from pylibsrtp import Error as SrtpError

from media_service.rtc.bandwidth import BandwidthEstimator
from media_service.rtc.counters import ViewerCounters
from media_service.rtc.header_extensions import PacketShape
from media_service.rtc.history import SentPacket
from media_service.rtc.loss_detector import LossDetector
from media_service.rtc.pacer import LARGEST_WAIT
from media_service.rtc.path import Path
from media_service.rtc.rtcp import TransportFeedback
from media_service.rtc.video_sender import VideoSender

_ASKED_AGAIN_AFTER: Final = 0.7
"""Of a round trip as measured, which holds more than the way: who asks for a packet again does not have it."""
_LARGEST_PACKET: Final = 1250
_FEWEST_LOST: Final = 0.005
_MOST_LOST: Final = 0.1
"""Shares of packets lost between which copies help: with more, it is no accident but too much that is sent."""
_WEIGHT: Final = 0.25
"""Of the last report among those before."""
_ROOM: Final = 1.2
"""Times what is sent that the path has to carry before anything is sent that may not be needed."""
_APART: Final = 0.004
"""Seconds from a packet to its copy, so that one moment's trouble does not take both."""
_LATE: Final = 0.05
"""Seconds after which a copy is of no more use than the next NACK."""
_MOST_COPIES: Final = 64
_REMEMBERED: Final = 512
"""Packets sent again whose fate is followed."""


class _Copy(NamedTuple):
    """A packet that is to leave once more, at the earliest then."""

    packet: SentPacket
    due: float
    is_tail: bool


class Repair:
    """Sends packets again. What of it the budget does not pay for yet waits here, oldest first."""

    def __init__(
        self, sender: VideoSender, estimator: BandwidthEstimator, counters: ViewerCounters, drops: Counter[str]
    ) -> None:
        self.missing: dict[int, SentPacket] = {}
        """What the receiver lacks and the budget has not paid for, by sequence number."""
        self.copies: deque[_Copy] = deque()
        """What is sent for safety."""
        self.sends_copies = False
        """Whether the path loses packets, not because it is full, and has room for copies."""
        self._sender = sender
        self._history = sender.history
        self._budget = sender.budget
        self._estimator = estimator
        self._counters = counters
        self._drops = drops
        self._fraction_lost = 0.0
        """Of the last reports."""
        self._reported_at: float | None = None
        self._spent = 0
        self._detector = LossDetector()
        # By transport-wide numbers: that of the packet as it first left stands for it.
        self._original: dict[int, int] = {}
        self._underway: dict[int, set[int]] = {}
        """Of what was sent more than once, what is not known to be lost."""

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything left to send."""
        return bool(self.missing or self.copies)

    def loss_reported(self, fraction_lost: float, now: float) -> None:
        """Take a receiver report: the share of packets lost since the one before."""
        self._fraction_lost += _WEIGHT * (fraction_lost - self._fraction_lost)
        spent_before, self._spent = self._spent, self._budget.spent - self._counters.padding_bytes_sent
        before, self._reported_at = self._reported_at, now
        if before is None or not self._sender.repeats_anything:
            return
        has_room = (self._spent - spent_before) * 8 * _ROOM <= self._estimator.bit_rate * (now - before)
        self.sends_copies = has_room and _FEWEST_LOST <= self._fraction_lost <= _MOST_LOST

    def nacked(
        self, sequence_numbers: Iterable[int], path: Path, shape: PacketShape, round_trip: float, now: float
    ) -> None:
        """Send again what is worth it and the budget pays for; the rest is missing from now on."""
        history, drops = self._history, self._drops
        for sequence in sequence_numbers:
            packet = history.find(sequence)
            if history.is_abandoned(sequence):
                drops["nack_abandoned"] += 1
            elif packet is None:
                drops["nack_too_old"] += 1
            else:
                self._repair(packet, path, shape, round_trip, now)

    def lacking(self, feedback: TransportFeedback) -> list[SentPacket]:
        """What did not arrive by this feedback, and is not on its way once more."""
        if not self._sender.repeats_anything:
            return []
        found = []
        for number in self._detector.reported(feedback, self._sender.number):
            original = self._original.get(number, number)
            packet = self._history.find_number(original)
            if packet is None or self._history.is_abandoned(packet.sequence):
                continue
            underway = self._note_underway(original)
            underway.discard(number)
            if not underway and packet.sequence not in self.missing:
                found.append(packet)
        return found

    def repair(self, packets: Iterable[SentPacket], path: Path, shape: PacketShape, now: float) -> None:
        """Send again what `lacking` found."""
        for packet in packets:
            self._counters.feedback_repairs += self._repair(packet, path, shape, 0.0, now)

    def copy_tail(self, now: float) -> None:
        """Have the packet that was sent last leave once more."""
        packet = self._history.last_packet()
        if packet is not None:
            self._copy(packet, now, is_tail=True)

    def send_missing(self, path: Path, shape: PacketShape, now: float) -> None:
        """Send again what the budget pays for."""
        missing = self.missing
        while missing and self._budget.level > 0:
            self._send(missing.pop(next(iter(missing))), path, shape, now)

    def send_copies(self, path: Path, shape: PacketShape, now: float) -> None:
        """Send the copies that are due, as far as the budget pays for them: after everything else."""
        copies = self.copies
        while copies and copies[0].due <= now:
            packet, due, is_tail = copies[0]
            if now - due > _LATE or self._estimator.is_congested or self._history.is_abandoned(packet.sequence):
                self._drops["copy_given_up"] += 1
            elif self._budget.level <= 0:
                return
            elif self.repeat(packet, path, shape, now):
                self._counters.retransmitted_packets_sent += 1
                if is_tail:
                    self._counters.tail_copies_sent += 1
                else:
                    self._counters.repair_copies_sent += 1
            copies.popleft()

    def repeat(self, packet: SentPacket, path: Path, shape: PacketShape, now: float) -> int:
        """Send a packet once more, now; its octets, 0 when it did not leave."""
        number = self._sender.number
        try:
            octets = self._sender.repeat(path, packet, shape, now)
        except SrtpError:
            # libsrtp repeats a sequence number only within its window of 1024 packets.
            self._drops["nack_too_old"] += 1
            return 0
        if self._sender.number > number and octets:
            self._follow(packet.number, number)
        return octets

    def abandon(self) -> None:
        """Drop what belongs to pictures that the history has abandoned."""
        for sequence in [sequence for sequence in self.missing if self._history.is_abandoned(sequence)]:
            self._drops["nack_abandoned"] += 1
            del self.missing[sequence]

    def clear(self) -> None:
        """Send nothing more of what waits."""
        self.missing.clear()
        self.copies.clear()

    def _repair(self, packet: SentPacket, path: Path, shape: PacketShape, round_trip: float, now: float) -> bool:
        """Send a packet again or have it wait for that; whether it is worth it."""
        sequence, missing = packet.sequence, self.missing
        if sequence in missing:
            self._drops["nack_too_soon"] += 1
        elif len(missing) > self._estimator.bit_rate * LARGEST_WAIT / 8 / _LARGEST_PACKET:
            self._drops["nack_congested"] += 1
        elif not self._history.may_repeat(sequence, now, _ASKED_AGAIN_AFTER * round_trip):
            self._drops["nack_too_soon"] += 1
        else:
            if self._budget.level > 0 and not missing:
                self._send(packet, path, shape, now)
            else:
                missing[sequence] = packet
            return True
        return False

    def _send(self, packet: SentPacket, path: Path, shape: PacketShape, now: float) -> None:
        if self.repeat(packet, path, shape, now):
            self._counters.retransmitted_packets_sent += 1
            if self.sends_copies:
                self._copy(packet, now, is_tail=False)

    def _copy(self, packet: SentPacket, now: float, *, is_tail: bool) -> None:
        if len(self.copies) >= _MOST_COPIES:
            self._drops["copy_given_up"] += 1
        elif not self._estimator.is_congested:
            self.copies.append(_Copy(packet, now + _APART, is_tail))

    def _follow(self, original: int, number: int) -> None:
        """Note that the packet that left as `original` has left as `number` too."""
        self._note_underway(original).add(number)
        self._original[number] = original
        if len(self._original) > 2 * _REMEMBERED:
            del self._original[next(iter(self._original))]

    def _note_underway(self, original: int) -> set[int]:
        underway = self._underway.get(original)
        if underway is None:
            underway = self._underway[original] = {original}
            if len(self._underway) > _REMEMBERED:
                del self._underway[next(iter(self._underway))]
        return underway

"""What was sent lately, for retransmission. Pure.

Payloads are shared by all viewers; only the numbering is the viewer's own. It is kept by time and never by count: a
replay sends hundreds of pictures in a moment and would flush any count (design.md section 2).
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

from media_service.rtc.header_extensions import PacketShape

HISTORY_SECONDS = 1.5
_RETRANSMISSIONS_PER_SECOND = 1000
_WORTH_ITS_HEADER = 600
"""Octets of payload above which a packet is large enough to be sent again for its size alone."""
_LOOKED_THROUGH = 400
_first_sequence = attrgetter("first_sequence")
_first_number = attrgetter("first_number")


class SentBurst(NamedTuple):
    """Packets of one picture that left together to one viewer; a tuple because one is made per viewer and picture."""

    first_sequence: int
    """Unwrapped: counts on beyond 16 bits."""
    payloads: tuple[bytes, ...]
    timestamp: int
    send_time: bytes
    sent_at: float
    shape: PacketShape
    ends_picture: bool
    first_number: int
    """The unwrapped transport-wide sequence number of the first one; 0 when they are not numbered."""


_SENT_AT: Final = 4  # SentBurst.sent_at


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One packet that can be sent again."""

    sequence: int
    """16 bits of it."""
    payload: bytes
    timestamp: int
    send_time: bytes
    is_last: bool
    """Whether it carried the marker bit."""
    shape: PacketShape
    number: int
    """Its unwrapped transport-wide sequence number; 0 without one."""


class History:
    """What one viewer was sent in the last 1.5 seconds, and what of it was already repeated."""

    def __init__(self) -> None:
        self._bursts: deque[SentBurst] = deque()
        self._first_wanted = 0
        self._repeated: dict[int, float] = {}
        self._allowance = float(_RETRANSMISSIONS_PER_SECOND)
        self._allowance_at = 0.0

    @property
    def newest_sent_at(self) -> float | None:
        """When the newest packet was sent, however long ago; None before the first."""
        return self._bursts[-1].sent_at if self._bursts else None

    def add(self, burst: SentBurst) -> None:
        """Remember packets that were just sent, and forget those that are too old."""
        bursts = self._bursts
        bursts.append(burst)
        # By index: this runs for every viewer and picture, and an attribute of a tuple takes three times as long.
        oldest = burst[_SENT_AT] - HISTORY_SECONDS
        while bursts[0][_SENT_AT] < oldest:
            bursts.popleft()

    def abandon(self, before: int) -> None:
        """Note that no packet is of use to the receiver whose unwrapped sequence number is below `before`."""
        self._first_wanted = max(self._first_wanted, before)

    def is_abandoned(self, sequence: int) -> bool:
        """Whether the packet with this 16-bit sequence number belongs to what was given up."""
        unwrapped = self._unwrapped(sequence)
        return unwrapped is not None and unwrapped < self._first_wanted

    def find(self, sequence: int) -> SentPacket | None:
        """The packet with this 16-bit sequence number, or None when it is not kept any more."""
        unwrapped = self._unwrapped(sequence)
        if unwrapped is None:
            return None
        # One NACK can name thousands of packets, and a replay leaves hundreds of pictures to look through.
        position = bisect_right(self._bursts, unwrapped, key=_first_sequence) - 1
        return self._at(position, unwrapped - self._bursts[position].first_sequence)

    def find_number(self, number: int) -> SentPacket | None:
        """The packet that first left with this unwrapped transport-wide number, or None when it is not kept any more.

        Only of packets that were numbered.
        """
        if not self._bursts:
            return None
        position = bisect_right(self._bursts, number, key=_first_number) - 1
        return self._at(position, number - self._bursts[position].first_number)

    def last_packet(self) -> SentPacket | None:
        """The packet that was sent last; None before the first."""
        return _packet(self._bursts[-1], len(self._bursts[-1].payloads) - 1) if self._bursts else None

    def large_packets(self, count: int) -> list[SentPacket]:
        """Up to `count` packets that may be sent again for their size alone: of the last ones, the large ones."""
        found: list[SentPacket] = []
        large = looked_at = 0
        for burst in reversed(self._bursts):
            for index in range(len(burst.payloads) - 1, -1, -1):
                if burst.first_sequence + index < self._first_wanted:
                    continue
                found.append(_packet(burst, index))
                large += len(burst.payloads[index]) > _WORTH_ITS_HEADER
                looked_at += 1
            if large >= count or looked_at >= _LOOKED_THROUGH:
                break
        return sorted(found, key=_size, reverse=True)[:count]

    def may_repeat(self, sequence: int, now: float, round_trip: float) -> bool:
        """Whether to send it again: at most once per round trip, and 1000 packets per second in all."""
        last = self._repeated.get(sequence)
        if last is not None and now - last < round_trip:
            return False
        self._allowance = min(
            float(_RETRANSMISSIONS_PER_SECOND),
            self._allowance + (now - self._allowance_at) * _RETRANSMISSIONS_PER_SECOND,
        )
        self._allowance_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        if len(self._repeated) >= 2 * _RETRANSMISSIONS_PER_SECOND:
            oldest = now - HISTORY_SECONDS
            self._repeated = {number: at for number, at in self._repeated.items() if at >= oldest}
        self._repeated[sequence] = now
        return True

    def _at(self, position: int, index: int) -> SentPacket | None:
        if position < 0:
            return None
        burst = self._bursts[position]
        return _packet(burst, index) if index < len(burst.payloads) else None

    def _unwrapped(self, sequence: int) -> int | None:
        """The sequence number before it was cut to 16 bits, if it is not newer than all; None before the first."""
        if not self._bursts:
            return None
        burst = self._bursts[-1]
        newest = burst.first_sequence + len(burst.payloads) - 1
        return newest - (newest - sequence & 0xFFFF)


def _packet(burst: SentBurst, index: int) -> SentPacket:
    return SentPacket(
        burst.first_sequence + index & 0xFFFF,
        burst.payloads[index],
        burst.timestamp,
        burst.send_time,
        burst.ends_picture and index == len(burst.payloads) - 1,
        burst.shape,
        burst.first_number + index,
    )


def _size(packet: SentPacket) -> int:
    return len(packet.payload)

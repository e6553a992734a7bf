"""What was sent lately, for retransmission. Pure.

Payloads are shared by all viewers; only the numbering is the viewer's own. It is kept by time and never by count: a
replay sends hundreds of pictures in a moment and would flush any count (design.md section 2).
"""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

HISTORY_SECONDS = 1.5
_RETRANSMISSIONS_PER_SECOND = 1000
_first_sequence = attrgetter("first_sequence")


class SentPicture(NamedTuple):
    """One picture as it was sent to one viewer; a tuple because one is made per viewer and picture."""

    first_sequence: int
    """Unwrapped: counts on beyond 16 bits."""
    payloads: tuple[bytes, ...]
    timestamp: int
    send_time: bytes
    sent_at: float


_SENT_AT: Final = 4  # SentPicture.sent_at


@dataclass(frozen=True, slots=True)
class SentPacket:
    """One packet that can be sent again."""

    payload: bytes
    timestamp: int
    send_time: bytes
    is_last: bool
    """Whether it carried the marker bit."""


class History:
    """One viewer's sent pictures of the last 1.5 seconds, and what of them was already repeated."""

    def __init__(self) -> None:
        self._pictures: deque[SentPicture] = deque()
        self._repeated: dict[int, float] = {}
        self._allowance = float(_RETRANSMISSIONS_PER_SECOND)
        self._allowance_at = 0.0

    @property
    def newest_sent_at(self) -> float | None:
        """When the newest picture was sent, however long ago; None before the first."""
        return self._pictures[-1].sent_at if self._pictures else None

    def add(self, picture: SentPicture) -> None:
        """Remember a picture that was just sent, and forget those that are too old."""
        pictures = self._pictures
        pictures.append(picture)
        # By index: this runs for every viewer and picture, and an attribute of a tuple takes three times as long.
        oldest = picture[_SENT_AT] - HISTORY_SECONDS
        while pictures[0][_SENT_AT] < oldest:
            pictures.popleft()

    def find(self, sequence: int) -> SentPacket | None:
        """The packet with this 16-bit sequence number, or None when it is not kept any more."""
        pictures = self._pictures
        if not pictures:
            return None
        newest = pictures[-1].first_sequence + len(pictures[-1].payloads) - 1
        unwrapped = newest - (newest - sequence & 0xFFFF)
        # One NACK can name thousands of packets, and a replay leaves hundreds of pictures to look through.
        position = bisect_right(pictures, unwrapped, key=_first_sequence) - 1
        if position < 0:
            return None
        picture = pictures[position]
        index = unwrapped - picture.first_sequence
        if index >= len(picture.payloads):
            return None
        is_last = index == len(picture.payloads) - 1
        return SentPacket(picture.payloads[index], picture.timestamp, picture.send_time, is_last)

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

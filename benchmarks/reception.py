"""What one viewer received: counted by sequence number, timed by picture. Pure: `now` is passed in."""

import math
import struct
from array import array
from dataclasses import dataclass

_CLOCK_RATE = 90_000
_HEADER = struct.Struct("!xBHI")
_MAX_PICTURES = 1 << 16


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver report says about the stream (RFC 3550 section 6.4.1)."""

    fraction_lost: int
    cumulative_lost: int
    highest_sequence_number: int
    jitter: int


class Reception:
    """The numbers of one incoming stream since its first packet, and since `begin` for what is timed."""

    def __init__(self) -> None:
        self.packets = 0
        self.octets = 0
        self.duplicates = 0
        self.pictures = 0
        """Packets with the marker bit, which ends a picture."""
        self._first: int | None = None
        self._highest = 0
        self._highest_timestamp = 0
        self._timestamp = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._reported = (0, 0)
        self._transits = array("d")
        self._promptest = math.inf

    def packet(self, packet: bytes | bytearray, size: int, now: float) -> None:
        """Count the packet in the first `size` bytes, which arrived at `now` (any clock's seconds)."""
        second, sequence_number, timestamp = _HEADER.unpack_from(packet)
        if self._first is None:
            self._first = self._highest = sequence_number
            self._highest_timestamp = timestamp
        else:
            ahead = (sequence_number - self._highest) & 0xFFFF
            if ahead == 0:
                self.duplicates += 1
                return
            if ahead < 0x8000:
                self._highest += ahead
        self.packets += 1
        self.octets += size
        if second & 0x80:
            self._picture(timestamp, now)

    def _picture(self, timestamp: int, now: float) -> None:
        self.pictures += 1
        self._timestamp += ((timestamp - self._highest_timestamp + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)
        self._highest_timestamp = timestamp
        transit = now - self._timestamp / _CLOCK_RATE
        if self._transit is not None:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16  # RFC 3550 section 6.4.1
        self._transit = transit
        if len(self._transits) < _MAX_PICTURES:
            self._transits.append(transit)

    @property
    def expected(self) -> int:
        """Packets from the first to the highest sequence number."""
        return 0 if self._first is None else self._highest - self._first + 1

    @property
    def lost(self) -> int:
        """Packets that were sent and did not arrive."""
        return max(0, self.expected - self.packets)

    def begin(self, *, goes_on: bool = False) -> None:
        """Forget the timing so far; when it `goes_on`, only the promptest picture is kept to compare with."""
        self._promptest = min(self._transits, default=math.inf) if goes_on else math.inf
        self._transits = array("d")

    def lateness(self) -> list[float]:
        """How much later than its timestamp asks each picture since `begin` was complete, in seconds.

        Measured against the promptest picture of the same span, so a constant delay does not show, and of the one
        before where it goes on.
        """
        promptest = min(self._promptest, min(self._transits, default=math.inf))
        return [transit - promptest for transit in self._transits]

    def report(self) -> ReportBlock:
        """The next report block; its loss is since the one before."""
        expected, packets = self.expected - self._reported[0], self.packets - self._reported[1]
        self._reported = (self.expected, self.packets)
        fraction = max(0, expected - packets) * 256 // expected if expected > 0 else 0
        return ReportBlock(min(fraction, 255), self.lost, self._highest & 0xFFFFFFFF, int(self._jitter * _CLOCK_RATE))

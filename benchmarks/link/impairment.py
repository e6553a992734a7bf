"""What one direction of a link does to its packets. Pure: every time is passed in, in seconds of one clock."""

from collections import deque
from dataclasses import dataclass, replace
from random import Random
from typing import Final

_LONGEST_LINE: Final = 20_000
"""Packets on their way at once, above which the emulator itself drops: a link without a rate is bounded too."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """How bad it is. Packets pass the bottleneck first, are then lost or not, and then take their time."""

    delay: float = 0.0
    """Seconds from one end to the other, beside what the bottleneck takes."""
    loss: float = 0.0
    """Share of the packets that are lost, from 0 to below 1."""
    burst: float | None = None
    """Packets lost in a row, on average (Gilbert's model: all are lost in its bad state); None for each by itself."""
    bit_rate: int | None = None
    """Bits per second of whole IP packets; None for no bottleneck."""
    queue: int = 64 * 1024
    """Bytes that wait for the bottleneck at most; what comes then is dropped."""

    def __post_init__(self) -> None:
        if not 0 <= self.loss < 1:
            raise ValueError(f"loss is {self.loss}: it must be a share from 0 to below 1")
        if self.burst is not None and self.burst < 1:
            raise ValueError(f"burst is {self.burst}: it must be 1 packet or more")
        if self.delay < 0:
            raise ValueError(f"delay is {self.delay}: it must be 0 seconds or more")
        if self.bit_rate is not None and self.bit_rate <= 0:
            raise ValueError(f"bit_rate is {self.bit_rate}: it must be above 0 bits per second")
        if self.queue < 0:
            raise ValueError(f"queue is {self.queue}: it must be 0 bytes or more")


def queue_bytes(bit_rate: int, seconds: float) -> int:
    """A queue that a bottleneck of `bit_rate` takes so long to empty."""
    return round(bit_rate * seconds / 8)


@dataclass(slots=True)
class Counts:
    """What became of the packets of one direction."""

    packets: int = 0
    """Came in."""
    octets: int = 0
    delivered: int = 0
    delivered_octets: int = 0
    lost: int = 0
    """By chance."""
    dropped: int = 0
    """Because the bottleneck's queue was full."""
    overflowed: int = 0
    """Because more were on their way than the emulator keeps."""

    def since(self, earlier: "Counts") -> "Counts":
        """What was counted after `earlier`."""
        return Counts(*(getattr(self, name) - getattr(earlier, name) for name in Counts.__slots__))


class Direction:
    """One direction. What is put in comes out in order, later or never."""

    def __init__(self, impairment: Impairment, random: Random) -> None:
        self.counts = Counts()
        self._impairment = impairment
        self._random = random
        self._is_bad = False
        self._waiting: deque[bytes] = deque()
        """At the bottleneck; the first is passing it."""
        self._waiting_octets = 0
        self._passed_at = 0.0
        """When the first has passed."""
        self._line: deque[tuple[float, bytes]] = deque()
        """Past the bottleneck, with the times at which they arrive, ascending."""
        self._last_arrival = float("-inf")

    @property
    def impairment(self) -> Impairment:
        return self._impairment

    def change(self, impairment: Impairment, now: float) -> None:
        """Be another link from `now` on; what has passed the bottleneck arrives as it would have."""
        self._pass(now)
        before = self._impairment.bit_rate
        self._impairment = impairment
        if self._waiting and before is not None:
            bits_left = (self._passed_at - now) * before
            self._passed_at = now + (bits_left / impairment.bit_rate if impairment.bit_rate is not None else 0.0)
            self._pass(now)

    def put(self, packet: bytes, now: float) -> None:
        """A packet comes in."""
        counts, impairment = self.counts, self._impairment
        size = len(packet)
        counts.packets += 1
        counts.octets += size
        if impairment.bit_rate is None:
            self._send_off(packet, now)
            return
        self._pass(now)
        if not self._waiting:
            self._passed_at = now + size * 8 / impairment.bit_rate
        elif self._waiting_octets - len(self._waiting[0]) + size > impairment.queue:
            counts.dropped += 1
            return
        self._waiting.append(packet)
        self._waiting_octets += size

    def due(self) -> float | None:
        """When there is something to do; None while there is nothing."""
        if self._line and self._waiting:
            return min(self._line[0][0], self._passed_at)
        if self._line:
            return self._line[0][0]
        return self._passed_at if self._waiting else None

    def take(self, now: float) -> list[tuple[float, bytes]]:
        """What has arrived by `now`, each with the time at which it did."""
        self._pass(now)
        line = self._line
        arrived = []
        while line and line[0][0] <= now:
            arrived.append(line.popleft())
            self.counts.delivered += 1
            self.counts.delivered_octets += len(arrived[-1][1])
        return arrived

    def snapshot(self) -> Counts:
        """The counts as they are now."""
        return replace(self.counts)

    def _pass(self, now: float) -> None:
        """Let pass what has passed the bottleneck by `now`."""
        waiting, bit_rate = self._waiting, self._impairment.bit_rate
        while waiting and self._passed_at <= now:
            packet = waiting.popleft()
            self._waiting_octets -= len(packet)
            self._send_off(packet, self._passed_at)
            if waiting and bit_rate is not None:
                self._passed_at += len(waiting[0]) * 8 / bit_rate

    def _send_off(self, packet: bytes, now: float) -> None:
        if self._is_lost():
            self.counts.lost += 1
        elif len(self._line) >= _LONGEST_LINE:
            self.counts.overflowed += 1
        else:
            # A shorter delay than before does not overtake.
            self._last_arrival = max(self._last_arrival, now + self._impairment.delay)
            self._line.append((self._last_arrival, packet))

    def _is_lost(self) -> bool:
        loss, burst = self._impairment.loss, self._impairment.burst
        if not loss:
            return False
        if burst is None:
            return self._random.random() < loss
        # Gilbert: bad packets come in runs of `burst`, and as many runs as make `loss` of all.
        leave = 1 / burst
        chance = 1 - leave if self._is_bad else leave * loss / (1 - loss)
        self._is_bad = self._random.random() < chance
        return self._is_bad

"""When packets leave for one viewer, and which never do. Pure: octets and monotonic seconds in, values out.

A path that is sent more than it carries queues it at its narrowest point, where nothing can be taken back. So what a
viewer's path does not carry yet waits here: what is too old to be shown is dropped, and a keyframe overtakes what
came before it.
"""

from collections import deque
from typing import Final, NamedTuple

from media_service.rtc.bandwidth import Probe
from media_service.rtc.header_extensions import PacketShape
from media_service.rtc.picture import Picture

PACING_INTERVAL: Final = 0.04
"""Seconds of its pacing rate that a viewer may be sent ahead."""
LARGEST_WAIT: Final = 0.25
"""Seconds, at the estimate, that what waits may be worth."""
_ROOM_FOR_KEYFRAMES: Final = 1.5
PACE: Final = (1.5 / 8, 1 / 8)
"""Octets that leave per estimated bit, by whether the path is congested.

What a path is known to carry that nobody has tried to fill is less than it carries.
"""


def room(bit_rate: int, keyframe: int) -> float:
    """Octets that may wait for a viewer whose last keyframe had `keyframe` of them."""
    return max(bit_rate * LARGEST_WAIT / 8, _ROOM_FOR_KEYFRAMES * keyframe)


class Budget:
    """What may leave now: one pacing interval's worth at most, less than nothing when more has left."""

    __slots__ = ("_earned_at", "level", "spent")

    def __init__(self) -> None:
        self.level = 0.0
        """Octets."""
        self.spent = 0
        """Octets that ever left."""
        self._earned_at = float("-inf")

    def earn(self, rate: float, now: float) -> float:
        """Add what `rate` octets per second made since the last time; the level."""
        elapsed = now - self._earned_at
        level, most = self.level, rate * PACING_INTERVAL
        if elapsed > 0:
            level += elapsed * rate
            self._earned_at = now
        self.level = level = min(level, most)
        return level

    def spend(self, octets: int) -> None:
        """Note that `octets` left."""
        self.level -= octets
        self.spent += octets


class Part(NamedTuple):
    """Packets of a waiting picture that leave together."""

    payloads: tuple[bytes, ...]
    shape: PacketShape
    timestamp: int
    """Unwrapped."""
    is_last: bool
    """Whether the picture has left with them."""


class _Waiting:
    """A picture of which some packets have not left."""

    __slots__ = ("first_sequence", "following", "octets", "picture", "shape", "timestamp")

    def __init__(self, picture: Picture, shape: PacketShape, timestamp: int, octets: int) -> None:
        self.picture = picture
        self.shape = shape
        self.timestamp = timestamp
        self.octets = octets
        """That have not left."""
        self.following = 0
        """The packet that leaves next."""
        self.first_sequence = 0
        """Of the first packet, once that has left."""


class Backlog:
    """The pictures that wait for one viewer, oldest first.

    There is no bound here: who appends looks at `octets` first. Only keyframes are ever kept beyond `room`, and of
    them never more than one that has begun to leave and the newest.
    """

    __slots__ = ("_waiting", "octets")

    def __init__(self) -> None:
        self.octets = 0
        """What waits, in whole packets."""
        self._waiting: deque[_Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def has_keyframe(self) -> bool:
        """Whether a keyframe, or the rest of one, waits."""
        return any(waiting.picture.is_keyframe for waiting in self._waiting)

    @property
    def begun_keyframe(self) -> int | None:
        """The sequence number of the first packet of the keyframe that has begun to leave; None without one."""
        if not self._waiting:
            return None
        first = self._waiting[0]
        return first.first_sequence if first.picture.is_keyframe and first.following else None

    def append(self, picture: Picture, shape: PacketShape, timestamp: int, octets: int) -> None:
        """Have `picture` leave after what waits, at an unwrapped RTP `timestamp`; its packets have so many octets."""
        self._waiting.append(_Waiting(picture, shape, timestamp, octets))
        self.octets += octets

    def overtake(self, octets: int) -> int:
        """Drop what a keyframe of so many octets makes worthless; how many pictures that were.

        A keyframe that has begun to leave goes on, unless the new one is through before it: where keyframes come
        faster than the path carries them, none would arrive otherwise.
        """
        goes_on = self.begun_keyframe is not None and self._waiting[0].octets <= octets
        return self._keep([self._waiting[0]] if goes_on else [])

    def thin(self) -> int:
        """Drop all but keyframes; how many pictures that were."""
        return self._keep([waiting for waiting in self._waiting if waiting.picture.is_keyframe])

    def clear(self) -> int:
        """Drop everything; how many pictures that were."""
        return self._keep([])

    def take(self, level: float, sequence: int) -> Part | None:
        """The next packets of one picture that `level` octets pay for, to be numbered from `sequence`.

        The last one may cost more than is left: otherwise a slow path would never get a large packet.
        """
        if not self._waiting or level <= 0:
            return None
        waiting = self._waiting[0]
        payloads, begin = waiting.picture.payloads, waiting.following
        overhead = waiting.shape.header_size + waiting.shape.tag_size
        if not begin:
            waiting.first_sequence = sequence
        end, octets, count = begin, 0, len(payloads)
        while end < count and octets < level:
            octets += len(payloads[end]) + overhead
            end += 1
        waiting.following = end
        waiting.octets -= octets
        self.octets -= octets
        is_last = end == count
        if is_last:
            self._waiting.popleft()
        return Part(payloads[begin:end], waiting.shape, waiting.timestamp, is_last)

    def _keep(self, kept: list[_Waiting]) -> int:
        dropped = len(self._waiting) - len(kept)
        self._waiting = deque(kept)
        self.octets = sum(waiting.octets for waiting in kept)
        return dropped


class Padding:
    """A probe while it lasts: how much is to be sent beyond what leaves anyway."""

    __slots__ = ("_begun_at", "_probe", "_spent")

    def __init__(self, probe: Probe, spent: int, now: float) -> None:
        """`spent` is what the viewer's budget has spent until `now`."""
        self._probe = probe
        self._spent = spent
        self._begun_at = now

    @property
    def rate(self) -> float:
        """Octets per second that the probe asks for, the pictures among them."""
        return self._probe.bit_rate / 8

    def is_over(self, now: float) -> bool:
        """Whether the probe has lasted as long as it should."""
        return now - self._begun_at >= self._probe.seconds

    def due(self, spent: int, now: float) -> float:
        """Octets that are missing now to the probe's rate."""
        elapsed = min(now - self._begun_at, self._probe.seconds)
        return elapsed * self.rate - (spent - self._spent)

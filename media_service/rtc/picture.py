"""Pictures on their way out, and the ones a new viewer needs before it can follow."""

from encoders.access_unit import AccessUnit
from media_service.rtc.packetizer import depacketize, packetize

CLOCK_RATE = 90_000
"""RTP timestamp units per second of H.264 video (RFC 6184 section 8.2.1)."""


class Picture:
    """One access unit of a stream, packetised when the first viewer needs it and then shared by all."""

    __slots__ = ("_access_unit", "_payloads", "captured_at", "is_keyframe", "number", "octets", "ready_at", "timestamp")

    def __init__(self, access_unit: AccessUnit, number: int, ready_at: float) -> None:
        self._access_unit: AccessUnit | None = access_unit
        self._payloads: tuple[bytes, ...] = ()
        self.captured_at = access_unit.captured_at
        self.is_keyframe = access_unit.is_keyframe
        self.number = number
        """Counts the stream's pictures; every picture but a keyframe needs the one before it."""
        self.octets = access_unit.size
        self.ready_at = ready_at
        """When capture handed it on, on the clock of `captured_at`."""
        self.timestamp = int(access_unit.captured_at * CLOCK_RATE)
        """Capture time in RTP units, not yet wrapped to 32 bits."""

    @property
    def payloads(self) -> tuple[bytes, ...]:
        """The RTP payloads."""
        access_unit = self._access_unit
        if access_unit is not None:
            self._payloads = packetize(access_unit.nal_units)
            self._access_unit = None
        return self._payloads

    def access_unit(self) -> AccessUnit:
        """What it was made of, put together again if need be."""
        return self._access_unit or AccessUnit(depacketize(self._payloads), self.captured_at, self.is_keyframe)


class GopCache:
    """Every picture since the last keyframe: what a decoder must see to follow the stream."""

    def __init__(self, *, largest_count: int = 900, largest_size: int = 16 << 20) -> None:
        """Beyond `largest_count` pictures or `largest_size` bytes nothing is kept until the next keyframe."""
        self.pictures: list[Picture] = []
        """From the keyframe to the newest, without a gap; empty when the group has become too long to keep.

        A new keyframe begins a new list, so a replay that holds the old one notices.
        """
        self.octets = 0
        self._largest_count = largest_count
        self._largest_size = largest_size

    def add(self, picture: Picture) -> None:
        """Keep `picture`, the successor of the one added before."""
        if picture.is_keyframe:
            self.pictures, self.octets = [], 0
        elif not self.pictures:
            return
        self.pictures.append(picture)
        self.octets += picture.octets
        if len(self.pictures) > self._largest_count or self.octets > self._largest_size:
            self.clear()

    def clear(self) -> None:
        """Forget the group; the next keyframe begins a new one."""
        self.pictures, self.octets = [], 0

"""What streams of one kind of capture counted."""

from dataclasses import dataclass


@dataclass(slots=True)
class CaptureCounters:
    """What was captured in one way."""

    pictures: int = 0
    octets: int = 0
    """Bytes of coded video."""
    keyframes_requested: int = 0

    def add(self, other: "CaptureCounters") -> None:
        """Count what `other` has counted."""
        self.pictures += other.pictures
        self.octets += other.octets
        self.keyframes_requested += other.keyframes_requested

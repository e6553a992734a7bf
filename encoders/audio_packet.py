"""Sound, as it flows through the service."""

from dataclasses import dataclass
from typing import Final

CLOCK_RATE: Final = 48_000
"""Ticks per second of Opus's RTP clock, whatever rate is coded (RFC 7587 section 4.1)."""


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """One Opus packet (RFC 6716 section 3)."""

    data: bytes
    """The packet itself, without any container."""

    captured_at: float
    """When its first sample was heard, in seconds of `time.monotonic()`: the clock of `AccessUnit.captured_at`."""

    duration: float
    """Seconds of sound that it holds."""

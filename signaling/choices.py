"""What a viewer may choose about what it gets, on the data channel `control` and on the WebSocket alike.

    {"type": "sound", "action": "off"}                             or "on"
    {"type": "quality", "level": "480p", "maxBitrate": 900000}     or "auto", "source", …; maxBitrate may be left out

Before the media flows, `minBitrate` and `startBitrate` may stand beside `maxBitrate`.

`sessionId` may stand beside it where one connection has several sessions.
"""

from dataclasses import dataclass
from enum import StrEnum

from signaling.json_fields import JsonFields

CHOICE_TYPES = ("sound", "quality")

MAX_ID = 128
"""Characters of a device's or a session's id."""

LOWEST_BIT_RATE = 50_000
HIGHEST_BIT_RATE = 1_000_000_000


class QualityLevel(StrEnum):
    """What a viewer can be shown; which of them there are depends on the stream."""

    AUTO = "auto"
    """The best that its path carries."""
    SOURCE = "source"
    """The stream as it is captured."""
    P1080 = "1080p"
    """Coded anew so that the shorter side has that many pixels, as all below."""
    P720 = "720p"
    P480 = "480p"
    P360 = "360p"


@dataclass(frozen=True, slots=True)
class SoundChoice:
    """Whether the viewer listens. One who says nothing does."""

    is_wanted: bool
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class QualityChoice:
    """A level that is kept to, or `AUTO`. One who says nothing gets that."""

    level: QualityLevel
    max_bit_rate: int | None = None
    """Bits per second that the viewer does not want more than."""
    session_id: str | None = None
    min_bit_rate: int | None = None
    """Bits per second that its path is taken to carry, whatever is measured."""
    start_bit_rate: int | None = None
    """Bits per second that its path is taken to carry, until something is measured."""


def read_choice(fields: JsonFields, kind: str) -> SoundChoice | QualityChoice:
    """The choice of a message whose `type` is `kind`, one of `CHOICE_TYPES`. Raises `MalformedMessage`."""
    session_id = fields.optional_text("sessionId", longest=MAX_ID)
    if kind == "sound":
        return SoundChoice(fields.choice("action", ("on", "off"), "on, off") == "on", session_id)
    level = QualityLevel(fields.choice("level", _LEVELS, _LEVEL_NAMES))
    largest, least, first = (
        fields.optional_integer(name, LOWEST_BIT_RATE, HIGHEST_BIT_RATE)
        for name in ("maxBitrate", "minBitrate", "startBitrate")
    )
    if least is not None and least > (largest or HIGHEST_BIT_RATE):
        fields.refuse("minBitrate", f"no more than maxBitrate, {largest}")
    return QualityChoice(level, largest, session_id, least, first)


_LEVELS = frozenset(QualityLevel)
_LEVEL_NAMES = ", ".join(QualityLevel)

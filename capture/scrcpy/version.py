"""What each version of scrcpy's server has on the wire."""

import re
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?", re.ASCII)
_OLDEST: Final = (3, 0, 0)
_PAST_NEWEST: Final = (5, 0, 0)
_ALLOWED: Final = "3.0 up to 4.x are allowed, as 3.3.4 or 4.1"


@dataclass(frozen=True, slots=True)
class ScrcpyVersion:
    """A version of the server; what differs between versions is told by the properties."""

    name: str
    """As the server itself spells it: it compares the words."""

    numbers: tuple[int, int, int]

    def __str__(self) -> str:
        return self.name

    @property
    def has_session_packets(self) -> bool:
        """Whether each capture session begins with a packet that tells its size (4.0 and newer).

        Older servers tell the first size only, in the video's header. Newer ones mark the packets by the highest bit,
        so that the flags of frames lie one bit lower (`Streamer`).
        """
        return self.numbers >= (4, 0, 0)

    @property
    def scroll_range(self) -> float:
        """The most that one scroll event moves, what the full range of its fields stands for (1, since 3.3.1: 16)."""
        return 16.0 if self.numbers >= (3, 3, 1) else 1.0


def parse_version(text: str) -> ScrcpyVersion:
    """The version of the server in `text`, as "3.3.4" or "v4.1"; raises `ValueError` for one that we do not speak."""
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:80]!r} is not a version of scrcpy: {_ALLOWED}")
    major, minor, patch = (int(number or 0) for number in match.groups())
    numbers = (major, minor, patch)
    if not _OLDEST <= numbers < _PAST_NEWEST:
        raise ValueError(f"scrcpy {text.strip()} is not supported: {_ALLOWED}")
    return ScrcpyVersion(text.strip().removeprefix("v"), numbers)

"""Which size to record at, with an encoder that may refuse large ones."""

import re
import sys
from typing import Final

from capture.input_events import VideoSize

LONG_SIDES: Final = (2560, 1920, 1280, 800)
"""Pixels of the longer side that are tried, one after the other, when the wanted size is refused."""

# What AOSP's screenrecord says when it has an encoder that does not take the format, as for every vendor's codec.
_REFUSAL = re.compile(r"unable to (?:configure|start|create encoder input surface)")
_AT_SIZE = re.compile(r"\bat (\d{1,5})x(\d{1,5})\b")


def fit_long_side(size: VideoSize, long_side: int) -> VideoSize:
    """`size` with its longer side cut down to `long_side`; of the same proportions, and even as H.264 wants it."""
    longest = max(size.width, size.height)
    if longest <= long_side:
        return size
    width, height = (max(2, round(length * long_side / longest / 2) * 2) for length in (size.width, size.height))
    return VideoSize(width, height)


class EncoderSize:
    """The size that is wanted, and the one that the encoder takes; what was learned counts for turned videos too."""

    def __init__(self, wanted: VideoSize | None) -> None:
        """Without a `wanted` size the phone chooses."""
        self._wanted = wanted
        self._limit: int | None = None
        self._accepted = 0  # the longest side that has worked
        self._is_hopeless = False  # all sizes were refused: it is not about the size

    @property
    def current(self) -> VideoSize | None:
        """What to ask the encoder for; None to let the phone choose."""
        if self._wanted is None or self._limit is None:
            return self._wanted
        return fit_long_side(self._wanted, self._limit)

    @property
    def reason(self) -> str:
        """Why the current size is not the wanted one, in words; empty when it is."""
        current, wanted = self.current, self._wanted
        if current is None or wanted is None or current == wanted:
            return ""
        refused = f"{wanted.width}x{wanted.height}"
        return f"{current.width}x{current.height} because the encoder refuses {refused}"

    def want(self, size: VideoSize) -> None:
        """Another size is wanted from now on, as that of a turned screen."""
        self._wanted = size
        self._is_hopeless = False

    def accept(self, size: VideoSize | None) -> None:
        """The encoder has given a picture of that size, or of the one that the phone chose."""
        self._accepted = sys.maxsize if size is None else max(self._accepted, size.width, size.height)

    def refuse(self, message: str) -> bool:
        """A recorder has ended without a picture and with this message; whether a smaller size is worth a try.

        Only a word about the encoder's format is, and only for a size that has never worked. When all sizes are
        refused, it was not about the size, and the wanted one is what counts again.
        """
        if self._is_hopeless or not _REFUSAL.search(message):
            return False
        refused = self.current
        if refused is None and (named := _AT_SIZE.search(message)):
            refused = VideoSize(*(max(2, int(length) // 2 * 2) for length in named.groups()))
        longest = max(refused.width, refused.height) if refused is not None else 0
        if longest <= self._accepted:
            return False
        self._limit = next((long_side for long_side in LONG_SIDES if long_side < longest), None)
        self._is_hopeless = self._limit is None
        if not self._is_hopeless and self._wanted is None:
            self._wanted = refused
        return not self._is_hopeless

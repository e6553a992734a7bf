"""What `ffmpeg` says when something goes wrong, in a form that fits into one line of a log."""

import re
from typing import Final

_KEPT: Final = 4096
_CONTEXT: Final = re.compile(r"^\[(?P<name>[^\]@]+?) @ 0x[0-9a-f]+\] ")
_SHOWN_LINES: Final = 3


class FfmpegWords:
    """The last words of a process, bounded."""

    def __init__(self) -> None:
        self._bytes = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        self._bytes = (self._bytes + data)[-_KEPT:]

    def __str__(self) -> str:
        lines = [_CONTEXT.sub("", line).strip() for line in self._bytes.decode("utf-8", "replace").splitlines()]
        unique = list(dict.fromkeys(line.rstrip(".") for line in lines if line))
        if len(unique) > _SHOWN_LINES:  # The first ones name the cause, the last one says what became of it.
            unique = [*unique[: _SHOWN_LINES - 1], unique[-1]]
        text = "; ".join(unique)
        return "".join(character if character.isprintable() else "?" for character in text)

    def after(self, separator: str) -> str:
        """The words behind `separator`; nothing where there are none."""
        text = str(self)
        return f"{separator}{text}" if text else ""

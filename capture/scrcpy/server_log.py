"""What scrcpy's server prints about itself."""

import re
from collections import deque
from typing import Final

_LINES: Final = 20
_ERRORS: Final = 4
_LINE_LENGTH: Final = 300
_PREFIX: Final = "[server] "
_EXCEPTION: Final = re.compile(r"(Caused by: )?[\w.$]+(Exception|Error)\b")
_CHATTER: Final = ("VERBOSE:", "DEBUG:", "INFO:")


class ServerLog:
    """The last lines that a server printed, so that its end can be told in its own words.

    Java's stack traces are left out, as is what it says when all is well.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._begun = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes of its output."""
        *lines, self._begun = (self._begun + data).split(b"\n")
        self._begun = self._begun[:_LINE_LENGTH]
        for line in lines:
            self._add(line)

    @property
    def last_words(self) -> str:
        """The last errors that it printed, with their exceptions; without any, its last line; empty for nothing."""
        lines = [*self._lines, *_readable(self._begun)]
        errors = [line for line in lines if line.startswith("ERROR:") or _EXCEPTION.match(line)]
        words: list[str] = []
        for line in errors[-_ERRORS:] or lines[-1:]:
            # Many an error is an exception's message, and then the exception follows with the same message.
            if not (words and words[-1].endswith(line.partition(": ")[2] or line)):
                words.append(line)
        return "; ".join(words)

    def _add(self, line: bytes) -> None:
        self._lines.extend(_readable(line))


def _readable(line: bytes) -> list[str]:
    text = line[:_LINE_LENGTH].decode(errors="replace").rstrip().removeprefix(_PREFIX)
    if not text or text[0].isspace() or text.startswith(_CHATTER):
        return []
    return [text]

"""What was done to the phone: the events that its `input` command injected."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from capture.demo_phone.touches import Motion

_LENGTH = 10_000


@dataclass(frozen=True, slots=True)
class MotionEvent:
    """A finger that moved, in pixels of the screen."""

    at: float
    """Seconds of `time.monotonic()`."""
    motion: Motion
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class KeyPress:
    """A key that went down and up again."""

    at: float
    code: int
    long: bool = False


@dataclass(frozen=True, slots=True)
class TypedText:
    """Typed text."""

    at: float
    text: str


InputRecord = MotionEvent | KeyPress | TypedText


class InputLog:
    """The newest events, the oldest first."""

    def __init__(self) -> None:
        self._records: deque[InputRecord] = deque(maxlen=_LENGTH)

    def add(self, record: InputRecord) -> None:
        self._records.append(record)

    def clear(self) -> None:
        self._records.clear()

    def __iter__(self) -> Iterator[InputRecord]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

"""What was done to the phone: the events that were injected, as by its `input` command."""

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
    pointer_id: int = 0


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


@dataclass(frozen=True, slots=True)
class Scrolled:
    """A wheel that turned, in notches."""

    at: float
    x: float
    y: float
    horizontal: float
    vertical: float


InputRecord = MotionEvent | KeyPress | TypedText | Scrolled


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

"""Input events that a device has not taken yet: bounded, and no more of them than need be."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeGuard

from capture.errors import CaptureError, InputRejected
from capture.input_events import InputEvent, Scroll, Text, Touch, TouchAction

QUEUE_LIMIT: Final = 64
"""Events that may wait for the phone."""


@dataclass(slots=True)
class WaitingInput:
    """An event that the phone has not taken yet."""

    event: InputEvent
    taken: asyncio.Future[float]

    def succeed(self, taken_at: float) -> None:
        """Tell those who wait that it was taken then; there may be nobody left."""
        if not self.taken.done():
            self.taken.set_result(taken_at)

    def fail(self, error: CaptureError) -> None:
        """Tell those who wait; there may be nobody left."""
        if not self.taken.done():
            self.taken.set_exception(error)
            self.taken.exception()  # Seen: nobody needs to be told that nobody asked.


class InputQueue:
    """What waits for one device, in the order in which it came; see `Controller.inject`."""

    def __init__(self, serial: str, fits: Callable[[Text], bool]) -> None:
        """`fits` says whether a text made of several is still one that the device takes at once."""
        self.dropped: Counter[str] = Counter()
        """Events that did not reach the phone, by reason: `replaced_move`, `queue_full`."""
        self._serial = serial
        self._fits = fits
        self._waiting: deque[WaitingInput] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> WaitingInput:
        """What is to be taken next; raises IndexError when nothing waits."""
        return self._waiting[0]

    def pop(self) -> WaitingInput:
        """Take the first; raises IndexError when nothing waits."""
        return self._waiting.popleft()

    def clear(self) -> list[WaitingInput]:
        """Take all that waits."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    def add(self, event: InputEvent) -> asyncio.Future[float]:
        """Have `event` wait, by itself or with one that does; raises `InputRejected` when there is no room."""
        waiting = self._join(event)
        if waiting is None:
            if len(self._waiting) >= QUEUE_LIMIT:
                self.dropped["queue_full"] += 1
                raise InputRejected(f"device {self._serial!r} is too slow: {QUEUE_LIMIT} events wait for it already")
            waiting = WaitingInput(event, asyncio.get_running_loop().create_future())
            self._waiting.append(waiting)
        return waiting.taken

    def _join(self, event: InputEvent) -> WaitingInput | None:
        """Have `event` go with one that waits: a move replaces the one before it, texts and turns of a wheel add up."""
        for waiting in reversed(self._waiting):
            other = waiting.event
            if isinstance(event, Text) and isinstance(other, Text):
                # Whoever types fast sends a letter at a time, and each text costs the phone a call.
                together = Text(other.text + event.text)
                if not self._fits(together):
                    return None
                waiting.event = together
                return waiting
            if isinstance(event, Scroll) and isinstance(other, Scroll) and event.relative_to == other.relative_to:
                right, down = event.right + other.right, event.down + other.down
                waiting.event = Scroll(event.x, event.y, right, down, event.relative_to)
                return waiting
            if not (_is_move(event) and _is_move(other)):
                return None
            if other.pointer_id == event.pointer_id:
                self.dropped["replaced_move"] += 1
                waiting.event = event
                return waiting
        return None


def _is_move(event: InputEvent) -> TypeGuard[Touch]:
    return isinstance(event, Touch) and event.action is TouchAction.MOVE

"""Fingers that draw a straight line by themselves: the server knows single touches only."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from capture.errors import InputRejected
from capture.input_events import Swipe, Touch, TouchAction
from capture.input_queue import WaitingInput

LONGEST_SWIPE: Final = 10.0
"""Seconds."""

SWIPE_POINTERS: Final = range(2**32, 2**32 + 8)
"""The ids of these fingers, above those that viewers give theirs."""

_STEP: Final = 1 / 60


@dataclass(slots=True)
class _Finger:
    swipe: Swipe
    waiting: WaitingInput
    began_at: float
    timer: asyncio.TimerHandle | None = None


class Swipes:
    """The swipes that are under way on one device."""

    def __init__(self, draw: Callable[[Touch], None]) -> None:
        """`draw` sends a touch; it raises `InputRejected` for one that the device cannot take."""
        self._draw = draw
        self._fingers: dict[int, _Finger] = {}

    def begin(self, swipe: Swipe, waiting: WaitingInput) -> None:
        """Draw `swipe`; raises `InputRejected` for what is none, and when too many are under way."""
        if not 0 < swipe.seconds <= LONGEST_SWIPE:
            raise InputRejected(
                f"a swipe of {swipe.seconds:g} s: more than 0 and at most {LONGEST_SWIPE:g} s are allowed"
            )
        if not all(map(math.isfinite, (swipe.x1, swipe.y1, swipe.x2, swipe.y2))):
            raise InputRejected("a swipe goes from point to point: all four numbers must be finite")
        free = next((pointer_id for pointer_id in SWIPE_POINTERS if pointer_id not in self._fingers), None)
        if free is None:
            raise InputRejected(f"{len(SWIPE_POINTERS)} swipes are under way already")
        self._draw(Touch(TouchAction.DOWN, swipe.x1, swipe.y1, swipe.relative_to, free))
        self._fingers[free] = finger = _Finger(swipe, waiting, time.monotonic())
        self._step_later(free, finger)

    def stop(self) -> list[WaitingInput]:
        """Draw no more; those who wait for a swipe's end. The fingers are still down."""
        fingers = [*self._fingers.values()]
        self._fingers.clear()
        for finger in fingers:
            if finger.timer is not None:
                finger.timer.cancel()
        return [finger.waiting for finger in fingers]

    def _step_later(self, pointer_id: int, finger: _Finger) -> None:
        left = finger.began_at + finger.swipe.seconds - time.monotonic()
        loop = asyncio.get_running_loop()
        finger.timer = loop.call_later(max(0.0, min(_STEP, left)), self._step, pointer_id, finger)

    def _step(self, pointer_id: int, finger: _Finger) -> None:
        swipe = finger.swipe
        now = time.monotonic()
        part = min(1.0, (now - finger.began_at) / swipe.seconds)
        x, y = swipe.x1 + (swipe.x2 - swipe.x1) * part, swipe.y1 + (swipe.y2 - swipe.y1) * part
        try:
            # The last place is reached before the finger leaves it, or the screen takes the line to be shorter.
            self._draw(Touch(TouchAction.MOVE, x, y, swipe.relative_to, pointer_id))
            if part < 1:
                self._step_later(pointer_id, finger)
                return
        except InputRejected as error:
            finger.waiting.fail(error)
        del self._fingers[pointer_id]
        # The end is taken even where the screen was turned, see `place_on_video`.
        self._draw(Touch(TouchAction.UP, x, y, swipe.relative_to, pointer_id))
        finger.waiting.succeed(now)

"""The dots on the demo phone's screen: where fingers are, and where they have been, fading away."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capture.demo_phone.canvas import WHITE, Canvas, Mask, Rgb
from capture.demo_phone.layout import even


class Motion(StrEnum):
    """What a finger does, in the words of `input motionevent`."""

    DOWN = "DOWN"
    MOVE = "MOVE"
    UP = "UP"
    CANCEL = "CANCEL"


FADE = 1.2
"""Seconds until a dot is gone after its finger left."""

TRAIL_FADE = 0.5
"""Seconds until a place that a finger passed is gone."""

_TRAIL_LENGTH = 24
_DOTS = 12
_SHADES = 16
_CORE: Rgb = (255, 214, 10)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A place that fades from `since` on, in seconds of the drawing clock."""

    x: float
    y: float
    since: float


class Touches:
    """Fingers on the screen and the marks that they leave."""

    def __init__(self, unit: float) -> None:
        """`unit` is the layout's: dots are as large as fingers on any screen."""
        self.count = 0
        """Fingers that went down so far."""
        self._fingers: dict[int, tuple[float, float]] = {}
        self._dots: deque[_Mark] = deque(maxlen=_DOTS)
        self._trail: deque[_Mark] = deque(maxlen=_TRAIL_LENGTH)
        self._core = _shades(_disc(11 * unit))
        self._halo = _shades(_disc(20 * unit).dimmed(0.55))
        self._passed = _shades(_disc(7 * unit).dimmed(0.7))
        self._settled_at = 0.0

    def move(self, motion: Motion, x: float, y: float, now: float, pointer_id: int) -> None:
        """One finger's motion. A MOVE or an end without a DOWN before it is no finger's, and shows nothing."""
        before = self._fingers.get(pointer_id)
        match motion:
            case Motion.DOWN:
                self.count += 1
                self._fingers[pointer_id] = (x, y)
            case Motion.MOVE if before is not None:
                self._fingers[pointer_id] = (x, y)
                self._trail.append(_Mark(*before, now))
                self._settled_at = max(self._settled_at, now + TRAIL_FADE)
            case Motion.UP | Motion.CANCEL if before is not None:
                place = (x, y) if motion is Motion.UP else before
                del self._fingers[pointer_id]
                self._dots.append(_Mark(*place, now))
                self._settled_at = max(self._settled_at, now + FADE)
            case _:
                pass

    def is_still(self, now: float) -> bool:
        """Whether nothing fades any more."""
        return now >= self._settled_at

    def draw(self, canvas: Canvas, now: float) -> None:
        """Draw everything as it is at `now`."""
        for mark in self._trail:
            _draw_mark(canvas, self._passed, _CORE, mark.x, mark.y, 1 - (now - mark.since) / TRAIL_FADE)
        faded = [(mark.x, mark.y, 1 - (now - mark.since) / FADE) for mark in self._dots]
        for x, y, strength in faded + [(x, y, 1.0) for x, y in self._fingers.values()]:
            _draw_mark(canvas, self._halo, WHITE, x, y, strength)
            _draw_mark(canvas, self._core, _CORE, x, y, strength)


def _draw_mark(canvas: Canvas, shades: list[Mask], colour: Rgb, x: float, y: float, strength: float) -> None:
    shade = min(round(strength * _SHADES), _SHADES)
    if shade <= 0:
        return
    mask = shades[shade - 1]
    height, width = mask.luma.shape
    canvas.paint(round(x - width / 2), round(y - height / 2), mask, colour)


def _disc(radius: float) -> Mask:
    side = max(4, even(2 * radius + 3))
    distance = np.hypot(*np.meshgrid(*[np.arange(side) + 0.5 - side / 2] * 2))
    return Mask(np.clip(radius - distance + 0.5, 0, 1))


def _shades(mask: Mask) -> list[Mask]:
    """The mask in every strength that is drawn, so that drawing one costs no more than a blend."""
    return [mask.dimmed(shade / _SHADES) for shade in range(1, _SHADES + 1)]

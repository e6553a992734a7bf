"""Two waves that pass each other, gently and without end."""

from math import tau

import numpy as np

from capture.demo_phone.canvas import Canvas, Mask, Rgb
from capture.demo_phone.layout import Box, even

_SHAPES: tuple[tuple[float, float, Rgb], ...] = (
    (-0.05, 0.55, (96, 165, 250)),
    (0.08, 0.70, (255, 140, 190)),
)
"""Speed in lengths per second (negative: to the left), opacity, colour; the far wave first."""


class Wave:
    """Water in a box; what it does not cover is what the canvas showed there at the beginning."""

    def __init__(self, canvas: Canvas, box: Box, inside: Mask) -> None:
        """`inside` is the shape of the box, as large as it."""
        self._canvas, self._box, self._inside = canvas, box, inside
        self._background = canvas.cut(box.x, box.y, box.width, box.height)
        self._water = [
            _water(box.width, box.height, phase).dimmed(opacity) for phase, (_, opacity, _) in enumerate(_SHAPES)
        ]

    def draw(self, now: float) -> None:
        """Draw the waves as they are at `now` seconds of any clock."""
        box = self._box
        self._canvas.put(box.x, box.y, self._background)
        for water, (speed, _, colour) in zip(self._water, _SHAPES, strict=True):
            window = water.columns(even(-speed * now % 1.0 * box.width), box.width)
            self._canvas.paint(box.x, box.y, window.within(self._inside), colour)


def _water(length: int, height: int, phase: int) -> Mask:
    """Two lengths of a periodic wave, so that any window of one length can be cut out."""
    along = np.arange(length) / length * tau
    surface = (0.42 + 0.16 * phase) * height + height * (
        0.16 * np.sin(2 * along + phase) + 0.08 * np.sin(3 * along + 2.1 * phase)
    )
    depth = np.arange(height)[:, None] - surface[None, :]
    fading = 1 - 0.75 * np.clip(depth / height, 0, 1)
    opacity = np.clip(depth / 2, 0, 1) * fading
    return Mask(np.tile(opacity, (1, 2)))

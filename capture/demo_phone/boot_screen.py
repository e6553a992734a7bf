"""What a phone shows while it boots: a word on black that light passes over, again and again."""

from collections.abc import Callable
from math import cos, tau

import av
from PIL import Image, ImageDraw

from capture.demo_phone.canvas import Canvas, Mask, Rgb, load_font
from capture.demo_phone.layout import even
from capture.demo_phone.screen import Screen
from capture.demo_phone.strip import draw_strip

_WORD = "android"
_COLOUR: Rgb = (164, 198, 57)
_PERIOD = 2.0
"""Seconds from light to light."""

_SHADES = 32


class BootScreen:
    """Stands in for a screen until the phone has booted: of the same size, its pictures counted with the others."""

    def __init__(self, screen: Screen) -> None:
        self.on_change: Callable[[], None] = screen.on_change
        self.width, self.height = screen.width, screen.height
        self._screen = screen
        self._canvas = Canvas.black(self.width, self.height)
        word = _word(self.width, self.height)
        self._shades = [word.dimmed(0.2 + 0.8 * shade / _SHADES) for shade in range(_SHADES + 1)]
        height, width = word.luma.shape
        self._x, self._y = even((self.width - width) / 2), even((self.height - height) / 2)
        self._background = self._canvas.cut(self._x, self._y, width, height)

    def is_still(self) -> bool:
        """Never: a phone that boots shows that it is alive."""
        return False

    def draw(self, now: float) -> av.VideoFrame:
        """The boot animation at `now` as a yuv420p frame that the caller may keep."""
        light = 0.5 - 0.5 * cos(now / _PERIOD * tau)
        self._canvas.put(self._x, self._y, self._background)
        self._canvas.paint(self._x, self._y, self._shades[round(light * _SHADES)], _COLOUR)
        draw_strip(self._canvas.luma, self._screen.number_picture())
        return self._canvas.to_frame()


def _word(width: int, height: int) -> Mask:
    font = load_font(min(width, height) / 8)
    image = Image.new("L", (even(width * 0.8), even(font.size * 1.6)))
    ImageDraw.Draw(image).text((image.width / 2, image.height / 2), _WORD, fill=255, font=font, anchor="mm")
    return Mask.from_image(image)

"""The app icons of the demo phone: a rounded tile in two colours with a white picture on it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from capture.demo_phone.canvas import WHITE, Rgb

_OVERSAMPLING = 4

Points = list[tuple[float, float]]


class Pen:
    """Draws shapes in a square of 100 × 100 units."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)
        self._scale = image.width / 100

    def disc(self, x: float, y: float, radius: float, fill: int = 255) -> None:
        self._draw.ellipse(self._box(x - radius, y - radius, x + radius, y + radius), fill=fill)

    def ring(self, x: float, y: float, radius: float, width: float) -> None:
        box = self._box(x - radius, y - radius, x + radius, y + radius)
        self._draw.ellipse(box, outline=255, width=round(width * self._scale))

    def bar(self, left: float, top: float, right: float, bottom: float, radius: float = 0, fill: int = 255) -> None:
        self._draw.rounded_rectangle(self._box(left, top, right, bottom), radius * self._scale, fill=fill)

    def frame(self, left: float, top: float, right: float, bottom: float, radius: float, width: float) -> None:
        box = self._box(left, top, right, bottom)
        self._draw.rounded_rectangle(box, radius * self._scale, outline=255, width=round(width * self._scale))

    def polygon(self, points: Points, fill: int = 255) -> None:
        self._draw.polygon([(x * self._scale, y * self._scale) for x, y in points], fill=fill)

    def line(self, points: Points, width: float, fill: int = 255) -> None:
        scaled = [(x * self._scale, y * self._scale) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(width * self._scale), joint="curve")
        for x, y in (points[0], points[-1]):
            self.disc(x, y, width / 2, fill)

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        return left * self._scale, top * self._scale, right * self._scale - 1, bottom * self._scale - 1


def _phone(pen: Pen) -> None:
    arc = [(70 + 39 * cos(angle), 30 + 39 * sin(angle)) for angle in np.linspace(0.55 * pi, 0.95 * pi, 16)]
    pen.line(arc, 10)
    for x, y in (arc[0], arc[-1]):
        pen.line([(x, y), (x + (70 - x) * 0.17, y + (30 - y) * 0.17)], 15)


def _messages(pen: Pen) -> None:
    pen.bar(24, 27, 76, 65, 14)
    pen.polygon([(34, 60), (34, 78), (52, 63)])
    for x in (38, 50, 62):
        pen.disc(x, 46, 4, 0)


def _browser(pen: Pen) -> None:
    pen.ring(50, 50, 27, 5)
    pen.polygon([(64, 36), (55, 55), (45, 45)])
    pen.polygon([(36, 64), (55, 55), (45, 45)], 150)


def _camera(pen: Pen) -> None:
    pen.bar(22, 34, 78, 72, 9)
    pen.polygon([(38, 36), (43, 27), (57, 27), (62, 36)])
    pen.disc(50, 53, 13, 0)
    pen.disc(50, 53, 8)


def _mail(pen: Pen) -> None:
    pen.bar(23, 31, 77, 69, 6)
    pen.line([(25, 35), (50, 55), (75, 35)], 4.5, 0)


def _calendar(pen: Pen) -> None:
    pen.frame(26, 28, 74, 75, 9, 5)
    pen.bar(28, 30, 72, 43, 6)
    pen.line([(38, 22), (38, 30)], 5)
    pen.line([(62, 22), (62, 30)], 5)
    for row in (52, 63):
        for column in (38, 50, 62):
            pen.disc(column, row, 3.4)


def _maps(pen: Pen) -> None:
    pen.disc(50, 42, 19)
    pen.polygon([(33, 50), (67, 50), (50, 79)])
    pen.disc(50, 42, 8, 0)


def _weather(pen: Pen) -> None:
    pen.disc(60, 38, 13, 170)
    pen.disc(41, 56, 14)
    pen.disc(57, 54, 16)
    pen.bar(28, 56, 76, 71, 7)


def _photos(pen: Pen) -> None:
    pen.frame(23, 27, 77, 73, 8, 5)
    pen.disc(38, 42, 5.5)
    pen.polygon([(28, 68), (46, 49), (54, 58), (61, 50), (72, 68)])


def _music(pen: Pen) -> None:
    pen.line([(41, 68), (41, 32), (67, 27), (67, 62)], 6)
    pen.disc(35, 68, 9)
    pen.disc(61, 63, 9)


def _clock(pen: Pen) -> None:
    pen.ring(50, 50, 26, 5.5)
    pen.line([(50, 33), (50, 50), (61, 57)], 5.5)


def _settings(pen: Pen) -> None:
    for tooth in range(8):
        angle = tooth * pi / 4
        pen.line([(50, 50), (50 + 25 * cos(angle), 50 + 25 * sin(angle))], 10)
    pen.disc(50, 50, 20)
    pen.disc(50, 50, 9, 0)


def _notes(pen: Pen) -> None:
    pen.bar(28, 24, 72, 76, 7)
    for y, right in ((38, 63), (50, 63), (62, 53)):
        pen.line([(37, y), (right, y)], 4.5, 0)


def _video(pen: Pen) -> None:
    pen.bar(22, 31, 78, 69, 12)
    pen.polygon([(44, 41), (44, 59), (60, 50)], 0)


def _files(pen: Pen) -> None:
    pen.bar(24, 30, 50, 50, 6)
    pen.bar(24, 37, 76, 72, 7)


def _health(pen: Pen) -> None:
    pen.disc(39, 42, 13.5)
    pen.disc(61, 42, 13.5)
    pen.polygon([(27.5, 49), (72.5, 49), (50, 75)])


def _calculator(pen: Pen) -> None:
    pen.frame(29, 23, 71, 77, 8, 5)
    pen.bar(37, 32, 63, 42, 2)
    for y in (53, 65):
        for x in (40, 50, 60):
            pen.disc(x, y, 3.6)


def _store(pen: Pen) -> None:
    pen.polygon([(28, 38), (72, 38), (77, 76), (23, 76)])
    pen.line([(39, 44), (39, 33), (44, 26), (56, 26), (61, 33), (61, 44)], 5)
    pen.polygon([(44, 48), (44, 68), (61, 58)], 0)


def _game(pen: Pen) -> None:
    pen.bar(21, 36, 79, 67, 15)
    pen.line([(30, 51), (44, 51)], 5, 0)
    pen.line([(37, 44), (37, 58)], 5, 0)
    pen.disc(60, 56, 4.5, 0)
    pen.disc(69, 47, 4.5, 0)


def _contacts(pen: Pen) -> None:
    pen.disc(50, 38, 13)
    pen.disc(50, 78, 25)
    pen.bar(20, 74, 80, 100, 0, 0)


@dataclass(frozen=True, slots=True)
class Icon:
    """One app on the home screen."""

    name: str
    top: Rgb
    bottom: Rgb
    draw: Callable[[Pen], None]

    def tile(self, size: int) -> Image.Image:
        """The icon as an RGBA image of `size` × `size` pixels."""
        ramp = np.linspace(0, 1, size, dtype=np.float32)[:, None, None]
        colours = np.array(self.top, np.float32) * (1 - ramp) + np.array(self.bottom, np.float32) * ramp
        tile = Image.fromarray(np.broadcast_to(colours, (size, size, 3)).astype(np.uint8), "RGB")
        picture = Image.new("L", (size * _OVERSAMPLING, size * _OVERSAMPLING))
        self.draw(Pen(picture))
        tile.paste(WHITE, mask=picture.resize((size, size), Image.Resampling.LANCZOS))
        tile.putalpha(rounded_box(size, size, size * 0.27))
        return tile


@cache
def rounded_box(width: int, height: int, radius: float) -> Image.Image:
    """A grey image of a filled box with smooth round corners."""
    image = Image.new("L", (width * _OVERSAMPLING, height * _OVERSAMPLING))
    box = (0, 0, image.width - 1, image.height - 1)
    ImageDraw.Draw(image).rounded_rectangle(box, radius * _OVERSAMPLING, fill=255)
    return image.resize((width, height), Image.Resampling.LANCZOS)


GRID = (
    Icon("Mail", (96, 165, 250), (37, 99, 235), _mail),
    Icon("Calendar", (251, 113, 133), (225, 29, 72), _calendar),
    Icon("Photos", (192, 132, 252), (126, 34, 206), _photos),
    Icon("Maps", (74, 222, 128), (22, 143, 74), _maps),
    Icon("Weather", (125, 211, 252), (14, 116, 190), _weather),
    Icon("Clock", (100, 116, 139), (30, 41, 59), _clock),
    Icon("Notes", (253, 211, 77), (234, 141, 10), _notes),
    Icon("Music", (244, 114, 182), (190, 24, 93), _music),
    Icon("Videos", (248, 113, 113), (200, 30, 30), _video),
    Icon("Files", (94, 200, 220), (14, 116, 144), _files),
    Icon("Health", (255, 150, 150), (219, 39, 119), _health),
    Icon("Settings", (148, 163, 184), (71, 85, 105), _settings),
    Icon("Store", (52, 211, 153), (4, 120, 87), _store),
    Icon("Games", (165, 140, 250), (79, 50, 200), _game),
    Icon("Calculator", (251, 166, 80), (210, 80, 12), _calculator),
    Icon("People", (110, 190, 255), (40, 90, 200), _contacts),
)
"""Fill the grid from its top left corner, as many as there is room for."""

DOCK = (
    Icon("Phone", (74, 222, 128), (21, 150, 70), _phone),
    Icon("Messages", (110, 170, 255), (40, 80, 230), _messages),
    Icon("Browser", (80, 215, 235), (8, 120, 170), _browser),
    Icon("Camera", (120, 130, 150), (40, 48, 66), _camera),
)

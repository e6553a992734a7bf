"""A picture in planes of YUV 4:2:0 and what can be painted on it cheaply.

Positions are in pixels of the picture and are rounded down to even ones, because one chroma sample covers 2 × 2 pixels.
Colours are limited-range BT.601, what an H.264 stream without colour description is taken for.
"""

from collections.abc import Sequence
from typing import Self, cast

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from capture.demo_phone.layout import Box, even

Plane = npt.NDArray[np.uint8]
Opacities = npt.NDArray[np.int16]
Rgb = tuple[int, int, int]
Font = ImageFont.FreeTypeFont

_FULL = 128
"""Opacity one; a difference of two samples times an opacity fits 16 bits."""

_LONGEST_LINE = 200

WHITE: Rgb = (255, 255, 255)


def yuv(colour: Rgb) -> tuple[int, int, int]:
    """A colour as Y, U, V (ITU-R BT.601, limited range)."""
    red, green, blue = colour
    return (
        round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255),
        round(128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255),
        round(128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255),
    )


def load_font(size: float) -> Font:
    """The font that Pillow brings along, so that every machine draws the same."""
    return cast(Font, ImageFont.load_default(max(6.0, size)))


class Mask:
    """A shape: how much of a colour each pixel takes."""

    def __init__(self, opacity: npt.NDArray[np.floating] | npt.NDArray[np.uint8]) -> None:
        """`opacity` is 0..1 where it is a float and 0..255 where it is not; both sides are even."""
        scale = float(_FULL) if np.issubdtype(opacity.dtype, np.floating) else _FULL / 255
        full = opacity.astype(np.float32) * scale
        height, width = full.shape
        self.luma: Opacities = full.astype(np.int16)
        self.chroma: Opacities = full.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)).astype(np.int16)

    @classmethod
    def from_image(cls, image: Image.Image) -> Self:
        """The mask that a grey image of even sides is."""
        return cls(np.asarray(image, np.uint8))

    @classmethod
    def _of(cls, luma: Opacities, chroma: Opacities) -> Self:
        mask = object.__new__(cls)
        mask.luma, mask.chroma = luma, chroma
        return mask

    def columns(self, first: int, count: int) -> Self:
        """A view of the part from column `first` on that is `count` wide; both are even."""
        return self._of(self.luma[:, first : first + count], self.chroma[:, first // 2 : (first + count) // 2])

    def within(self, other: Self) -> Self:
        """The part of this shape that is inside `other`, a mask of the same size."""
        return self._of((self.luma * other.luma) >> 7, (self.chroma * other.chroma) >> 7)

    def dimmed(self, opacity: float) -> Self:
        """The same shape, `opacity` (0..1) times as strong."""
        factor = np.int16(round(opacity * _FULL))
        return self._of((self.luma * factor) >> 7, (self.chroma * factor) >> 7)


class Canvas:
    """Three planes that are painted on in place."""

    def __init__(self, planes: Sequence[Plane]) -> None:
        self.luma, self.blue, self.red = planes
        self.height, self.width = self.luma.shape

    @classmethod
    def from_image(cls, image: Image.Image) -> Self:
        """A copy of an RGB image of even sides."""
        frame = av.VideoFrame.from_ndarray(np.asarray(image.convert("RGB")), format="rgb24")
        return cls([plane.copy() for plane in _planes(frame.reformat(format="yuv420p"))])

    @classmethod
    def over(cls, frame: av.VideoFrame, height: int) -> Self:
        """The upper part, `height` rows, of a yuv420p frame itself: painting changes the frame."""
        height = even(height)
        luma, blue, red = _planes(frame)
        return cls([luma[:height], blue[: height // 2], red[: height // 2]])

    @classmethod
    def black(cls, width: int, height: int) -> Self:
        """A black canvas."""
        samples = zip(yuv((0, 0, 0)), ((height, width), *[(height // 2, width // 2)] * 2), strict=True)
        return cls([np.full(shape, sample, np.uint8) for sample, shape in samples])

    def make_grey(self, top: int) -> None:
        """Take the colour out of everything from row `top` on."""
        self.blue[even(top) // 2 :] = 128
        self.red[even(top) // 2 :] = 128

    def to_frame(self) -> av.VideoFrame:
        """A copy as a frame that an encoder may keep."""
        frame = av.VideoFrame(self.width, self.height, "yuv420p")
        for target, plane in zip(_planes(frame), (self.luma, self.blue, self.red), strict=True):
            target[:] = plane
        return frame

    def cut(self, x: int, y: int, width: int, height: int) -> Self:
        """A copy of one rectangle, cut off at the edges."""
        return type(self)([plane.copy() for plane in self._window(x, y, width, height)])

    def put(self, x: int, y: int, tile: Self) -> None:
        """Replace a rectangle that lies inside this canvas by `tile`."""
        window = self._window(x, y, tile.width, tile.height)
        for target, plane in zip(window, (tile.luma, tile.blue, tile.red), strict=True):
            target[:] = plane

    def paint(self, x: int, y: int, mask: Mask, colour: Rgb) -> None:
        """Blend `colour` in by `mask`, whose top left corner comes to (x, y); what lies outside is left out."""
        height, width = mask.luma.shape
        x, y = even(x), even(y)
        left, top = max(0, -x), max(0, -y)
        right, bottom = min(width, self.width - x), min(height, self.height - y)
        if left >= right or top >= bottom:
            return
        window = self._window(x + left, y + top, right - left, bottom - top)
        chroma = mask.chroma[top // 2 : bottom // 2, left // 2 : right // 2]
        masks = (mask.luma[top:bottom, left:right], chroma, chroma)
        for plane, opacity, sample in zip(window, masks, yuv(colour), strict=True):
            # In 16 bits, and exact at both ends: opacity 0 leaves the sample, the full one replaces it.
            plane[:] = plane + (((sample - plane.astype(np.int16)) * opacity) >> 7)

    def _window(self, x: int, y: int, width: int, height: int) -> tuple[Plane, Plane, Plane]:
        x, y = even(x), even(y)
        chroma = np.s_[y // 2 : (y + height) // 2, x // 2 : (x + width) // 2]
        return self.luma[y : y + height, x : x + width], self.blue[chroma], self.red[chroma]


def _planes(frame: av.VideoFrame) -> list[Plane]:
    """Views of a yuv420p frame's planes, without the padding at the end of each line."""
    return [
        np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


class TextLine:
    """One line of any text in a box; drawn when the text changes."""

    def __init__(self, canvas: Canvas, box: Box, font: Font, colour: Rgb = WHITE, *, anchor: str = "l") -> None:
        """`anchor` is `l`, `m` or `r`: where in the box the text goes."""
        self._canvas, self._box, self._font, self._colour, self._anchor = canvas, box, font, colour, anchor
        self._background = canvas.cut(box.x, box.y, box.width, box.height)
        self._text = ""

    def show(self, text: str) -> None:
        """Show `text`; of one that is too long for the box the end."""
        if text == self._text:
            return
        self._text = text
        width, height = self._box.width, self._box.height
        x = {"l": 0.0, "m": width / 2, "r": float(width)}[self._anchor]
        image = Image.new("L", (width, height))
        place, anchor = (x, height / 2), f"{self._anchor}m"
        ImageDraw.Draw(image).text(place, self._fitting(text), fill=255, font=self._font, anchor=anchor)
        self._canvas.put(self._box.x, self._box.y, self._background)
        self._canvas.paint(self._box.x, self._box.y, Mask.from_image(image), self._colour)

    def _fitting(self, text: str) -> str:
        """The text, or as much of its end as fits the box."""
        text = "".join(character if character.isprintable() else "·" for character in text[-_LONGEST_LINE:])
        if self._font.getlength(text) <= self._box.width:
            return text
        while text and self._font.getlength("…" + text) > self._box.width:
            text = text[1:]
        return "…" + text


class Counter:
    """Digits and the marks between them at fixed places; each character is painted once and then only copied."""

    def __init__(
        self, canvas: Canvas, centre: float, y: float, pattern: str, font: Font, *, height: int | None = None
    ) -> None:
        """`pattern` shows the places of digits and marks, as `00:00`; it is centred on `centre`, its top is at `y`."""
        self._canvas, self._y, self._font = canvas, even(y), font
        if height is None:
            height = even(font.size * 1.3 + 2)
        widths = [self._cell_width(character) for character in pattern]
        left = even(centre - sum(widths) / 2)
        self._lefts = [left + sum(widths[:index]) for index in range(len(widths))]
        self._backgrounds = [
            canvas.cut(x, self._y, width, height) for x, width in zip(self._lefts, widths, strict=True)
        ]
        self._painted: list[dict[str, Canvas]] = [{} for _ in pattern]
        self._shown = [""] * len(pattern)

    def show(self, text: str) -> None:
        """Show `text`, which fits the pattern."""
        for index, character in enumerate(text):
            if character != self._shown[index]:
                self._shown[index] = character
                self._canvas.put(self._lefts[index], self._y, self._tile(index, character))

    def _tile(self, index: int, character: str) -> Canvas:
        painted = self._painted[index]
        if character not in painted:
            background = self._backgrounds[index]
            tile = background.cut(0, 0, background.width, background.height)
            image = Image.new("L", (tile.width, tile.height))
            centre = (tile.width / 2, tile.height / 2)
            ImageDraw.Draw(image).text(centre, character, fill=255, font=self._font, anchor="mm")
            tile.paint(0, 0, Mask.from_image(image), WHITE)
            painted[character] = tile
        return painted[character]

    def _cell_width(self, character: str) -> int:
        alike = "0123456789" if character.isdigit() else character
        return even(max(map(self._font.getlength, alike)) + 2)

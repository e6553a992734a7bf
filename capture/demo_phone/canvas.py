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

Plane = npt.NDArray[np.uint8]
Rgb = tuple[int, int, int]
Font = ImageFont.FreeTypeFont

_FULL = 128
"""Opacity one; a difference of two samples times an opacity fits 16 bits."""

WHITE: Rgb = (255, 255, 255)


def yuv(colour: Rgb) -> tuple[int, int, int]:
    """A colour as Y, U, V (ITU-R BT.601, limited range)."""
    red, green, blue = colour
    return (
        round(16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255),
        round(128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255),
        round(128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255),
    )


def even(value: float) -> int:
    """The largest even number not above `value`."""
    return int(value) // 2 * 2


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
        self.luma = full.astype(np.int16)
        self.chroma = full.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)).astype(np.int16)

    @classmethod
    def from_image(cls, image: Image.Image) -> Self:
        """The mask that a grey image of even sides is."""
        return cls(np.asarray(image, np.uint8))

    def dimmed(self, opacity: float) -> Self:
        """The same shape, `opacity` (0..1) times as strong."""
        dimmed = object.__new__(type(self))
        factor = round(opacity * 128)
        dimmed.luma = (self.luma * np.int16(factor)) >> 7
        dimmed.chroma = (self.chroma * np.int16(factor)) >> 7
        return dimmed


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
    def over(cls, frame: av.VideoFrame) -> Self:
        """The planes of `frame` (yuv420p) themselves: painting changes the frame."""
        return cls(_planes(frame))

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
        np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width]
        for plane in frame.planes
    ]


class TextLine:
    """One line of any text at a fixed place; drawn when the text changes."""

    def __init__(
        self, canvas: Canvas, x: int, y: int, width: int, font: Font, colour: Rgb = WHITE, *, anchor: str = "l"
    ) -> None:
        """The line's box begins at (x, y); `anchor` is `l`, `m` or `r`: where in it the text goes."""
        self._canvas, self._x, self._y, self._font, self._colour = canvas, even(x), even(y), font, colour
        self._anchor = anchor
        self._width, self._height = even(width), line_height(font)
        self._background = canvas.cut(self._x, self._y, self._width, self._height)
        self._text = ""

    def show(self, text: str) -> None:
        """Show `text`; one that is too long for the box keeps its end."""
        if text == self._text:
            return
        self._text = text
        text = "".join(character if character.isprintable() else "·" for character in text)[-200:]
        if self._font.getlength(text) > self._width:
            while text and self._font.getlength("…" + text) > self._width:
                text = text[1:]
            text = "…" + text
        image = Image.new("L", (self._width, self._height))
        position = {"l": 0, "m": self._width / 2, "r": self._width}[self._anchor]
        ImageDraw.Draw(image).text(
            (position, self._height / 2), text, fill=255, font=self._font, anchor=f"{self._anchor}m"
        )
        self._canvas.put(self._x, self._y, self._background)
        self._canvas.paint(self._x, self._y, Mask.from_image(image), self._colour)


class Counter:
    """Digits and the marks between them at fixed places; each character is painted once and then only copied."""

    def __init__(
        self, canvas: Canvas, centre: int, y: int, pattern: str, font: Font, colour: Rgb = WHITE
    ) -> None:
        """`pattern` is a text with the places of the digits and marks, as `00:00`; it is centred on `centre`."""
        self._canvas, self._y, self._font, self._colour = canvas, even(y), font, colour
        self._height = line_height(font)
        widths = [self._cell_width(character) for character in pattern]
        left = even(centre - sum(widths) / 2)
        self._cells = [
            (left + sum(widths[:index]), canvas.cut(left + sum(widths[:index]), self._y, width, self._height))
            for index, width in enumerate(widths)
        ]
        self._painted: list[dict[str, Canvas]] = [{} for _ in pattern]
        self._shown = [""] * len(pattern)

    def show(self, text: str) -> None:
        """Show `text`, which fits the pattern."""
        for index, character in enumerate(text):
            if character != self._shown[index]:
                self._shown[index] = character
                self._canvas.put(self._cells[index][0], self._y, self._tile(index, character))

    def _tile(self, index: int, character: str) -> Canvas:
        painted = self._painted[index]
        if character not in painted:
            background = self._cells[index][1]
            tile = background.cut(0, 0, background.width, background.height)
            image = Image.new("L", (tile.width, tile.height))
            ImageDraw.Draw(image).text(
                (tile.width / 2, tile.height / 2), character, fill=255, font=self._font, anchor="mm"
            )
            tile.paint(0, 0, Mask.from_image(image), self._colour)
            painted[character] = tile
        return painted[character]

    def _cell_width(self, character: str) -> int:
        widest = max(map(self._font.getlength, "0123456789")) if character.isdigit() else self._font.getlength(character)
        return even(widest + 1)


def line_height(font: Font) -> int:
    """The even number of pixel rows that any line in `font` fits."""
    top, bottom = font.getbbox("Äjgy|")[1::2]
    return even(bottom - min(0, top) + 3)

"""What never changes on the demo phone's screen, painted once: wallpaper, icons, and the boxes for the rest."""

from math import tau

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter

from capture.demo_phone.canvas import WHITE, Rgb, load_font
from capture.demo_phone.icons import DOCK, GRID, Icon, rounded_box
from capture.demo_phone.layout import Box, Layout, even

COLUMNS = 4

_SKY: tuple[tuple[float, Rgb], ...] = (
    (0.0, (16, 20, 62)),
    (0.32, (58, 36, 122)),
    (0.58, (148, 58, 148)),
    (0.78, (232, 110, 128)),
    (1.0, (255, 176, 128)),
)
"""The wallpaper's colours from top to bottom."""

_HILLS: tuple[tuple[float, float, float, float, Rgb], ...] = (
    (0.66, 0.045, 0.9, 0.10, (126, 52, 138)),
    (0.76, 0.038, 1.3, 0.55, (86, 38, 118)),
    (0.87, 0.030, 1.1, 0.85, (48, 26, 88)),
)
"""Hills from the far to the near: top edge and swing as parts of the height, waves per width, phase, colour."""

_GLOWS: tuple[tuple[float, float, float, Rgb], ...] = (
    (0.82, 0.62, 0.22, (70, 52, 20)),
    (0.10, 0.16, 0.55, (6, 34, 66)),
)
"""Light in the sky: centre as parts of width and height, radius as a part of the shorter side, colour added."""

_RAMP_STEPS = 1024
_LARGE = 500_000
"""Pixels above which the wallpaper is painted at half the size: it is soft anyway, and four times quicker."""

Colours = npt.NDArray[np.float32]

_GLASS = 38
"""How much white (of 255) the translucent boxes add."""


def paint_home_screen(layout: Layout) -> Image.Image:
    """The home screen as an RGB image of the layout's size."""
    image = _wallpaper(layout.width, layout.height)
    _status_icons(image, layout)
    for box in (layout.card, layout.search, layout.dock):
        radius = 22 if box is layout.search else 20
        _glass(image, box, layout.unit * radius)
    _search_icon(image, layout)
    _icon_grid(image, layout)
    dock_row = Box(layout.grid.x, layout.dock.y, layout.grid.width, layout.dock.height)
    _icon_row(image, layout, DOCK, dock_row, labels=False)
    ImageDraw.Draw(image).rectangle((0, layout.strip_top, layout.width, layout.height), fill=0)
    return image


def _wallpaper(width: int, height: int) -> Image.Image:
    if width * height > _LARGE:
        return _wallpaper(width // 2, height // 2).resize((width, height), Image.Resampling.BICUBIC)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    across = np.linspace(0, 1, width, dtype=np.float32)[None, :]
    # The sky leans a little, which is what makes it look like light and not like a ramp.
    slant = np.clip(down + (across - np.float32(0.5)) * np.float32(0.16), 0, 1)
    picture = _sky_ramp()[(slant * np.float32(_RAMP_STEPS - 1)).astype(np.int16)]

    x, y = across * np.float32(width), down * np.float32(height)
    side = min(width, height)
    for centre_x, centre_y, radius, colour in _GLOWS:
        squared = (x - centre_x * width) ** 2 + (y - centre_y * height) ** 2
        glow = np.exp(squared / np.float32(-2 * (radius * side) ** 2))
        picture += glow[..., None] * np.array(colour, np.float32)
    sun = np.clip(side * 0.1 - np.hypot(x - 0.75 * width, y - 0.62 * height), 0, 1)
    picture = _over(picture, (255, 222, 170), sun * np.float32(0.7))
    for top, swing, waves, phase, colour in _HILLS:
        angle = (across * waves + phase) * tau
        depth = down - top - swing * (np.sin(angle) + 0.4 * np.sin(angle * 2.3))
        shade = 1 - np.float32(0.35) * np.clip(depth / 0.3, 0, 1)
        inside = np.clip(depth * (height / 2), 0, 1)
        picture = _over(picture, colour, inside.astype(np.float32), shade.astype(np.float32))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8), "RGB")


def _sky_ramp() -> Colours:
    steps = np.linspace(0, 1, _RAMP_STEPS)
    places = [place for place, _ in _SKY]
    channels = [np.interp(steps, places, [colour[channel] for _, colour in _SKY]) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.float32)


def _over(picture: Colours, colour: Rgb, opacity: Colours, shade: Colours | None = None) -> Colours:
    """`picture` with `colour`, darkened by `shade`, laid over it."""
    top = np.array(colour, np.float32) * (1 if shade is None else shade[..., None])
    return picture + (top - picture) * opacity[..., None]


def _glass(image: Image.Image, box: Box, radius: float) -> None:
    """A box of frosted glass: what is behind it blurred and brighter."""
    area = (box.x, box.y, box.x + box.width, box.y + box.height)
    behind = image.crop(area).filter(ImageFilter.GaussianBlur(radius / 2))
    frosted = Image.blend(behind, Image.new("RGB", behind.size, WHITE), _GLASS / 255)
    image.paste(frosted, area, rounded_box(box.width, box.height, min(radius, box.height / 2)))


def _icon_grid(image: Image.Image, layout: Layout) -> None:
    rows = layout.grid_rows
    row_height = layout.grid.height / rows
    for row in range(rows):
        icons = GRID[row * COLUMNS : (row + 1) * COLUMNS]
        top = even(layout.grid.y + row * row_height)
        _icon_row(image, layout, icons, Box(layout.grid.x, top, layout.grid.width, even(row_height)), labels=True)


def _icon_row(image: Image.Image, layout: Layout, icons: tuple[Icon, ...], box: Box, *, labels: bool) -> None:
    size = layout.pixels(54)
    label_height = layout.pixels(18) if labels else 0
    top = box.y + (box.height - size - label_height) // 2
    font = load_font(11.5 * layout.unit)
    draw = ImageDraw.Draw(image)
    for index, icon in enumerate(icons):
        centre = box.x + box.width * (index + 0.5) / COLUMNS
        tile = icon.tile(size)
        _shadow(image, round(centre - size / 2), top, size)
        image.paste(tile, (round(centre - size / 2), top), tile)
        if labels:
            place = (centre, top + size + label_height * 0.62)
            draw.text((place[0], place[1] + layout.unit / 2), icon.name, fill=(40, 20, 60), font=font, anchor="mm")
            draw.text(place, icon.name, fill=WHITE, font=font, anchor="mm")


def _shadow(image: Image.Image, x: int, y: int, size: int) -> None:
    spread = max(2, size // 8)
    mask = Image.new("L", (size + 4 * spread, size + 4 * spread))
    mask.paste(70, (2 * spread, 2 * spread), rounded_box(size, size, size * 0.27))
    mask = mask.filter(ImageFilter.GaussianBlur(spread / 2))
    image.paste((10, 5, 30), (x - 2 * spread, y - 2 * spread + spread // 3), mask)


def _status_icons(image: Image.Image, layout: Layout) -> None:
    """Signal, wireless network and battery at the right end of the status bar."""
    height = layout.status_bar.height
    width = height * 3
    mask = Image.new("L", (width * 4, height * 4))
    draw = ImageDraw.Draw(mask)
    unit = height * 4 / 24

    for bar in range(4):
        left = (2 + bar * 4.2) * unit
        draw.rounded_rectangle((left, (15.5 - bar * 3) * unit, left + 3 * unit, 18 * unit), unit * 0.8, fill=255)
    for radius in (12, 8, 4):
        x, y = 32 * unit, 18.5 * unit
        box = (x - radius * unit, y - radius * unit, x + radius * unit, y + radius * unit)
        draw.arc(box, 225, 315, fill=255, width=round(2.2 * unit))
    draw.rounded_rectangle((48 * unit, 7 * unit, 68 * unit, 18 * unit), 3 * unit, outline=255, width=round(1.4 * unit))
    draw.rounded_rectangle((50 * unit, 9 * unit, 63 * unit, 16 * unit), 1.2 * unit, fill=255)
    draw.rounded_rectangle((68.8 * unit, 10.5 * unit, 70.6 * unit, 14.5 * unit), unit, fill=255)
    mask = mask.resize((width, height), Image.Resampling.LANCZOS)
    image.paste(WHITE, (layout.width - width - layout.pixels(14), layout.pixels(3)), mask)


def _search_icon(image: Image.Image, layout: Layout) -> None:
    side = layout.pixels(20)
    mask = Image.new("L", (side * 4, side * 4))
    draw = ImageDraw.Draw(mask)
    unit = side * 4 / 20
    draw.ellipse((2 * unit, 2 * unit, 14 * unit, 14 * unit), outline=255, width=round(2 * unit))
    draw.line((12 * unit, 12 * unit, 18 * unit, 18 * unit), fill=255, width=round(2.4 * unit))
    mask = mask.resize((side, side), Image.Resampling.LANCZOS)
    box = layout.search
    image.paste(WHITE, (box.x + layout.pixels(14), box.y + (box.height - side) // 2), mask)

"""Where the things of the demo phone's home screen are, for any size of screen."""

import math
from dataclasses import dataclass

from capture.demo_phone.strip import strip_top

LEAST_SIDE, LARGEST_SIDE = 120, 4096


def even(value: float) -> int:
    """The largest even number not above `value`."""
    return math.floor(value / 2) * 2


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, all four numbers even."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes of one screen size."""

    width: int
    height: int
    unit: float
    """Pixels per unit: text and icons are so many units large on every screen."""
    status_bar: Box
    clock: Box
    date: Box
    card: Box
    search: Box
    grid: Box
    grid_rows: int
    dock: Box
    strip_top: int

    def pixels(self, units: float) -> int:
        """A length in pixels, even and at least 2."""
        return max(2, even(units * self.unit))


_STATUS, _CLOCK, _DATE, _CARD, _SEARCH, _ROW, _DOCK = 24, 64, 20, 88, 42, 78, 78
_GAP = 12
_COLUMN = 360
"""Units of width that one column of things needs."""


def lay_out(width: int, height: int) -> Layout:
    """The layout of a screen. Raises ValueError for a size that the demo phone cannot have."""
    for name, side in (("width", width), ("height", height)):
        if not LEAST_SIDE <= side <= LARGEST_SIDE or side % 2:
            raise ValueError(f"{name} {side}: it must be an even number from {LEAST_SIDE} to {LARGEST_SIDE}")
    return _landscape(width, height) if width > height else _portrait(width, height)


def _portrait(width: int, height: int) -> Layout:
    fixed = _STATUS + _CLOCK + _DATE + _CARD + _SEARCH + _DOCK + 5 * _GAP
    usable = strip_top(height)
    unit = min(width / _COLUMN, usable / (fixed + _ROW))
    rows = max(1, min(4, int((usable / unit - fixed) / _ROW)))
    # What is left of a tall screen goes between the things, most of it around the icons.
    spare = usable / unit - fixed - rows * _ROW
    tops = _stack(_STATUS + spare * 0.15, (_CLOCK, _DATE, _CARD, _SEARCH), gaps=(0, _GAP, _GAP))
    left = (width / unit - _COLUMN) / 2
    dock_top = usable / unit - _DOCK - spare * 0.1
    grid_top = tops[3] + _SEARCH + _GAP
    grid_height = dock_top - grid_top

    def box(x: float, y: float, box_width: float, box_height: float) -> Box:
        return Box(even(x * unit), even(y * unit), even(box_width * unit), even(box_height * unit))

    inner = _COLUMN - 32
    return Layout(
        width,
        height,
        unit,
        status_bar=Box(0, 0, width, even(_STATUS * unit)),
        clock=box(left + 16, tops[0], inner, _CLOCK),
        date=box(left + 16, tops[1], inner, _DATE),
        card=box(left + 16, tops[2], inner, _CARD),
        search=box(left + 16, tops[3], inner, _SEARCH),
        grid=box(left + 8, grid_top, _COLUMN - 16, grid_height),
        grid_rows=rows,
        dock=box(left + 16, dock_top, inner, _DOCK - 10),
        strip_top=usable,
    )


def _landscape(width: int, height: int) -> Layout:
    usable = strip_top(height)
    left_height = _STATUS + _CLOCK + _DATE + _CARD + _SEARCH + 4 * _GAP
    unit = min(width / (2 * _COLUMN), usable / left_height)
    spare = usable / unit - left_height
    tops = _stack(_STATUS + spare * 0.5, (_CLOCK, _DATE, _CARD, _SEARCH), gaps=(0, _GAP, _GAP))
    left = (width / unit - 2 * _COLUMN) / 3
    right = 2 * left + _COLUMN
    dock_top = usable / unit - _DOCK
    rows = max(1, min(3, int((dock_top - _STATUS) / _ROW)))

    def box(x: float, y: float, box_width: float, box_height: float) -> Box:
        return Box(even(x * unit), even(y * unit), even(box_width * unit), even(box_height * unit))

    inner = _COLUMN - 32
    return Layout(
        width,
        height,
        unit,
        status_bar=Box(0, 0, width, even(_STATUS * unit)),
        clock=box(left + 16, tops[0], inner, _CLOCK),
        date=box(left + 16, tops[1], inner, _DATE),
        card=box(left + 16, tops[2], inner, _CARD),
        search=box(left + 16, tops[3], inner, _SEARCH),
        grid=box(right + 8, _STATUS, _COLUMN - 16, dock_top - _STATUS),
        grid_rows=rows,
        dock=box(right + 16, dock_top, inner, _DOCK - 10),
        strip_top=usable,
    )


def _stack(top: float, heights: tuple[float, ...], gaps: tuple[float, ...]) -> list[float]:
    tops = [top]
    for height, gap in zip(heights, gaps, strict=False):
        tops.append(tops[-1] + height + gap)
    return tops

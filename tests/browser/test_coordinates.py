from collections.abc import Sequence

import pytest
from playwright.async_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FRACTIONS = (0.0, 0.001, 0.25, 0.5, 0.999)

BOXES = [
    # box (left, top, width, height), picture (width, height), the part of the box that shows the picture
    ((0, 0, 360, 640), (720, 1280), (0, 0, 360, 640)),
    ((10.5, 20.25, 360, 640), (720, 1280), (10.5, 20.25, 360, 640)),
    ((0, 0, 1000, 640), (720, 1280), (320, 0, 360, 640)),
    ((100, 50, 360, 1000), (720, 1280), (100, 230, 360, 640)),
    ((0, 0, 400, 400), (1280, 720), (0, 87.5, 400, 225)),
    ((0, 0, 2160, 4800), (1080, 2400), (0, 0, 2160, 4800)),
    ((-200, -300, 90, 200), (1080, 2400), (-200, -300, 90, 200)),
]


@pytest.mark.parametrize(("box", "picture", "shown"), BOXES)
async def test_points_become_pixels(
    module_page: Page,
    box: tuple[float, float, float, float],
    picture: tuple[int, int],
    shown: tuple[float, float, float, float],
) -> None:
    left, top, width, height = shown
    points = [(left + width * across, top + height * down) for across in FRACTIONS for down in FRACTIONS]
    expected = [
        {"x": int(picture[0] * across), "y": int(picture[1] * down), "inside": True}
        for across in FRACTIONS
        for down in FRACTIONS
    ]
    assert await pixels(module_page, points, box, picture) == expected


async def test_points_outside_are_moved_to_the_nearest_pixel(module_page: Page) -> None:
    box, picture = (0, 0, 1000, 640), (720, 1280)
    points = [(319, 320), (680, 320), (500, -1), (500, 641), (0, 0), (1000, 640)]
    assert await pixels(module_page, points, box, picture) == [
        {"x": 0, "y": 640, "inside": False},
        {"x": 719, "y": 640, "inside": False},
        {"x": 360, "y": 0, "inside": False},
        {"x": 360, "y": 1279, "inside": False},
        {"x": 0, "y": 0, "inside": False},
        {"x": 719, "y": 1279, "inside": False},
    ]


@pytest.mark.parametrize(("box", "picture"), [((0, 0, 0, 640), (720, 1280)), ((0, 0, 360, 640), (0, 0))])
async def test_nothing_is_pointed_at_before_there_is_a_picture(
    module_page: Page, box: tuple[float, float, float, float], picture: tuple[int, int]
) -> None:
    assert await pixels(module_page, [(1, 1)], box, picture) == [None]


async def pixels(
    page: Page,
    points: Sequence[tuple[float, float]],
    box: tuple[float, float, float, float],
    picture: tuple[int, int],
) -> object:
    return await page.evaluate(
        """async ([points, [left, top, width, height], [columns, rows]]) => {
          const { pictureCoordinates } = await import("/coordinates.js");
          const box = { left, top, width, height };
          return points.map(([x, y]) => pictureCoordinates({ x, y }, box, { width: columns, height: rows }));
        }""",
        [points, box, picture],
    )

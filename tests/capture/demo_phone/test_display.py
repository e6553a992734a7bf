"""Who gets which pictures, and when none are drawn."""

import asyncio
from itertools import pairwise

import pytest

from capture.demo_phone.display import Display, Picture
from capture.demo_phone.screen import Screen
from capture.demo_phone.strip import read_strip
from capture.demo_phone.touches import FADE, Motion
from tests.capture.demo_phone.pictures import luma

TIMEOUT = 20.0


@pytest.fixture
def screen() -> Screen:
    return Screen(240, 320)


@pytest.fixture
def display(screen: Screen) -> Display:
    return Display(screen, frame_rate=60)


def number(picture: Picture) -> int:
    return read_strip(luma(picture.frame)).frame_number


async def test_pictures_come_at_the_frame_rate(display: Display) -> None:
    with display.watch() as pictures:
        async with asyncio.timeout(TIMEOUT):
            taken = [await anext(pictures) for _ in range(6)]
    assert all(later.drawn_at - earlier.drawn_at > 0.5 / 60 for earlier, later in pairwise(taken))
    assert [number(picture) for picture in taken] == sorted({number(picture) for picture in taken})


async def test_all_viewers_see_the_same_pictures(display: Display) -> None:
    with display.watch() as first, display.watch() as second:
        async with asyncio.timeout(TIMEOUT):
            assert await anext(first) is await anext(second)


async def test_a_slow_viewer_gets_the_newest(display: Display) -> None:
    with display.watch() as slow, display.watch() as quick:
        async with asyncio.timeout(TIMEOUT):
            taken = [await anext(quick) for _ in range(5)]
            assert await anext(slow) is taken[-1]
        assert slow.left_out == 4
        assert quick.left_out == 0


async def test_nobody_watches_nothing_is_drawn(display: Display) -> None:
    async with asyncio.timeout(TIMEOUT):
        with display.watch() as pictures:
            await anext(pictures)
        before = number(display.snapshot())
        with Display(Screen(240, 320), frame_rate=60).watch() as others:
            for _ in range(5):
                await anext(others)
    assert number(display.snapshot()) == before + 1


async def test_closed_pictures_end(display: Display) -> None:
    with display.watch() as pictures:
        async with asyncio.timeout(TIMEOUT):
            await anext(pictures)
        pictures.close()
        assert [picture async for picture in pictures] == []


async def test_a_still_screen_gives_one_picture_and_more_when_it_is_touched(display: Display, screen: Screen) -> None:
    screen.animate = False
    with display.watch() as pictures:
        async with asyncio.timeout(TIMEOUT):
            first = await anext(pictures)
            with display.watch() as later:
                assert await anext(later) is first
            assert display.snapshot() is first
            screen.touch(Motion.DOWN, 10, 10, first.drawn_at)
            screen.touch(Motion.UP, 10, 10, first.drawn_at)
            settled = first.drawn_at + FADE
            shown = [await anext(pictures)]
            while shown[-1].drawn_at < settled:
                shown.append(await anext(pictures))
        assert [number(picture) for picture in (first, *shown)] == list(range(1, len(shown) + 2))
        assert len(shown) > 5
        assert screen.is_still()
        assert display.snapshot() is shown[-1]


async def test_a_screen_of_another_size_is_shown_at_once(display: Display, screen: Screen) -> None:
    screen.animate = False
    async with asyncio.timeout(TIMEOUT):
        with display.watch() as pictures:
            first = await anext(pictures)
            display.show(screen.turned(320, 240))
            second = await anext(pictures)
    assert (second.frame.width, second.frame.height) == (display.width, display.height) == (320, 240)
    assert number(second) == number(first) + 1


async def test_a_still_secure_screen_gives_one_black_picture(display: Display, screen: Screen) -> None:
    screen.animate = False
    async with asyncio.timeout(TIMEOUT):
        with display.watch() as pictures:
            await anext(pictures)
            display.is_secure = True
            assert (luma((await anext(pictures)).frame) == 16).all()
            display.is_secure = True
            display.is_secure = False
            assert number(await anext(pictures)) == 3

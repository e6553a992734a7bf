"""What the screen shows, and when it is still."""

import numpy as np
import pytest

from capture.demo_phone.screen import Screen
from capture.demo_phone.strip import Strip, read_strip, strip_top
from capture.demo_phone.touches import FADE, TRAIL_FADE, Motion
from tests.capture.demo_phone.pictures import Luma, luma

NOON = 1_700_000_000.0

SIZES = [(720, 1280), (240, 320), (1440, 3200), (1080, 2400), (1280, 720), (402, 874), (120, 120)]


def still_screen(width: int = 360, height: int = 640) -> Screen:
    screen = Screen(width, height, wall_clock=lambda: NOON)
    screen.animate = False
    return screen


def picture(screen: Screen, now: float) -> Luma:
    return luma(screen.draw(now))


def icons(screen: Screen, now: float) -> Luma:
    """The part of a 360x640 screen where only fingers change something."""
    return picture(screen, now)[280 : strip_top(640)]


def search_box(screen: Screen, now: float) -> Luma:
    return picture(screen, now)[210:280]


@pytest.mark.parametrize("size", SIZES)
def test_every_size_has_a_strip_and_a_picture(size: tuple[int, int]) -> None:
    screen = Screen(*size, wall_clock=lambda: NOON + 0.25)
    frame = screen.draw(1.0)
    assert (frame.width, frame.height, frame.format.name) == (*size, "yuv420p")
    assert read_strip(luma(frame)) == Strip(1, int((NOON + 0.25) * 1000) % 2**32, 0)
    assert luma(frame)[: strip_top(size[1])].std() > 20


@pytest.mark.parametrize(("width", "height", "named"), [(721, 1280, "width 721"), (720, 64, "height 64")])
def test_impossible_sizes(width: int, height: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Screen(width, height)


def test_pictures_are_numbered_and_the_screen_moves() -> None:
    screen = Screen(360, 640)
    pictures = [picture(screen, second / 10) for second in range(4)]
    assert [read_strip(shown).frame_number for shown in pictures] == [1, 2, 3, 4]
    assert not np.array_equal(pictures[0][:620], pictures[3][:620])


def test_a_frame_stays_as_it_was() -> None:
    screen = Screen(360, 640)
    first = screen.draw(0.0)
    before = luma(first)
    screen.touch(Motion.DOWN, 100, 100, 0.1)
    screen.draw(0.1)
    assert np.array_equal(luma(first), before)


def test_a_touch_is_a_bright_dot_and_counted() -> None:
    screen = still_screen()
    before = icons(screen, 0.0).astype(int)
    screen.touch(Motion.DOWN, 90, 500, 0.1)
    assert read_strip(picture(screen, 0.1)).touches == 1
    y, x = np.argwhere(icons(screen, 0.2) - before > 30).mean(axis=0)
    assert (x, y + 280) == (pytest.approx(90, abs=4), pytest.approx(500, abs=4))


def test_a_dot_fades_and_leaves_the_screen_as_it_was() -> None:
    screen = still_screen()
    before = icons(screen, 0.0).astype(int)
    screen.touch(Motion.DOWN, 90, 500, 1.0)
    screen.touch(Motion.UP, 90, 500, 1.0)
    new, fading, gone = (np.abs(icons(screen, 1.0 + age) - before).sum() for age in (0.0, FADE / 2, FADE))
    assert new > fading > gone == 0


def test_a_moving_finger_leaves_a_trail() -> None:
    screen = still_screen()
    before = icons(screen, 0.0)
    screen.touch(Motion.DOWN, 40, 500, 1.0)
    screen.touch(Motion.MOVE, 300, 500, 1.0)
    place = np.s_[500 - 280, 40]
    assert icons(screen, 1.0)[place] != before[place]
    assert icons(screen, 1.0 + TRAIL_FADE)[place] == before[place]


def test_motions_without_a_finger_show_nothing() -> None:
    screen = still_screen()
    before = icons(screen, 0.0)
    for motion in (Motion.MOVE, Motion.UP, Motion.CANCEL):
        screen.touch(motion, 90, 500, 0.1)
    assert screen.touch_count == 0
    assert np.array_equal(icons(screen, 0.2), before)


@pytest.mark.parametrize("place", [(0, 0), (359, 639), (-50, 700), (10_000, -10_000), (180, 632)])
def test_touches_at_and_beyond_the_edges_leave_the_strip_alone(place: tuple[int, int]) -> None:
    screen = still_screen()
    screen.touch(Motion.DOWN, *place, 0.1)
    frame = screen.draw(0.1)
    assert read_strip(luma(frame)).touches == 1
    blue = np.frombuffer(memoryview(frame.planes[1]), np.uint8).reshape(320, -1)[:, :180]
    assert (blue[strip_top(640) // 2 :] == 128).all()


def test_text_and_keys_are_shown() -> None:
    screen = still_screen()
    empty = search_box(screen, 0.0)
    screen.type_text("hello world")
    typed = search_box(screen, 0.1)
    screen.press_key("KEYCODE_HOME")
    assert (empty != typed).any()
    assert (search_box(screen, 0.2) != typed).any()


@pytest.mark.parametrize("text", ["x" * 5000, "\n\t\0", "漢字 😀", "", "\ud800"])
def test_any_text_can_be_shown(text: str) -> None:
    screen = still_screen(240, 320)
    screen.type_text(text)
    assert read_strip(picture(screen, 0.0)).frame_number == 1


def test_a_still_screen_is_still_until_it_is_touched_and_again_when_the_dot_is_gone() -> None:
    screen = still_screen()
    assert not screen.is_still()
    screen.draw(0.0)
    assert screen.is_still()
    screen.touch(Motion.DOWN, 90, 500, 5.0)
    assert not screen.is_still()
    screen.draw(5.0)
    assert screen.is_still()
    screen.touch(Motion.UP, 90, 500, 6.0)
    for age in (0.0, FADE * 0.9):
        screen.draw(6.0 + age)
        assert not screen.is_still()
    screen.draw(6.0 + FADE)
    assert screen.is_still()


def test_an_animated_screen_is_never_still() -> None:
    screen = Screen(240, 320)
    screen.draw(0.0)
    assert not screen.is_still()


def test_changes_are_told() -> None:
    screen = still_screen(240, 320)
    told: list[str] = []
    screen.on_change = lambda: told.append("change")
    screen.touch(Motion.DOWN, 1, 1, 0.0)
    screen.type_text("a")
    screen.press_key("b")
    screen.animate = True
    assert len(told) == 4


def test_typed_letters_make_a_word_and_can_be_taken_back() -> None:
    def shown(*strokes: str) -> bytes:
        screen = Screen(360, 640)
        screen.animate = False
        for stroke in strokes:
            if stroke.startswith("KEYCODE"):
                screen.press_key(stroke)
            else:
                screen.type_text(stroke)
        screen.press_key("KEYCODE_HOME")
        # Without the strip, which tells the time, and the clock.
        return np.asarray(screen.draw(5.0).to_ndarray())[200:600].tobytes()

    assert shown("h", "e", "y") == shown("hey")
    assert shown("hey", "KEYCODE_DEL") == shown("he")
    assert shown("hey", "KEYCODE_ENTER") == shown("a", "KEYCODE_DEL")
    assert shown("hey") != shown("he")

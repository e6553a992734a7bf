"""What is read out of the dumps of several Android versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.dumpsys import (
    fitting_rotation,
    parse_displays,
    parse_focus,
    parse_has_booted,
    parse_is_secure,
    parse_panel_size,
    parse_power,
    parse_rotation,
)
from capture.input_events import VideoSize
from tests.capture.android_dumps import ALL, ANDROID_9, ANDROID_14, Dumps

versions = pytest.mark.parametrize("dumps", ALL.values(), ids=ALL.keys())


@versions
def test_an_upright_screen(dumps: Dumps) -> None:
    display = parse_displays(dumps.displays)
    assert fitting_rotation(display) == 0
    assert display.size is not None
    assert display.size.height > display.size.width


@versions
def test_a_turned_screen(dumps: Dumps) -> None:
    upright, turned = parse_displays(dumps.displays).size, parse_displays(dumps.turned)
    assert fitting_rotation(turned) == 1
    assert upright is not None
    assert turned.size == VideoSize(upright.height, upright.width)


@versions
def test_a_window_that_may_not_be_captured(dumps: Dumps) -> None:
    focus = parse_focus(dumps.displays)
    assert not parse_is_secure(dumps.windows, focus)
    assert parse_is_secure(dumps.secure_windows, focus)
    assert not parse_is_secure(dumps.secure_windows, "0123abc")


@versions
def test_a_phone_that_sleeps(dumps: Dumps) -> None:
    assert parse_power(dumps.power) == (True, True)
    assert parse_power(dumps.sleeping) == (False, False)


def test_the_override_of_the_size_counts_as_upright() -> None:
    text = "  Display: mDisplayId=0\n    init=1080x1920 420dpi base=1920x1080 420dpi cur=1920x1080 app=1x1"
    assert not parse_displays(text).is_turned


def test_what_tells_the_rotation() -> None:
    upright, turned = parse_displays(ANDROID_9.displays), parse_displays(ANDROID_9.turned)
    assert parse_rotation(ANDROID_9.windows) == 0
    assert fitting_rotation(turned, None, None) == 1
    assert fitting_rotation(turned, 3) == fitting_rotation(turned, 0, 3) == 3
    assert fitting_rotation(upright, 2) == 2
    assert fitting_rotation(upright, 1) == 0
    assert fitting_rotation(parse_displays(ANDROID_14.turned), 3) == 1


@pytest.mark.parametrize(
    ("text", "rotation"),
    [
        ("  mRotation=3 mAltOrientation=false", 3),
        ("mRotation=ROTATION_270", 3),
        ("mDisplayFrozen=false windows=0 client=false apps=0  mRotation=2", 2),
        ("   winConfig={ mBounds=Rect(0, 0 - 1, 2) mRotation=ROTATION_90}", None),
        ("mCurrentRotation=ROTATION_180", 2),
        ("mCurrentRotation=ROTATION_45\n  mRotation=7", None),
        ("mUserRotation=ROTATION_90", None),
        ("", None),
    ],
)
def test_rotations(text: str, rotation: int | None) -> None:
    assert parse_rotation(text) == rotation


@pytest.mark.parametrize(
    "text",
    [
        "  activeMode={id=0, hwcId=0, resolution=720x1280, vsyncPeriod=16666666, dpi=320.00x320.00}",
        "+ DisplayDevice: Built-in Screen\n   type=0, hwcId=0, layerStack=0, (720x1280), ANativeWindow=0x7f, orient= 0",
    ],
)
def test_the_compositor_tells_the_size_too(text: str) -> None:
    assert parse_panel_size(text) == VideoSize(720, 1280)
    assert parse_panel_size(text.replace("720", "0")) is None
    assert parse_panel_size("") is None


def test_what_a_phone_does_not_tell() -> None:
    assert parse_displays("Can't find service: window\n").size is None
    assert parse_displays("  NO DISPLAY").rotation is None
    assert parse_displays("Display: mDisplayId=0\n init=1x2 cur=0x0").size is None
    assert parse_power("Can't find service: power") == (True, True)
    assert parse_power("mWakefulness=Asleep") == (False, False)
    assert not parse_is_secure("", None)
    assert not parse_is_secure("  Window #1 Window{ab u0 x}:\n  no flags\n mCurrentFocus=Window{ab u0 x}", None)


@pytest.mark.parametrize(
    ("text", "has_booted"),
    [
        ("1\nstopped\n", True),
        ("1\n\n", True),
        ("1\r\nstopped\r\n", True),
        ("1\nrunning\n", False),
        ("\nrunning\n", False),
        ("", False),
        ("0\nstopped", False),
    ],
)
def test_booting(text: str, has_booted: bool) -> None:
    assert parse_has_booted(text) == has_booted


NOISE = st.text(max_size=200) | st.lists(
    st.sampled_from(
        "Display: mDisplayId=0|\n|init=1x2|cur=|9x9|mRotation=|1|ROTATION_|90|mCurrentFocus=Window{|ab |u0}|Window #1 "
        "|Window{ab u0 x}:|fl=|#2000|#|SECURE |mWakefulness=|Awake|Display Power: state=|=== |grep|\r\n| ".split("|")
    ),
    max_size=30,
).map("".join)


@given(NOISE)
def test_any_output_is_read(text: str) -> None:
    display = parse_displays(text)
    assert display.rotation in (None, 0, 1, 2, 3)
    assert display.size is None or (display.size.width > 0 and display.size.height > 0)
    parse_is_secure(text, display.focus)
    parse_is_secure(text, None)
    parse_power(text)
    parse_panel_size(text)
    parse_has_booted(text)

"""What Android's `dumpsys` says of its screen.

It is made for people, and its words differ from version to version: these are of Android 7 to 16.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from capture.input_events import VideoSize

FLAG_SECURE: Final = 0x2000
"""`WindowManager.LayoutParams.FLAG_SECURE`: the window is black in recordings and screenshots."""

_DISPLAY = re.compile(r"^\s*Display: mDisplayId=(\d+)", re.MULTILINE)
_SIZES = re.compile(r"\b(init|base|cur)=(\d{1,5})x(\d{1,5})\b")
# The window manager's own word stands first in its line, or behind `apps=` (Android 10 to 13); the same name inside of
# a configuration is that of one app, which may think itself turned. What the orientation listener knows comes last.
_ROTATIONS = (
    re.compile(r"^\s*mRotation=(?:ROTATION_)?(\d{1,3})\b", re.MULTILINE),
    re.compile(r"\bapps=\d+\s+mRotation=(?:ROTATION_)?(\d{1,3})\b"),
    re.compile(r"\bmCurrentRotation=(?:ROTATION_)?(\d{1,3})\b"),
)
_QUARTERS: Final = {"0": 0, "1": 1, "2": 2, "3": 3, "90": 1, "180": 2, "270": 3}
_FOCUS = re.compile(r"\bmCurrentFocus=Window\{([0-9a-f]+) ")
_WINDOW = re.compile(r"^\s*Window #\d+ Window\{([0-9a-f]+) ", re.MULTILINE)
_FLAGS = re.compile(r"(?:^|[\s{])fl=(?:#([0-9a-fA-F]{1,8})|([A-Z0-9_ ]*))", re.MULTILINE)
_PANELS = (
    re.compile(r"\bresolution=(\d{1,5})x(\d{1,5})\b"),  # Android 12 and later
    re.compile(r"\((\d{1,5})x(\d{1,5})\), ANativeWindow"),
)
_WAKEFULNESS = re.compile(r"^\s*mWakefulness=(\w+)", re.MULTILINE)
_DISPLAY_POWER = re.compile(r"\bDisplay Power: state=(\w+)")
_AWAKE: Final = frozenset({"Awake", "Dreaming"})
_LIT: Final = frozenset({"ON", "ON_SUSPEND", "VR"})


@dataclass(frozen=True, slots=True)
class DisplayDump:
    """What `dumpsys window displays` tells of the phone's own display."""

    size: VideoSize | None
    rotation: int | None
    """As it is told, since Android 10."""
    is_turned: bool
    """Whether the size is that of a phone on its side."""
    focus: str | None
    """The name of the window that has the focus, as hexadecimal digits."""


def blocks(heading: re.Pattern[str], text: str) -> Iterator[tuple[re.Match[str], int]]:
    """The headings in a dump, each with the place where the next one begins, or the end."""
    headings = list(heading.finditer(text))
    ends = [match.start() for match in headings[1:]] + [len(text)]
    return zip(headings, ends, strict=False)


def parse_displays(text: str) -> DisplayDump:
    """The first display's size and rotation in `dumpsys window displays`, None for what it does not tell."""
    text = _first_display(text)
    sizes = {name: VideoSize(int(width), int(height)) for name, width, height in reversed(_SIZES.findall(text))}
    size = sizes.get("cur")
    if size is not None and not (size.width and size.height):
        size = None
    upright = sizes.get("base", sizes.get("init", size))
    is_turned = size != upright and size is not None and upright == VideoSize(size.height, size.width)
    return DisplayDump(size, parse_rotation(text), is_turned, parse_focus(text))


def _first_display(text: str) -> str:
    for start, end in blocks(_DISPLAY, text):
        if start[1] == "0":
            return text[start.start() : end]
    return text


def parse_rotation(text: str) -> int | None:
    """The display's rotation in quarter turns in any of the window manager's dumps; None for none."""
    for pattern in _ROTATIONS:
        for match in pattern.finditer(text):
            if match[1] in _QUARTERS:
                return _QUARTERS[match[1]]
    return None


def parse_focus(text: str) -> str | None:
    """The name of the window that has the focus; None when none has it, or the text does not tell."""
    match = _FOCUS.search(text)
    return match[1] if match else None


def parse_is_secure(text: str, focus: str | None) -> bool:
    """Whether the window `focus` may not be captured, by `dumpsys window windows`.

    Without a `focus` the text's own word on it counts. Flags are names since Android 9, a number before.
    """
    focus = focus or parse_focus(text)
    for start, end in blocks(_WINDOW, text):
        if start[1] == focus and (flags := _FLAGS.search(text, start.end(), end)):
            return bool(int(flags[1], 16) & FLAG_SECURE) if flags[1] else "SECURE" in flags[2].split()
    return False


def parse_power(text: str) -> tuple[bool, bool]:
    """Whether the display is lit and whether the phone is awake, by `dumpsys power`; both are, if it does not tell."""
    wakefulness, display = _WAKEFULNESS.search(text), _DISPLAY_POWER.search(text)
    is_awake = wakefulness is None or wakefulness[1] in _AWAKE
    return (display[1] in _LIT if display else is_awake), is_awake


def parse_has_booted(text: str) -> bool:
    """Whether Android is up, by the properties `sys.boot_completed` and `init.svc.bootanim`, a line each."""
    completed, animation, *_ = [*(line.strip() for line in text.splitlines()), "", ""]
    return completed == "1" and animation != "running"


def parse_panel_size(text: str) -> VideoSize | None:
    """The size of the first display in `dumpsys SurfaceFlinger`, None when it tells none.

    It answers before Android's own services are up; how the screen is turned is another matter.
    """
    for pattern in _PANELS:
        for width, height in pattern.findall(text):
            if int(width) and int(height):
                return VideoSize(int(width), int(height))
    return None


def fitting_rotation(display: DisplayDump, *others: int | None) -> int:
    """The display's rotation in quarter turns, as it tells it; else the first of `others` that fits its size.

    Android 7 to 9 tell it among the windows only. Without any word a phone on its side is turned by 1.
    """
    if display.rotation is not None:
        return display.rotation
    fitting = (rotation for rotation in others if rotation is not None and rotation % 2 == display.is_turned)
    return next(fitting, int(display.is_turned))

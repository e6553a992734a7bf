"""What a viewer can do to a device, in the device's own pixels or in those of the video that the viewer saw.

contract.md section 4 fixes the words. Parsing JSON into these values is the job of `signaling.input_messages`. What is
typed or copied is in no `repr`: it may be a password, and a `repr` may reach a log.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class TouchAction(StrEnum):
    TAP = "tap"
    DOWN = "down"
    MOVE = "move"
    UP = "up"


class KeyAction(StrEnum):
    PRESS = "press"
    LONG_PRESS = "longpress"
    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, slots=True)
class VideoSize:
    """The size of the video that coordinates are relative to, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Touch:
    """A finger at a place."""

    action: TouchAction
    x: float
    y: float
    relative_to: VideoSize | None = None
    """The video that x and y are measured in; None means device pixels."""
    pointer_id: int = 0
    pressure: float = 1.0
    """0 to 1; a device that is driven by its shell does not feel it."""


@dataclass(frozen=True, slots=True)
class Scroll:
    """A wheel that turns over a place."""

    x: float
    y: float
    right: float
    """Notches of the wheel, which may be fractions; below 0 it scrolls to the left."""
    down: float
    """The same downwards: what is further down comes into sight, as with `WheelEvent.deltaY` of W3C's UI Events."""
    relative_to: VideoSize | None = None
    """As of a `Touch`."""


@dataclass(frozen=True, slots=True)
class Swipe:
    """A finger that is drawn over the screen in a straight line."""

    x1: float
    y1: float
    x2: float
    y2: float
    seconds: float
    relative_to: VideoSize | None = None
    """As of a `Touch`."""


@dataclass(frozen=True, slots=True)
class Rotate:
    """The screen is turned by a quarter, from upright to its side or back."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the device."""

    key_code: int
    """Android's `KeyEvent.KEYCODE_*` number."""
    action: KeyAction = KeyAction.PRESS


@dataclass(frozen=True, slots=True)
class Text:
    """Typed text."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WriteClipboard:
    """The device's clipboard gets a text."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadClipboard:
    """The device is asked for its clipboard's text.

    It is an event as any other, so that it keeps its place among them: what was copied before is what is read.
    """

    tell: Callable[[str], None]
    """Gets the text before the event counts as injected; empty when there is none."""


InputEvent = Touch | Key | Text | Scroll | Swipe | Rotate | WriteClipboard | ReadClipboard

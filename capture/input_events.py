"""What a viewer can do to a device, in the device's own pixels or in those of the video that the viewer saw.

contract.md section 4 fixes the words. Parsing JSON into these values is the job of `signaling.messages`.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the device."""

    key_code: int
    """Android's `KeyEvent.KEYCODE_*` number."""
    action: KeyAction = KeyAction.PRESS


@dataclass(frozen=True, slots=True)
class Text:
    """Typed text."""

    text: str


InputEvent = Touch | Key | Text

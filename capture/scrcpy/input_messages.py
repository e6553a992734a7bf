"""Input events as messages to scrcpy's server, with what is held down remembered."""

import math
from collections.abc import Sequence
from typing import Final

from capture.adb.screen import place_on_screen
from capture.errors import InputRejected
from capture.input_events import Scroll, Text, Touch, TouchAction, VideoSize, WriteClipboard
from capture.scrcpy.control_message import (
    LONGEST_CLIPBOARD,
    LONGEST_INJECTED_TEXT,
    MOST_POINTERS,
    KeyMotion,
    MotionAction,
    inject_keycode,
    inject_scroll,
    inject_text,
    inject_touch,
)
from capture.scrcpy.swipes import SWIPE_POINTERS
from capture.scrcpy.version import ScrcpyVersion

LARGEST_KEY_CODE: Final = 9999

LARGEST_POINTER_ID: Final = 2**31 - 1
"""The server's own pointers (a mouse, virtual fingers) have the highest of 64 bits."""

LONGEST_TYPED: Final = 2000
"""Characters that are typed one by one; a longer text is pasted."""

_MOST_SCROLLS: Final = 128

_MOTION: Final = {TouchAction.DOWN: MotionAction.DOWN, TouchAction.MOVE: MotionAction.MOVE}

_META: Final = {  # KeyEvent.KEYCODE_* > KeyEvent.META_*: the key's own flag and that of its kind.
    57: 0x02 | 0x10,  # ALT_LEFT
    58: 0x02 | 0x20,  # ALT_RIGHT
    59: 0x01 | 0x40,  # SHIFT_LEFT
    60: 0x01 | 0x80,  # SHIFT_RIGHT
    113: 0x1000 | 0x2000,  # CTRL_LEFT
    114: 0x1000 | 0x4000,  # CTRL_RIGHT
    117: 0x10000 | 0x20000,  # META_LEFT
    118: 0x10000 | 0x40000,  # META_RIGHT
    119: 0x08,  # FUNCTION
}


def place_on_video(touch: Touch, video: VideoSize, screen: VideoSize | None) -> tuple[int, int]:
    """The pixel of the `video` that is sent now where `touch` is; always one that it has.

    `screen` is the device's upright screen, for touches in its pixels. Raises `InputRejected` for a point that is none,
    and for one in a video of the other orientation: the device was turned, nobody knows any more what was meant. Only
    the end of a touch is taken from there, or the finger would stay on the screen.
    """
    if not (math.isfinite(touch.x) and math.isfinite(touch.y)):
        raise InputRejected(f"({touch.x}, {touch.y}) is not a point: both must be finite numbers")
    seen = touch.relative_to
    if seen is None:
        if screen is None:
            raise InputRejected("this device did not tell the size of its screen: give the video's size with a touch")
        is_turned = _is_wide(video) != _is_wide(screen)
        width, height = (screen.height, screen.width) if is_turned else (screen.width, screen.height)
        x, y = touch.x * video.width / width, touch.y * video.height / height
    else:
        if _is_wide(seen) != _is_wide(video) and touch.action is not TouchAction.UP:
            raise InputRejected(
                f"the device was turned: its video is {video.width}x{video.height} now, not {seen.width}x{seen.height}"
            )
        try:
            x, y = place_on_screen(touch.x, touch.y, seen, video)
        except ValueError as error:
            raise InputRejected(str(error)) from error
    # The comparison comes before int(): a point may be further out than an integer's conversion is sensible for.
    return int(min(max(x, 0), video.width - 1)), int(min(max(y, 0), video.height - 1))


def _is_wide(size: VideoSize) -> bool:
    return size.width > size.height


def is_typed(text: str) -> bool:
    """Whether the device's virtual keyboard surely has all of `text`; anything else is pasted."""
    return len(text) <= LONGEST_TYPED and all(character in "\n\t" or " " <= character <= "~" for character in text)


def check_text(text: Text | WriteClipboard) -> None:
    """Raise `InputRejected` for a text that neither can be typed nor fits the clipboard."""
    try:
        size = len(text.text.encode())
    except UnicodeEncodeError as error:
        raise InputRejected(
            f"character {error.start + 1} of the text is none: it is half of a surrogate pair"
        ) from None
    if size > LONGEST_CLIPBOARD:
        raise InputRejected(f"a text of {size} bytes is too long: at most {LONGEST_CLIPBOARD} are allowed")


def typed_text(text: str) -> bytes:
    """The messages that type `text`, which `is_typed`."""
    pieces = (text[at : at + LONGEST_INJECTED_TEXT] for at in range(0, len(text), LONGEST_INJECTED_TEXT))
    return b"".join(map(inject_text, pieces))


def scrolled(scroll: Scroll, video: VideoSize, screen: VideoSize | None, version: ScrcpyVersion) -> bytes:
    """The messages that turn the wheel; several where one cannot tell so many notches. Raises as `place_on_video`."""
    if not (math.isfinite(scroll.right) and math.isfinite(scroll.down)):
        raise InputRejected(f"({scroll.right}, {scroll.down}) is no turn of a wheel: both must be finite numbers")
    x, y = place_on_video(Touch(TouchAction.TAP, scroll.x, scroll.y, scroll.relative_to), video, screen)
    count = math.ceil(max(abs(scroll.right), abs(scroll.down)) / version.scroll_range)
    if not count:
        return b""
    if count > _MOST_SCROLLS:
        raise InputRejected(f"({scroll.right:g}, {scroll.down:g}) is more than a wheel turns at once")
    # Android's AXIS_VSCROLL counts upwards.
    return count * inject_scroll(x, y, video, scroll.right / count, -scroll.down / count, version)


class HeldInput:
    """Makes the messages for fingers and keys, and knows which of them are down."""

    def __init__(self) -> None:
        self._fingers: dict[int, tuple[int, int]] = {}
        self._keys: dict[int, None] = {}  # in the order that they went down

    @property
    def meta_state(self) -> int:
        """The flags of the modifier keys that are held."""
        state = 0
        for key_code in self._keys:
            state |= _META.get(key_code, 0)
        return state

    def touch(self, touch: Touch, video: VideoSize, screen: VideoSize | None) -> bytes:
        """The messages for `touch`; raises `InputRejected` for what the device cannot take."""
        pointer_id = touch.pointer_id
        if not (0 <= pointer_id <= LARGEST_POINTER_ID or pointer_id in SWIPE_POINTERS):
            raise InputRejected(f"pointerId {pointer_id} is out of range: 0 to {LARGEST_POINTER_ID} are allowed")
        if pointer_id not in self._fingers and len(self._fingers) >= MOST_POINTERS:
            raise InputRejected(f"pointerId {pointer_id}: {MOST_POINTERS} fingers are on the screen already")
        x, y = place_on_video(touch, video, screen)
        match touch.action:
            case TouchAction.TAP:
                down = inject_touch(MotionAction.DOWN, pointer_id, x, y, video, pressure=touch.pressure)
                return down + self._lift(pointer_id, x, y, video)
            case TouchAction.UP:
                return self._lift(pointer_id, x, y, video)
            case TouchAction.DOWN | TouchAction.MOVE:
                self._fingers[pointer_id] = (x, y)
                return inject_touch(_MOTION[touch.action], pointer_id, x, y, video, pressure=touch.pressure)

    def key_down(self, key_code: int, repeat: int = 0) -> bytes:
        """The message for a key that goes down, or is held for the `repeat`-th time."""
        self._keys[key_code] = None
        return inject_keycode(KeyMotion.DOWN, key_code, repeat=repeat, meta_state=self.meta_state)

    def key_up(self, key_code: int) -> bytes:
        """The message for a key that goes up."""
        self._keys.pop(key_code, None)
        return inject_keycode(KeyMotion.UP, key_code, meta_state=self.meta_state)

    def release(self, video: VideoSize | None) -> bytes:
        """The messages that let go of everything."""
        messages = [self.key_up(key_code) for key_code in reversed([*self._keys])]
        if video is not None:
            fingers = [*self._fingers.items()]
            messages += [self._lift(pointer_id, *_inside(point, video), video) for pointer_id, point in fingers]
        return b"".join(messages)

    def _lift(self, pointer_id: int, x: int, y: int, video: VideoSize) -> bytes:
        self._fingers.pop(pointer_id, None)
        return inject_touch(MotionAction.UP, pointer_id, x, y, video, pressure=0.0)


def _inside(point: Sequence[int], video: VideoSize) -> tuple[int, int]:
    return min(point[0], video.width - 1), min(point[1], video.height - 1)


def check_key_code(key_code: int) -> None:
    """Raise `InputRejected` for what is no key."""
    if not 0 <= key_code <= LARGEST_KEY_CODE:
        raise InputRejected(f"keyCode {key_code} is out of range: 0 to {LARGEST_KEY_CODE} are allowed")

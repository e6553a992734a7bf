"""What scrcpy's server is told to do, as bytes.

The layouts are the same in all versions that we speak, but for the range of a scroll. All numbers are big-endian.
Source: scrcpy's `ControlMessageReader` and control_msg.c.
"""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from capture.input_events import VideoSize
from capture.scrcpy.version import ScrcpyVersion

LONGEST_INJECTED_TEXT: Final = 300
"""Bytes of UTF-8 in one `inject_text` (`INJECT_TEXT_MAX_LENGTH`)."""

LONGEST_CLIPBOARD: Final = (1 << 18) - 14
"""Bytes of UTF-8 in one `set_clipboard` (`CLIPBOARD_TEXT_MAX_LENGTH`)."""

MOST_POINTERS: Final = 10
"""Fingers that the server keeps at once (`PointersState.MAX_POINTERS`)."""


class MotionAction(IntEnum):
    """Android's `MotionEvent.ACTION_*`."""

    DOWN = 0
    UP = 1
    MOVE = 2


class KeyMotion(IntEnum):
    """Android's `KeyEvent.ACTION_*`."""

    DOWN = 0
    UP = 1


class CopyKey(IntEnum):
    """What is pressed before the clipboard is read."""

    NONE = 0
    COPY = 1
    CUT = 2


class _Type(IntEnum):
    INJECT_KEYCODE = 0
    INJECT_TEXT = 1
    INJECT_TOUCH_EVENT = 2
    INJECT_SCROLL_EVENT = 3
    BACK_OR_SCREEN_ON = 4
    GET_CLIPBOARD = 8
    SET_CLIPBOARD = 9
    ROTATE_DEVICE = 11
    RESET_VIDEO = 17


_KEYCODE: Final = struct.Struct(">BBIII")
_TOUCH: Final = struct.Struct(">BBQiiHHHII")
_SCROLL: Final = struct.Struct(">BiiHHhhI")
_TEXT: Final = struct.Struct(">BI")
_BYTE: Final = struct.Struct(">BB")
_SET_CLIPBOARD: Final = struct.Struct(">BQ?I")


def inject_keycode(action: KeyMotion, key_code: int, *, repeat: int = 0, meta_state: int = 0) -> bytes:
    """A key goes down or up; `meta_state` is Android's `KeyEvent.META_*` flags of the keys that are held."""
    return _KEYCODE.pack(_Type.INJECT_KEYCODE, action, key_code, repeat, meta_state)


def inject_text(text: str) -> bytes:
    """Text is typed, as far as the device's virtual keyboard has its characters; raises `ValueError` when too long."""
    return _with_text(_TEXT.pack, _Type.INJECT_TEXT, text, LONGEST_INJECTED_TEXT)


def inject_touch(
    action: MotionAction, pointer_id: int, x: int, y: int, video: VideoSize, *, pressure: float = 1.0
) -> bytes:
    """A finger touches the pixel (x, y) of the video; the server ignores it when the video is of another size now.

    `pointer_id` tells fingers apart; `pressure` is 0 to 1.
    """
    # Upstream's fixed point: 1.0 is one more than fits, and becomes the largest number.
    fixed = min(int(pressure * 0x1_0000), 0xFFFF)
    return _TOUCH.pack(
        _Type.INJECT_TOUCH_EVENT, action, pointer_id, x, y, video.width, video.height, fixed, 0, 0
    )  # No mouse buttons, neither changed nor held.


def inject_scroll(
    x: int, y: int, video: VideoSize, horizontal: float, vertical: float, version: ScrcpyVersion
) -> bytes:
    """A mouse wheel turns over a pixel of the video, by steps; more than the version's range is cut."""
    steps = (_signed_fixed(step / version.scroll_range) for step in (horizontal, vertical))
    return _SCROLL.pack(_Type.INJECT_SCROLL_EVENT, x, y, video.width, video.height, *steps, 0)


def back_or_screen_on(action: KeyMotion) -> bytes:
    """BACK when the screen is on, else the screen goes on."""
    return _BYTE.pack(_Type.BACK_OR_SCREEN_ON, action)


def get_clipboard(copy_key: CopyKey = CopyKey.NONE) -> bytes:
    """Ask for the clipboard's text, which comes as `wire.Clipboard`; nothing comes when it holds none."""
    return _BYTE.pack(_Type.GET_CLIPBOARD, copy_key)


def set_clipboard(text: str, *, sequence: int = 0, paste: bool = False) -> bytes:
    """Put `text` into the clipboard, and with `paste` press PASTE (Android 7 and newer).

    A `sequence` other than 0 is answered by `wire.ClipboardSet`. Raises `ValueError` for a text that is too long.
    """

    def header(kind: int, length: int) -> bytes:
        return _SET_CLIPBOARD.pack(kind, sequence, paste, length)

    return _with_text(header, _Type.SET_CLIPBOARD, text, LONGEST_CLIPBOARD)


def rotate_device() -> bytes:
    """Turn the device's screen by a quarter."""
    return bytes([_Type.ROTATE_DEVICE])


def reset_video() -> bytes:
    """Begin a new session of the encoder, which begins with a keyframe."""
    return bytes([_Type.RESET_VIDEO])


def _with_text(header: Callable[[int, int], bytes], kind: int, text: str, limit: int) -> bytes:
    encoded = text.encode()
    if len(encoded) > limit:
        raise ValueError(f"a text of {len(encoded)} bytes is too long: at most {limit} are allowed")
    return header(kind, len(encoded)) + encoded


def _signed_fixed(fraction: float) -> int:
    return max(-0x8000, min(int(fraction * 0x8000), 0x7FFF))

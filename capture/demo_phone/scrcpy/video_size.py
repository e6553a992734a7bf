"""How large scrcpy's video of a screen is (com.genymobile.scrcpy.device.Size, model.Size)."""

from capture.demo_phone.scrcpy.version import ServerVersion
from capture.input_events import VideoSize

CODEC_ALIGNMENT = 2
"""What the demo phone's encoder wants both sides to be multiples of."""

_SMALLER = (2560, 1920, 1600, 1280, 1024, 800)
"""The longer sides that are tried, one after another, with an encoder that refuses."""


def video_size(screen: VideoSize, version: ServerVersion, max_size: int, alignment: int) -> VideoSize:
    """The size of the video; `max_size` limits its longer side, 0 does not."""
    if version.rounds_to_8:
        return _rounded_to_8(_limited(screen, max_size))
    limited = _limited(screen, max_size)
    alignment = max(alignment, CODEC_ALIGNMENT)
    return VideoSize(*(max(side // alignment * alignment, alignment) for side in (limited.width, limited.height)))


def smaller_max_size(failed: VideoSize) -> int:
    """The limit to try next after this size was refused; 0 when there is none."""
    longer = max(failed.width, failed.height)
    return next((size for size in _SMALLER if size < longer), 0)


def _limited(size: VideoSize, max_size: int) -> VideoSize:
    if max_size <= 0 or max(size.width, size.height) <= max_size:
        return size
    if size.height > size.width:
        return VideoSize(max_size * size.width // size.height, max_size)
    return VideoSize(max_size, max_size * size.height // size.width)


def _rounded_to_8(size: VideoSize) -> VideoSize:
    """The longer side rounded down, the shorter to the nearest: that distorts the least."""
    if size.width % 8 == 0 and size.height % 8 == 0:
        return size
    longer = max(size.width, size.height) & ~7
    shorter = min(min(size.width, size.height) + 4 & ~7, longer)
    return VideoSize(shorter, longer) if size.height > size.width else VideoSize(longer, shorter)

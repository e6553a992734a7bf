"""The size of a device's screen, and where a point of its video is on it."""

import math
import re

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.errors import AdbProtocolError
from capture.input_events import VideoSize

SCREEN_SIZE_AGE = 10.0
"""Seconds after which whoever remembers a screen's size reads it again: `wm size` may change it."""

_WM_SIZE = re.compile(r"^\s*(Physical|Override) size:\s*(\d{1,5})x(\d{1,5})\s*$", re.MULTILINE)


def parse_wm_size(output: str) -> VideoSize:
    """The size in what `wm size` prints, the override where there is one; raises `AdbProtocolError` without any."""
    sizes = {name: VideoSize(int(width), int(height)) for name, width, height in _WM_SIZE.findall(output)}
    size = sizes.get("Override") or sizes.get("Physical")
    if size is None or not (size.width and size.height):
        raise AdbProtocolError(f"`wm size` printed no size: {output.strip()[:200]!r}")
    return size


async def read_screen_size(client: AdbClient, serial: str) -> VideoSize:
    """The size of the device's screen as `wm size` tells it: upright, whichever way the device is turned."""
    result = await client.shell(serial, command_line(["wm", "size"]), check=True)
    return parse_wm_size(result.stdout)


def fit_screen(screen: VideoSize, box: VideoSize) -> VideoSize:
    """The size of a video that shows all of `screen` inside `box`, which counts for both orientations.

    Never larger than the screen; even in both directions, as H.264's 4:2:0 pictures and `screenrecord` want it.
    """
    is_turned = (screen.width > screen.height) != (box.width > box.height)
    width, height = (box.height, box.width) if is_turned else (box.width, box.height)
    scale = min(width / screen.width, height / screen.height, 1.0)
    return VideoSize(_even(screen.width * scale), _even(screen.height * scale))


def _even(length: float) -> int:
    return max(2, int(length / 2 + 1e-9) * 2)


def place_on_screen(
    x: float, y: float, video: VideoSize | None, screen: VideoSize, rotation: int | None = None
) -> tuple[int, int]:
    """The pixel of the device's screen that a point of `video` shows; without a video the point is in screen pixels.

    `screen` is upright, and `rotation` how many quarter turns the device is turned now. Where that is not known, a
    video that is wide where the screen is tall shows a turned device, and so does a point that only fits a turned
    screen. A video of other proportions, as one that was begun before the device was turned, shows the screen centred
    between black bars, as `screenrecord` draws it. The pixel is on the screen whatever the point: a finger may leave
    the picture. Raises `ValueError` for a point or a size that is none.
    """
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"({x}, {y}) is not a point: both must be finite numbers")
    if video is not None and (video.width < 1 or video.height < 1):
        raise ValueError(f"{video.width}x{video.height} is not the size of a video: both must be 1 or more")
    width, height = screen.width, screen.height
    if rotation is not None:
        is_turned = rotation % 2 == 1
    elif video is not None:
        is_turned = (video.width > video.height) != (width > height)
    else:
        is_turned = (x >= width or y >= height) and x < height and y < width
    if is_turned:
        width, height = height, width
    if video is not None:
        scale = min(video.width / width, video.height / height)
        x = (x - (video.width - width * scale) / 2) / scale
        y = (y - (video.height - height * scale) / 2) / scale
    # The comparison comes before int(): a point may be further out than an integer's conversion is sensible for.
    return int(min(max(x, 0), width - 1)), int(min(max(y, 0), height - 1))

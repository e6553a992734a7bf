"""`screenrecord --output-format=raw-frames`: pictures of the display as bare RGB, without any codec.

As in AOSP (frameworks/av cmds/screenrecord): width * height * 3 bytes per picture, top row first, no header. Its loop
looks neither at the time limit nor at the screen's rotation: what of a turned screen was not there at the start is cut
off.
"""

import av

from capture.demo_phone.canvas import Canvas
from capture.demo_phone.display import Picture
from capture.demo_phone.picture_coder import fit_picture


class RawFrameCoder:
    """Makes the frames of one size out of pictures of any. To be used from one thread at a time."""

    def __init__(self, width: int, height: int, screen: tuple[int, int]) -> None:
        """`screen` is the size that the screen has at the start, as it is turned."""
        self._width, self._height = width, height
        self._screen = screen

    def encode(self, picture: Picture) -> bytes:
        """The picture's rows of red, green and blue."""
        fitted = fit_picture(self._projected(picture.frame), self._width, self._height)
        return fitted.to_ndarray(format="rgb24").tobytes()

    def close(self) -> None:
        """There is nothing to free."""

    def _projected(self, frame: av.VideoFrame) -> av.VideoFrame:
        """What of the screen is where it was at the start; black where it is not."""
        width, height = self._screen
        if (frame.width, frame.height) == self._screen:
            return frame
        projected = Canvas.black(width, height)
        seen = Canvas.over(frame, min(height, frame.height))
        projected.put(0, 0, seen.cut(0, 0, min(width, frame.width), seen.height))
        return projected.to_frame()

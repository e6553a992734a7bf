"""The phone's video codec: fits pictures into a video's size and codes them."""

import av

from capture.demo_phone.canvas import Canvas
from capture.demo_phone.display import Picture
from capture.demo_phone.layout import even
from encoders.annexb import to_annexb
from encoders.h264_encoder import H264Encoder

KEYFRAME_INTERVAL = 10.0
"""Seconds' worth of pictures between IDR pictures: what screenrecord asks its codec for (KEY_I_FRAME_INTERVAL)."""

_NEVER = 3600.0


class PictureCoder:
    """Codes pictures of any one size as a video of another. To be used from one thread at a time."""

    def __init__(self, width: int, height: int, *, frame_rate: int, bit_rate: int, single_idr: bool = False) -> None:
        """`single_idr` leaves out all IDR pictures but the first. Raises `EncoderError` for what no codec takes."""
        self._width, self._height = width, height
        self._encoder = H264Encoder(
            width,
            height,
            frame_rate=frame_rate,
            bit_rate=bit_rate,
            keyframe_interval=_NEVER if single_idr else KEYFRAME_INTERVAL,
        )

    def encode(self, picture: Picture) -> bytes:
        """The picture as Annex B bytes. Raises `EncoderError`."""
        fitted = _fitted(picture.frame, self._width, self._height)
        return to_annexb(self._encoder.encode(fitted, picture.drawn_at).nal_units)

    def close(self) -> None:
        """Free the codec. Idempotent."""
        self._encoder.close()


def _fitted(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The frame for a video of this size: scaled with its aspect kept, black beside it (setDisplayProjection).

    Always a frame of its own: the encoder writes into it, and others encode the same picture.
    """
    if (frame.width, frame.height) == (width, height):
        return Canvas.over(frame, height).to_frame()
    scale = min(width / frame.width, height / frame.height)
    inner_width = min(width, max(2, even(frame.width * scale + 1)))
    inner_height = min(height, max(2, even(frame.height * scale + 1)))
    scaled = frame.reformat(inner_width, inner_height, interpolation="FAST_BILINEAR")
    if (inner_width, inner_height) == (width, height):
        return scaled
    whole = Canvas.black(width, height)
    left, top = even((width - inner_width) / 2), even((height - inner_height) / 2)
    whole.put(left, top, Canvas.over(scaled, inner_height))
    return whole.to_frame()

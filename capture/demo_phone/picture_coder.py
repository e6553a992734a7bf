"""The phone's video codec: fits pictures into a video's size and codes them."""

import threading

import av
from av.video.reformatter import VideoReformatter

from capture.demo_phone.canvas import Canvas
from capture.demo_phone.display import Picture
from capture.demo_phone.layout import even
from capture.demo_phone.reordering_encoder import ReorderingEncoder
from encoders.annexb import to_annexb
from encoders.h264_encoder import H264Encoder

KEYFRAME_INTERVAL = 10.0
"""Seconds' worth of pictures between IDR pictures: what screenrecord asks its codec for (KEY_I_FRAME_INTERVAL)."""

_NEVER = 3600.0


class PictureCoder:
    """Codes pictures of any one size as a video of another. To be used from one thread at a time."""

    def __init__(
        self,
        width: int,
        height: int,
        *,
        frame_rate: int,
        bit_rate: int,
        single_idr: bool = False,
        b_frames: bool = False,
        halved_after: int | None = None,
    ) -> None:
        """`single_idr` leaves out all IDR pictures but the first, `b_frames` has pictures reordered.

        After `halved_after` pictures the video goes on half as wide and high. Raises `EncoderError` for what no codec
        takes.
        """
        self._frame_rate, self._bit_rate = frame_rate, bit_rate
        self._keyframe_interval = _NEVER if single_idr else KEYFRAME_INTERVAL
        self._b_frames = b_frames
        self._left = halved_after
        self._open(width, height)

    def encode(self, picture: Picture) -> bytes:
        """The picture as Annex B bytes; with B-frames what the codec has ready. Raises `EncoderError`."""
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                self._left = None
                self._encoder.close()
                self._open(even(self._width / 2), even(self._height / 2))
        fitted = fit_picture(picture.frame, self._width, self._height)
        if isinstance(self._encoder, ReorderingEncoder):
            return self._encoder.encode(fitted)
        return to_annexb(self._encoder.encode(fitted, picture.drawn_at).nal_units)

    def close(self) -> None:
        """Free the codec. Idempotent."""
        self._encoder.close()

    def _open(self, width: int, height: int) -> None:
        encoder = ReorderingEncoder if self._b_frames else H264Encoder
        self._width, self._height = width, height
        self._encoder: H264Encoder | ReorderingEncoder = encoder(
            width,
            height,
            frame_rate=self._frame_rate,
            bit_rate=self._bit_rate,
            keyframe_interval=self._keyframe_interval,
        )


_of_this_thread = threading.local()


def _scaler() -> VideoReformatter:
    """This thread's own: what `VideoFrame.reformat` uses is kept in the frame, and two threads in it at once crash."""
    scaler: VideoReformatter | None = getattr(_of_this_thread, "scaler", None)
    if scaler is None:
        scaler = _of_this_thread.scaler = VideoReformatter()
    return scaler


def fit_picture(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """The frame for a video of this size: scaled with its aspect kept, black beside it (setDisplayProjection).

    Always a frame of its own: the encoder writes into it, and others encode the same picture.
    """
    if (frame.width, frame.height) == (width, height):
        return Canvas.over(frame, height).to_frame()
    scale = min(width / frame.width, height / frame.height)
    inner_width = min(width, max(2, even(frame.width * scale + 1)))
    inner_height = min(height, max(2, even(frame.height * scale + 1)))
    scaled = _scaler().reformat(frame, inner_width, inner_height, interpolation="FAST_BILINEAR")
    if (inner_width, inner_height) == (width, height):
        return scaled
    whole = Canvas.black(width, height)
    left, top = even((width - inner_width) / 2), even((height - inner_height) / 2)
    whole.put(left, top, Canvas.over(scaled, inner_height))
    return whole.to_frame()

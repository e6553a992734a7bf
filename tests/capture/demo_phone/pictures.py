"""What tests do with pictures: decode them and read them."""

import av
import numpy as np
import numpy.typing as npt

from capture.demo_phone.strip import Strip, read_strip

Luma = npt.NDArray[np.uint8]


def luma(frame: av.VideoFrame) -> Luma:
    """The luma plane of a yuv420p frame."""
    plane = frame.planes[0]
    return np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)[:, : plane.width].copy()


def decode(data: bytes) -> list[av.VideoFrame]:
    """All pictures of a whole Annex B stream."""
    decoder = av.CodecContext.create("h264", "r")
    packets = [*decoder.parse(data), *decoder.parse(b"")]
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


def read_strips(data: bytes) -> list[Strip]:
    """What the pictures of a whole Annex B stream say."""
    return [read_strip(luma(frame)) for frame in decode(data)]

"""Raw pictures in Matroska, read by a demuxer that we did not write."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from encoders.matroska import matroska_header, matroska_picture


@pytest.mark.parametrize(("width", "height", "frame_rate"), [(96, 64, 30), (98, 70, 60), (1080, 2400, 1)])
def test_a_demuxer_finds_size_rate_times_and_pixels(width: int, height: int, frame_rate: int) -> None:
    random = np.random.default_rng(seed=1)
    times = [0, 34, 67, 100, 2**24 + 1, 2**31]
    pictures = [random.bytes(width * height * 3 // 2) for _ in times]
    pipe = matroska_header(width, height, frame_rate)
    for milliseconds, picture in zip(times, pictures, strict=True):
        pipe += matroska_picture(milliseconds, len(picture)) + picture
    with av.open(io.BytesIO(pipe), "r", format="matroska") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.pix_fmt) == (width, height, "yuv420p")
        assert stream.guessed_rate == frame_rate
        frames = list(container.decode(stream))
    assert [frame.pts for frame in frames] == times
    assert all(frame.time_base == Fraction(1, 1000) for frame in frames)
    assert [frame.to_ndarray().tobytes() for frame in frames] == pictures

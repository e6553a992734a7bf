"""Frames that share pixels and nothing else."""

from fractions import Fraction

import av
from av.video.frame import PictureType

from encoders.frame_reference import FrameReferences
from tests.fixtures.media import moving_frames


def test_the_same_pixels_in_a_frame_of_its_own() -> None:
    references = FrameReferences()
    for width, height in ((96, 64), (98, 70), (96, 64)):
        frame = next(moving_frames(width, height, 1))
        frame.pts, frame.time_base = 4711, Fraction(1, 90_000)
        reference = references.refer(frame)
        reference.pts, reference.time_base, reference.pict_type = 1, Fraction(1, 30), PictureType.I
        assert (frame.pts, frame.time_base, frame.pict_type) == (4711, Fraction(1, 90_000), PictureType.NONE)
        assert [plane.buffer_ptr for plane in reference.planes] == [plane.buffer_ptr for plane in frame.planes]


def test_the_pixels_outlive_the_frame_and_the_one_who_referred_to_it() -> None:
    references = FrameReferences()
    frame = next(moving_frames(96, 64, 1))
    pixels = frame.to_ndarray().tobytes()
    reference = references.refer(frame)
    del frame, references
    assert reference.to_ndarray().tobytes() == pixels


def test_other_pixel_formats() -> None:
    references = FrameReferences()
    for pixel_format in ("yuv420p", "rgb24", "nv12", "yuv420p"):
        frame = av.VideoFrame(96, 64, pixel_format)
        assert references.refer(frame).format.name == pixel_format

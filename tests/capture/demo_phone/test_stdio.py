"""The shell protocol's frames."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.demo_phone.stdio import BadFrame, FrameKind, FrameParser, serialize_frame

frames = st.lists(st.tuples(st.sampled_from(FrameKind), st.binary(max_size=40)), max_size=8)


def test_frames_on_the_wire() -> None:
    assert serialize_frame(FrameKind.STDOUT, b"hi\n") == b"\x01\x03\0\0\0hi\n"
    assert serialize_frame(FrameKind.EXIT, b"\x07") == b"\x03\x01\0\0\0\x07"


@given(frames, st.lists(st.integers(0, 1000), max_size=10))
@settings(max_examples=60)
def test_any_chunking_gives_the_same_frames(sent: list[tuple[FrameKind, bytes]], places: list[int]) -> None:
    data = b"".join(serialize_frame(*frame) for frame in sent)
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    parser = FrameParser()
    assert [frame for start, end in pairwise(edges) for frame in parser.feed(data[start:end])] == sent


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_garbage_is_a_bad_frame_and_nothing_else(data: bytes) -> None:
    try:
        FrameParser().feed(data)
    except BadFrame:
        pass


def test_frames_without_end_are_refused() -> None:
    with pytest.raises(BadFrame, match="a frame of 2147483648 bytes"):
        FrameParser().feed(b"\0\0\0\0\x80")

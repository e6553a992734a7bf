"""Frames out of what Android's tools write."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.input_events import VideoSize
from capture.raw_frames import (
    LARGEST_AREA,
    RGB,
    SCREENCAP_FORMATS,
    PixelFormat,
    RawFrame,
    RawFrameParser,
    ScreencapParser,
    UnreadableFrame,
    readable,
)

SIZE = VideoSize(4, 3)
FRAME = 4 * 3 * 3

RGBA, RGB_565, RGBA_FP16 = 1, 4, 22


def frame_bytes(mark: int) -> bytes:
    return bytes((mark + position) % 256 for position in range(FRAME))


def chunked(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data` in pieces of the lengths `cuts`, and the rest."""
    pieces = []
    for cut in cuts:
        pieces.append(data[:cut])
        data = data[cut:]
    return [*pieces, data]


def screencap(
    width: int, height: int, number: int, *, colour_space: int | None = 1, pixels: bytes | None = None
) -> bytes:
    """What the tool writes."""
    tail = b"" if colour_space is None else struct.pack("<I", colour_space)
    if pixels is None:
        pixels = bytes(position % 251 for position in range(width * height * SCREENCAP_FORMATS[number].bytes_per_pixel))
    return struct.pack("<3I", width, height, number) + tail + pixels


def parse(*pieces: bytes) -> RawFrame:
    parser = ScreencapParser()
    for piece in pieces:
        parser.feed(piece)
    return parser.finish(7.0)


# screenrecord's raw frames


@given(st.integers(0, 4), st.integers(0, FRAME - 1), st.lists(st.integers(0, 2 * FRAME)))
def test_frames_are_the_same_in_any_chunks(count: int, rest: int, cuts: list[int]) -> None:
    expected = [frame_bytes(number) for number in range(count)]
    parser = RawFrameParser(SIZE)
    frames = []
    for now, piece in enumerate(chunked(b"".join(expected) + bytes(rest), cuts)):
        frames += parser.feed(memoryview(piece), float(now))
    assert [bytes(frame.data) for frame in frames] == expected
    assert [frame.captured_at for frame in frames] == sorted(frame.captured_at for frame in frames)
    assert parser.frames == count
    assert all(frame.size == SIZE and frame.pixel_format == RGB and frame.offset == 0 for frame in frames)


def test_a_frame_is_captured_when_its_last_byte_comes() -> None:
    parser = RawFrameParser(SIZE)
    assert parser.feed(frame_bytes(1)[:-1], 1.0) == []
    (frame,) = parser.feed(frame_bytes(1)[-1:] + b"next", 2.0)
    assert frame.captured_at == 2.0


def test_a_frame_is_not_overwritten_by_the_next_one() -> None:
    parser = RawFrameParser(SIZE)
    (first,) = parser.feed(frame_bytes(1), 1.0)
    parser.feed(frame_bytes(2), 2.0)
    assert bytes(first.data) == frame_bytes(1)


def test_words_instead_of_frames() -> None:
    parser = RawFrameParser(VideoSize(72, 128))
    parser.feed(b"Unknown format ", 1.0)
    parser.feed(b"'raw-frames'\n", 1.0)
    assert parser.text == "Unknown format 'raw-frames'"


def test_pixels_are_no_words() -> None:
    parser = RawFrameParser(SIZE)
    parser.feed(b"\x00\x80\xff", 1.0)
    assert parser.text == ""
    parser = RawFrameParser(SIZE)
    parser.feed(frame_bytes(1) + b"abc", 1.0)
    assert parser.text == ""


@pytest.mark.parametrize("size", [VideoSize(0, 4), VideoSize(4, 0), VideoSize(-4, -4)])
def test_frames_of_no_size(size: VideoSize) -> None:
    with pytest.raises(ValueError, match=rf"{size.width}x{size.height}"):
        RawFrameParser(size)


# screencap


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(sorted(SCREENCAP_FORMATS)),
    st.sampled_from([None, 0, 1, 2]),
    st.lists(st.integers(0, 50)),
)
def test_a_screenshot_is_the_same_in_any_chunks(
    width: int, height: int, number: int, colour_space: int | None, cuts: list[int]
) -> None:
    data = screencap(width, height, number, colour_space=colour_space)
    frame = parse(*chunked(data, cuts))
    assert frame.size == VideoSize(width, height)
    assert frame.pixel_format == SCREENCAP_FORMATS[number]
    assert frame.captured_at == 7.0
    pixels = width * height * frame.pixel_format.bytes_per_pixel
    assert frame.offset == (12 if colour_space is None else 16)
    assert frame.data[frame.offset : frame.offset + pixels] == data[frame.offset :]


def test_a_format_that_is_not_understood_is_named() -> None:
    with pytest.raises(UnreadableFrame, match=r"format 22: only 1, 2, 3, 4, 5, 43 are understood"):
        parse(screencap(2, 2, RGBA_FP16, pixels=bytes(32)))


def test_words_instead_of_a_screenshot() -> None:
    with pytest.raises(UnreadableFrame, match=r"^Failed to get ID for any displays\.$"):
        parse(b"Failed to get ID", b" for any displays.\n")


def test_a_screenshot_that_is_cut_off() -> None:
    data = screencap(4, 4, RGBA)
    with pytest.raises(UnreadableFrame, match="wrote 79 bytes, where 64 of pixels and 12 or 16 of header belong"):
        parse(data[:-1])
    with pytest.raises(UnreadableFrame, match="wrote 13 bytes"):
        parse(data[:13])
    with pytest.raises(UnreadableFrame, match="no frame, but bytes that begin '04 00 00"):
        parse(data[:12])


def test_a_screenshot_that_is_too_long() -> None:
    with pytest.raises(UnreadableFrame, match="more than the 80 bytes"):
        parse(screencap(4, 4, RGBA) + b"\0", bytes(1000))


def test_no_screenshot_at_all() -> None:
    with pytest.raises(UnreadableFrame, match="no frame"):
        parse()


def test_a_screenshot_that_claims_to_be_huge_gets_no_memory() -> None:
    for width, height in ((8192, 8192), (9000, 1), (1, 2**32 - 1), (0, 5), (4097, LARGEST_AREA // 4096)):
        with pytest.raises(UnreadableFrame, match="no frame, but bytes that begin"):
            parse(screencap(width, height, RGBA, pixels=b"\xff" * 100))


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_anything_else_is_an_unreadable_frame(pieces: list[bytes]) -> None:
    try:
        frame = parse(*pieces)
    except UnreadableFrame:
        return
    assert len(b"".join(pieces)) >= 12 + frame.size.width * frame.size.height


@given(
    st.sampled_from([0, 1, 2, 7, 2**31]),
    st.sampled_from([0, 1, 3, 2**32 - 1]),
    st.integers(0, 50),
    st.binary(max_size=150),
)
def test_almost_a_screenshot_is_read_exactly_or_not_at_all(width: int, height: int, number: int, rest: bytes) -> None:
    try:
        frame = parse(struct.pack("<3I", width, height, number), rest)
    except UnreadableFrame:
        return
    assert len(rest) + 12 == frame.offset + width * height * SCREENCAP_FORMATS[number].bytes_per_pixel


# Equal or not


def frame(data: bytes, *, size: VideoSize = SIZE, name: str = "rgb24", offset: int = 0) -> RawFrame:
    return RawFrame(size, PixelFormat(name, 3), bytearray(data), offset, 0.0)


def test_frames_that_look_alike() -> None:
    data = frame_bytes(1)
    changed = data[:-1] + b"?"
    assert frame(data).looks_like(frame(data))
    assert not frame(data).looks_like(frame(changed))
    assert not frame(data).looks_like(frame(data, size=VideoSize(3, 4)))
    assert not frame(data).looks_like(frame(data, name="bgr24"))
    assert not frame(data).looks_like(frame(data, offset=12))


@pytest.mark.parametrize(
    ("data", "text"),
    [(b" a\tword\r\n", "a\tword"), (b"\x1b[0m", ""), (b"\xff\xfe", ""), (b"", ""), ("zürich".encode(), "zürich")],
)
def test_what_can_be_read(data: bytes, text: str) -> None:
    assert readable(data) == text


def test_only_the_last_words_are_kept() -> None:
    assert len(readable(b"x" * 100_000)) == 1000

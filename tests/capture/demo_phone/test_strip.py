"""The strip is read from whatever a picture has become."""

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from capture.demo_phone.strip import Strip, crc8, decode_strip, draw_strip, encode_strip, read_strip, strip_top
from encoders.annexb import to_annexb
from encoders.h264_encoder import H264Encoder
from tests.capture.demo_phone.pictures import Luma, decode, luma

strips = st.builds(Strip, st.integers(0, 2**24 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255))

STRIP = Strip(frame_number=0x010203, drawn_at=0x11223344, touches=5)


def noise(width: int, height: int, seed: int = 1) -> Luma:
    return np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)


def test_the_ten_bytes() -> None:
    assert encode_strip(STRIP).hex() == "b2010203112233440565"


def test_crc8() -> None:
    assert crc8(b"123456789") == 0xF4  # the check value of CRC-8/SMBUS


def test_the_layout_of_cells() -> None:
    picture = np.full((1280, 720), 90, np.uint8)
    draw_strip(picture, STRIP)
    # 0xB2 is 1011 0010: cells of 18 x 16 pixels from the left of the upper row.
    assert [int(picture[1248 + 8, 18 * column + 9]) for column in range(8)] == [235, 16, 235, 235, 16, 16, 235, 16]
    assert set(np.unique(picture[1248:])) == {16, 235}
    assert (picture[:1248] == 90).all()
    assert strip_top(1280) == 1248


@given(strips, st.sampled_from([(720, 1280), (240, 320), (1440, 3200), (1280, 720), (362, 642)]))
@settings(max_examples=30)
def test_what_was_drawn_is_read(strip: Strip, size: tuple[int, int]) -> None:
    picture = noise(*size)
    draw_strip(picture, strip)
    assert read_strip(picture) == strip


def test_numbers_wrap_around() -> None:
    picture = noise(720, 1280)
    draw_strip(picture, Strip(2**24 + 3, 2**32 + 4, 256 + 5))
    assert read_strip(picture) == Strip(3, 4, 5)


@pytest.mark.parametrize("size", [(720, 1280), (360, 640), (540, 960), (240, 426), (1080, 1920)])
def test_scaled_and_coded_at_a_low_rate(size: tuple[int, int]) -> None:
    frame = av.VideoFrame(720, 1280, "yuv420p")
    picture = noise(720, 1280)
    draw_strip(picture, STRIP)
    for plane, content in zip(frame.planes, (picture, np.full((640, 360), 128), np.full((640, 360), 128)), strict=True):
        target = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        target[:, : plane.width] = content
    encoder = H264Encoder(*size, frame_rate=30, bit_rate=500_000, keyframe_interval=10)
    unit = encoder.encode(frame.reformat(*size), 0.0)
    (decoded,) = decode(to_annexb(unit.nal_units))
    assert read_strip(luma(decoded)) == STRIP


@given(strips, st.integers(0, 79))
@settings(max_examples=50)
def test_a_flipped_bit_is_noticed(strip: Strip, bit: int) -> None:
    data = bytearray(encode_strip(strip))
    data[bit // 8] ^= 0x80 >> bit % 8
    with pytest.raises(ValueError, match="strip"):
        decode_strip(bytes(data))


def test_no_strip() -> None:
    with pytest.raises(ValueError, match="no strip: its cells differ by"):
        read_strip(np.full((1280, 720), 128, np.uint8))


@given(arrays.arrays(np.uint8, st.tuples(st.integers(80, 200), st.integers(40, 120))))
@settings(max_examples=30)
def test_any_other_picture_is_a_value_error_at_most(picture: Luma) -> None:
    try:
        read_strip(picture)
    except ValueError:
        pass

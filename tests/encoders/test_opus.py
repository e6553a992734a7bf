"""The duration of Opus packets: RFC 6716 section 3.1's table, FFmpeg's own packets, and garbage."""

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import BitstreamError
from encoders.opus import LONGEST_PACKET, packet_duration

_MILLISECONDS = [
    *[10, 20, 40, 60] * 3,  # SILK: narrow, medium and wide band
    *[10, 20] * 2,  # hybrid: super-wide and full band
    *[2.5, 5, 10, 20] * 4,  # CELT: narrow, wide, super-wide and full band
]


def test_the_table_has_a_row_for_each_configuration() -> None:
    assert len(_MILLISECONDS) == 32


@pytest.mark.parametrize("configuration", range(32))
def test_one_frame_lasts_what_its_configuration_says(configuration: int) -> None:
    for stereo in (0, 4):
        assert packet_duration(bytes([configuration << 3 | stereo])) == pytest.approx(
            _MILLISECONDS[configuration] / 1000
        )


def test_codes_one_and_two_have_two_frames() -> None:
    assert packet_duration(b"\x79\x00\x00") == pytest.approx(0.04)  # hybrid 20 ms, code 1
    assert packet_duration(b"\x82\x00") == pytest.approx(0.005)  # CELT 2.5 ms, code 2


def test_code_three_says_how_many() -> None:
    assert packet_duration(b"\xfb\x03") == pytest.approx(0.06)  # CELT 20 ms
    assert packet_duration(b"\xfb\xc3") == pytest.approx(0.06)  # with padding, at a variable bit rate
    assert packet_duration(b"\x83\x30") == pytest.approx(LONGEST_PACKET)  # 48 frames of 2.5 ms


@pytest.mark.parametrize(
    ("packet", "complaint"),
    [
        (b"", "empty"),
        (b"\xfb", "has one"),
        (b"\xfb\x00", "no frame"),
        (b"\xfb\xc0", "no frame"),
        (b"\xfb\x07", "7 frames, 140 ms: at most 120 ms"),
        (b"\x83\x31", "49 frames, 122.5 ms"),
        (b"\x1b\x03", "3 frames, 180 ms"),
    ],
)
def test_an_impossible_packet_is_refused(packet: bytes, complaint: str) -> None:
    with pytest.raises(BitstreamError, match=complaint):
        packet_duration(packet)


@pytest.mark.parametrize("milliseconds", [2.5, 5, 10, 20, 40, 60])
def test_libopus_agrees(milliseconds: float) -> None:
    encoder = av.CodecContext.create("libopus", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.format, encoder.layout = 48_000, "s16", "stereo"
    encoder.options = {"frame_duration": f"{milliseconds:g}"}
    encoder.open()
    samples = round(48 * milliseconds)
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * samples), np.int16), "s16", "stereo")
    frame.sample_rate = 48_000
    frame.pts = 0
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    assert packets
    assert {packet_duration(bytes(packet)) for packet in packets} == {milliseconds / 1000}


@given(st.binary(max_size=16))
def test_garbage_is_refused_or_has_a_duration(packet: bytes) -> None:
    try:
        duration = packet_duration(packet)
    except BitstreamError:
        return
    assert 0 < duration <= LONGEST_PACKET

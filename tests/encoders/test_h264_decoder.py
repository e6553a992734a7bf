"""The decoder: each picture at once, with its time, and nothing that comes from outside breaks it."""

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser, picture_nal_units
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type
from encoders.h264_decoder import DecodedFrame, H264Decoder
from tests.fixtures.media import encode_x264, moving_frames

WIDTH, HEIGHT = 96, 64


def clip(count: int = 24, *, width: int = WIDTH, height: int = HEIGHT, x264: str = "bframes=0") -> list[AccessUnit]:
    """Pictures of a moving wave with a keyframe every eight, as their encoder gives them: in decoding order."""
    access_units = []
    for number, data in enumerate(encode_x264(width, height, count, x264=f"{x264}:repeat-headers=1")):
        nal_units = picture_nal_units(data)
        is_keyframe = NalUnitType.IDR_SLICE in map(nal_unit_type, nal_units)
        access_units.append(AccessUnit(nal_units, 100 + number / 30, is_keyframe))
    return access_units


CLIP = clip()
REORDERED = clip(x264="bframes=3:b-adapt=0:b-pyramid=normal")


def decode(decoder: H264Decoder, access_units: list[AccessUnit]) -> list[DecodedFrame]:
    return [frame for access_unit in access_units for frame in decoder.decode(access_unit)]


def luma(frame: av.VideoFrame) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    return frame.to_ndarray(format="gray").astype(np.int16)


DRAWN = [luma(frame) for frame in moving_frames(WIDTH, HEIGHT, 24)]


def number_of(frame: av.VideoFrame) -> int:
    """Which picture of the wave it is."""
    errors = [np.abs(luma(frame) - drawn).mean() for drawn in DRAWN]
    assert min(errors) < 10
    return int(np.argmin(errors))


def test_each_picture_comes_at_once_with_its_time() -> None:
    decoder = H264Decoder()
    for number, access_unit in enumerate(CLIP):
        [decoded] = decoder.decode(access_unit)
        assert decoded.captured_at == access_unit.captured_at
        assert (decoded.frame.width, decoded.frame.height, decoded.frame.format.name) == (WIDTH, HEIGHT, "yuv420p")
        assert number_of(decoded.frame) == number
    assert (decoder.broken, decoder.skipped, decoder.waits_for_keyframe) == (0, 0, False)
    assert not decoder.holds_back
    assert decoder.flush() == []


def test_several_slices_are_one_picture() -> None:
    decoder = H264Decoder()
    assert [len(decoder.decode(access_unit)) for access_unit in clip(10, x264="bframes=0:slices=4")] == [1] * 10


def test_b_frames_come_in_display_order_with_ascending_times() -> None:
    decoder = H264Decoder()
    frames = decode(decoder, REORDERED)
    held = [decoder.holds_back]
    held_back = decoder.flush()
    assert [*held, decoder.holds_back] == [True, False]
    assert 0 < len(held_back) <= 4
    frames += held_back
    assert [number_of(decoded.frame) for decoded in frames] == list(range(24))
    assert [decoded.captured_at for decoded in frames] == [access_unit.captured_at for access_unit in REORDERED]
    assert decoder.broken == 0


def test_b_frames_after_a_gap_have_no_times_from_before_it() -> None:
    decoder = H264Decoder()
    lost = [access_unit for number, access_unit in enumerate(REORDERED) if number not in (5, 6, 7)]
    frames = decode(decoder, lost) + decoder.flush()
    ends_at = [access_unit.captured_at for access_unit in REORDERED[-8:]]
    assert [decoded.captured_at for decoded in frames[-8:]] == ends_at
    assert all(earlier.captured_at <= later.captured_at for earlier, later in pairwise(frames))


def test_decoding_begins_with_a_keyframe() -> None:
    decoder = H264Decoder()
    assert decoder.waits_for_keyframe
    frames = decode(decoder, CLIP[3:])
    assert [decoded.captured_at for decoded in frames] == [access_unit.captured_at for access_unit in CLIP[8:]]
    assert (decoder.skipped, decoder.broken) == (5, 0)


def broken(access_unit: AccessUnit) -> AccessUnit:
    """With bytes in the middle of its slice that are noise."""
    *others, coded = access_unit.nal_units
    middle = len(coded) // 2
    noise = coded[:middle] + bytes((byte ^ 0x5A) | 1 for byte in coded[middle:])
    return AccessUnit((*others, noise), access_unit.captured_at, access_unit.is_keyframe)


def test_nothing_is_shown_from_a_broken_picture_to_the_next_keyframe() -> None:
    decoder = H264Decoder()
    torn = [*CLIP]
    torn[3] = AccessUnit((torn[3].nal_units[0][:20],), torn[3].captured_at, is_keyframe=False)
    frames = decode(decoder, torn)
    shown = [*CLIP[:3], *CLIP[8:]]
    assert [decoded.captured_at for decoded in frames] == [access_unit.captured_at for access_unit in shown]
    assert (decoder.broken, decoder.skipped) == (1, 4)


def test_a_broken_keyframe_is_left_out_too() -> None:
    decoder = H264Decoder()
    frames = decode(decoder, [*CLIP[:8], broken(CLIP[8]), *CLIP[9:]])
    assert [decoded.captured_at for decoded in frames][:8] == [access_unit.captured_at for access_unit in CLIP[:8]]
    assert len(frames) == 16
    assert (decoder.broken, decoder.skipped) == (1, 7)


def test_another_size_in_the_middle() -> None:
    decoder = H264Decoder()
    turned = clip(10, width=HEIGHT, height=WIDTH)
    frames = decode(decoder, [*CLIP[:10], *turned, *CLIP[16:]])
    sizes = [(decoded.frame.width, decoded.frame.height) for decoded in frames]
    assert sizes == [(96, 64)] * 10 + [(64, 96)] * 10 + [(96, 64)] * 8
    assert decoder.broken == 0


def test_times_never_run_backwards() -> None:
    decoder = H264Decoder()
    times = [5.0, 7.0, 6.0, 8.0]
    access_units = [
        AccessUnit(access_unit.nal_units, at, access_unit.is_keyframe)
        for access_unit, at in zip(CLIP, times, strict=False)
    ]
    assert [decoded.captured_at for decoded in decode(decoder, access_units)] == [5.0, 7.0, 7.0, 8.0]


def test_a_remark_that_is_broken_costs_nothing() -> None:
    decoder = H264Decoder()
    remarked = [
        AccessUnit(
            (b"\x06\x01\xff\xff\xff\x00", *access_unit.nal_units), access_unit.captured_at, access_unit.is_keyframe
        )
        for access_unit in CLIP
    ]
    assert len(decode(decoder, remarked)) == 24


def test_a_picture_of_impossible_size_gets_no_memory() -> None:
    decoder = H264Decoder()
    sps = bytes.fromhex("6742c03e8d680800400800f08846a0")  # whatever it says, no slice of the clip fits it
    huge = AccessUnit((sps, *CLIP[0].nal_units[1:]), 1.0, is_keyframe=True)
    assert decoder.decode(huge) == []
    assert decoder.broken == 1
    assert len(decode(decoder, CLIP)) == 24


def test_a_real_phones_recording(android_recording: Path) -> None:
    parser = AnnexBParser()
    access_units = parser.feed(android_recording.read_bytes(), 1.0)
    decoder = H264Decoder()
    assert [len(decoder.decode(access_unit)) for access_unit in access_units[:20]] == [1] * 20
    assert decoder.broken == 0


def test_after_the_end() -> None:
    decoder = H264Decoder()
    decoder.decode(CLIP[0])
    decoder.close()
    decoder.close()
    with pytest.raises(EncoderError, match="the decoder is closed"):
        decoder.decode(CLIP[1])
    with pytest.raises(EncoderError, match="the decoder is closed"):
        decoder.flush()


# Fuzz


@st.composite
def damaged(draw: st.DrawFn) -> list[AccessUnit]:
    """A clip with bytes changed, cut out and put in, NAL units lost, doubled and swapped."""
    access_units = list(draw(st.sampled_from([CLIP, REORDERED])))[:16]
    for _ in range(draw(st.integers(1, 6))):
        number = draw(st.integers(0, len(access_units) - 1))
        nal_units = list(access_units[number].nal_units)
        if not nal_units:
            continue
        which = draw(st.integers(0, len(nal_units) - 1))
        nal = bytearray(nal_units[which])
        match draw(st.sampled_from(["change", "cut", "insert", "lose", "double", "junk"])):
            case "change" if nal:
                nal[draw(st.integers(0, len(nal) - 1))] = draw(st.integers(0, 255))
                nal_units[which] = bytes(nal)
            case "cut":
                del nal[draw(st.integers(0, len(nal))) :]
                nal_units[which] = bytes(nal)
            case "insert":
                position = draw(st.integers(0, len(nal)))
                nal[position:position] = draw(st.binary(max_size=20))
                nal_units[which] = bytes(nal)
            case "lose":
                del nal_units[which]
            case "double":
                nal_units.append(nal_units[which])
            case _:
                nal_units.insert(which, draw(st.binary(max_size=40)))
        is_keyframe = access_units[number].is_keyframe ^ draw(st.booleans())
        access_units[number] = AccessUnit(tuple(nal_units), access_units[number].captured_at, is_keyframe)
    return access_units


@settings(max_examples=150)
@given(damaged())
def test_damage_raises_nothing_and_is_over_at_the_next_keyframe(access_units: list[AccessUnit]) -> None:
    decoder = H264Decoder()
    frames = decode(decoder, access_units)
    assert all(earlier.captured_at <= later.captured_at for earlier, later in pairwise(frames))
    decoder.flush()
    again = decode(decoder, CLIP[:4])
    assert [number_of(decoded.frame) for decoded in again] == list(range(4))


@settings(max_examples=100)
@given(st.lists(st.tuples(st.lists(st.binary(max_size=64), max_size=4), st.booleans()), max_size=8))
def test_noise_raises_nothing(pictures: list[tuple[list[bytes], bool]]) -> None:
    decoder = H264Decoder()
    access_units = [AccessUnit(tuple(nal_units), 1.0, is_keyframe) for nal_units, is_keyframe in pictures]
    assert decode(decoder, access_units) == []
    assert decoder.broken + decoder.skipped == len(pictures)

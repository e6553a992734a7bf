"""The encoder: one access unit for each picture, at once, decodable, of the size and rate that was asked for."""

import av
import numpy as np
import pytest

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type, parse_sps
from encoders.h264_encoder import H264Encoder
from encoders.h264_profile import H264Profile, profile_of
from tests.fixtures.media import moving_frames


def small_encoder(profile: str = "baseline", preset: str = "ultrafast") -> H264Encoder:
    return H264Encoder(96, 64, frame_rate=30, bit_rate=500_000, keyframe_interval=0.5, profile=profile, preset=preset)


def types(access_unit: AccessUnit) -> list[NalUnitType]:
    return [nal_unit_type(nal) for nal in access_unit.nal_units]


def decode(access_units: list[AccessUnit]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames: list[av.VideoFrame] = []
    for access_unit in access_units:
        frames += decoder.decode(av.Packet(to_annexb(access_unit.nal_units)))
    return frames + decoder.decode(None)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("baseline", H264Profile.CONSTRAINED_BASELINE),
        ("main", H264Profile.MAIN),
        ("high", H264Profile.HIGH),
    ],
)
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_each_picture_gives_one_decodable_access_unit(profile: str, expected: H264Profile, preset: str) -> None:
    encoder = small_encoder(profile, preset)
    frames = list(moving_frames(96, 64, 40))
    access_units = [encoder.encode(frame, number / 30) for number, frame in enumerate(frames)]
    assert [unit.captured_at for unit in access_units] == [number / 30 for number in range(40)]
    assert [number for number, unit in enumerate(access_units) if unit.is_keyframe] == [0, 15, 30]
    for unit in access_units:
        keyframe = [NalUnitType.SPS, NalUnitType.PPS, NalUnitType.IDR_SLICE]
        assert types(unit) == (keyframe if unit.is_keyframe else [NalUnitType.SLICE])
    sps = parse_sps(access_units[0].nal_units[0])
    assert (sps.width, sps.height, sps.frame_rate, sps.may_reorder) == (96, 64, 30, False)
    assert profile_of(sps.profile_level_id) is expected
    decoded = decode(access_units)
    assert len(decoded) == len(frames)
    for before, after in zip(frames, decoded, strict=True):
        error = before.to_ndarray()[:64].astype(np.int16) - after.to_ndarray()[:64]
        assert np.abs(error).mean() < 12


def test_a_keyframe_on_demand() -> None:
    encoder = small_encoder()
    frames = list(moving_frames(96, 64, 12))
    access_units = [encoder.encode(frame, 0.0, force_keyframe=number in (4, 5)) for number, frame in enumerate(frames)]
    assert [number for number, unit in enumerate(access_units) if unit.is_keyframe] == [0, 4, 5]
    assert len(decode(access_units[5:])) == 7


def test_decoding_can_start_at_any_keyframe() -> None:
    encoder = small_encoder()
    access_units = [encoder.encode(frame, 0.0) for frame in moving_frames(96, 64, 20)]
    assert len(decode(access_units[15:])) == 5


def test_a_scene_cut_is_no_keyframe() -> None:
    encoder = small_encoder()
    scenes = [*moving_frames(96, 64, 5), *moving_frames(96, 64, 5, noise=True)]
    assert [encoder.encode(frame, 0.0).is_keyframe for frame in scenes] == [True] + [False] * 9


def test_the_bit_rate_is_kept() -> None:
    encoder = H264Encoder(320, 240, frame_rate=30, bit_rate=1_000_000, keyframe_interval=1.0)
    sizes = [encoder.encode(frame, 0.0).size for frame in moving_frames(320, 240, 120, noise=True)]
    assert sum(sizes) * 8 / 4 == pytest.approx(1_000_000, rel=0.15)
    assert all(sum(sizes[start : start + 30]) * 8 < 1_600_000 for start in range(90))


def test_pictures_of_another_format_are_converted() -> None:
    encoder = small_encoder()
    access_unit = encoder.encode(next(moving_frames(96, 64, 1)).reformat(format="rgb24"), 0.0)
    assert [(frame.width, frame.format.name) for frame in decode([access_unit])] == [(96, "yuv420p")]


@pytest.mark.parametrize(
    ("width", "height", "frame_rate", "bit_rate", "keyframe_interval", "profile", "preset", "message"),
    [
        (0, 64, 30, 500_000, 1.0, "main", "ultrafast", "width is 0: it must be even, 16 to 8192"),
        (96, 65, 30, 500_000, 1.0, "main", "ultrafast", "height is 65: it must be even"),
        (-96, 64, 30, 500_000, 1.0, "main", "ultrafast", "width is -96"),
        (96, 9000, 30, 500_000, 1.0, "main", "ultrafast", "height is 9000"),
        (96, 64, 0, 500_000, 1.0, "main", "ultrafast", "frame_rate is 0: it must be 1 to 240"),
        (96, 64, 30, 0, 1.0, "main", "ultrafast", "bit_rate is 0: it must be 10000 to"),
        (96, 64, 30, 500_000, 0.0, "main", "ultrafast", "keyframe_interval is 0.0: it must be above 0"),
        (96, 64, 30, 500_000, float("nan"), "main", "ultrafast", "keyframe_interval is nan"),
        (96, 64, 30, 500_000, 1.0, "best", "ultrafast", "profile is 'best': it must be one of baseline, main, high"),
        (96, 64, 30, 500_000, 1.0, "main", "quick", "preset 'quick'"),
    ],
)
def test_impossible_settings(
    width: int,
    height: int,
    frame_rate: int,
    bit_rate: int,
    keyframe_interval: float,
    profile: str,
    preset: str,
    message: str,
) -> None:
    with pytest.raises(EncoderError, match=message):
        H264Encoder(
            width,
            height,
            frame_rate=frame_rate,
            bit_rate=bit_rate,
            keyframe_interval=keyframe_interval,
            profile=profile,
            preset=preset,
        )


def test_a_picture_of_another_size_is_refused() -> None:
    encoder = small_encoder()
    with pytest.raises(EncoderError, match="the frame is 64x96, the encoder was made for 96x64"):
        encoder.encode(next(moving_frames(64, 96, 1)), 0.0)
    assert encoder.encode(next(moving_frames(96, 64, 1)), 0.0).is_keyframe


def test_closing_twice_and_encoding_after() -> None:
    encoder = small_encoder()
    encoder.close()
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(next(moving_frames(96, 64, 1)), 0.0)

"""libx264: what every encoder does, and its bit rate on the run without a keyframe."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import av
import pytest

from encoders.errors import EncoderError
from encoders.h264_encoder import H264Encoder
from encoders.video_encoder import VideoCoding, VideoEncoder
from tests.encoders.video_encoders import VideoEncoderContract, busy_frames, decode
from tests.fixtures.media import moving_frames

BUSY = VideoCoding(320, 240, frame_rate=30, bit_rate=600_000, keyframe_interval=3600, preset="ultrafast")


class TestLibx264(VideoEncoderContract):
    def open(self, coding: VideoCoding) -> VideoEncoder:
        return H264Encoder.of(coding)


def small_encoder() -> H264Encoder:
    return H264Encoder(96, 64, frame_rate=30, bit_rate=500_000, keyframe_interval=0.5)


def bits(encoder: H264Encoder, frames: list[av.VideoFrame]) -> tuple[float, int]:
    """Bits per second, and how many keyframes came."""
    access_units = [encoder.encode(frame, 0.0) for frame in frames]
    return sum(unit.size for unit in access_units) * 8 * 30 / len(frames), sum(
        unit.is_keyframe for unit in access_units
    )


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast", "medium", "slow"])
def test_a_new_bit_rate_without_a_keyframe(preset: str) -> None:
    frames = busy_frames(320, 240, 60)
    encoder = H264Encoder.of(replace(BUSY, preset=preset))
    bits(encoder, frames)
    for bit_rate in (200_000, 600_000, 1_800_000, 2_400_000, 600_000):
        encoder.set_bit_rate(bit_rate)
        keyframes = sum(bits(encoder, frames)[1] for _ in range(2))  # x264 takes its time on the way up
        rate, more_keyframes = bits(encoder, frames)
        assert keyframes == more_keyframes == 0
        assert rate == pytest.approx(bit_rate, rel=0.15)


def test_a_lower_bit_rate_is_kept_from_the_next_picture_on() -> None:
    frames = busy_frames(320, 240, 60)
    encoder = H264Encoder.of(BUSY)
    bits(encoder, frames)
    encoder.set_bit_rate(200_000)
    burst, total = 0.5 * 600_000, 0
    for number, frame in enumerate(frames, 1):
        total += encoder.encode(frame, 0.0).size * 8
        assert total < burst + 200_000 * number / 30


def test_beyond_four_times_the_first_bit_rate_a_new_video_begins() -> None:
    frames = busy_frames(320, 240, 60)
    encoder = H264Encoder.of(BUSY)
    access_units = [encoder.encode(frame, 0.0) for frame in frames[:5]]
    encoder.set_bit_rate(2_400_001)
    access_units += [encoder.encode(frame, 0.0) for frame in frames]
    assert [number for number, unit in enumerate(access_units) if unit.is_keyframe] == [0, 5]
    assert len(decode(access_units)) == 65
    assert bits(encoder, frames)[0] == pytest.approx(2_400_000, rel=0.15)


def test_a_keyframe_that_is_asked_for_mends_what_a_burst_may_take() -> None:
    frames = busy_frames(320, 240, 30)
    encoder = H264Encoder.of(replace(BUSY, bit_rate=4_000_000))
    bits(encoder, frames)
    encoder.set_bit_rate(200_000)
    keyframe = encoder.encode(frames[0], 0.0, force_keyframe=True)
    assert keyframe.is_keyframe
    assert keyframe.size * 8 < 0.5 * 200_000
    assert bits(encoder, frames)[1] == 0


def test_two_encoders_share_frames_in_two_threads() -> None:
    frames = list(moving_frames(96, 64, 200))
    encoders = [small_encoder(), small_encoder()]

    def run(encoder: H264Encoder) -> list[bytes]:
        return [
            b"".join(encoder.encode(frame, 0.0, force_keyframe=n % 7 == 0).nal_units) for n, frame in enumerate(frames)
        ]

    with ThreadPoolExecutor() as threads:
        first, second = threads.map(run, encoders)
    assert first == second == run(small_encoder())


def test_a_scene_cut_is_no_keyframe() -> None:
    encoder = small_encoder()
    scenes = [*moving_frames(96, 64, 5), *moving_frames(96, 64, 5, noise=True)]
    assert [encoder.encode(frame, 0.0).is_keyframe for frame in scenes] == [True] + [False] * 9


def test_the_bit_rate_is_kept() -> None:
    encoder = H264Encoder(320, 240, frame_rate=30, bit_rate=1_000_000, keyframe_interval=1.0)
    sizes = [encoder.encode(frame, 0.0).size for frame in moving_frames(320, 240, 120, noise=True)]
    assert sum(sizes) * 8 / 4 == pytest.approx(1_000_000, rel=0.15)
    assert all(sum(sizes[start : start + 30]) * 8 < 1_600_000 for start in range(90))


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
        (96, 64, 30, 500_000, 1.0, "main", "quick", "preset is 'quick': it must be one of ultrafast, superfast"),
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

"""What every `VideoEncoder` has to do, whatever does the work, and what tests of encoders need."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type, parse_sps
from encoders.h264_profile import H264Profile, profile_of
from encoders.video_encoder import VideoCoding, VideoEncoder
from tests.fixtures.media import moving_frames

SMALL = VideoCoding(96, 64, frame_rate=30, bit_rate=500_000, preset="ultrafast")


def types(access_unit: AccessUnit) -> list[NalUnitType]:
    return [nal_unit_type(nal) for nal in access_unit.nal_units]


def decode(access_units: Sequence[AccessUnit]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264", "r")
    frames: list[av.VideoFrame] = []
    for access_unit in access_units:
        frames += decoder.decode(av.Packet(to_annexb(access_unit.nal_units)))
    return frames + decoder.decode(None)


def busy_frames(width: int, height: int, count: int) -> list[av.VideoFrame]:
    """A texture that wanders, with noise on it: at any bit rate there is more to code than bits."""
    random = np.random.default_rng(seed=2)
    texture = random.integers(0, 200, (2 * height, 2 * width), np.uint8)
    frames = []
    for number in range(count):
        row, column = 3 * number % height, 5 * number % width
        samples = np.full((height * 3 // 2, width), 128, np.uint8)
        samples[:height] = texture[row : row + height, column : column + width]
        samples[:height] += random.integers(0, 40, (height, width), np.uint8)
        frames.append(av.VideoFrame.from_ndarray(samples, format="yuv420p"))
    return frames


class VideoEncoderContract:
    """To be derived from, once for each encoder."""

    profiles = ("baseline", "main", "high")

    def open(self, coding: VideoCoding) -> VideoEncoder:
        raise NotImplementedError

    @pytest.fixture
    def encoder(self) -> Iterator[VideoEncoder]:
        encoder = self.open(SMALL)
        yield encoder
        encoder.close()

    def test_each_picture_gives_one_access_unit_at_once(self) -> None:
        for profile in self.profiles:
            encoder = self.open(replace(SMALL, profile=profile))
            frames = list(moving_frames(96, 64, 20))
            access_units = [encoder.encode(frame, number / 30) for number, frame in enumerate(frames)]
            encoder.close()
            assert [unit.captured_at for unit in access_units] == [number / 30 for number in range(20)]
            assert [unit.is_keyframe for unit in access_units] == [True] + [False] * 19
            keyframe = [NalUnitType.SPS, NalUnitType.PPS, NalUnitType.IDR_SLICE]
            assert [types(unit) for unit in access_units] == [keyframe] + [[NalUnitType.SLICE]] * 19
            decoded = decode(access_units)
            assert len(decoded) == 20
            for before, after in zip(frames, decoded, strict=True):
                error = before.to_ndarray()[:64].astype(np.int16) - after.to_ndarray()[:64]
                assert np.abs(error).mean() < 12

    @pytest.mark.parametrize(
        ("profile", "expected"),
        [
            ("baseline", H264Profile.CONSTRAINED_BASELINE),
            ("main", H264Profile.MAIN),
            ("high", H264Profile.HIGH),
        ],
    )
    def test_says_what_a_decoder_needs_to_know(self, profile: str, expected: H264Profile) -> None:
        encoder = self.open(replace(SMALL, profile=profile))
        sps = parse_sps(encoder.encode(next(moving_frames(96, 64, 1)), 0.0).nal_units[0])
        encoder.close()
        assert (sps.width, sps.height, sps.max_num_reorder_frames) == (96, 64, 0)
        assert profile_of(sps.profile_level_id) is expected

    def test_a_keyframe_on_demand(self, encoder: VideoEncoder) -> None:
        frames = list(moving_frames(96, 64, 12))
        access_units = [encoder.encode(frame, 0.0, force_keyframe=n in (4, 5, 9)) for n, frame in enumerate(frames)]
        assert [number for number, unit in enumerate(access_units) if unit.is_keyframe] == [0, 4, 5, 9]
        assert all(NalUnitType.SPS in types(unit) for unit in access_units if unit.is_keyframe)
        assert len(decode(access_units)) == 12
        assert len(decode(access_units[9:])) == 3, "decoding can start there"

    def test_a_keyframe_when_its_time_has_come(self) -> None:
        encoder = self.open(replace(SMALL, keyframe_interval=0.5))
        access_units = [encoder.encode(frame, 0.0) for frame in moving_frames(96, 64, 32)]
        encoder.close()
        keyframes = [number for number, unit in enumerate(access_units) if unit.is_keyframe]
        assert keyframes[0] == 0
        assert len(keyframes) == 3
        assert set(np.diff(keyframes)) == {15} or keyframes[1:] == [14, 29], "a black picture may have come before"

    def test_the_bit_rate_can_be_changed(self) -> None:
        frames = busy_frames(320, 240, 60)
        encoder = self.open(VideoCoding(320, 240, 30, 600_000, preset="ultrafast"))
        for bit_rate in (600_000, 200_000, 500_000, 1_600_000):
            encoder.set_bit_rate(bit_rate)
            assert encoder.coding.bit_rate == bit_rate
            rates: list[float] = []
            deadline = time.monotonic() + 20
            while not rates or not 0.85 < rates[-1] / bit_rate < 1.15:
                assert time.monotonic() < deadline, f"{bit_rate} were asked for, {rates} came"
                rates.append(sum(encoder.encode(frame, 0.0).size for frame in frames) * 8 / 2)
        encoder.close()

    def test_what_comes_after_a_change_of_the_bit_rate_can_be_decoded(self, encoder: VideoEncoder) -> None:
        frames = list(moving_frames(96, 64, 60))
        access_units = []
        for number, frame in enumerate(frames):
            if number in (10, 20, 30):
                encoder.set_bit_rate({10: 100_000, 20: 4_000_000, 30: 300_000}[number])
            access_units.append(encoder.encode(frame, 0.0, force_keyframe=number == 40))
        assert len(decode(access_units)) == 60

    def test_the_frame_stays_as_it_is(self, encoder: VideoEncoder) -> None:
        other = self.open(SMALL)
        frame = next(moving_frames(96, 64, 1))
        frame.pts, frame.time_base = 4711, Fraction(1, 90_000)
        before = (frame.pts, frame.time_base, frame.pict_type, frame.to_ndarray().tobytes())
        for number in range(4):
            assert encoder.encode(frame, 0.0, force_keyframe=number == 2).is_keyframe == (number in (0, 2))
            assert other.encode(frame, 0.0, force_keyframe=number == 1).is_keyframe == (number in (0, 1))
        assert (frame.pts, frame.time_base, frame.pict_type, frame.to_ndarray().tobytes()) == before
        other.close()

    def test_pictures_of_another_format_are_converted(self, encoder: VideoEncoder) -> None:
        picture = next(moving_frames(96, 64, 1)).reformat(format="rgb24")
        frames = decode([encoder.encode(picture, 0.0)])
        assert [(frame.width, frame.height, frame.format.name) for frame in frames] == [(96, 64, "yuv420p")]

    def test_sizes_whose_rows_are_padded(self) -> None:
        encoder = self.open(replace(SMALL, width=98, height=70))
        frame = next(moving_frames(98, 70, 1))
        decoded = decode([encoder.encode(frame, 0.0)])[0]
        encoder.close()
        error = frame.to_ndarray()[:70].astype(np.int16) - decoded.to_ndarray()[:70]
        assert np.abs(error).mean() < 12

    def test_a_picture_of_another_size_is_refused(self, encoder: VideoEncoder) -> None:
        with pytest.raises(EncoderError, match="the frame is 64x96, the encoder was made for 96x64"):
            encoder.encode(next(moving_frames(64, 96, 1)), 0.0)
        assert encoder.encode(next(moving_frames(96, 64, 1)), 0.0).is_keyframe

    def test_an_impossible_bit_rate_is_refused(self, encoder: VideoEncoder) -> None:
        with pytest.raises(EncoderError, match="bit_rate is 9999: it must be 10000 to"):
            encoder.set_bit_rate(9_999)
        assert encoder.coding == SMALL

    def test_impossible_settings_are_refused(self) -> None:
        with pytest.raises(EncoderError, match="width is 97: it must be even"):
            self.open(replace(SMALL, width=97))

    def test_closing_twice_and_encoding_after(self, encoder: VideoEncoder) -> None:
        encoder.close()
        encoder.close()
        encoder.set_bit_rate(100_000)
        with pytest.raises(EncoderError, match="closed"):
            encoder.encode(next(moving_frames(96, 64, 1)), 0.0)

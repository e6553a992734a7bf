"""The trial of encoders: what works on any machine, what does not on one without hardware, and why."""

import shutil
from dataclasses import replace
from pathlib import Path

import av
import av.logging
import pytest

from encoders.access_unit import AccessUnit
from encoders.codec_options import codec_options, libx264_arguments
from encoders.errors import EncoderError, EncoderUnavailable
from encoders.ffmpeg_encoder import FfmpegCodec, FfmpegEncoder
from encoders.h264_encoder import H264Encoder
from encoders.hardware import (
    ACCELERATORS,
    DEFAULT_GPU,
    Trial,
    candidates,
    choose,
    chosen_trial,
    find_gpus,
    refusal,
    try_encoder,
)
from encoders.video_encoder import VideoCoding
from tests.encoders.video_encoders import SMALL
from tests.fixtures.media import moving_frames

without_gpu = pytest.mark.skipif(
    any(Path("/dev").glob("nvidia*")) or Path("/dev/dri").exists(), reason="this machine has a graphics card"
)
with_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="scripts/bootstrap test installs ffmpeg")


def test_libx264_works_everywhere() -> None:
    assert try_encoder("libx264") == Trial("libx264", True, "", (DEFAULT_GPU,))


@without_gpu
@pytest.mark.parametrize(
    ("name", "reason"), [("nvenc", "Cannot load libcuda.so.1"), ("qsv", "Error creating a MFX session: -9")]
)
def test_a_refusal_has_the_driver_s_words(name: str, reason: str) -> None:
    level = av.logging.get_level()
    assert try_encoder(name) == Trial(name, False, reason)
    assert av.logging.get_level() == level


@without_gpu
def test_auto_ends_with_libx264_where_there_is_nothing_else() -> None:
    choice = choose()
    assert (choice.name, choice.sessions) == ("libx264", None)
    assert [trial.name for trial in choice.trials] == list(ACCELERATORS)
    assert [trial.ok for trial in choice.trials] == [False, False, False, True]
    assert all(trial.reason for trial in choice.trials[:3])
    encoder = choice.open(SMALL)
    assert encoder.name == "libx264"
    assert encoder.encode(next(moving_frames(96, 64, 1)), 0.0).is_keyframe
    encoder.close()


@without_gpu
def test_what_is_insisted_on_and_does_not_work() -> None:
    with pytest.raises(EncoderUnavailable) as raised:
        choose("nvenc")
    assert str(raised.value) == (
        "H264_HW_ACCEL=nvenc does not work on this machine (nvenc: Cannot load libcuda.so.1); "
        "use auto, or libx264, which works here"
    )


def test_libx264_when_it_is_insisted_on_is_the_only_one_tried() -> None:
    assert [trial.name for trial in choose("libx264").trials] == ["libx264"]


def test_candidates() -> None:
    assert candidates("auto") == ACCELERATORS
    assert candidates("vaapi") == ("vaapi", "libx264")
    assert candidates("libx264") == ("libx264",)
    with pytest.raises(EncoderError, match="H264_HW_ACCEL is 'cuda': it must be auto, nvenc, qsv, vaapi, libx264"):
        candidates("cuda")


def test_the_first_that_works_is_taken() -> None:
    trials = [Trial("nvenc", False, "no card"), Trial("qsv", True, ""), Trial("libx264", True, "")]
    assert chosen_trial("auto", trials).name == "qsv"
    assert chosen_trial("libx264", trials).name == "libx264"
    with pytest.raises(EncoderUnavailable, match=r"\(nvenc: no card\); use auto, or qsv, libx264"):
        chosen_trial("nvenc", trials)
    with pytest.raises(EncoderUnavailable, match=r"=auto does not work on this machine .*nothing else works here"):
        chosen_trial("auto", [Trial("qsv", False, "no card"), Trial("libx264", False, "not built in")])


def test_cards_are_found_by_their_device_files(tmp_path: Path) -> None:
    assert find_gpus("nvenc", tmp_path) == (DEFAULT_GPU,), "there are machines where the files are called otherwise"
    assert find_gpus("vaapi", tmp_path) == ()
    (tmp_path / "dri").mkdir()
    for name in ("nvidia0", "nvidia3", "nvidiactl", "nvidia-uvm", "dri/card0", "dri/renderD129", "dri/renderD128"):
        (tmp_path / name).touch()
    assert find_gpus("nvenc", tmp_path) == ("0", "1")
    assert find_gpus("vaapi", tmp_path) == (f"{tmp_path}/dri/renderD128", f"{tmp_path}/dri/renderD129")
    assert find_gpus("qsv", tmp_path) == (DEFAULT_GPU,)


def test_vaapi_without_a_card(tmp_path: Path) -> None:
    trial = try_encoder("vaapi", devices=tmp_path)
    assert not trial.ok
    assert trial.reason.startswith(f"there is no render node {tmp_path}/dri/renderD*")


@with_ffmpeg
def test_vaapi_with_device_files_that_are_no_cards(tmp_path: Path) -> None:
    (tmp_path / "dri").mkdir()
    for name in ("renderD128", "renderD129"):
        (tmp_path / "dri" / name).touch()
    trial = try_encoder("vaapi", devices=tmp_path)
    assert not trial.ok
    for name in ("renderD128", "renderD129"):
        assert f"{tmp_path}/dri/{name}: ffmpeg ended with code" in trial.reason


@with_ffmpeg
def test_the_program_is_tried_in_the_same_way() -> None:
    assert refusal(lambda coding: FfmpegEncoder(coding, FfmpegCodec("libx264", libx264_arguments))) == ""
    missing = FfmpegCodec("libx264", libx264_arguments, program="no-such-ffmpeg")
    assert refusal(lambda coding: FfmpegEncoder(coding, missing)) == "no-such-ffmpeg is not installed"


class Deaf(H264Encoder):
    """Does not hear when a keyframe is asked for."""

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        return super().encode(frame, captured_at)


class Green(H264Encoder):
    """Codes what it was not shown."""

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        empty = av.VideoFrame(frame.width, frame.height, "yuv420p")
        for plane in empty.planes:
            plane.update(bytes(plane.buffer_size))
        return super().encode(empty, captured_at, force_keyframe=force_keyframe)


class Torn(H264Encoder):
    """Loses what makes a picture."""

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        access_unit = super().encode(frame, captured_at, force_keyframe=force_keyframe)
        return replace(access_unit, nal_units=tuple(nal[:9] for nal in access_unit.nal_units))


@pytest.mark.parametrize(
    ("encoder", "reason"),
    [
        (Deaf, "picture 3 should be a keyframe and is none"),
        (Green, "its pictures show something else: samples differ by"),
        (Torn, "ends after"),
    ],
)
def test_an_encoder_that_opens_is_not_yet_one_that_works(encoder: type[H264Encoder], reason: str) -> None:
    assert reason in refusal(lambda coding: encoder.of(coding))


def test_a_size_that_is_not_what_was_asked_for() -> None:
    reason = refusal(lambda coding: H264Encoder.of(replace(coding, width=coding.width // 2)))
    assert reason == "the frame is 320x240, the encoder was made for 160x240"


@pytest.mark.parametrize("preset", ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"])
@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize("codec", ["libx264", "h264_nvenc", "h264_qsv"])
def test_every_option_is_one_that_the_codec_knows(codec: str, profile: str, preset: str) -> None:
    options = codec_options(codec, VideoCoding(320, 240, 30, 500_000, profile=profile, preset=preset)).options
    supported = av.CodecContext.create(codec, "w").supported_options
    known = {option.name: option for option in (*supported.generic, *supported.private)}
    assert options.keys() <= known.keys()
    for name, value in options.items():
        words = {choice.name for choice in known[name].choices}
        if words and not value.lstrip("+-").isdigit():
            assert value.removeprefix("+") in words, name


def test_an_unknown_codec() -> None:
    with pytest.raises(EncoderError, match="codec is 'h265': it must be libx264, h264_nvenc or h264_qsv"):
        H264Encoder.of(SMALL, codec="h265")

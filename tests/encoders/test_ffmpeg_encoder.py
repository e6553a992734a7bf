"""The `ffmpeg` program as an encoder: what every encoder does, and what becomes of it when it hangs, dies or lies."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from encoders.codec_options import libx264_arguments
from encoders.errors import EncoderError
from encoders.ffmpeg_encoder import FfmpegCodec, FfmpegEncoder
from encoders.video_encoder import VideoCoding
from tests.encoders.video_encoders import SMALL, VideoEncoderContract
from tests.fixtures.media import moving_frames
from tests.processes import is_alive

LIBX264 = FfmpegCodec("libx264", libx264_arguments)

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="scripts/bootstrap test installs ffmpeg")


def children() -> set[int]:
    return {process.pid for process in psutil.Process().children() if is_alive(process)}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        os.sched_yield()


class TestFfmpeg(VideoEncoderContract):
    def open(self, coding: VideoCoding) -> FfmpegEncoder:
        return FfmpegEncoder(coding, LIBX264, shutdown_timeout=5)


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], FfmpegCodec]:
    """A program that is called like ffmpeg and does what a shell script says."""

    def make(script: str) -> FfmpegCodec:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return FfmpegCodec("libx264", libx264_arguments, program=str(path))

    return make


def test_one_process_and_none_after_close() -> None:
    before = children()
    encoder = FfmpegEncoder(SMALL, LIBX264)
    for frame in moving_frames(96, 64, 10):
        encoder.encode(frame, 0.0, force_keyframe=True)
    assert len(children() - before) == 1
    encoder.close()
    assert children() <= before


def test_another_bit_rate_is_another_process_which_no_picture_waits_for() -> None:
    before = children()
    frames = list(moving_frames(96, 64, 10))
    encoder = FfmpegEncoder(replace(SMALL, keyframe_interval=3600), LIBX264)
    encoder.encode(frames[0], 0.0)
    first = children() - before
    encoder.set_bit_rate(200_000)
    until(lambda: encoder.encode(frames[0], 0.0).is_keyframe)
    until(lambda: not first & children())
    assert len(children() - before) == 1
    assert not encoder.encode(frames[1], 0.0).is_keyframe
    encoder.close()
    assert children() <= before


def test_a_small_change_of_the_bit_rate_is_not_worth_a_process() -> None:
    encoder = FfmpegEncoder(SMALL, LIBX264)
    before = children()
    for bit_rate in (460_000, 540_000, 500_000):
        encoder.set_bit_rate(bit_rate)
    assert children() == before
    encoder.close()


def test_closed_while_another_process_is_made_ready() -> None:
    before = children()
    encoder = FfmpegEncoder(SMALL, LIBX264)
    encoder.set_bit_rate(100_000)
    assert len(children() - before) == 2
    encoder.close()
    assert children() <= before


def test_after_it_died_the_next_picture_starts_another() -> None:
    before = children()
    frame = next(moving_frames(96, 64, 1))
    encoder = FfmpegEncoder(SMALL, LIBX264)
    encoder.encode(frame, 0.0)
    (pid,) = children() - before
    psutil.Process(pid).kill()
    with pytest.raises(EncoderError, match="ffmpeg ended with code -9"):
        encoder.encode(frame, 0.0)
    assert encoder.encode(frame, 0.0).is_keyframe
    encoder.close()
    assert children() <= before


def test_one_that_hangs_is_killed_and_says_so() -> None:
    before = children()
    frame = next(moving_frames(96, 64, 1))
    encoder = FfmpegEncoder(SMALL, LIBX264, timeout=0.2)
    (pid,) = children() - before
    psutil.Process(pid).suspend()
    with pytest.raises(EncoderError, match=r"ffmpeg did not answer in 0\.2 s"):
        encoder.encode(frame, 0.0)
    assert children() <= before


def test_one_that_does_not_end_by_itself_is_killed() -> None:
    before = children()
    encoder = FfmpegEncoder(SMALL, LIBX264, shutdown_timeout=0.1)
    (pid,) = children() - before
    psutil.Process(pid).suspend()
    encoder.close()
    assert children() <= before


def test_its_last_words_are_in_the_error() -> None:
    codec = FfmpegCodec("libx264", libx264_arguments, device=("-vaapi_device", "/dev/dri/nothing"))
    with pytest.raises(
        EncoderError, match=r"ffmpeg ended with code 1: .*No VA display found for device /dev/dri/nothing"
    ):
        FfmpegEncoder(SMALL, codec)


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(EncoderError, match=r"^no-such-ffmpeg is not installed$"):
        FfmpegEncoder(SMALL, FfmpegCodec("libx264", libx264_arguments, program="no-such-ffmpeg"))


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "ffmpeg").write_text("")
    with pytest.raises(EncoderError, match="cannot be run: Permission denied"):
        FfmpegEncoder(SMALL, FfmpegCodec("libx264", libx264_arguments, program=str(tmp_path / "ffmpeg")))


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo hello world, this is no video; exec cat >/dev/null", "something else than H.264 in FLV"),
        ("exit 3", "ffmpeg ended with code 3"),
        ("exec cat <&0 >&2", "ffmpeg closed its pipes"),
        ("echo; echo '[x @ 0x12ab] out of luck.' >&2; exit 4", "ffmpeg ended with code 4: out of luck"),
        ("exec 3>&1; exec yes >&2", "ffmpeg did not answer in 0.3 s: y"),
    ],
)
def test_a_program_that_does_something_else(program: Callable[[str], FfmpegCodec], script: str, message: str) -> None:
    before = children()
    with pytest.raises(EncoderError, match=message):
        FfmpegEncoder(SMALL, program(script), start_timeout=0.3 if "0.3" in message else 10)
    until(lambda: children() <= before)

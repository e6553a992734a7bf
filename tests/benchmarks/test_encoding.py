"""The benchmarks of the encoder pool run, with so few small pictures that it takes seconds."""

import shutil

import pytest

from benchmarks import encode, pool
from benchmarks.scrolling import ScrollingClip, ScrollingPictures
from encoders.video_encoder import VideoCoding

CLIP = ScrollingClip(width=160, height=320, pictures=10, cards=2)
CODING = VideoCoding(160, 320, frame_rate=30, bit_rate=300_000, preset="ultrafast")


@pytest.fixture(scope="module")
def pictures() -> ScrollingPictures:
    return ScrollingPictures(CLIP)


def test_the_clip_moves_and_goes_round(pictures: ScrollingPictures) -> None:
    drawn = [bytes(pictures.frame(number).planes[0]) for number in range(11)]
    assert drawn[10] == drawn[0]
    assert len(set(drawn)) == 10


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs the ffmpeg command")
def test_pool_and_command_do_the_same_work(pictures: ScrollingPictures) -> None:
    outcome = encode.throughput(pictures, CODING, streams=2, count=20, repeat=1)
    assert outcome.pictures == 40
    assert outcome.pool_picture_octets == pytest.approx(outcome.command_picture_octets, rel=0.3)
    assert outcome.pool_per_cpu_second > 0


def test_latency_is_measured(pictures: ScrollingPictures) -> None:
    outcome = encode.latency(pictures, CODING, streams=2, seconds=0.3)
    assert outcome.pictures + outcome.dropped == 18
    assert 0 < outcome.p50 <= outcome.p99 <= outcome.maximum


def test_a_pipeline_is_measured(pictures: ScrollingPictures) -> None:
    outcome = encode.pipeline(pictures, CODING, streams=2, count=20)
    assert outcome.pictures == 40
    assert outcome.per_second > 0


async def test_a_pool_with_trouble_loses_nothing() -> None:
    outcome = await pool.run(2, CLIP, "ultrafast")
    assert outcome.problems == []
    assert sum(stream.delivered for stream in outcome.streams) > 0

"""The benchmark of capture runs in every way, and sees what is lost and cut. What the numbers are is not looked at."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks import capture
from benchmarks.capture import Outcome, Scenario
from benchmarks.capture_stage import CaptureStage, Flow, Way, parse, run_stage, serialize
from benchmarks.clip import ClipShape, make_clip
from benchmarks.machine import Cores
from benchmarks.phones import Phones, demo_phones, phones
from capture.input_events import VideoSize

_SECONDS, _SETTLE = 0.4, 0.1

FLOW = Flow(arrived=300, latency_p50=0.001, latency_p99=0.002, latency_maximum=0.003, put_out=345, lost=0, foreign=0)
STAGE = CaptureStage(
    way=Way.SCRCPY_4_SOUND,
    phones=2,
    seconds=5.0,
    core=0.02,
    waited=0.001,
    adb_core=0.01,
    pictures=FLOW,
    sound=replace(FLOW, put_out=500),
    dropped=0,
    sample=172,
    decoded=172,
)


@pytest.fixture(scope="module")
def cores() -> Cores:
    return Cores.split()


@pytest.fixture(scope="module")
def light_phones(cores: Cores) -> Iterator[Phones]:
    clip = make_clip(ClipShape(width=320, height=640, seconds=1, keyframe_interval=15, bits_per_second=800_000))
    with phones(clip, 2, cores) as running:
        yield running


@pytest.mark.adb
@pytest.mark.parametrize("way", [Way.BYTES, Way.SCREENRECORD, Way.SCRCPY_3_SOUND, Way.SCRCPY_4])
def test_what_light_phones_put_out_comes_whole(way: Way, light_phones: Phones, cores: Cores) -> None:
    stage = run_stage(way, light_phones, cores, _SECONDS, _SETTLE)

    assert stage.problems == []
    assert (stage.way, stage.phones) == (way, 2)
    assert stage.pictures.put_out >= stage.pictures.arrived > 0
    assert 0 < stage.pictures.latency_p50 <= stage.pictures.latency_p99 <= stage.pictures.latency_maximum
    assert stage.core > 0
    assert stage.adb_core > 0
    assert (stage.sample > 0) == (way is not Way.BYTES)
    assert (stage.sound is not None) == way.has_sound
    if stage.sound is not None:
        assert stage.sound.put_out >= stage.sound.arrived > 0


@pytest.mark.adb
@pytest.mark.parametrize("way", [Way.RAWVIDEO, Way.SCREENCAP])
def test_pixels_of_demo_phones_are_coded_here(way: Way, cores: Cores) -> None:
    with demo_phones(1, VideoSize(240, 320), cores, still=False) as captured:
        stage = run_stage(way, captured, cores, _SECONDS, _SETTLE)

    assert stage.problems == []
    assert stage.pictures.arrived > 0
    assert stage.pictures.latency_p50 > 0
    assert stage.decoded == stage.sample > 0


def test_a_stage_survives_its_line() -> None:
    assert parse(serialize(STAGE)) == STAGE
    assert parse(serialize(replace(STAGE, sound=None))).sound is None


def test_what_was_lost_cut_or_cannot_be_decoded_is_a_problem() -> None:
    assert STAGE.problems == []
    assert replace(STAGE, pictures=replace(FLOW, lost=2)).problems == [
        "of 345 pictures 2 were lost, and 0 came that were not put out"
    ]
    assert "1 came" in replace(STAGE, sound=replace(FLOW, foreign=1)).problems[0]
    assert "made 171" in replace(STAGE, decoded=171).problems[0]


def test_scrcpy_is_of_a_version() -> None:
    versions = {way: way.scrcpy_version for way in Way if way.scrcpy_version}

    assert versions == {
        Way.SCRCPY_3: "3.3.4",
        Way.SCRCPY_3_SOUND: "3.3.4",
        Way.SCRCPY_4: "4.1",
        Way.SCRCPY_4_SOUND: "4.1",
    }


def test_light_phones_are_as_many_as_wanted_and_others_also_still() -> None:
    assert capture.scenarios([Way.SCREENRECORD, Way.RAWVIDEO], [1, 20]) == [
        Scenario(Way.SCREENRECORD, 1),
        Scenario(Way.SCREENRECORD, 20),
        Scenario(Way.RAWVIDEO, 1),
        Scenario(Way.RAWVIDEO, 1, is_still=True),
    ]


def test_the_tables_say_what_failed_and_what_is_too_slow(capsys: pytest.CaptureFixture[str]) -> None:
    slow = replace(STAGE, way=Way.SCREENRECORD, sound=None, pictures=replace(FLOW, latency_p99=0.0131), waited=0.1)
    quick = replace(slow, pictures=replace(FLOW, latency_p99=0.0129))
    bare = replace(slow, way=Way.BYTES, pictures=replace(FLOW, latency_p99=0.5))

    capture.print_outcomes(
        [
            Outcome(Scenario(Way.SCREENRECORD, 2), slow, ()),
            Outcome(Scenario(Way.SCREENRECORD, 20), quick, ()),
            Outcome(Scenario(Way.BYTES, 2), bare, ()),
            Outcome(Scenario(Way.SCRCPY_4_SOUND, 2), STAGE, ("a picture is gone",)),
            Outcome(Scenario(Way.RAWVIDEO, 1), None, ("no phone",)),
        ]
    )

    printed = capsys.readouterr().out
    assert "missed by screenrecord, 2.\n" in printed
    assert "The machine was busy" in printed
    assert "FAILED: scrcpy-4.1-sound, 2: a picture is gone" in printed
    assert "FAILED: rawvideo, 1: no phone" in printed

"""Every benchmark runs, with so few viewers that it takes seconds. What the numbers are is not looked at."""

import shutil
from pathlib import Path

import pytest

from benchmarks import api, captured_phones, cycles, fanout, join_storm
from benchmarks.clip import ClipShape, make_clip
from benchmarks.machine import Cores
from benchmarks.wrk import Load

_SECONDS = 0.5


@pytest.fixture(scope="module")
def clip() -> Path:
    return make_clip(ClipShape(width=320, height=640, seconds=1, keyframe_interval=15, bits_per_second=800_000))


@pytest.fixture(scope="module")
def cores() -> Cores:
    return Cores.split()


@pytest.mark.parametrize(
    "scenario",
    [
        fanout.Scenario("media-service", 2, 1),
        fanout.Scenario("stock aiortc", 1, 2),
    ],
    ids=str,
)
def test_fanout_measures_a_scenario(scenario: fanout.Scenario, clip: Path, cores: Cores) -> None:
    [outcome] = fanout.run_all([scenario], clip, cores, _SECONDS, repeat=1)

    assert outcome.failures == ()
    assert outcome.median is not None
    assert outcome.median.lost == outcome.median.dropped == outcome.median.skipped == 0
    assert outcome.median.packets > 0
    assert outcome.median.verified > 0
    assert outcome.median.decoded > 0
    assert outcome.median.microseconds_per_packet > 0
    assert outcome.median.latency_p99 > 0


def test_join_storm_measures_a_storm(clip: Path, cores: Cores) -> None:
    result = join_storm.run("short GOP", clip, cores, watchers=1, joiners=2, storms=1, window=1.0)

    [storm] = result.storms
    assert storm.lost == 0
    assert storm.latency_maximum > 0
    assert storm.joined_maximum >= storm.joined_p50 > 0


def test_join_cost_is_measured(cores: Cores) -> None:
    [cost] = join_storm.join_cost(make_clip(join_storm.STILL), cores, joiners=2, repeat=1, over=_SECONDS)

    assert cost > 0


def test_cycles_leave_nothing_behind(clip: Path, cores: Cores) -> None:
    result = cycles.run(clip, cores, warm_up=2, cycles=4, at_once=2, blocks=2, vanish_every=0)

    assert result.left_behind == {}
    assert result.before["sessions"] == result.before["streams"] == 0
    assert result.before["tasks"] > 0
    assert [block.cycles for block in result.blocks] == [2, 4]


@pytest.mark.adb
def test_phones_through_adb_are_measured_by_stage(clip: Path, cores: Cores) -> None:
    result = captured_phones.run(2, clip, cores, _SECONDS)

    assert result.capture > 0
    assert result.adb_server > 0
    assert result.service > 0
    assert result.watched.lost == 0
    assert result.watched.decoded > 0


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_the_api_is_measured_without_tokens_and_with_them(clip: Path, cores: Cores) -> None:
    plan = api.Plan(("levels",), 0.5, (Load(2, 100.0), Load(2)), viewers=2)
    rows = api.run(plan, clip, cores)["levels"]
    assert [row.has_token for row in rows] == [False] * 4 + [True] * 4
    for row in rows:
        assert row.window.streams.pictures > 0
        assert row.window.streams.lost == 0
        assert (row.window.answered is None) is row.what.startswith("nobody")

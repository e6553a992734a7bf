"""What capturing a phone of 720x1280 and 30 pictures per second costs, and adds in delay, in every way there is.

    python -m benchmarks.capture                      all of it, about five minutes
    python -m benchmarks.capture --quick              a look, about a minute
    python -m benchmarks.capture --only scrcpy-4.1 --devices 20 --seconds 30 --json build/capture.json

One process captures and does nothing with what comes, alone on the first core; phones and the adb server have the
others. What came must be what the phones' encoders put out, picture for picture and byte for byte.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.capture_stage import CaptureStage, Flow, Way, run_stage
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.phones import Phones, demo_phones, phones
from benchmarks.table import table, write_json
from capture.input_events import VideoSize
from capture.recording_schedule import RecordingTimes

LATENCY_TARGET = 0.005
"""Seconds that a picture may take beyond the time for which a recorder's pipe has to be quiet (p99)."""

MOST_WAITED = 0.02
"""Share of the time that the process may have waited for its core before the latencies are the machine's."""

_SIZE = VideoSize(720, 1280)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Phones and how they are captured."""

    way: Way
    devices: int
    is_still: bool = False
    """Whether the screens show always the same, after the first picture."""

    def __str__(self) -> str:
        return f"{self.way}, still screen" if self.is_still else str(self.way)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    scenario: Scenario
    stage: CaptureStage | None
    problems: tuple[str, ...]


def scenarios(ways: Sequence[Way], devices: Sequence[int]) -> list[Scenario]:
    """What is measured, in order."""
    chosen = [Scenario(way, count) for count in devices for way in ways if not way.is_coded_here]
    return chosen + [Scenario(way, 1, is_still) for way in ways if way.is_coded_here for is_still in (False, True)]


def run(scenario: Scenario, clip: Path, size: VideoSize, cores: Cores, seconds: float) -> CaptureStage:
    """Measure one scenario. `clip` is what light phones play, `size` that of demo phones. Raises `BenchmarkError`."""
    with _phones(scenario, clip, size, cores) as captured:
        return run_stage(scenario.way, captured, cores, seconds)


@contextmanager
def _phones(scenario: Scenario, clip: Path, size: VideoSize, cores: Cores) -> Iterator[Phones]:
    if scenario.way.is_coded_here:
        with demo_phones(scenario.devices, size, cores, still=scenario.is_still) as captured:
            yield captured
    else:
        with phones(clip, scenario.devices, cores) as captured:
            yield captured


def run_all(chosen: Sequence[Scenario], clip: Path, size: VideoSize, cores: Cores, seconds: float) -> list[Outcome]:
    """Measure all of them."""
    outcomes = []
    for scenario in chosen:
        try:
            stage = run(scenario, clip, size, cores, seconds)
        except BenchmarkError as error:
            outcomes.append(Outcome(scenario, None, (str(error),)))
        else:
            outcomes.append(Outcome(scenario, stage, tuple(stage.problems)))
        print(f"  {scenario}, {scenario.devices}: {'failed' if outcomes[-1].problems else 'done'}", file=sys.stderr)
    return outcomes


def quiet_time(way: Way) -> float:
    """Seconds for which the pipe has to be quiet before a picture that nothing follows is taken to be whole."""
    return RecordingTimes().quiet if way is Way.SCREENRECORD else 0.0


def beyond_quiet(stage: CaptureStage) -> float:
    """The latency (p99) that the target is for; NaN where nothing came."""
    return stage.pictures.latency_p99 - quiet_time(stage.way)


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """The tables, whether the target was met, and what failed."""
    columns = (
        "way", "devices", "CPU ms/s per device", "us/picture", "adb ms/s per device", "added p50 ms", "added p99 ms",
        "added max ms", "p99 beyond quiet ms", "pictures/s each", "pictures", "lost", "cut", "dropped", "waited %",
    )  # fmt: skip
    measured = [(outcome.scenario, outcome.stage) for outcome in outcomes if outcome.stage is not None]
    print(table(columns, [_row(scenario, stage) for scenario, stage in measured]))
    sounding = [(scenario, stage.sound) for scenario, stage in measured if stage.sound is not None]
    if sounding:
        print()
        heard = ("sound", "devices", "added p50 ms", "added p99 ms", "added max ms", "packets", "lost", "cut")
        print(table(heard, [(str(scenario), scenario.devices, *_flow(flow)) for scenario, flow in sounding]))
    print()
    _print_verdict(measured)
    for outcome in outcomes:
        for problem in outcome.problems:
            print(f"FAILED: {outcome.scenario}, {outcome.scenario.devices}: {problem}")


def _row(scenario: Scenario, stage: CaptureStage) -> tuple[object, ...]:
    count, pictures = stage.phones, stage.pictures
    per_second = pictures.arrived / stage.seconds
    p50, p99, maximum, put_out, lost, foreign = _flow(pictures)
    return (
        str(scenario),
        count,
        stage.core * 1e3 / count,
        stage.core * 1e6 / per_second if per_second else math.nan,
        stage.adb_core * 1e3 / count,
        p50,
        p99,
        maximum,
        math.nan if scenario.way.is_coded_here else beyond_quiet(stage) * 1e3,
        per_second / count,
        put_out,
        lost,
        foreign,
        stage.dropped,
        stage.waited * 100,
    )


def _flow(flow: Flow) -> tuple[object, ...]:
    latencies = (flow.latency_p50 * 1e3, flow.latency_p99 * 1e3, flow.latency_maximum * 1e3)
    return (*latencies, *((flow.put_out, flow.lost, flow.foreign) if flow.put_out else (math.nan,) * 3))


def _print_verdict(measured: Sequence[tuple[Scenario, CaptureStage]]) -> None:
    """Of the ways that the target is for: pixels have to be coded first, and bytes alone are no pictures."""
    passed_on = [(scenario, stage) for scenario, stage in measured if not scenario.way.is_coded_here]
    latencies = [(scenario, beyond_quiet(stage)) for scenario, stage in passed_on if scenario.way is not Way.BYTES]
    missed = [f"{scenario}, {scenario.devices}" for scenario, latency in latencies if latency > LATENCY_TARGET]
    if latencies:
        verdict = f"missed by {'; '.join(missed)}" if missed else "met by all"
        print(f"Target, p99 at most {LATENCY_TARGET * 1e3:g} ms beyond the quiet time: {verdict}.")
    # A process that codes waits for its own threads.
    if any(stage.waited > MOST_WAITED for _, stage in passed_on):
        print(f"The machine was busy with something else (waited above {MOST_WAITED:.0%}): latencies are too long.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capture", description=__doc__.splitlines()[0])
    parser.add_argument("--devices", default="1,20", help="light phones at once (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a window (default %(default)s)")
    parser.add_argument("--only", default=",".join(Way), help="ways, of %(default)s")
    parser.add_argument("--quick", action="store_true", help="3 s windows, 4 devices at once")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    wanted = options.only.split(",")
    unknown = set(wanted) - set(Way)
    if unknown:
        parser.error(f"--only takes {', '.join(Way)}, not {', '.join(sorted(unknown))}")
    devices, seconds = [int(count) for count in options.devices.split(",")], options.seconds
    if options.quick:
        devices, seconds = [4], 3.0

    machine = Machine.this()
    print(machine)
    chosen = scenarios([Way(name) for name in wanted], devices)
    outcomes = run_all(chosen, make_clip(ClipShape()), _SIZE, Cores.split(), seconds)
    print_outcomes(outcomes)
    if options.json:
        write_json(options.json, {"machine": machine, "outcomes": outcomes})
    if any(outcome.problems for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()

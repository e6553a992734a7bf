"""What it costs to send one stream to many viewers, many streams to few, and the same with stock aiortc.

    python -m benchmarks.fanout                      all of it, about ten minutes
    python -m benchmarks.fanout --quick              a look, under a minute
    python -m benchmarks.fanout --only one-stream --viewers 100 --repeat 3 --json build/fanout.json

The sender is alone on the first core; the viewers' process has the others.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import captured_phones
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import Measurement, measure, median
from benchmarks.receivers import receivers
from benchmarks.sender import Sender, media_service, stock_aiortc
from benchmarks.table import table, write_json
from benchmarks.viewer import PLAYER, ViewerKind

_SERVICE, _STOCK = "media-service", "stock aiortc"
_PART_ONE_STREAM, _PART_STOCK, _PART_PHONES, _PART_ADB = "one-stream", "aiortc", "phones", "adb"
_PARTS = (_PART_ONE_STREAM, _PART_STOCK, _PART_PHONES, _PART_ADB)
_STOCK_VIEWERS = (20, 60)
"""A core of this kind carries 60 to 80 viewers with stock aiortc."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A sender and its audience."""

    sender: str
    streams: int
    viewers_per_stream: int

    def __str__(self) -> str:
        streams = "1 stream" if self.streams == 1 else f"{self.streams} streams"
        return f"{self.sender}, {streams} x {self.viewers_per_stream}"

    @property
    def viewers(self) -> int:
        return self.streams * self.viewers_per_stream


@dataclass(frozen=True, slots=True)
class Outcome:
    """A scenario's measurements, one per repeat that succeeded."""

    scenario: Scenario
    median: Measurement | None
    measurements: tuple[Measurement, ...]
    failures: tuple[str, ...]


def scenarios(parts: Sequence[str], viewers: Sequence[int], phones: int) -> list[Scenario]:
    """What is measured, in order."""
    chosen = []
    if _PART_ONE_STREAM in parts:
        chosen += [Scenario(_SERVICE, 1, count) for count in viewers]
    if _PART_STOCK in parts:
        most = max(viewers)
        chosen += [Scenario(_STOCK, 1, count) for count in _STOCK_VIEWERS if count <= most]
    if _PART_PHONES in parts:
        chosen += [Scenario(_SERVICE, phones, count) for count in (2, 1)]
    return chosen


def run(scenario: Scenario, clip: Path, cores: Cores, seconds: float) -> Measurement:
    """Measure one scenario with a sender of its own. Raises `BenchmarkError`."""
    names = [f"p{number}" for number in range(scenario.streams)]
    stock = scenario.sender == _STOCK
    # Phones start at different moments, so that neither their pictures nor their keyframes fall together.
    join_seconds = 0.03 * scenario.viewers if scenario.streams == 1 else min(10.0, 0.2 * scenario.streams)
    with _sender(scenario, names, clip, cores) as sender, receivers(cores) as viewers:
        return measure(
            sender,
            viewers,
            streams=names,
            viewers_per_stream=scenario.viewers_per_stream,
            # aiortc does not take a check from an address it was not told.
            kind=ViewerKind(candidate=True) if stock else PLAYER,
            join_seconds=join_seconds,
            join_timeout=40 if stock else 10,  # it has no keyframe for who joins: its viewers wait for the next one
            seconds=seconds,
            clip=clip,
        )


@contextmanager
def _sender(scenario: Scenario, names: Sequence[str], clip: Path, cores: Cores) -> Iterator[Sender]:
    if scenario.sender == _STOCK:
        with stock_aiortc(clip, cores) as sender:
            yield sender
    else:
        with media_service(dict.fromkeys(names, f"file:{clip}"), cores) as sender:
            yield sender


def run_all(chosen: Sequence[Scenario], clip: Path, cores: Cores, seconds: float, repeat: int) -> list[Outcome]:
    """Measure all scenarios `repeat` times, every other time backwards, and take medians."""
    measured: dict[Scenario, list[Measurement]] = {scenario: [] for scenario in chosen}
    failed: dict[Scenario, list[str]] = {scenario: [] for scenario in chosen}
    for turn in range(repeat):
        for scenario in chosen if turn % 2 == 0 else reversed(chosen):
            try:
                measurement = run(scenario, clip, cores, seconds)
            except BenchmarkError as error:
                failed[scenario].append(str(error))
                print(f"  {scenario}: failed", file=sys.stderr, flush=True)
                continue
            measured[scenario].append(measurement)
            print(f"  {scenario}: {measurement.microseconds_per_packet:.1f} us/packet", file=sys.stderr, flush=True)
    return [
        Outcome(scenario, median(taken) if taken else None, tuple(taken), tuple(failed[scenario]))
        for scenario, taken in measured.items()
    ]


def print_outcomes(outcomes: Sequence[Outcome]) -> None:
    """The table, what failed, and how the service compares."""
    columns = (
        "sender", "us/packet", "viewers/core", "added p50 ms", "added p99 ms", "seen p99 ms", "loop lag ms",
        "MB/viewer", "join ms", "packets", "lost", "sender %", "waited %", "receivers %", "Mbit/s",
    )  # fmt: skip
    rows = [_row(outcome.scenario, outcome.median) for outcome in outcomes if outcome.median is not None]
    if rows:
        print(table(columns, rows))
    for outcome in outcomes:
        for failure in outcome.failures:
            print(f"FAILED: {outcome.scenario}: {failure}")
    _print_comparison({outcome.scenario: outcome.median for outcome in outcomes if outcome.median is not None})


def _row(scenario: Scenario, result: Measurement) -> tuple[object, ...]:
    return (
        str(scenario),
        result.microseconds_per_packet,
        round(result.viewers_per_core),
        result.latency_p50 * 1e3,
        result.latency_p99 * 1e3,
        result.lateness_p99 * 1e3,
        result.loop_lag * 1e3,
        result.resident_per_viewer / 1e6 if scenario.viewers >= 20 else math.nan,
        result.join_p50 * 1e3,
        result.packets,
        result.lost,
        result.sender_core * 100,
        result.sender_waited * 100,
        result.receivers_core * 100,
        result.megabits_per_second,
    )


def _print_comparison(results: dict[Scenario, Measurement]) -> None:
    ours = {s: m for s, m in results.items() if s.sender == _SERVICE and s.streams == 1}
    for stock, theirs in results.items():
        if stock.sender != _STOCK:
            continue
        for scenario, result in ours.items():
            if scenario.viewers >= 20:
                ratio = theirs.microseconds_per_packet / result.microseconds_per_packet
                print(f"{scenario} costs 1/{ratio:.1f} of {stock}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanout", description=__doc__.splitlines()[0])
    parser.add_argument("--viewers", default="1,20,100,300", help="viewers of the one stream (default %(default)s)")
    parser.add_argument("--phones", type=int, default=50, help="streams of the part `phones` (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a window (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=1, help="measure all so many times, take medians")
    parser.add_argument("--only", default=",".join(_PARTS), help="parts to run, of %(default)s")
    parser.add_argument("--skip-aiortc", action="store_true", help="leave stock aiortc out")
    parser.add_argument("--quick", action="store_true", help="3 s windows, 1 and 20 viewers, 5 phones")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    parts = [part for part in options.only.split(",") if not (options.skip_aiortc and part == _PART_STOCK)]
    unknown = set(parts) - set(_PARTS)
    if unknown:
        parser.error(f"--only takes {', '.join(_PARTS)}, not {', '.join(sorted(unknown))}")
    viewers, phones, seconds = [int(count) for count in options.viewers.split(",")], options.phones, options.seconds
    if options.quick:
        viewers, phones, seconds = [1, 20], 5, 3.0

    machine = Machine.this()
    print(machine)
    clip, cores = make_clip(ClipShape()), Cores.split()
    outcomes = run_all(scenarios(parts, viewers, phones), clip, cores, seconds, options.repeat)
    print_outcomes(outcomes)
    has_failed = any(outcome.median is None for outcome in outcomes)
    captured = None
    if _PART_ADB in parts:
        try:
            captured = captured_phones.run(phones, clip, cores, seconds)
            captured_phones.print_captured(captured)
        except BenchmarkError as error:
            print(f"FAILED: phones through adb: {error}")
            has_failed = True
    if options.json:
        write_json(options.json, {"machine": machine, "outcomes": outcomes, "captured": captured})
    if has_failed:
        sys.exit(1)


if __name__ == "__main__":
    main()

"""Viewers come and go a thousand times: does anything stay behind?

    python -m benchmarks.cycles                      1000 cycles, four side by side, ten of them without goodbye
    python -m benchmarks.cycles --quick

Tasks, sockets, sessions and streams must be what they were before; memory is reported as it grew. It grows by some
kilobytes per session until the interpreter collects its oldest garbage for the first time, which takes about 2400
sessions; that is what the warming-up is for.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audience import Cycle
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.metrics import OPEN_FILES, SESSIONS, STREAMS, TASKS
from benchmarks.receivers import receivers
from benchmarks.sender import Sender, media_service
from benchmarks.table import table, write_json
from benchmarks.viewer import PAGE, JoinTimes

_STREAM = "cam"
_KEYFRAME_INTERVAL = 30
_CYCLE_TIMEOUT = 10.0
_QUIET_TIMEOUT = 60.0
"""Seconds after which everything must be gone: consent expires after 15 s, streams have a grace."""
_COUNTS = {"sessions": SESSIONS, "streams": STREAMS, "tasks": TASKS, "open files": OPEN_FILES}


@dataclass(frozen=True, slots=True)
class Block:
    """The state after some more cycles."""

    cycles: int
    """Since the beginning, the warming-up not counted."""
    seconds: float
    cpu_seconds: float
    resident_bytes: int
    join_p50: float
    """Offer posted to whole keyframe decrypted, in seconds."""
    join_maximum: float


@dataclass(frozen=True, slots=True)
class Result:
    """What is there before and after, by name, and what happened between."""

    before: dict[str, int]
    after: dict[str, int]
    blocks: tuple[Block, ...]
    resident_slope: float
    """Growth of resident memory in bytes per thousand cycles, a straight line through the blocks."""

    @property
    def left_behind(self) -> dict[str, int]:
        """What there is more of than before."""
        return {name: self.after[name] - count for name, count in self.before.items() if self.after[name] > count}


def run(clip: Path, cores: Cores, *, warm_up: int, cycles: int, at_once: int, blocks: int, vanish_every: int) -> Result:
    """Do `warm_up` cycles, then measure `cycles` in `blocks`. Raises `BenchmarkError`."""
    per_block = max(1, cycles // blocks)
    with media_service({_STREAM: f"file:{clip}"}, cores) as sender, receivers(cores) as viewers:
        url = sender.whep_url(_STREAM)
        viewers.cycle(Cycle(url, warm_up, at_once, 0, _CYCLE_TIMEOUT, PAGE))
        before = _wait_until_quiet(sender, {SESSIONS: 0, STREAMS: 0})
        measured = []
        for number in range(1, blocks + 1):
            cpu, began = sender.cpu_seconds(), time.monotonic()
            joined = viewers.cycle(Cycle(url, per_block, at_once, vanish_every, _CYCLE_TIMEOUT, PAGE))
            measured.append(_block(number * per_block, sender, cpu, began, joined))
        after = _wait_until_quiet(sender, before)
    slope = (
        statistics.linear_regression(
            [block.cycles for block in measured], [block.resident_bytes for block in measured]
        ).slope
        if blocks > 1
        else float("nan")
    )
    return Result(_named(before), _named(after), tuple(measured), slope * 1000)


def _block(cycles: int, sender: Sender, cpu: float, began: float, joined: tuple[JoinTimes, ...]) -> Block:
    return Block(
        cycles=cycles,
        seconds=time.monotonic() - began,
        cpu_seconds=sender.cpu_seconds() - cpu,
        resident_bytes=sender.resident_bytes(),
        join_p50=statistics.median(times.keyframe for times in joined),
        join_maximum=max(times.keyframe for times in joined),
    )


def _wait_until_quiet(sender: Sender, at_most: dict[str, int]) -> dict[str, int]:
    """Wait until there is no more than that, for a while; what there is then."""
    deadline = time.monotonic() + _QUIET_TIMEOUT
    while True:
        metrics = sender.metrics()
        counts = {metric: int(metrics.total(metric)) for metric in _COUNTS.values()}
        if all(counts[metric] <= count for metric, count in at_most.items()) or time.monotonic() > deadline:
            return counts
        time.sleep(0.5)


def _named(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[metric] for name, metric in _COUNTS.items()}


def print_result(result: Result) -> None:
    columns = ("cycles", "seconds", "CPU ms/cycle", "join p50 ms", "join max ms", "RSS MB")
    rows, done = [], 0
    for block in result.blocks:
        cost = block.cpu_seconds * 1e3 / (block.cycles - done)
        done = block.cycles
        rows.append(
            (
                block.cycles,
                block.seconds,
                cost,
                block.join_p50 * 1e3,
                block.join_maximum * 1e3,
                block.resident_bytes / 1e6,
            )
        )
    print(table(columns, rows))
    print(table(("", "before", "after"), [(name, count, result.after[name]) for name, count in result.before.items()]))
    print(f"RSS grew by {result.resident_slope / 1e6:.2f} MB per 1000 cycles")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cycles", description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=1000, help="(default %(default)s)")
    parser.add_argument("--warm-up", type=int, default=2500, help="cycles before that (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=4, help="viewers side by side (default %(default)s)")
    parser.add_argument("--blocks", type=int, default=10, help="memory is read after each (default %(default)s)")
    parser.add_argument(
        "--vanish-every",
        type=int,
        default=100,
        help="every so many leave without a word; 0: none (default %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="20 cycles")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    warm_up, cycles, blocks = (10, 20, 2) if options.quick else (options.warm_up, options.cycles, options.blocks)
    try:
        result = run(
            make_clip(ClipShape(keyframe_interval=_KEYFRAME_INTERVAL)),
            Cores.split(),
            warm_up=warm_up,
            cycles=cycles,
            at_once=options.at_once,
            blocks=blocks,
            vanish_every=0 if options.quick else options.vanish_every,
        )
    except BenchmarkError as error:
        sys.exit(str(error))
    print_result(result)
    if options.json:
        write_json(options.json, {"machine": machine, "result": result})
    if result.left_behind:
        sys.exit(f"left behind: {', '.join(f'{count} {name}' for name, count in result.left_behind.items())}")


if __name__ == "__main__":
    main()

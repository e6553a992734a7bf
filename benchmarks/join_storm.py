"""Many join at once while others watch: does it hurt those who watch, and what does a join cost?

    python -m benchmarks.join_storm                  50 watch, 50 join within a second, four times
    python -m benchmarks.join_storm --quick

With a keyframe every 10 s a viewer who joins is shown up to 10 s of pictures in fast forward (the replay); with one
every half second it is shown a few. What a join costs by itself is measured apart, where hardly any media flows.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.audience import Join
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import check_pictures, check_window, quantile
from benchmarks.metrics import EGRESS_LATENCY, LOOP_LAG
from benchmarks.receivers import Receivers, receivers
from benchmarks.sender import Sender, media_service
from benchmarks.table import table, write_json
from benchmarks.viewer import PAGE

_STREAM = "cam"
_WATCHERS, _JOINERS = "watchers", "joiners"
_JOIN_TIMEOUT = 10.0
_WINDOW = 3.0
"""Seconds from the first join that belong to the storm; the quiet before and after is measured for as long."""
STILL = ClipShape(width=320, height=640, frames_per_second=1, seconds=4, keyframe_interval=1, bits_per_second=50_000)
"""A keyframe a second and nothing else."""
_INTERVALS = {"10 s GOP": 300, "0.5 s GOP": 15}


@dataclass(frozen=True, slots=True)
class Storm:
    """One storm. Seconds."""

    latency_p99: float
    """Access unit ready to last viewer's last packet sent, for all viewers of the stream."""
    latency_maximum: float
    """The upper bound of the histogram's highest bucket that holds a picture."""
    loop_lag: float
    watchers_lateness_p99: float
    """What those saw who watched: see `Reception.lateness`."""
    watchers_lateness_maximum: float
    joined_p50: float
    """Offer posted to a whole keyframe decrypted."""
    joined_maximum: float
    cpu_per_join: float
    """The sender's CPU time beyond what its live viewers cost, per join, replay and data channel included."""
    sender_waited: float
    """Seconds in which the sender was ready and something else had its core: latencies are worse by it."""
    lost: int


@dataclass(frozen=True, slots=True)
class Result:
    """The storms on one stream."""

    gop: str
    storms: tuple[Storm, ...]


def measure_storms(
    sender: Sender, viewers: Receivers, *, watchers: int, joiners: int, storms: int, window: float
) -> list[Storm]:
    """Let `watchers` watch and `joiners` join within a second, `storms` times. Raises `BenchmarkError`."""
    url = sender.whep_url(_STREAM)
    viewers.join(Join(_WATCHERS, (url,) * watchers, watchers * 0.03, _JOIN_TIMEOUT, PAGE, witnesses=1))
    measured = []
    for _ in range(storms):
        time.sleep(window / 2)
        before = _cpu_rate(sender, window)
        metrics, cpu, waited = sender.metrics(), sender.cpu_seconds(), sender.waited_seconds()
        began = time.monotonic()
        viewers.begin(_WATCHERS)
        joined = viewers.join(Join(_JOINERS, (url,) * joiners, 1.0, _JOIN_TIMEOUT, PAGE))
        time.sleep(max(0.0, began + window - time.monotonic()))
        cpu, waited, ended = sender.cpu_seconds() - cpu, sender.waited_seconds() - waited, time.monotonic()
        seen, later = viewers.end(_WATCHERS), sender.metrics()
        after = _cpu_rate(sender, window)
        viewers.leave(_JOINERS)
        check_window(seen)
        latency = later.histogram_since(metrics, EGRESS_LATENCY)
        live = statistics.mean(ended - times.started - times.keyframe for times in joined)
        viewing = before * (ended - began) + (after - before) * live
        times_to_keyframe = [times.keyframe for times in joined]
        measured.append(
            Storm(
                latency_p99=latency.quantile(0.99),
                latency_maximum=latency.maximum(),
                loop_lag=later.histogram_since(metrics, LOOP_LAG).maximum(),
                watchers_lateness_p99=quantile(seen.lateness, 0.99),
                watchers_lateness_maximum=quantile(seen.lateness, 1.0),
                joined_p50=statistics.median(times_to_keyframe),
                joined_maximum=max(times_to_keyframe),
                cpu_per_join=(cpu - viewing) / joiners,
                sender_waited=waited,
                lost=seen.end.lost,
            )
        )
    return measured


def _cpu_rate(sender: Sender, seconds: float) -> float:
    """CPU seconds per second while nothing but viewing happens."""
    cpu, began = sender.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (sender.cpu_seconds() - cpu) / (time.monotonic() - began)


def run(
    gop: str, clip: Path, cores: Cores, *, watchers: int, joiners: int, storms: int, window: float = _WINDOW
) -> Result:
    """The storms on the stream of a clip, with a sender of its own. Raises `BenchmarkError`."""
    with media_service({_STREAM: f"file:{clip}"}, cores) as sender, receivers(cores) as viewers:
        measured = measure_storms(sender, viewers, watchers=watchers, joiners=joiners, storms=storms, window=window)
        check_pictures(viewers.inspect(_WATCHERS), clip)
        viewers.leave(_WATCHERS)
    return Result(gop, tuple(measured))


def join_cost(clip: Path, cores: Cores, *, joiners: int, repeat: int, over: float = 1.0) -> list[float]:
    """CPU seconds per join to a stream that sends next to nothing, data channel included. Raises `BenchmarkError`."""
    costs = []
    with media_service({_STREAM: f"file:{clip}"}, cores) as sender, receivers(cores) as viewers:
        url = sender.whep_url(_STREAM)
        viewers.join(Join(_WATCHERS, (url,), 0.0, _JOIN_TIMEOUT, PAGE))
        for _ in range(repeat):
            time.sleep(over)
            idle = _cpu_rate(sender, over)
            cpu, began = sender.cpu_seconds(), time.monotonic()
            viewers.join(Join(_JOINERS, (url,) * joiners, over, _JOIN_TIMEOUT, PAGE))
            cpu, elapsed = sender.cpu_seconds() - cpu, time.monotonic() - began
            costs.append((cpu - idle * elapsed) / joiners)
            viewers.leave(_JOINERS)
    return costs


def print_results(results: Sequence[Result]) -> None:
    """A row per storm."""
    columns = (
        "storm", "added p99 ms", "added max ms", "loop lag ms", "watchers' p99 ms", "watchers' max ms", "joined p50 ms",
        "joined last ms", "CPU ms/join", "waited ms", "lost",
    )  # fmt: skip
    rows = []
    for result in results:
        for number, storm in enumerate(result.storms, 1):
            milliseconds = (
                storm.latency_p99, storm.latency_maximum, storm.loop_lag, storm.watchers_lateness_p99,
                storm.watchers_lateness_maximum, storm.joined_p50, storm.joined_maximum, storm.cpu_per_join,
                storm.sender_waited,
            )  # fmt: skip
            rows.append((f"{result.gop}, {number}", *(value * 1e3 for value in milliseconds), storm.lost))
    print(table(columns, rows))
    for result in results:
        cost = statistics.median(storm.cpu_per_join for storm in result.storms)
        print(f"{result.gop}: median {cost * 1e3:.2f} ms of CPU per join, with the replay")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.join_storm", description=__doc__.splitlines()[0])
    parser.add_argument("--watchers", type=int, default=50, help="(default %(default)s)")
    parser.add_argument("--joiners", type=int, default=50, help="(default %(default)s)")
    parser.add_argument("--storms", type=int, default=4, help="storms per kind of stream (default %(default)s)")
    parser.add_argument("--only", choices=tuple(_INTERVALS), help="one kind of stream")
    parser.add_argument("--quick", action="store_true", help="5 watch, 5 join, once")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    shape = {"watchers": options.watchers, "joiners": options.joiners, "storms": options.storms}
    if options.quick:
        shape = {"watchers": 5, "joiners": 5, "storms": 1}
    machine, cores = Machine.this(), Cores.split()
    print(machine)
    try:
        results = [
            run(gop, make_clip(ClipShape(keyframe_interval=interval)), cores, **shape)
            for gop, interval in _INTERVALS.items()
            if options.only in (None, gop)
        ]
        costs = join_cost(make_clip(STILL), cores, joiners=shape["joiners"], repeat=shape["storms"])
    except BenchmarkError as error:
        sys.exit(str(error))
    print_results(results)
    print(f"without media: median {statistics.median(costs) * 1e3:.2f} ms of CPU per join")
    if options.json:
        write_json(options.json, {"machine": machine, "results": results, "join_cost": costs})


if __name__ == "__main__":
    main()

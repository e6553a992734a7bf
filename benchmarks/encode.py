"""What the encoder pool makes of two cores: pictures of 720x1280 to H.264, beside the `ffmpeg` command in the same run.

    python -m benchmarks.encode                   all of it, about six minutes
    python -m benchmarks.encode --quick           a look, about half a minute
    python -m benchmarks.encode --presets veryfast --streams 2 --json build/encode.json

Both code the same raw pictures, which they read from a file, with libx264 at the same settings and one thread for each
stream. The pool's CPU time is this whole process's; the command's is without what it takes to start. Of each the run
with the least of it counts: what else a machine does only adds to it. The pictures are of a list that is flicked
through.

The pool's encoders are opened for a higher bit rate, so that it can be raised on the run. From that libx264 comes to
the wished one within a second; opened as the command opens it, it stays below for several. More bits are more work, so
the command is asked for as many as the pool's pictures have.
"""

import argparse
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from benchmarks.coders import Decoder, FrameCoder, Race, RawCoder
from benchmarks.errors import BenchmarkError
from benchmarks.ffmpeg_command import command_run
from benchmarks.machine import Machine
from benchmarks.measurement import quantile
from benchmarks.scrolling import ScrollingClip, ScrollingPictures
from benchmarks.table import table, write_json
from encoders.access_unit import AccessUnit
from encoders.h264_decoder import DecodedFrame
from encoders.pool import EncoderPool, Lane
from encoders.video_encoder import VideoCoding

PRESETS: Final = ("faster", "veryfast", "ultrafast")
EFFICIENCY_TARGET: Final = 0.95
"""Of the command's pictures per CPU second."""
PIPELINE_TARGET: Final = 80.0
"""Pictures per second, decoded and coded again, of all streams."""

_FRAME_RATE: Final = 30
_AHEAD: Final = 3
"""Pictures of a stream that are in the pool at once when it works as fast as it can."""
_SAME_SIZE: Final = 0.01
_TRIES: Final = 5
_TIMEOUT: Final = 5.0
_PATIENCE: Final = 300.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """As fast as it goes: the pool beside the command."""

    preset: str
    streams: int
    pictures: int
    """Of all streams."""
    pool_per_cpu_second: float
    command_per_cpu_second: float
    pool_per_second: float
    command_per_second: float
    pool_picture_octets: float
    """Bytes of a coded picture: both have done the same work if they are about the same."""
    command_picture_octets: float

    @property
    def efficiency(self) -> float:
        """The pool's pictures per CPU second, by the command's."""
        return self.pool_per_cpu_second / self.command_per_cpu_second


@dataclass(frozen=True, slots=True)
class Latency:
    """At 30 pictures per second for each stream: from the queue to the coded picture, in milliseconds."""

    preset: str
    streams: int
    pictures: int
    p50: float
    p99: float
    maximum: float
    coding: float
    """What the encoder itself took for one, on average."""
    dropped: int
    cores: float
    """CPU seconds per second, of the whole process."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Coded pictures decoded, and coded again, as fast as it goes."""

    preset: str
    streams: int
    pictures: int
    per_second: float
    """Of all streams."""
    per_cpu_second: float


def _pool(streams: int) -> EncoderPool:
    workers = min(streams, len(os.sched_getaffinity(0)))
    return EncoderPool(workers=workers, input_limit=2 * _AHEAD, timeout=_TIMEOUT)


def _close(lanes: Sequence[Lane[Any]]) -> None:
    for lane in lanes:
        lane.close()
        if lane.drops.total():
            raise BenchmarkError(f"{lane.name} dropped {dict(lane.drops)}")


def pool_run(pictures: ScrollingPictures, coding: VideoCoding, streams: int, count: int) -> tuple[float, float, int]:
    """Code `count` pictures of each stream in the pool: wall and CPU seconds, and bytes."""
    pool, race = _pool(streams), Race(streams, count)
    lanes: list[Lane[int]] = []
    for stream in range(streams):

        def take(access_unit: AccessUnit, stream: int = stream) -> None:
            race.feed(stream, lanes[stream].put)
            race.take(access_unit)

        lanes.append(pool.open_lane(f"stream {stream}", lambda: RawCoder(pictures, coding), take, race.fail))
    begun_at, cpu = time.perf_counter(), time.process_time()
    for stream, lane in enumerate(lanes):
        for _ in range(_AHEAD):
            race.feed(stream, lane.put)
    race.wait()
    elapsed, cpu = time.perf_counter() - begun_at, time.process_time() - cpu
    _close(lanes)
    return elapsed, cpu, race.octets


@cache
def _as_large(pictures: ScrollingPictures, coding: VideoCoding, count: int) -> VideoCoding:
    """What the command has to be asked for, so that its pictures are about as large as the pool's."""
    wanted = pool_run(pictures, coding, 1, count)[2]
    asked = coding
    for _ in range(_TRIES):
        size = command_run(pictures, asked, 1, count)[2] / wanted
        if abs(size - 1) <= _SAME_SIZE:
            break
        # The root, since while it comes to its rate libx264 answers a change with more than that.
        asked = replace(asked, bit_rate=round(asked.bit_rate / math.sqrt(size)))
    return asked


def throughput(pictures: ScrollingPictures, coding: VideoCoding, streams: int, count: int, repeat: int) -> Throughput:
    """The best of `repeat` runs of each, in turn."""
    starting = min(command_run(pictures, coding, 1, 1)[1] for _ in range(3))
    commanded = _as_large(pictures, coding, count)
    ours, theirs = [], []
    for _ in range(repeat):
        ours.append(pool_run(pictures, coding, streams, count))
        elapsed, cpu, octets = command_run(pictures, commanded, streams, count)
        theirs.append((elapsed, cpu - streams * starting, octets))
    total = streams * count
    return Throughput(
        preset=coding.preset,
        streams=streams,
        pictures=total,
        pool_per_cpu_second=total / min(cpu for _, cpu, _ in ours),
        command_per_cpu_second=total / min(cpu for _, cpu, _ in theirs),
        pool_per_second=total / min(elapsed for elapsed, _, _ in ours),
        command_per_second=total / min(elapsed for elapsed, _, _ in theirs),
        pool_picture_octets=ours[0][2] / total,
        command_picture_octets=theirs[0][2] / total,
    )


def latency(pictures: ScrollingPictures, coding: VideoCoding, streams: int, seconds: float) -> Latency:
    """Give each stream a picture every 1/30 s, one stream after the other."""
    pool = _pool(streams)
    put_at: list[list[float]] = [[] for _ in range(streams)]
    latencies: list[float] = []
    failures: list[Exception] = []
    lanes = []
    for stream in range(streams):

        def take(access_unit: AccessUnit, stream: int = stream) -> None:
            latencies.append(time.perf_counter() - put_at[stream][int(access_unit.captured_at)])

        lanes.append(pool.open_lane(f"stream {stream}", lambda: RawCoder(pictures, coding), take, failures.append))
    count = round(seconds * _FRAME_RATE)
    begun_at, cpu = time.perf_counter(), time.process_time()
    for number in range(count):
        for stream, lane in enumerate(lanes):
            due = begun_at + (number + stream / streams) / _FRAME_RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            put_at[stream].append(time.perf_counter())
            lane.put(number)
    deadline = time.perf_counter() + _PATIENCE
    while sum(lane.done + lane.drops.total() for lane in lanes) < count * streams:
        if failures or time.perf_counter() > deadline:
            raise BenchmarkError(f"pictures did not come out: {failures}")
        time.sleep(0.01)
    elapsed, cpu = time.perf_counter() - begun_at, time.process_time() - cpu
    for lane in lanes:
        lane.close()
    ascending = sorted(latencies)
    return Latency(
        preset=coding.preset,
        streams=streams,
        pictures=len(ascending),
        p50=quantile(ascending, 0.5) * 1e3,
        p99=quantile(ascending, 0.99) * 1e3,
        maximum=ascending[-1] * 1e3,
        coding=sum(lane.busy_seconds for lane in lanes) / len(ascending) * 1e3,
        dropped=sum(lane.drops.total() for lane in lanes),
        cores=cpu / elapsed,
    )


def pipeline(pictures: ScrollingPictures, coding: VideoCoding, streams: int, count: int) -> Pipeline:
    """Decode `count` pictures of each stream and code them again: a lane for the decoder, and one for the encoder."""
    coded = _coded(pictures, coding)
    pool, race = _pool(2 * streams), Race(streams, count)
    decoders: list[Lane[AccessUnit]] = []
    coders: list[Lane[DecodedFrame]] = []

    def put(stream: int, number: int) -> None:
        decoders[stream].put(replace(coded[number % len(coded)], captured_at=float(number)))

    for stream in range(streams):

        def decoded(frames: list[DecodedFrame], stream: int = stream) -> None:
            for frame in frames:
                coders[stream].put(frame)

        def take(access_unit: AccessUnit, stream: int = stream) -> None:
            race.feed(stream, partial(put, stream))
            race.take(access_unit)

        decoders.append(pool.open_lane(f"decoder {stream}", Decoder, decoded, race.fail))
        coders.append(pool.open_lane(f"encoder {stream}", lambda: FrameCoder(coding), take, race.fail))
    begun_at, cpu = time.perf_counter(), time.process_time()
    for stream in range(streams):
        for _ in range(_AHEAD):
            race.feed(stream, partial(put, stream))
    race.wait()
    elapsed, cpu = time.perf_counter() - begun_at, time.process_time() - cpu
    _close([*decoders, *coders])
    total = streams * count
    return Pipeline(coding.preset, streams, total, total / elapsed, total / cpu)


def _coded(pictures: ScrollingPictures, coding: VideoCoding) -> list[AccessUnit]:
    """The clip as a phone would send it."""
    coder = RawCoder(pictures, replace(coding, preset="veryfast"))
    try:
        return [coder.code(number) for number in range(pictures.clip.pictures)]
    finally:
        coder.close()


def print_outcome(
    throughputs: Sequence[Throughput], latencies: Sequence[Latency], pipelines: Sequence[Pipeline]
) -> None:
    """The tables, and whether the targets were met."""
    columns = (
        "as fast as it goes", "streams", "pool/CPU s", "ffmpeg/CPU s", "ratio", "pool/s", "ffmpeg/s",
        "pool bytes/picture", "ffmpeg bytes/picture",
    )  # fmt: skip
    rows = [
        (
            *(each.preset, each.streams, each.pool_per_cpu_second, each.command_per_cpu_second, each.efficiency),
            *(each.pool_per_second, each.command_per_second),
            *(each.pool_picture_octets, each.command_picture_octets),
        )
        for each in throughputs
    ]
    print(table(columns, rows), end="\n\n")
    times = ("at 30 pictures/s", "streams", "p50 ms", "p99 ms", "max ms", "coding ms", "pictures", "dropped", "cores")
    paced = [
        (
            each.preset,
            each.streams,
            each.p50,
            each.p99,
            each.maximum,
            each.coding,
            each.pictures,
            each.dropped,
            each.cores,
        )
        for each in latencies
    ]
    print(table(times, paced), end="\n\n")
    again = ("decoded and coded again", "streams", "pictures/s", "pictures/CPU s")
    print(table(again, [(each.preset, each.streams, each.per_second, each.per_cpu_second) for each in pipelines]))
    print()
    missed = [f"{each.preset}, {each.streams}" for each in throughputs if each.efficiency < EFFICIENCY_TARGET]
    verdict = f"missed by {'; '.join(missed)}" if missed else "met by all"
    print(f"Target, at least {EFFICIENCY_TARGET:g} of ffmpeg's pictures per CPU second: {verdict}.")
    reached = sorted({each.preset for each in pipelines if each.per_second >= PIPELINE_TARGET})
    verdict = f"reached with {', '.join(reached)}" if reached else "missed with all presets"
    print(f"Target, at least {PIPELINE_TARGET:g} pictures per second decoded and coded again: {verdict}.")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encode", description=__doc__.splitlines()[0])
    parser.add_argument("--presets", default=",".join(PRESETS), help="of libx264 (default %(default)s)")
    parser.add_argument("--streams", default="1,2,4", help="streams at once (default %(default)s)")
    parser.add_argument("--pictures", type=int, default=360, help="of each stream (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="at 30 pictures per second (default %(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the best counts (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="90 pictures, 2 s, one run, 1 and 2 streams")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    presets, counts = options.presets.split(","), [int(count) for count in options.streams.split(",")]
    count, seconds, repeat = options.pictures, options.seconds, options.repeat
    if options.quick:
        counts, count, seconds, repeat = [1, 2], 90, 2.0, 1

    machine = Machine.this()
    print(machine)
    clip = ScrollingClip()
    pictures = ScrollingPictures(clip)
    codings = [
        VideoCoding(clip.width, clip.height, frame_rate=_FRAME_RATE, bit_rate=2_000_000, preset=preset)
        for preset in presets
    ]
    cases = [(coding, streams) for coding in codings for streams in counts]
    try:
        throughputs = [throughput(pictures, coding, streams, count, repeat) for coding, streams in cases]
        print("  as fast as it goes: done", file=sys.stderr)
        latencies = [latency(pictures, coding, streams, seconds) for coding, streams in cases]
        print("  at 30 pictures/s: done", file=sys.stderr)
        pipelines = [pipeline(pictures, coding, streams, count) for coding, streams in cases]
    except BenchmarkError as error:
        sys.exit(f"FAILED: {error}")
    print_outcome(throughputs, latencies, pipelines)
    if options.json:
        outcome = {"throughputs": throughputs, "latencies": latencies, "pipelines": pipelines}
        write_json(options.json, {"machine": machine, **outcome})


if __name__ == "__main__":
    main()

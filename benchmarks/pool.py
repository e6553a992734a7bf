"""The encoder pool for a long time: two workers, six streams of which four make trouble, and nothing that gets lost.

    python -m benchmarks.pool                     ten minutes
    python -m benchmarks.pool --quick             20 seconds
    python -m benchmarks.pool --seconds 60 --json build/pool.json

Each stream gets 30 pictures of 720x1280 per second: two without trouble; one in bursts that its queue does not hold;
one whose encoder crashes again and again; one whose encoder gets stuck; and one that is closed and opened anew. The
event loop, to which the coded pictures go, is blocked now and then. What was put in has to come out in order, or be
counted as dropped.
"""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.coders import RawCoder
from benchmarks.machine import Machine, resident_bytes
from benchmarks.scrolling import ScrollingClip, ScrollingPictures
from benchmarks.table import table, write_json
from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.output_buffer import OutputBuffer
from encoders.pool import EncoderPool, Lane
from encoders.video_encoder import VideoCoding
from media_service import memory

MEMORY_TARGET: Final = 1.0
"""MiB per minute by which resident memory may grow, once everything has happened."""

_FRAME_RATE: Final = 30
_TIMEOUT: Final = 0.2
_INPUT_LIMIT, _OUTPUT_LIMIT = 10, 20
_CRASH_EVERY, _STUCK_EVERY, _BURST = 90, 150, 30
"""Pictures."""
_STUCK_FOR: Final = 1.0
_REOPEN_EVERY, _BLOCK_EVERY, _BLOCK_FOR = 5, 7, 0.9
"""Seconds; the loop is blocked for longer than an output takes to fill."""
_SETTLED: Final = 0.5
"""Share of the time after which memory is looked at."""


@dataclass(frozen=True, slots=True)
class _Coded:
    """A picture, and which of its encoder's it is."""

    access_unit: AccessUnit
    number: int
    encoder: object
    index: int

    def follows(self, other: "_Coded | None") -> bool:
        """Whether all that it builds on was there."""
        if self.access_unit.is_keyframe:
            return True
        return other is not None and self.encoder is other.encoder and self.index == other.index + 1


class _Coder:
    """Codes pictures of the clip, by their number; with `trouble` when the time has come."""

    def __init__(
        self,
        pictures: ScrollingPictures,
        coding: VideoCoding,
        trouble: Callable[[int], None],
        wants_keyframe: threading.Event,
    ) -> None:
        self._coder = RawCoder(pictures, coding)
        self._trouble = trouble
        self._wants_keyframe = wants_keyframe
        self._identity = object()
        self._coded = 0

    def code(self, number: int) -> _Coded:
        self._trouble(number)
        self._coded += 1
        is_forced = self._wants_keyframe.is_set()
        self._wants_keyframe.clear()
        return _Coded(self._coder.code(number, force_keyframe=is_forced), number, self._identity, self._coded)

    def close(self) -> None:
        self._coder.close()


def _no_trouble(number: int) -> None:
    pass


def _crash(number: int) -> None:
    if number % _CRASH_EVERY == _CRASH_EVERY - 1:
        raise EncoderError("a crash, as wished")


def _get_stuck(number: int) -> None:
    if number % _STUCK_EVERY == _STUCK_EVERY - 1:
        threading.Event().wait(_STUCK_FOR)


@dataclass(slots=True)
class StreamOutcome:
    """What became of one stream's pictures."""

    name: str
    put: int = 0
    delivered: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    """Not delivered, by reason."""
    replaced: int = 0
    """Encoders that were given up."""
    failures: int = 0
    """Times that the pool gave the stream up, since its encoders failed again and again."""
    keyframes: int = 0
    out_of_order: int = 0
    undecodable: int = 0
    """Pictures after a loss that are no keyframe: what they build on is missing."""

    @property
    def unaccounted(self) -> int:
        """Pictures of which nobody knows; negative when some came twice."""
        return self.put - self.delivered - self.drops.total()


@dataclass(frozen=True, slots=True)
class PoolOutcome:
    """The whole run."""

    seconds: float
    streams: tuple[StreamOutcome, ...]
    resident_begin: int
    """Bytes, after half of the time: the C library keeps what threads free, up to a point."""
    resident_end: int
    growth: float
    """MiB per minute since then, by least squares."""
    most_abandoned: int
    """Threads that were stuck at once."""
    threads_left: int
    """Threads of the pool after its end."""

    @property
    def problems(self) -> list[str]:
        """What should not be."""
        found = []
        for stream in self.streams:
            for count, what in (
                (stream.unaccounted, "unaccounted"),
                (stream.out_of_order, "out of order"),
                (stream.undecodable, "undecodable"),
                (stream.failures, "given up"),
            ):
                if count:
                    found.append(f"{stream.name}: {count} {what}")
        if self.threads_left:
            found.append(f"{self.threads_left} threads left")
        return found


class _Stream:
    """One stream, with its lane and its way to the event loop."""

    def __init__(self, name: str, pool: EncoderPool, make: Callable[[threading.Event], _Coder]) -> None:
        self.outcome = StreamOutcome(name)
        self._pool = pool
        self._wants_keyframe = threading.Event()
        self._make = partial(make, self._wants_keyframe)
        self._latest: _Coded | None = None
        self._ended: list[tuple[Lane[int], OutputBuffer[_Coded]]] = []
        self._lane, self._output = self._open()

    def put(self, number: int) -> None:
        self.outcome.put += 1
        self._lane.put(number)

    def reopen(self) -> None:
        """Close the lane, with what waits in it, and open another."""
        self._count_ended()
        self.close()
        self._lane, self._output = self._open()

    def close(self) -> None:
        self._lane.close()
        self._output.close()
        self._ended.append((self._lane, self._output))

    def finish(self) -> StreamOutcome:
        """What became of it, when the pool has ended."""
        self._count_ended()
        return self.outcome

    def _open(self) -> tuple[Lane[int], OutputBuffer[_Coded]]:
        output = OutputBuffer(
            asyncio.get_running_loop(),
            _OUTPUT_LIMIT,
            self._deliver,
            self._wants_keyframe.set,
            is_keyframe=lambda coded: coded.access_unit.is_keyframe,
        )
        return self._pool.open_lane(self.outcome.name, self._make, output.put, self._failed), output

    def _failed(self, error: Exception) -> None:
        self.outcome.failures += 1

    def _deliver(self, coded: _Coded) -> None:
        outcome = self.outcome
        outcome.delivered += 1
        outcome.keyframes += coded.access_unit.is_keyframe
        outcome.out_of_order += self._latest is not None and coded.number <= self._latest.number
        outcome.undecodable += not coded.follows(self._latest)
        self._latest = coded

    def _count_ended(self) -> None:
        for lane, output in self._ended:
            self.outcome.drops += lane.drops + output.drops
            self.outcome.replaced += lane.replaced
        self._ended.clear()


def _feed(pool: EncoderPool, streams: Sequence[_Stream], in_bursts: _Stream, is_over: threading.Event) -> int:
    """Give each stream its pictures, from a thread of its own, as a decoder would; the most threads stuck meanwhile."""
    began_at = time.perf_counter()
    number = most_abandoned = 0
    while not is_over.wait(max(0.0, began_at + number / _FRAME_RATE - time.perf_counter())):
        for stream in streams:
            stream.put(number)
        if number % _BURST == 0:
            for offset in range(_BURST):
                in_bursts.put(number + offset)
        number += 1
        most_abandoned = max(most_abandoned, pool.abandoned)
    return most_abandoned


async def run(seconds: float, clip: ScrollingClip, preset: str) -> PoolOutcome:
    """Run for so long."""
    pictures = ScrollingPictures(clip)
    coding = VideoCoding(clip.width, clip.height, frame_rate=_FRAME_RATE, bit_rate=2_000_000, preset=preset)
    pool = EncoderPool(workers=2, input_limit=_INPUT_LIMIT, timeout=_TIMEOUT)

    def stream(name: str, trouble: Callable[[int], None]) -> _Stream:
        return _Stream(name, pool, partial(_Coder, pictures, coding, trouble))

    reopened, in_bursts = stream("reopened", _no_trouble), stream("in bursts", _no_trouble)
    fed = [stream("steady", _no_trouble), stream("steady too", _no_trouble)]
    fed += [stream("crashing", _crash), stream("stuck", _get_stuck), reopened]
    is_over = threading.Event()
    began_at = time.perf_counter()
    feeding = asyncio.get_running_loop().create_task(asyncio.to_thread(_feed, pool, fed, in_bursts, is_over))
    giving_back = asyncio.get_running_loop().create_task(memory.give_back_regularly())  # as the service does
    samples: list[tuple[float, int]] = []
    second = 0
    while second < seconds:
        second += 1
        await asyncio.sleep(max(0.0, began_at + second - time.perf_counter()))
        samples.append((time.perf_counter() - began_at, resident_bytes(os.getpid())))
        if second % _REOPEN_EVERY == 0:
            reopened.reopen()
        if second % _BLOCK_EVERY == 0:
            time.sleep(_BLOCK_FOR)  # noqa: ASYNC251  # the loop does not keep up, as wished
    is_over.set()
    giving_back.cancel()
    most_abandoned = await feeding
    for each in (*fed, in_bursts):
        each.close()
    await pool.aclose()
    await asyncio.sleep(_STUCK_FOR + _TIMEOUT)  # for the thread that may be stuck
    left = sum(thread.name.startswith("encoder-") for thread in threading.enumerate())
    settled = samples[min(int(len(samples) * _SETTLED), len(samples) - 2) :]
    growth = float(np.polyfit([at / 60 for at, _ in settled], [resident / 2**20 for _, resident in settled], 1)[0])
    return PoolOutcome(
        seconds=time.perf_counter() - began_at,
        streams=tuple(each.finish() for each in (*fed, in_bursts)),
        resident_begin=settled[0][1],
        resident_end=settled[-1][1],
        growth=growth,
        most_abandoned=most_abandoned,
        threads_left=left,
    )


def print_outcome(outcome: PoolOutcome) -> None:
    """The table, and what is wrong."""
    reasons = sorted({reason for stream in outcome.streams for reason in stream.drops})
    columns = (
        "stream", "put", "delivered", *reasons, "unaccounted", "out of order", "undecodable", "encoders replaced",
        "keyframes",
    )  # fmt: skip
    rows = [
        (
            *(stream.name, stream.put, stream.delivered),
            *(stream.drops[reason] for reason in reasons),
            *(stream.unaccounted, stream.out_of_order, stream.undecodable, stream.replaced, stream.keyframes),
        )
        for stream in outcome.streams
    ]
    print(table(columns, rows))
    begin, end = (resident / 2**20 for resident in (outcome.resident_begin, outcome.resident_end))
    print(f"\nResident memory {begin:.1f} MiB, at the end {end:.1f} MiB: {outcome.growth:+.2f} MiB per minute.")
    print(f"At most {outcome.most_abandoned} threads were stuck at once; {outcome.threads_left} are left at the end.")
    for problem in outcome.problems:
        print(f"FAILED: {problem}")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pool", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, at least 2 (default %(default)s)")
    parser.add_argument("--preset", default="ultrafast", help="of libx264 (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 s")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    memory.share_arenas()  # as the service does
    outcome = asyncio.run(run(20.0 if options.quick else options.seconds, ScrollingClip(), options.preset))
    print_outcome(outcome)
    if not options.quick:
        verdict = "met" if outcome.growth <= MEMORY_TARGET else "missed"
        print(f"Target, at most {MEMORY_TARGET:g} MiB of growth per minute: {verdict}.")
    if options.json:
        write_json(options.json, {"machine": machine, "outcome": outcome, "problems": outcome.problems})
    if outcome.problems:
        sys.exit(1)


if __name__ == "__main__":
    main()

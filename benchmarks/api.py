"""How many requests the HTTP API answers while viewers watch, and whether these notice.

    python -m benchmarks.api                     without tokens and with them, some five minutes
    python -m benchmarks.api --quick             short windows, few levels, about a minute
    python -m benchmarks.api --only levels --seconds 20 --json build/api.json

Twenty devices have one viewer each; wrk asks from the other core. `routes` asks one route after the other as fast as
answers come, `levels` asks for devices and sessions in turn, more and more of them, and compares what the streams are
like with a time when nobody asks; `scrape` reads `/metrics` while 300 watch one device.
"""

import argparse
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.api_stage import MONITORING, READS, Stage, Window, stage
from benchmarks.clip import ClipShape, make_clip
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.table import table, write_json
from benchmarks.wrk import Load

PREDECESSOR_RATE = 429.0
PREDECESSOR_SECONDS = 0.184
"""What the capacity report of the service before this one says of its API: requests per second, and their time."""

ADDED = 0.005
"""Seconds that the streams' p99 may rise by, up to as many requests as the predecessor could answer at most."""

TOO_BUSY = 0.01
"""p99 of the streams while nobody asks, above which the machine has too much else to do to tell."""

VIEWERS = 20
SCRAPE_VIEWERS = 300

_PARTS = ("routes", "levels", "scrape")
_CONNECTIONS = 16
_QUIET = "nobody asks"
_AGAIN = "nobody asks again"


@dataclass(frozen=True, slots=True)
class Row:
    """One window."""

    what: str
    has_token: bool
    window: Window


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    parts: tuple[str, ...]
    seconds: float
    """Of a window."""
    levels: tuple[Load, ...]
    viewers: int = VIEWERS
    scrape_viewers: int = SCRAPE_VIEWERS

    @classmethod
    def full(cls, parts: Sequence[str], seconds: float) -> "Plan":
        rates = (100.0, PREDECESSOR_RATE, 1000.0)
        paced = [Load(_CONNECTIONS, rate) for rate in rates]
        return cls(tuple(parts), seconds, (*paced, *(Load(count) for count in (1, _CONNECTIONS, 64))))

    @classmethod
    def quick(cls, parts: Sequence[str]) -> "Plan":
        levels = (Load(_CONNECTIONS, PREDECESSOR_RATE), Load(_CONNECTIONS))
        return cls(tuple(parts), 2.0, levels, scrape_viewers=100)


def routes(on: Stage, seconds: float) -> list[Row]:
    """Every route by itself, as fast as it goes."""
    quiet = on.window(seconds)
    asked = {**READS, **MONITORING}
    return [
        Row(name, on.has_token, on.window(seconds, Load(_CONNECTIONS), [path], quiet=quiet))
        for name, path in on.paths(asked).items()
    ]


def levels(on: Stage, loads: Sequence[Load], seconds: float) -> list[Row]:
    """More and more requests for devices and sessions, and nobody who asks before and after them."""
    paths = list(on.paths(READS).values())
    quiet = on.window(seconds)
    rows = [Row(_QUIET, on.has_token, quiet)]
    rows += [Row(str(load), on.has_token, on.window(seconds, load, paths, quiet=quiet)) for load in loads]
    return [*rows, Row(_AGAIN, on.has_token, on.window(seconds))]


def scrape(on: Stage, seconds: float) -> list[Row]:
    """What the event loop notices of Prometheus: far more often than it comes, and as often as it goes."""
    quiet = on.window(seconds)
    loads = (Load(1, 4.0), Load(1))
    return [
        Row(_QUIET, on.has_token, quiet),
        *(Row(str(load), on.has_token, on.window(seconds, load, ["/metrics"], quiet=quiet)) for load in loads),
    ]


def run(plan: Plan, clip: Path, cores: Cores) -> dict[str, list[Row]]:
    """Measure, each part without tokens and with them. Raises `BenchmarkError`."""
    found: dict[str, list[Row]] = {part: [] for part in plan.parts}
    for secret in ("", secrets.token_hex(32)):
        if "routes" in plan.parts or "levels" in plan.parts:
            names = [f"p{number}" for number in range(plan.viewers)]
            with stage(names, 1, clip, cores, secret=secret) as on:
                if "routes" in plan.parts:
                    found["routes"] += routes(on, plan.seconds)
                if "levels" in plan.parts:
                    found["levels"] += levels(on, plan.levels, plan.seconds)
    if "scrape" in plan.parts:
        with stage(["p0"], plan.scrape_viewers, clip, cores) as on:
            found["scrape"] += scrape(on, plan.seconds)
    return found


def added(rows: Sequence[Row], row: Row) -> float:
    """Seconds by which the p99 of capture to last packet is above what it was while nobody asked, at the same stage."""
    quiet = next(each for each in rows if each.what == _QUIET and each.has_token == row.has_token)
    return row.window.streams.latency_p99 - quiet.window.streams.latency_p99


def is_too_busy(rows: Sequence[Row]) -> bool:
    """Whether the streams were held up while nobody asked, so that nobody can say what holds them up later."""
    return any(row.window.streams.latency_p99 > TOO_BUSY for row in rows if row.what in (_QUIET, _AGAIN))


def failures(rows: Sequence[Row], plan: Plan) -> list[str]:
    """What viewers noticed of requests at a pace, in the part `levels`."""
    paced = {str(load) for load in plan.levels if load.rate is not None and load.rate <= PREDECESSOR_RATE}
    return [
        f"{row.what}{', with tokens' if row.has_token else ''}: {what}"
        for row in rows
        for what, is_so in (
            (f"p99 of the streams rose by {added(rows, row) * 1e3:.1f} ms", added(rows, row) > ADDED),
            (f"{row.window.streams.lost} packets were lost", row.window.streams.lost > 0),
        )
        if row.what in paced and is_so
    ]


def print_rows(found: dict[str, list[Row]]) -> None:
    """A table for each part."""
    asking = ("token", "requests/s", "p50 ms", "p95 ms", "p99 ms", "us/request", "bytes")
    watching = ("added p50 ms", "added p99 ms", "seen p99 ms", "lag p99 ms", "lag max ms", "lost", "core %", "waited %")
    for part, rows in found.items():
        print(f"\n{part}:")
        if part == "routes":
            print(table(("route", *asking), [(row.what, *_asked(row)) for row in rows]))
            print(_compared(rows))
        else:
            lines = [(row.what, *_asked(row)[:-1], *_watched(row)) for row in rows]
            print(table((part, *asking[:-1], *watching), lines))


def _asked(row: Row) -> tuple[object, ...]:
    answered = row.window.answered
    has_token = "yes" if row.has_token else "no"
    if answered is None:
        return has_token, *[float("nan")] * 6
    return (
        has_token,
        round(answered.per_second),
        answered.p50 * 1e3,
        answered.p95 * 1e3,
        answered.p99 * 1e3,
        row.window.microseconds_per_request,
        round(answered.octets_each),
    )


def _watched(row: Row) -> tuple[object, ...]:
    streams = row.window.streams
    return (
        streams.latency_p50 * 1e3,
        streams.latency_p99 * 1e3,
        streams.lateness_p99 * 1e3,
        streams.loop_lag_p99 * 1e3,
        streams.loop_lag * 1e3,
        streams.lost,
        row.window.core * 100,
        row.window.waited * 100,
    )


def _compared(rows: Sequence[Row]) -> str:
    """The devices beside the predecessor's API."""
    row = next(row for row in rows if row.what == "/devices" and not row.has_token)
    assert row.window.answered is not None
    rate, p95 = row.window.answered.per_second, row.window.answered.p95
    return (
        f"/devices: {rate / PREDECESSOR_RATE:.1f} times the {PREDECESSOR_RATE:g} requests/s that the predecessor's"
        f" capacity report has for its API, p95 {p95 / PREDECESSOR_SECONDS:.2f} of its {PREDECESSOR_SECONDS * 1e3:g} ms"
    )


def main() -> None:
    """Measure, print, write; exit code 1 where viewers noticed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=8.0, help="length of a window (default %(default)s)")
    parser.add_argument("--only", default=",".join(_PARTS), help="parts to run, of %(default)s")
    parser.add_argument("--quick", action="store_true", help="2 s windows, two levels, 100 viewers of the scrape")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(_PARTS):
        parser.error(f"--only takes {', '.join(_PARTS)}, not {', '.join(sorted(unknown))}")
    plan = Plan.quick(parts) if options.quick else Plan.full(parts, options.seconds)
    machine = Machine.this()
    print(machine)
    try:
        found = run(plan, make_clip(ClipShape()), Cores.split())
    except BenchmarkError as error:
        sys.exit(str(error))
    print_rows(found)
    if options.json:
        write_json(options.json, {"machine": machine, "plan": plan, "found": found})
    asked = found.get("levels", [])
    if is_too_busy(asked):
        print("the streams were held up while nobody asked, too: the machine is too busy to say what requests do")
    elif failed := failures(asked, plan):
        sys.exit("; ".join(failed))


if __name__ == "__main__":
    main()

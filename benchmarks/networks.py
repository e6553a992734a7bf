"""What a bad network leaves of the picture: the demo phone in real Chromium behind an impaired link.

    python -m benchmarks.networks                14 networks, 20 s each for each variant of the service
    python -m benchmarks.networks --full         every loss with every delay and rate
    python -m benchmarks.networks --quick        3 networks, 8 s each

Root is needed: the service and the browser are in network namespaces of their own, and the link between them is
emulated (`benchmarks.link`). Phone, adb server, service, emulator and Chromium share this machine's cores.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.cells import CHOSEN, FULL, LOSSY, QUICK, SLOW, STEP, Cell
from benchmarks.crossing import NoPicture, Outcome, Times, Track, phone
from benchmarks.errors import BenchmarkError
from benchmarks.far_end import ends
from benchmarks.machine import Cores, Machine
from benchmarks.passage import PROMPT
from benchmarks.table import cell, table, write_json
from benchmarks.variants import DEFAULT, VARIANTS, Variant

_QUICK_TIMES: Final = Times(settle=3.0, window=8.0, before=3.0, slow=8.0, after=14.0)


@dataclass(frozen=True, slots=True)
class Target:
    """What has to be reached on a network."""

    text: str
    network: str
    limit: float
    value: Callable[[Outcome], float]
    """NaN for what did not come at all."""


TARGETS: Final = (
    Target("freeze time, %", LOSSY.name, 1.0, lambda outcome: 100 * outcome.freeze_seconds / outcome.seconds),
    Target("longest freeze, s", SLOW.name, 1.0, lambda outcome: outcome.passage.longest_freeze),
    Target("picture goes on after the fall, s", STEP.name, 1.5, lambda outcome: _of_step(outcome, "freeze")),
    Target(
        f"delay under {PROMPT * 1000:g} ms after the fall, s",
        STEP.name,
        4.0,
        lambda outcome: _of_step(outcome, "prompt_again"),
    ),
    Target("back up after the return, s", STEP.name, 10.0, lambda outcome: _of_step(outcome, "back_up")),
)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="3 networks, 8 s each")
    parser.add_argument("--full", action="store_true", help="every loss with every delay and rate")
    parser.add_argument("--only", metavar="TEXT", default="", help="networks with this in their name")
    parser.add_argument(
        "--variants", default=",".join(DEFAULT), metavar="NAMES", help="of the service (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    names = options.variants.split(",")
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"no variant {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
    cells = FULL if options.full else QUICK if options.quick else CHOSEN
    chosen = [each for each in cells if options.only in each.name]
    machine = Machine.this()
    print(machine)
    try:
        outcomes = measure(chosen, [VARIANTS[name] for name in names], _QUICK_TIMES if options.quick else Times())
    except BenchmarkError as error:
        sys.exit(str(error))
    print(networks_table(outcomes))
    if any(isinstance(outcome, Outcome) and outcome.step for outcome in outcomes):
        print("\n" + steps_table(outcomes))
    print("\n" + targets_table(outcomes))
    if options.json:
        write_json(options.json, {"machine": machine, "networks": outcomes})


def measure(cells: Sequence[Cell], variants: Sequence[Variant], times: Times) -> list[Outcome | NoPicture]:
    """Every variant on every network. Raises `BenchmarkError`, `NoNamespaces` among them."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)

    async def all_of_them() -> list[Outcome | NoPicture]:
        outcomes = []
        async with both.browser() as browser:
            track = Track(both, watched, browser, everywhere, times)
            for each in cells:
                for variant in variants:
                    outcomes.append(await track.cross(each, variant))
                    print(f"{each.name}, {variant.name}: {_in_short(outcomes[-1])}", file=sys.stderr, flush=True)
        return outcomes

    with ends() as both, phone(both, everywhere) as watched:
        return asyncio.run(all_of_them())


def networks_table(outcomes: Sequence[Outcome | NoPicture]) -> str:
    """Every network and every variant."""
    columns = (
        *("network", "variant", "fps", "freezes", "frozen s", "longest ms", "Mbit/s", "delay p50 ms", "p95 ms"),
        *("unreadable", "width", "PLI", "keyframes", "RTX", "lost %", "service core", "waited %"),
        *("link core", "link late ms", "levels"),
    )
    rows = [
        (
            *(each.network, each.variant, each.frames_per_second, each.freezes, each.freeze_seconds),
            *(round(each.passage.longest_freeze * 1000), each.megabits_per_second),
            *(each.passage.delay_p50 * 1000, each.passage.delay_p95 * 1000, each.passage.unreadable),
            *(each.passage.width, each.keyframes_asked, each.keyframes_requested, each.retransmitted),
            *(each.lost * 100, each.service_core, each.service_waited * 100),
            *(each.link_core, each.link_late * 1000, " → ".join(each.levels)),
        )
        if isinstance(each, Outcome)
        else (each.network, each.variant, *(math.nan for _ in columns[2:]))
        for each in outcomes
    ]
    return table(columns, rows)


def steps_table(outcomes: Sequence[Outcome | NoPicture]) -> str:
    """What the changes of the rate brought; seconds."""
    columns = ("network", "variant", "goes on after s", "prompt again after s", "back up after s")
    rows = [
        (each.network, each.variant, each.step.freeze, each.step.prompt_again, each.step.back_up)
        for each in outcomes
        if isinstance(each, Outcome) and each.step is not None
    ]
    return table(columns, rows)


def targets_table(outcomes: Sequence[Outcome | NoPicture]) -> str:
    """What was reached of what is wanted."""
    rows = []
    for target in TARGETS:
        for outcome in outcomes:
            if outcome.network == target.network:
                value = target.value(outcome) if isinstance(outcome, Outcome) else math.nan
                met = "met" if value <= target.limit else "missed"
                rows.append((target.text, target.network, outcome.variant, value, target.limit, met))
    return table(("target", "network", "variant", "value", "at most", ""), rows)


def _of_step(outcome: Outcome, name: str) -> float:
    return math.nan if outcome.step is None else float(getattr(outcome.step, name))


def _in_short(outcome: Outcome | NoPicture) -> str:
    if isinstance(outcome, NoPicture):
        return f"no picture: {outcome.reason}"
    return f"{cell(outcome.frames_per_second)} fps, {cell(outcome.freeze_seconds)} s frozen"


if __name__ == "__main__":
    main()

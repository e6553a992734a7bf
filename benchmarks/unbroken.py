"""One viewer, one session, and a phone that suffers: does the call ever drop?

    python -m benchmarks.unbroken                10 minutes
    python -m benchmarks.unbroken --quick        a minute and a half

A demo phone runs in a container of a real Docker engine, so this needs root and dockerd. The service finds it there and
takes its picture by the best way that works. Phone, engine, service and Chromium share this machine's cores.
"""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks.docker import phone_container, running_docker
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.ordeal import Ordeal, Pace, Suffered, Victim
from benchmarks.page import launched
from benchmarks.sender import free_port, media_service
from benchmarks.table import table, write_json
from benchmarks.witness import Receipt, Witness
from capture.adb.client import AdbClient
from capture.demo_phone.scrcpy.jar import make_jar

SCRCPY_VERSION = "3.3.4"

_LABEL = "unbroken"
_QUICK = Pace(time_limit=4.0, offline=3.0, hangs=4.0, quiet=0.0)
_FULL_SECONDS = 600.0
_MARGIN = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What the whole run showed."""

    faults: Sequence[Suffered]
    seconds: float
    """Of watching."""
    begin: Receipt
    end: Receipt
    pictures: int
    """That were shown and read."""
    unreadable: int
    """That were shown and could not be read: the decoder's corruption."""
    backwards: int
    """That were older than one shown before."""
    longest_freeze_otherwise: float
    """Seconds without a new picture, while nothing was wrong."""
    log: str
    """What the service wrote."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.unbroken", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="shorter faults, and no quiet times between them")
    parser.add_argument("--json", type=Path, help="write everything to this file, with the service's log")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    pace, seconds = (_QUICK, 0.0) if options.quick else (Pace(), _FULL_SECONDS)
    try:
        report = asyncio.run(measure(pace, seconds))
    except BenchmarkError as error:
        sys.exit(str(error))
    print(faults_table(report.faults))
    print(session_table(report))
    if options.json:
        write_json(options.json, {"machine": machine, "report": report})


async def measure(pace: Pace, seconds: float) -> Report:
    """Watch for `seconds` at least, and until everything was suffered. Raises `BenchmarkError`."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)
    adb_port = free_port()
    with running_docker() as engine, tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        jar = Path(folder) / f"scrcpy-server-v{SCRCPY_VERSION}"
        jar.write_bytes(make_jar(SCRCPY_VERSION))
        environment = {
            "ANDROID_ADB_SERVER_PORT": str(adb_port),
            "DOCKER_HOST": engine.docker_host,
            "REDROID_LABEL": _LABEL,
            "SCRCPY_SERVER_PATH": str(jar),
            "LOG_LEVEL": "info",
        }
        async with phone_container(engine, "unbroken", labels={_LABEL: "yes"}, arguments=()) as phone:
            victim = Victim(AdbClient(port=adb_port), phone)
            with media_service({}, everywhere, environment) as service:
                await victim.prepare(pace)
                async with launched() as browser:
                    witness = await Witness.watching(browser, f"{service.base_url}/?device={phone.name}")
                    begin, began_at = await witness.receipt(), time.time()
                    faults = await Ordeal(victim, service.base_url, witness, pace).run(_print_progress)
                    await asyncio.sleep(began_at + seconds - time.time())
                    await witness.look()
                    return Report(
                        faults=faults,
                        seconds=time.time() - began_at,
                        begin=begin,
                        end=await witness.receipt(),
                        pictures=len(witness.seen.pictures),
                        unreadable=len(witness.seen.unreadable),
                        backwards=witness.seen.backwards(),
                        longest_freeze_otherwise=_longest_in_quiet(witness, faults),
                        log=service.process.printed(),
                    )


def _longest_in_quiet(witness: Witness, faults: Sequence[Suffered]) -> float:
    """The longest freeze between the faults."""
    # A freeze that the next fault brings begins with the last picture before it.
    pauses = [(before.over_at, after.began_at - _MARGIN) for before, after in pairwise(faults)]
    quiet = [(since, until) for since, until in pauses if since < until]
    return max((witness.seen.longest_freeze(since, until) for since, until in quiet), default=math.nan)


def _print_progress(suffered: Suffered) -> None:
    print(f"{suffered.fault}: {suffered.longest_freeze * 1000:.0f} ms", file=sys.stderr)


def faults_table(faults: Sequence[Suffered]) -> str:
    """Each fault and its longest freeze."""
    columns = (
        "fault",
        "at s",
        "capture",
        "freeze ms",
        "target",
        "back after ms",
        "target",
        "unreadable",
        "PLI",
        "told",
    )
    rows = [
        (
            each.fault,
            f"{each.began_at - faults[0].began_at:.0f}",
            each.capture,
            _milliseconds(each.longest_freeze),
            _milliseconds(each.freeze_target),
            _milliseconds(each.back_after),
            _milliseconds(each.back_target),
            each.unreadable,
            each.plis,
            ", ".join(each.told) or "–",
        )
        for each in faults
    ]
    return table(columns, rows)


def session_table(report: Report) -> str:
    """What became of the session."""
    begin, end = report.begin, report.end
    # Chromium asks for one after three seconds without a picture, whatever the reason.
    plis_while_away = sum(each.plis for each in report.faults if not math.isnan(each.back_after))
    rows: list[tuple[str, object, str]] = [
        ("seconds of watching", round(report.seconds), ""),
        ("sessions", end.attempts, "1"),
        ("peer connections", end.connections, "1"),
        ("the same session to the end", begin.session == end.session, "True"),
        ("the same SSRC to the end", begin.ssrc == end.ssrc, "True"),
        ("signaling states since", len(end.signaling_states) - len(begin.signaling_states), "0"),
        ("pictures shown and read", report.pictures, ""),
        ("pictures that could not be read", report.unreadable, "0"),
        ("pictures that went backwards", report.backwards, "0"),
        ("frames dropped by the decoder", end.frames_dropped - begin.frames_dropped, ""),
        ("freezes as Chromium counts them", end.freezes - begin.freezes, ""),
        ("keyframes asked for (PLI) while the phone was there", end.plis - begin.plis - plis_while_away, "0"),
        ("packets lost", end.packets_lost - begin.packets_lost, "0"),
        ("longest freeze otherwise, ms", _milliseconds(report.longest_freeze_otherwise), ""),
    ]
    return table(("the session", "value", "target"), rows)


def _milliseconds(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{seconds * 1000:.0f}"


if __name__ == "__main__":
    main()

"""How soon one who comes late sees something, for each way of capture: the demo phone in real Chromium.

    python -m benchmarks.late_join                50 joins for each
    python -m benchmarks.late_join --quick        3 joins for each

The phone's own encoder makes a keyframe every 10 seconds; with `single IDR` it makes one, and never another. Phone, adb
server, service and browser share this machine's cores.
"""

import argparse
import asyncio
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import quantile
from benchmarks.page import join_again_and_again, launched, live_page
from benchmarks.phones import demo_phones
from benchmarks.sender import Sender, media_service
from benchmarks.table import table, write_json
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.demo_phone.scrcpy.jar import make_jar
from capture.input_events import VideoSize
from capture.ladder import CaptureMode

SCRCPY_VERSION = "3.3.4"
TARGET = 300.0
"""Milliseconds, of 95 joins of 100."""

_SCREEN = VideoSize(720, 1280)


@dataclass(frozen=True, slots=True)
class LateJoins:
    """Joins on a stream that runs. Milliseconds, unless said otherwise."""

    capture: str
    joins: int
    click_p50: float
    """From the wish to watch to the first picture."""
    click_p95: float
    first_p50: float
    """From the offer to the first picture."""
    first_p95: float
    live_p50: float
    """From the offer to the pictures' being live."""
    live_p95: float
    deepest_replay: int
    """Pictures decoded by the time it was live, at most."""
    keyframes_asked: int
    """PLIs that the browsers sent."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.late_join", description=__doc__.splitlines()[0])
    parser.add_argument("--joins", type=int, default=50, help="for each way of capture (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="3 joins for each")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    count = 3 if options.quick else options.joins
    try:
        found = [measure(mode, count) for mode in CaptureMode]
        found += [measure(mode, count, single_idr=True) for mode in (CaptureMode.SCRCPY, CaptureMode.SCREENRECORD)]
    except BenchmarkError as error:
        sys.exit(str(error))
    columns = ("capture", "joins", "click p50", "click p95", "target", "offer p50", "offer p95", "live p50", "live p95")
    rows = [
        (
            *(each.capture, each.joins, each.click_p50, each.click_p95, TARGET),
            *(each.first_p50, each.first_p95, each.live_p50, each.live_p95),
        )
        for each in found
    ]
    print(table(columns, rows))
    if options.json:
        write_json(options.json, {"machine": machine, "late joins": [asdict(each) for each in found]})


def measure(mode: CaptureMode, joins: int, *, single_idr: bool = False) -> LateJoins:
    """Join a phone that is captured by `mode`. Raises `BenchmarkError`."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-") as folder,
        demo_phones(1, _SCREEN, everywhere, still=False) as phones,
    ):
        jar = Path(folder) / f"scrcpy-server-v{SCRCPY_VERSION}"
        jar.write_bytes(make_jar(SCRCPY_VERSION))
        environment = {
            "ANDROID_ADB_SERVER_PORT": str(phones.adb_port),
            "CAPTURE_MODE": mode.value,
            "SCRCPY_SERVER_PATH": str(jar),
        }
        with media_service({}, everywhere, environment) as service:
            if single_idr:
                asyncio.run(_have_single_idr(phones.adb_port, phones.serials[0]))
            joined = asyncio.run(_join(service, phones.serials[0], joins))
    return _summary(f"{mode.value}, single IDR" if single_idr else mode.value, joined)


async def _have_single_idr(adb_port: int, serial: str) -> None:
    command = command_line(["setprop", "demo.fault.single_idr", "true"])
    await AdbClient(port=adb_port).shell(serial, command, check=True)


async def _join(service: Sender, device: str, joins: int) -> list[dict[str, float]]:
    async with launched() as browser:
        page = await live_page(browser, service, device)
        joined = await join_again_and_again(browser, service, device, joins)
        await page.close()
    return joined


def _summary(capture: str, joined: list[dict[str, float]]) -> LateJoins:
    def column(name: str) -> list[float]:
        return sorted(each[name] for each in joined)

    click, first, live = column("click"), column("first"), column("live")
    return LateJoins(
        capture=capture,
        joins=len(joined),
        click_p50=quantile(click, 0.5),
        click_p95=quantile(click, 0.95),
        first_p50=quantile(first, 0.5),
        first_p95=quantile(first, 0.95),
        live_p50=quantile(live, 0.5),
        live_p95=quantile(live, 0.95),
        deepest_replay=int(max(column("framesDecoded"))),
        keyframes_asked=int(sum(column("pliCount"))),
    )


if __name__ == "__main__":
    main()

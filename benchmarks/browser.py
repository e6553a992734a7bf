"""What a person sees: the demo phone through the real adb in real Chromium.

    python -m benchmarks.browser                 30 joins, 30 taps, 20 s of pictures
    python -m benchmarks.browser --quick

Phone, adb server, service and browser share this machine's cores, so each has less of them than it would have outside.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import Page

from benchmarks.child import child
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine, cpu_seconds
from benchmarks.measurement import quantile
from benchmarks.page import join_again_and_again, launched, live_page
from benchmarks.sender import free_port, media_service
from benchmarks.table import table, write_json

_START_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Moving:
    """One viewer of a phone whose screen moves. Milliseconds, unless said otherwise."""

    frames_per_second: float
    frames_decoded: int
    packets_lost: int
    keyframes_asked: int
    """PLIs that the browser sent: what it does when it cannot decode."""
    freezes: int
    delay_p50: float
    """From drawing on the phone to showing in the page, clock to clock."""
    delay_p95: float
    service_core: float
    """Share of a core that the service used for one viewer."""
    phone_core: float


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, unless said otherwise."""

    moving: Moving
    first_picture_p50: float
    """From the offer to the first picture, on a warm page, on a stream that runs."""
    first_picture_p95: float
    live_p50: float
    """From the offer to the pictures' being live."""
    live_p95: float
    deepest_replay: int
    """Pictures decoded by the time it was live, at most."""
    tap_p50: float
    """From the tap to the picture that shows it."""
    tap_p95: float
    last_before_still_p50: float
    """From drawing to showing, of the last picture before the screen is still."""
    last_before_still_p95: float


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.browser", description=__doc__.splitlines()[0])
    parser.add_argument("--joins", type=int, default=30, help="(default %(default)s)")
    parser.add_argument("--taps", type=int, default=30, help="(default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of pictures (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="2 joins, 2 taps, 2 s of pictures")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    joins, taps, seconds = (2, 2, 2.0) if options.quick else (options.joins, options.taps, options.seconds)
    machine = Machine.this()
    print(machine)
    try:
        figures = asyncio.run(measure(joins, taps, seconds))
    except BenchmarkError as error:
        sys.exit(str(error))
    values = asdict(figures.moving) | {name: value for name, value in asdict(figures).items() if name != "moving"}
    print(table(("figure", "value"), [(name.replace("_", " "), value) for name, value in values.items()]))
    if options.json:
        write_json(options.json, {"machine": machine, "figures": figures})


async def measure(joins: int, taps: int, seconds: float) -> Figures:
    """Raises `BenchmarkError` when something does not come up."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)
    with demo_phone(everywhere) as (phone, phone_process), demo_phone(everywhere, "--still") as (still, _):
        environment = {"ADB_DEVICES": f"{phone},{still}"}
        with media_service({}, everywhere, environment) as service:
            async with launched() as browser:
                page = await live_page(browser, service, phone)
                moving = await _moving(page, service.process.process_id, phone_process, seconds)
                joined = await join_again_and_again(browser, service, phone, joins)
                tapped = [await page.evaluate("tap()") for _ in range(taps)]
                await page.close()
                page = await live_page(browser, service, still)
                ends = [await _end_of_a_burst(page) for _ in range(taps)]
    firsts, lives = sorted(each["first"] for each in joined), sorted(each["live"] for each in joined)
    tapped, ends = sorted(tapped), sorted(ends)
    return Figures(
        moving=moving,
        first_picture_p50=quantile(firsts, 0.5),
        first_picture_p95=quantile(firsts, 0.95),
        live_p50=quantile(lives, 0.5),
        live_p95=quantile(lives, 0.95),
        deepest_replay=max(int(each["framesDecoded"]) for each in joined),
        tap_p50=quantile(tapped, 0.5),
        tap_p95=quantile(tapped, 0.95),
        last_before_still_p50=quantile(ends, 0.5),
        last_before_still_p95=quantile(ends, 0.95),
    )


async def _moving(page: Page, service: int, phone: int, seconds: float) -> Moving:
    used = cpu_seconds(service), cpu_seconds(phone)
    before = await page.evaluate("inbound()")
    delays = await page.evaluate("delays", seconds * 1000)
    after = await page.evaluate("inbound()")
    lasted = (after["timestamp"] - before["timestamp"]) / 1000
    delays.sort()
    return Moving(
        frames_per_second=(after["framesDecoded"] - before["framesDecoded"]) / lasted,
        frames_decoded=after["framesDecoded"],
        packets_lost=after["packetsLost"],
        keyframes_asked=after["pliCount"],
        freezes=after["freezeCount"] - before["freezeCount"],
        delay_p50=quantile(delays, 0.5),
        delay_p95=quantile(delays, 0.95),
        service_core=(cpu_seconds(service) - used[0]) / lasted,
        phone_core=(cpu_seconds(phone) - used[1]) / lasted,
    )


async def _end_of_a_burst(page: Page) -> float:
    """Touch a still phone; the delay of the last picture before it is still again."""
    await page.evaluate("tap()")
    delays: list[float] = await page.evaluate("delays", 2500)
    if not delays:
        raise BenchmarkError("the still phone showed nothing after a touch")
    return delays[-1]


@contextmanager
def demo_phone(cores: Cores, *arguments: str) -> Iterator[tuple[str, int]]:
    """A demo phone's address and process."""
    port = free_port()
    command = [sys.executable, "-m", "capture.demo_phone", "--port", str(port), *arguments]
    with child(command, cores.others, name="demo phone") as process:
        process.wait_until(lambda: "demo phone at" in process.printed(), _START_TIMEOUT)
        yield f"127.0.0.1:{port}", process.process_id


if __name__ == "__main__":
    main()

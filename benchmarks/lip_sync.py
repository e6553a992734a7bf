"""Whether sound and picture are played together: a beep against the strip, in real Chromium.

    python -m benchmarks.lip_sync                5 minutes
    python -m benchmarks.lip_sync --quick        20 seconds
    python -m benchmarks.lip_sync --phone        the demo phone through the real adb and scrcpy's protocol

Without `--phone` the service draws and beeps itself. What loudspeaker and display add is not in it.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from playwright.async_api import Page

from benchmarks.browser import demo_phone
from benchmarks.errors import BenchmarkError
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import quantile
from benchmarks.page import launched, live_page
from benchmarks.sender import Sender, media_service
from benchmarks.table import table, write_json
from capture.demo_phone.scrcpy import make_jar

_SCRCPY = "4.1"
_SETTLE = 4.0
"""Seconds after a join."""
_SETTLE_SOUND = 10.0
"""Seconds after the sound is turned on: Chromium needs two sender reports, and then moves a step each second."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds, unless said otherwise."""

    beeps: int
    """How many were heard and compared."""
    missed: int
    """How many were not heard."""
    skew_p50: float
    """By how much the sound is later than the picture; |…| in the two that follow."""
    skew_p95: float
    skew_max: float
    sound_delay_p50: float
    """From the device to the mixer."""
    picture_delay_p50: float
    """From drawing to the compositor, with sound."""
    picture_delay_muted_p50: float
    """The same while the sound is off, and nothing waits for it."""
    playout_skew_p50: float
    """The skew by `estimatedPlayoutTimestamp`, with what the browser thinks its audio device takes."""
    concealed_percent: float
    """Share of the sound that the browser made up."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lip_sync", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="of sound (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="20 s")
    parser.add_argument("--phone", action="store_true", help="the demo phone instead of what the service draws")
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    machine = Machine.this()
    print(machine)
    try:
        figures = asyncio.run(measure(20.0 if options.quick else options.seconds, by_phone=options.phone))
    except BenchmarkError as error:
        sys.exit(str(error))
    print(table(("figure", "value"), [(name.replace("_", " "), value) for name, value in asdict(figures).items()]))
    if options.json:
        write_json(options.json, {"machine": machine, "figures": figures})


async def measure(seconds: float, *, by_phone: bool) -> Figures:
    """Raises `BenchmarkError` when something does not come up, or nothing is heard."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)
    with _beeping_phone(everywhere) if by_phone else _beeping_drawing(everywhere) as (service, device):
        async with launched() as browser:
            page = await live_page(browser, service, device)
            muted = await _picture_delays(page, seconds)
            await page.get_by_role("button", name="Unmute").click()
            await asyncio.sleep(_SETTLE_SOUND)
            compared: list[dict[str, float | None]] = await page.evaluate("skews", seconds * 1000)
            concealed = await _concealed_percent(page)
    if not compared:
        raise BenchmarkError("no beep was heard")
    skews = _column(compared, "skew")
    sizes = sorted(map(abs, skews))
    return Figures(
        beeps=len(compared),
        missed=max(0, int(seconds) - 1 - len(compared)),
        skew_p50=quantile(skews, 0.5),
        skew_p95=quantile(sizes, 0.95),
        skew_max=sizes[-1],
        sound_delay_p50=quantile(_column(compared, "sound"), 0.5),
        picture_delay_p50=quantile(_column(compared, "picture"), 0.5),
        picture_delay_muted_p50=quantile(muted, 0.5),
        playout_skew_p50=quantile(_column(compared, "playout"), 0.5),
        concealed_percent=concealed,
    )


@contextmanager
def _beeping_drawing(cores: Cores) -> Iterator[tuple[Sender, str]]:
    with media_service({"beeping": "test:audio=on"}, cores) as service:
        yield service, "beeping"


@contextmanager
def _beeping_phone(cores: Cores) -> Iterator[tuple[Sender, str]]:
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder, demo_phone(cores) as (phone, _):
        jar = Path(folder) / "scrcpy-server"
        jar.write_bytes(make_jar(_SCRCPY))
        environment = {
            "ADB_DEVICES": phone,
            "SCRCPY_SERVER_PATH": str(jar),
            "SCRCPY_SERVER_VERSION": _SCRCPY,
        }
        with media_service({}, cores, environment) as service:
            yield service, phone


def _column(compared: Sequence[dict[str, float | None]], name: str) -> list[float]:
    return sorted(value for row in compared if (value := row[name]) is not None)


async def _picture_delays(page: Page, seconds: float) -> list[float]:
    await asyncio.sleep(_SETTLE)
    delays: list[float] = await page.evaluate("pictureDelays", min(seconds, 10.0) * 1000)
    return sorted(delays)


async def _concealed_percent(page: Page) -> float:
    concealed, received = await page.evaluate(
        """async () => {
          const entries = [...(await viewer().getStats()).values()];
          const sound = entries.find(({ type, kind }) => type === "inbound-rtp" && kind === "audio");
          return [sound.concealedSamples - sound.silentConcealedSamples, sound.totalSamplesReceived];
        }"""
    )
    return 100 * float(concealed) / max(1.0, float(received))


if __name__ == "__main__":
    main()

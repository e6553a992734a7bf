"""Ten viewers on a good link and one on a very bad one, of the same phone: does anybody suffer for the other?

    python -m benchmarks.ten_and_one             20 s without the eleventh, and 20 s with it
    python -m benchmarks.ten_and_one --quick     5 s each

The ten are light receivers of our own: they answer as Chromium does, report what arrives (REMB, or transport-wide
feedback where the service asks for it), and do not decode. The one is real Chromium, which paints in software and fills
what cores there are; a viewer's computer is not the service's, so it comes after all else here (a niceness of 10). Root
is needed: both links are emulated between network namespaces (`benchmarks.link`).
"""

import argparse
import asyncio
import math
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser, BrowserContext
from playwright.async_api import Error as PlaywrightError

from benchmarks.audience import Join
from benchmarks.crossing import Phone, phone
from benchmarks.errors import BenchmarkError
from benchmarks.far_end import Ends, ends
from benchmarks.link import Impairment, Moment, forwarded, link, namespace, queue_bytes
from benchmarks.machine import Cores, Machine
from benchmarks.measurement import quantile
from benchmarks.metrics import LOOP_LAG
from benchmarks.passage import Passage, passage
from benchmarks.receivers import Receivers, receivers
from benchmarks.sender import Sender
from benchmarks.table import table, write_json
from benchmarks.variants import DEFAULT, VARIANTS, Variant
from benchmarks.viewer import ViewerKind
from benchmarks.witness import Witness

_TEN: Final = 10
_GOOD: Final = Impairment(delay=0.01)
_RATE: Final = 500_000
_POOR: Final = Impairment(delay=0.05, loss=0.05, bit_rate=_RATE, queue=queue_bytes(_RATE, 0.3))
_POOR_UP: Final = Impairment(delay=0.05, loss=0.05)
_SETTLE: Final = 4.0
_JOIN_SECONDS: Final = 2.0
_JOIN_TIMEOUT: Final = 20.0
_LOOK_INTERVAL: Final = 0.5
_CAPTURED: Final = "media_service_pipeline_pictures_total"
_FEWER_AT_MOST: Final = 0.02
"""Share of the phone's pictures that each of the ten may lack."""
_LATER_AT_MOST: Final = 0.01
"""Seconds by which 95 of 100 of them may be later by it."""
_BLOCKED: Final = 0.005
_USABLE_RATE: Final = 10.0
_USABLE_FREEZE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Many:
    """What the ten saw in a window. Seconds."""

    frames_per_second: float
    """That arrived, of each on average."""
    fewest_per_second: float
    """That arrived at the one of them who got the fewest."""
    captured_per_second: float
    """That the service had of the phone."""
    late_p50: float
    """Later than the promptest picture of both windows."""
    late_p95: float
    late_p99: float
    lost: int
    service_core: float
    """Share of a core."""
    service_waited: float
    """Share of the time in which the service was ready and something else had its core: the pictures are late by it."""
    loop_lag_p99: float
    """How late the service's event loop ran what was due."""
    loop_blocked: float
    """Share of the times when that was more than 5 ms."""


@dataclass(frozen=True, slots=True)
class One:
    """What the eleventh saw."""

    frames_per_second: float
    freezes: int
    freeze_seconds: float
    passage: Passage
    megabits_per_second: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one variant."""

    variant: str
    alone: Many
    together: Many
    one: One | None
    """None when it never saw live pictures."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ten_and_one", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each window (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="5 s")
    parser.add_argument(
        "--variants", default=",".join(DEFAULT), metavar="NAMES", help="of the service (default %(default)s)"
    )
    parser.add_argument("--json", type=Path, help="write everything to this file")
    options = parser.parse_args()
    names = options.variants.split(",")
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"no variant {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
    machine = Machine.this()
    print(machine)
    try:
        outcomes = measure([VARIANTS[name] for name in names], 5.0 if options.quick else options.seconds)
    except BenchmarkError as error:
        sys.exit(str(error))
    print(many_table(outcomes) + "\n\n" + one_table(outcomes) + "\n\n" + targets_table(outcomes))
    if options.json:
        write_json(options.json, {"machine": machine, "ten and one": outcomes})


def measure(variants: Sequence[Variant], seconds: float, *, settle: float = _SETTLE) -> list[Outcome]:
    """Each window takes `seconds`, `settle` after somebody joined. Raises `BenchmarkError`; `NoNamespaces` is one."""
    everywhere = Cores(Cores.split().sender | Cores.split().others, Cores.split().sender | Cores.split().others)
    with ExitStack() as stack:
        good = stack.enter_context(ends())
        client = stack.enter_context(namespace("poor"))
        poor = Ends(good.server, client, stack.enter_context(link(good.server, client, number=1)))
        watched = stack.enter_context(phone(good, everywhere))
        with good.client.entered():
            ten = stack.enter_context(receivers(everywhere))
        return asyncio.run(_Scene(good, poor, watched, ten, everywhere, seconds, settle).run_all(variants))


@dataclass(frozen=True, slots=True)
class _Scene:
    good: Ends
    poor: Ends
    phone: Phone
    ten: Receivers
    cores: Cores
    seconds: float
    settle: float

    async def run_all(self, variants: Sequence[Variant]) -> list[Outcome]:
        async with self.poor.browser(gives_way=True) as browser:
            return [await self._run(variant, browser) for variant in variants]

    async def _run(self, variant: Variant, browser: Browser) -> Outcome:
        self.good.link.change(_GOOD)
        self.poor.link.change(_POOR, _POOR_UP)
        async with self._service(variant) as service:
            url = service.whep_url(self.phone.serial)
            kind = ViewerKind(address=self.good.link.client_address)
            join = Join("ten", (url,) * _TEN, _JOIN_SECONDS, _JOIN_TIMEOUT, kind)
            await asyncio.to_thread(self.ten.join, join)
            await asyncio.sleep(self.settle)
            alone = await self._window(service, None, goes_on=False)
            context = await browser.new_context(viewport={"width": 1280, "height": 900})
            try:
                witness = await self._eleventh(context, f"{service.base_url}/?device={self.phone.serial}")
                before = await self._eye(witness)
                together = await self._window(service, witness, goes_on=True)
                one = await self._one(witness, before)
            finally:
                await context.close()
                await asyncio.to_thread(self.ten.leave, "ten")
        return Outcome(variant.name, alone, together, one)

    @asynccontextmanager
    async def _service(self, variant: Variant) -> AsyncIterator[Sender]:
        environment = {**self.phone.environment, **variant.environment}
        async with self.good.service({}, self.cores, environment, program=variant.program) as service:
            port = int(service.base_url.rpartition(":")[2])
            async with forwarded(port, self.poor.server, self.poor.client):
                yield service

    async def _window(self, service: Sender, witness: Witness | None, *, goes_on: bool) -> Many:
        """What the ten see in so many seconds."""
        begun = await asyncio.to_thread(self.ten.begin, "ten", goes_on=goes_on)
        metrics, used, waited = self.good.metrics(service), service.cpu_seconds(), service.waited_seconds()
        end = asyncio.get_running_loop().time() + self.seconds
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_LOOK_INTERVAL)
            if witness is not None:
                await witness.look()
        used, waited = service.cpu_seconds() - used, service.waited_seconds() - waited
        later = self.good.metrics(service)
        window = await asyncio.to_thread(self.ten.end, "ten")
        lasted = window.end.moment - begun.moment
        lag = later.histogram_since(metrics, LOOP_LAG)
        return Many(
            frames_per_second=(window.end.pictures - window.begin.pictures) / lasted / _TEN,
            fewest_per_second=window.fewest_pictures / lasted,
            captured_per_second=(later.total(_CAPTURED) - metrics.total(_CAPTURED)) / lasted,
            late_p50=quantile(window.lateness, 0.5),
            late_p95=quantile(window.lateness, 0.95),
            late_p99=quantile(window.lateness, 0.99),
            lost=window.end.lost - window.begin.lost,
            service_core=used / lasted,
            service_waited=waited / lasted,
            loop_lag_p99=lag.quantile(0.99),
            loop_blocked=lag.over(_BLOCKED),
        )

    async def _eleventh(self, context: BrowserContext, address: str) -> Witness | None:
        """The one, after a while; None when it never sees live pictures."""
        try:
            witness = await Witness.watching(context, address)
        except PlaywrightError:
            return None
        await asyncio.sleep(self.settle)
        await witness.look()
        return witness

    async def _eye(self, witness: Witness | None) -> "_Eye | None":
        if witness is None:
            return None
        return _Eye(await witness.page.evaluate("inbound()"), self.poor.link.look())

    async def _one(self, witness: Witness | None, before: "_Eye | None") -> One | None:
        after = await self._eye(witness)
        if witness is None or before is None or after is None:
            return None
        since, until = before.link.time, after.link.time
        passed = passage(witness.seen, since, until)
        return One(
            frames_per_second=passed.shown / (until - since),
            freezes=after.inbound["freezeCount"] - before.inbound["freezeCount"],
            freeze_seconds=after.inbound["totalFreezesDuration"] - before.inbound["totalFreezesDuration"],
            passage=passed,
            megabits_per_second=after.link.down.since(before.link.down).delivered_octets * 8e-6 / (until - since),
        )


@dataclass(frozen=True, slots=True)
class _Eye:
    """Where the eleventh stands."""

    inbound: dict[str, Any]
    link: Moment


def many_table(outcomes: Sequence[Outcome]) -> str:
    """What the ten saw, without the eleventh and with it; milliseconds later than the promptest picture of both."""
    columns = (
        *("variant", "ten light receivers", "captured fps", "fps", "fewest fps", "late p50 ms", "late p95 ms"),
        *("late p99 ms", "lost", "service core", "waited %", "loop lag p99 ms", "over 5 ms %"),
    )
    rows = [
        (
            *(outcome.variant, words, many.captured_per_second, many.frames_per_second, many.fewest_per_second),
            *(many.late_p50 * 1000, many.late_p95 * 1000, many.late_p99 * 1000, many.lost),
            *(many.service_core, many.service_waited * 100, many.loop_lag_p99 * 1000, many.loop_blocked * 100),
        )
        for outcome in outcomes
        for words, many in (("without the one", outcome.alone), ("with the one", outcome.together))
    ]
    return table(columns, rows)


def one_table(outcomes: Sequence[Outcome]) -> str:
    """What the one saw."""
    columns = (
        *("variant", "one real Chromium", "fps", "freezes", "frozen s", "longest ms", "Mbit/s"),
        *("delay p50 ms", "p95 ms", "unreadable", "width"),
    )
    rows = [
        (
            *(outcome.variant, "500 kbit/s, 5% lost", one.frames_per_second, one.freezes, one.freeze_seconds),
            *(round(one.passage.longest_freeze * 1000), one.megabits_per_second),
            *(one.passage.delay_p50 * 1000, one.passage.delay_p95 * 1000, one.passage.unreadable, one.passage.width),
        )
        if (one := outcome.one) is not None
        else (outcome.variant, "no live picture", *(math.nan for _ in columns[2:]))
        for outcome in outcomes
    ]
    return table(columns, rows)


def targets_table(outcomes: Sequence[Outcome]) -> str:
    """What was reached of what is wanted."""
    rows: list[tuple[str, str, float, str, str]] = []
    for outcome in outcomes:
        alone, together, one = outcome.alone, outcome.together, outcome.one
        fewer = 1 - together.fewest_per_second / together.captured_per_second
        later = together.late_p95 - alone.late_p95
        one_fps = one.frames_per_second if one is not None else math.nan
        one_freeze = one.passage.longest_freeze if one is not None else math.nan
        rows += [
            _row(
                outcome,
                "the ten: pictures missed, %",
                100 * fewer,
                100 * _FEWER_AT_MOST,
                is_met=fewer <= _FEWER_AT_MOST,
            ),
            _row(
                outcome, "the ten: later, p95 ms", 1000 * later, 1000 * _LATER_AT_MOST, is_met=later <= _LATER_AT_MOST
            ),
            _row(outcome, "the one: fps", one_fps, _USABLE_RATE, is_met=one_fps >= _USABLE_RATE),
            _row(outcome, "the one: longest freeze s", one_freeze, _USABLE_FREEZE, is_met=one_freeze <= _USABLE_FREEZE),
        ]
    return table(("target", "variant", "value", "limit", ""), rows)


def _row(outcome: Outcome, text: str, value: float, limit: float, *, is_met: bool) -> tuple[str, str, float, str, str]:
    return text, outcome.variant, value, f"{limit:g}", "met" if is_met else "missed"


if __name__ == "__main__":
    main()

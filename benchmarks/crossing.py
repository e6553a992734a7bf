"""One variant of the service on one network: what gets across to real Chromium."""

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Browser
from playwright.async_api import Error as PlaywrightError

from benchmarks.cells import Cell
from benchmarks.far_end import Ends
from benchmarks.link import Impairment
from benchmarks.machine import Cores, cpu_seconds
from benchmarks.passage import Flow, Full, Passage, back_up_after, longest_freeze, passage, prompt_again_after, rate
from benchmarks.phones import demo_phones
from benchmarks.sender import Sender
from benchmarks.variants import Variant
from benchmarks.witness import Witness
from capture.demo_phone.scrcpy import make_jar
from capture.input_events import VideoSize

BIT_RATE: Final = 2_500_000
"""That the phone is asked for; the demo phone's screen makes two megabits per second of it."""

_SCRCPY: Final = "4.1"
_SCREEN: Final = VideoSize(720, 1280)
_LOOK_INTERVAL: Final = 0.25
_RTX: Final = "media_service_rtx_packets_sent_total"
_KEYFRAMES: Final = "media_service_keyframes_requested_total"


@dataclass(frozen=True, slots=True)
class Times:
    """How long each part takes, in seconds."""

    settle: float = 5.0
    """From the first live picture to the window."""
    window: float = 20.0
    """Of a network that stays as it is."""
    before: float = 5.0
    slow: float = 20.0
    after: float = 20.0
    """Of one that changes: at first, then slow, then as before."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a change of the rate brought; seconds, NaN for what did not come."""

    freeze: float
    """The longest while the rate was low."""
    prompt_again: float
    """From the fall of the rate until the delay was short again."""
    back_up: float
    """From the rate's return to the full picture."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the window showed."""

    network: str
    variant: str
    seconds: float
    frames_per_second: float
    """Shown."""
    freezes: int
    """As webrtc-stats count them."""
    freeze_seconds: float
    passage: Passage
    megabits_per_second: float
    """That left the link towards the viewer, IP headers and all."""
    keyframes_asked: int
    """By the viewer: PLI and FIR."""
    keyframes_requested: int
    """Of the phone."""
    levels: tuple[str, ...]
    """What the service gave, one after the other: `source`, `480p`."""
    retransmitted: int
    """Packets."""
    lost: float
    """Share of what was sent to the viewer, lost by chance or because the queue was full."""
    service_core: float
    """Share of a core: with one viewer, CPU seconds per viewer and second."""
    service_waited: float
    """Share of the time in which the service was ready and something else had its core."""
    link_core: float
    link_late: float
    """Seconds by which the emulator was late with a packet, on average."""
    step: Step | None = None


@dataclass(frozen=True, slots=True)
class NoPicture:
    """The viewer never came so far as to see live pictures."""

    network: str
    variant: str
    reason: str


@dataclass(frozen=True, slots=True)
class Phone:
    """A demo phone at the server's end."""

    serial: str
    environment: Mapping[str, str]
    """Of a service that is to find it."""


@contextmanager
def phone(both: Ends, cores: Cores) -> Iterator[Phone]:
    """A demo phone with scrcpy, whose screen moves all the time. Raises `BenchmarkError`."""
    with ExitStack() as stack:
        jar = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-"))) / "scrcpy-server"
        jar.write_bytes(make_jar(_SCRCPY))
        with both.server.entered():
            phones = stack.enter_context(demo_phones(1, _SCREEN, cores, still=False))
        yield Phone(
            phones.serials[0],
            {
                "ANDROID_ADB_SERVER_PORT": str(phones.adb_port),
                "SCRCPY_SERVER_PATH": str(jar),
                "SCRCPY_SERVER_VERSION": _SCRCPY,
                "VIDEO_BITRATE": str(BIT_RATE),
            },
        )


@dataclass(frozen=True, slots=True)
class Track:
    """Where everything crosses."""

    both: Ends
    phone: Phone
    browser: Browser
    cores: Cores
    times: Times

    async def cross(self, cell: Cell, variant: Variant) -> Outcome | NoPicture:
        """Run the variant on the network, with a new viewer from the beginning. Raises `BenchmarkError`."""
        environment = {**self.phone.environment, **variant.environment}
        async with self.both.service({}, self.cores, environment, program=variant.program) as service:
            self.both.link.change(cell.impairment, cell.up)
            context = await self.browser.new_context(viewport={"width": 1280, "height": 900})
            try:
                witness = await Witness.watching(context, f"{service.base_url}/?device={self.phone.serial}")
                return await _Crossing(self, cell, variant, service, witness).measure()
            except PlaywrightError as error:
                return NoPicture(cell.name, variant.name, error.message.splitlines()[0])
            finally:
                await context.close()
                self.both.link.change(Impairment())


@dataclass(slots=True)
class _Crossing:
    """One of them, on its way."""

    track: Track
    cell: Cell
    variant: Variant
    service: Sender
    witness: Witness
    flows: list[Flow] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)

    async def measure(self) -> Outcome:
        times, link = self.track.times, self.track.both.link
        await self._watch(times.settle)
        used = self.service.cpu_seconds(), self.service.waited_seconds(), cpu_seconds(link.process_id)
        metrics = self.track.both.metrics(self.service)
        before, begin = await self._inbound(), link.look()
        del self.levels[:-1]
        step = None
        if self.cell.slow is None:
            await self._watch(times.window)
        else:
            step = await self._step(self.cell.slow)
        after, end = await self._inbound(), link.look()
        later = self.track.both.metrics(self.service)
        lasted = end.time - begin.time
        passed = passage(self.witness.seen, begin.time, end.time)
        down = end.down.since(begin.down)
        return Outcome(
            network=self.cell.name,
            variant=self.variant.name,
            seconds=lasted,
            frames_per_second=passed.shown / lasted,
            freezes=after["freezeCount"] - before["freezeCount"],
            freeze_seconds=after["totalFreezesDuration"] - before["totalFreezesDuration"],
            passage=passed,
            megabits_per_second=down.delivered_octets * 8e-6 / lasted,
            keyframes_asked=after["pliCount"] + after["firCount"] - before["pliCount"] - before["firCount"],
            keyframes_requested=int(later.total(_KEYFRAMES) - metrics.total(_KEYFRAMES)),
            levels=tuple(self.levels),
            retransmitted=int(later.total(_RTX) - metrics.total(_RTX)),
            lost=(down.lost + down.dropped) / max(1, down.packets),
            service_core=(self.service.cpu_seconds() - used[0]) / lasted,
            service_waited=(self.service.waited_seconds() - used[1]) / lasted,
            link_core=(cpu_seconds(link.process_id) - used[2]) / lasted,
            link_late=end.late_mean,
            step=step,
        )

    async def _step(self, slow: Impairment) -> Step:
        times, link, seen = self.track.times, self.track.both.link, self.witness.seen
        began = link.look().time
        await self._watch(times.before)
        fell = link.change(slow, self.cell.up).time
        await self._watch(times.slow)
        returned = link.change(self.cell.impairment, self.cell.up).time
        await self._watch(times.after)
        end = link.look().time
        # As it was when it had found what the path carries.
        settled = (began + fell) / 2
        at_first = passage(seen, settled, fell)
        full = Full(at_first.width, at_first.shown / (fell - settled), rate(self.flows, settled, fell))
        return Step(
            freeze=longest_freeze(seen, fell, returned),
            prompt_again=prompt_again_after(seen, fell, returned),
            back_up=back_up_after(seen.pictures, self.flows, full, returned, end),
        )

    async def _watch(self, seconds: float) -> None:
        """Look on, and note what comes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            await asyncio.sleep(min(left, _LOOK_INTERVAL))
            now = self.track.both.link.look()
            self.flows.append(Flow(now.time, now.down.delivered_octets))
            await self.witness.look()
            level = await self.witness.page.evaluate("viewer().shownQuality.level")
            if level and [level] != self.levels[-1:]:
                self.levels.append(level)

    async def _inbound(self) -> dict[str, Any]:
        values: dict[str, Any] = await self.witness.page.evaluate("inbound()")
        return values

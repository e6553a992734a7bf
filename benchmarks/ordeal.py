"""What a demo phone goes through while somebody watches it: one fault after the other, brought about from outside."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from benchmarks.docker import PhoneContainer
from benchmarks.errors import BenchmarkError
from benchmarks.witness import Witness
from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.errors import AdbError, AdbUnavailable, DeviceNotFound, DeviceOffline
from capture.ladder import CaptureMode
from media_service.device_listing import ask_service

LIMIT_TARGET = 0.4
"""Seconds of freeze that a recorder's end may cost."""

RETURN_TARGET = 2.0
"""Seconds from a phone's return to its first new picture."""

_PATIENCE = 30.0
_CLIMB_PATIENCE = 330.0
_POLL_INTERVAL = 0.05
_SETTLE = 1.5
"""Seconds after a fault in which what it breaks would still show."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things last, in seconds."""

    time_limit: float = 20.0
    """Of the recorder, which the service knows nothing of."""
    offline: float = 5.0
    hangs: float = 8.0
    quiet: float = 15.0
    """After each fault."""
    is_short: bool = False
    """Leaves out what is much like something else."""


@dataclass(frozen=True, slots=True)
class Suffered:
    """One fault, and what the viewer had of it. Seconds."""

    fault: str
    began_at: float
    """Since the epoch, as `over_at`."""
    over_at: float
    longest_freeze: float
    freeze_target: float
    """NaN where none is set."""
    back_after: float
    """From the phone's return to the first picture that was drawn since and shown; NaN where it was never away."""
    back_target: float
    capture: str
    """The way of capture before and after."""
    told: tuple[str, ...]
    """What the viewer was told of the phone meanwhile, unless it is and stays online."""
    unreadable: int
    """Pictures whose strip could not be read."""
    plis: int
    """Keyframes that the browser asked for, as it could not decode."""

    @property
    def is_in_time(self) -> bool:
        """Whether the targets were met, as far as there are any."""
        return not (self.longest_freeze > self.freeze_target or self.back_after > self.back_target)


@dataclass(frozen=True, slots=True)
class _Fault:
    name: str
    happen: Callable[[], Awaitable[float | None]]
    """Gives when the phone was back; None when it was never away."""
    freeze_target: float = math.nan
    back_target: float = math.nan
    leads_to: CaptureMode | None = None
    """The way of capture that is to be waited for."""
    is_much_alike: bool = False
    """Whether another one shows much the same."""


class Victim:
    """A phone in a container, and what can be done to it."""

    def __init__(self, adb: AdbClient, phone: PhoneContainer) -> None:
        """`adb` is a client of the server that the service uses."""
        self._adb = adb
        self.phone = phone

    async def shell(self, *words: str) -> str:
        """What a command prints. Raises an `AdbError`."""
        return (await self._adb.shell(self.phone.address, command_line(words), check=True)).stdout

    async def set_fault(self, name: str, value: str) -> None:
        """`setprop demo.fault.NAME VALUE`; an empty value takes it back. Raises an `AdbError`."""
        await self.shell("setprop", f"demo.fault.{name}", value)

    async def break_scrcpy(self) -> None:
        """Have scrcpy's server crash, now and whenever it is tried."""
        await self.set_fault("scrcpy_dies_after", "0")

    async def mend_scrcpy(self) -> None:
        """Have it work again."""
        await self.set_fault("scrcpy_dies_after", "")

    async def prepare(self, pace: Pace) -> None:
        """Give it the faults that it begins with, a time limit and a scrcpy that crashes, as soon as adb has it."""

        async def is_there() -> bool:
            try:
                await self.break_scrcpy()
            except (DeviceNotFound, DeviceOffline, AdbUnavailable):
                return False
            return True

        await until(is_there, _PATIENCE, "adb did not connect to the phone")
        await self.set_fault("time_limit", f"{pace.time_limit:g}")

    async def recorders(self) -> frozenset[str]:
        """The process ids of its recorders."""
        answer = await self._adb.shell(self.phone.address, command_line(["pidof", "screenrecord"]))
        return frozenset(answer.stdout.split())

    async def until_ended(self, recorders: frozenset[str], timeout: float, complaint: str) -> None:
        """Return when those recorders have ended and others run. Raises `BenchmarkError` with the complaint."""

        async def are_others() -> bool:
            now = await self.recorders()
            return bool(now) and not now & recorders

        await until(are_others, timeout, complaint)

    async def go_offline(self, seconds: float) -> float:
        """Be offline for so long; when it was back."""
        with suppress(AdbError):  # The answer is among what is lost.
            await self.set_fault("offline", f"{seconds:g}")
        await until(self._accepts, _PATIENCE + seconds, "the phone did not come back")
        return time.time()

    async def restart(self) -> float:
        """Restart its container; when it was back."""
        await self.phone.restart()
        return time.time()

    async def hang(self, seconds: float) -> float:
        """Hang for so long; when that was over."""
        ends_at = time.time() + seconds
        with suppress(AdbError, TimeoutError):
            async with asyncio.timeout(seconds):  # It answers when it is over.
                await self.set_fault("hangs", f"{seconds:g}")
        await asyncio.sleep(ends_at - time.time())
        return ends_at

    async def _accepts(self) -> bool:
        """Whether adbd accepts connections."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.phone.port)
        except ConnectionError:
            return False
        writer.close()
        return True


class Ordeal:
    """A victim that suffers before a witness."""

    def __init__(self, victim: Victim, service: str, witness: Witness, pace: Pace) -> None:
        """`service` is the service's address. The victim is prepared."""
        self._victim = victim
        self._service = service
        self._witness = witness
        self._pace = pace

    async def run(self, report: Callable[[Suffered], None]) -> Sequence[Suffered]:
        """Go through everything, in an order in which little is waited for; `report` is told of each when it is over.

        Raises `BenchmarkError` when something does not happen, or no picture comes any more.
        """
        found = []
        for fault in self._faults():
            suffered = await self._suffer(fault)
            report(suffered)
            found.append(suffered)
            await asyncio.sleep(self._pace.quiet)
        return found

    def _faults(self) -> Sequence[_Fault]:
        pace, victim = self._pace, self._victim
        by_recorder = [
            _Fault("time limit", self._reach_limit, LIMIT_TARGET),
            _Fault("time limit again", self._reach_limit, LIMIT_TARGET, is_much_alike=True),
            _Fault("rotation", self._turner(1)),
            _Fault("rotation back", self._turner(0), is_much_alike=True),
        ]
        by_scrcpy = [
            _Fault("climb to scrcpy", victim.mend_scrcpy, LIMIT_TARGET, leads_to=CaptureMode.SCRCPY),
            _Fault("rotation by scrcpy", self._turner(1), is_much_alike=True),
            _Fault("rotation back by scrcpy", self._turner(0)),
            _Fault(
                f"offline for {pace.offline:g} s", partial(victim.go_offline, pace.offline), back_target=RETURN_TARGET
            ),
            _Fault("container restart", victim.restart, back_target=RETURN_TARGET),
        ]
        by_both = [
            _Fault("fall to screenrecord", victim.break_scrcpy, leads_to=CaptureMode.SCREENRECORD),
            _Fault("pkill screenrecord", self._killer("TERM"), LIMIT_TARGET),
            _Fault("pkill -9 screenrecord", self._killer("KILL"), LIMIT_TARGET, is_much_alike=True),
            _Fault("encoder crash", self._crash_encoder, LIMIT_TARGET),
            _Fault("climb back to scrcpy", victim.mend_scrcpy, LIMIT_TARGET, leads_to=CaptureMode.SCRCPY),
            _Fault(f"adbd hangs for {pace.hangs:g} s", partial(victim.hang, pace.hangs), back_target=RETURN_TARGET),
        ]
        faults = [*by_recorder, *by_scrcpy, *by_both]
        return [fault for fault in faults if not (pace.is_short and fault.is_much_alike)]

    async def _suffer(self, fault: _Fault) -> Suffered:
        before, receipt = await self._capture_mode(), await self._witness.receipt()
        began_at = time.time()
        try:
            returned_at = await fault.happen()
        except AdbError as error:
            raise BenchmarkError(f"{fault.name}: {error}") from error
        if fault.leads_to is not None:
            await self._until_capture(fault.leads_to)
        shown_at = await self._until_drawn_after(returned_at or time.time(), fault.name)
        await asyncio.sleep(_SETTLE)
        await self._witness.look()
        after = await self._capture_mode()
        return Suffered(
            fault=fault.name,
            began_at=began_at,
            over_at=shown_at + _SETTLE,
            longest_freeze=self._witness.seen.longest_freeze(began_at, shown_at + _SETTLE),
            freeze_target=fault.freeze_target,
            back_after=shown_at - returned_at if returned_at is not None else math.nan,
            back_target=fault.back_target,
            capture=before if before == after else f"{before} → {after}",
            told=self._witness.seen.device_states(began_at),
            unreadable=sum(at > began_at for at in self._witness.seen.unreadable),
            plis=(await self._witness.receipt()).plis - receipt.plis,
        )

    async def _reach_limit(self) -> None:
        before = await self._victim.recorders()
        timeout = _PATIENCE + self._pace.time_limit
        await self._victim.until_ended(before, timeout, "the recorder did not end at its time limit")

    def _killer(self, signal_name: str) -> Callable[[], Awaitable[None]]:
        async def kill() -> None:
            before = await self._victim.recorders()
            await self._victim.shell("pkill", f"-{signal_name}", "screenrecord")
            await self._victim.until_ended(before, _PATIENCE, "the recorder did not end by the signal")

        return kill

    async def _crash_encoder(self) -> None:
        before = await self._victim.recorders()
        await self._victim.set_fault("crash_after", "30")  # Fewer than the running one has written.
        await self._victim.until_ended(before, _PATIENCE, "the encoder did not crash")
        await self._victim.set_fault("crash_after", "")

    def _turner(self, rotation: int) -> Callable[[], Awaitable[None]]:
        async def turn() -> None:
            await self._victim.shell("settings", "put", "system", "user_rotation", str(rotation))
            await until(is_turned, _PATIENCE, "the picture did not turn")

        async def is_turned() -> bool:
            await self._witness.look()
            last = self._witness.seen.pictures[-1]
            return (last.width > last.height) is (rotation % 2 == 1)

        return turn

    async def _capture_mode(self) -> str:
        devices = await asyncio.to_thread(ask_service, self._service)
        name = self._victim.phone.name
        return next((each.capture_mode for each in devices if each.device_id == name), None) or "none"

    async def _until_capture(self, mode: CaptureMode) -> None:
        async def is_captured_so() -> bool:
            return await self._capture_mode() == mode

        await until(is_captured_so, _CLIMB_PATIENCE, f"the capture did not change to {mode}")

    async def _until_drawn_after(self, moment: float, fault: str) -> float:
        async def is_shown() -> bool:
            await self._witness.look()
            return self._witness.seen.first_drawn_after(moment) is not None

        await until(is_shown, _PATIENCE, f"after {fault} no new picture was shown")
        picture = self._witness.seen.first_drawn_after(moment)
        return picture.shown_at if picture is not None else math.nan


async def until(condition: Callable[[], Awaitable[bool]], seconds: float, complaint: str) -> None:
    """Wait until the condition holds. Raises `BenchmarkError`, with the complaint, when that takes longer."""
    deadline = time.monotonic() + seconds
    while not await condition():
        if time.monotonic() > deadline:
            raise BenchmarkError(f"{complaint} within {seconds:g} s")
        await asyncio.sleep(_POLL_INTERVAL)

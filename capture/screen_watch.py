"""Watches which way a phone's screen is turned and why its picture may be black, by the phone's shell."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from capture.adb.client import AdbClient
from capture.adb.command_line import CommandLine, command_line
from capture.dumpsys import (
    fitting_rotation,
    parse_displays,
    parse_has_booted,
    parse_is_secure,
    parse_panel_size,
    parse_power,
    parse_rotation,
)
from capture.errors import AdbProtocolError, AdbTimeout
from capture.input_events import VideoSize
from capture.source import ScreenCondition

POLLS_PER_WINDOW: Final = 5
"""The windows are looked at in one of so many polls, and whenever another one gets the focus: they are many."""

SLOW_AFTER: Final = 0.2
"""Of the time that a look may take: then the phone is asked whether it answers at all."""

_MARK: Final = "=== "

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ScreenState:
    """One look at a phone's screen."""

    size: VideoSize
    """Pixels, as it is turned now."""
    rotation: int = 0
    """Quarter turns from upright, counter-clockwise, as Android's `Surface.ROTATION_*`: 0 to 3."""
    condition: ScreenCondition = ScreenCondition.SHOWN
    is_interactive: bool = True
    """Whether the phone is awake and takes input."""


def split_sections(text: str) -> dict[str, str]:
    """The parts of a poll's output, by the name in the marked line before each."""
    _, *parts = ("\n" + text.replace("\r\n", "\n")).split("\n" + _MARK)
    return {name: rest for name, _, rest in (part.partition("\n") for part in parts)}


_PARTS: Final = (
    ("boot", "getprop sys.boot_completed; getprop init.svc.bootanim", ""),
    ("power", "dumpsys power", "mWakefulness=|Display Power: "),
    ("displays", "dumpsys window displays", "mDisplayId=|cur=|mRotation=|mCurrentRotation=|mCurrentFocus="),
)
_WINDOWS: Final = (("windows", "dumpsys window windows", "Window #|mCurrentFocus=|(^|[ {])fl="),)


def poll_command(parts: tuple[tuple[str, str, str], ...], *, filtered: bool) -> CommandLine:
    """The command that prints `parts` (name, commands, what of their lines is wanted), each after its marked line.

    If `filtered`, only the lines that matter leave the phone, and a part `grep` shows that it could do that.
    """
    if filtered:
        lines = [f"echo '{_MARK}grep' | grep -E ."]
        for name, commands, wanted in parts:
            lines += [f"echo '{_MARK}{name}'", f"{commands} | grep -E '{wanted}'" if wanted else commands]
        return command_line(["sh", "-c", "; ".join(lines)])
    words: list[list[str]] = []
    for name, commands, _ in parts:
        words += [["echo", f"{_MARK}{name}"], *(command.split() for command in commands.split("; "))]
    return command_line(*words)


class ScreenWatch:
    """Looks at one phone's screen every `interval` seconds, with one or two shell calls, and tells what has changed.

    Its owner runs `run` in a task of its own and ends it by cancelling.
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        *,
        interval: float = 2.0,
        timeout: float = 5.0,
    ) -> None:
        """A shell call may take `timeout` seconds."""
        self.state: ScreenState | None = None
        """What was seen last."""
        self._client = client
        self._serial = serial
        self._interval = interval
        self._timeout = timeout
        self._wake = asyncio.Event()
        self._can_filter = True
        self._are_services_silent = False
        self._focus: str | None = None
        self._is_secure = False
        self._polls = 0

    @property
    def interval(self) -> float:
        """Seconds between two looks; a new value counts at once."""
        return self._interval

    @interval.setter
    def interval(self, seconds: float) -> None:
        self._interval = seconds
        self._wake.set()

    def look_now(self) -> None:
        """Have the next look begin at once, because something has probably changed."""
        self._wake.set()

    async def run(self, changed: Callable[[ScreenState], None]) -> None:
        """Look until cancelled, and tell `changed` every state that is not as the last one.

        Raises what `poll` does.
        """
        while True:
            self._wake.clear()
            before = self.state
            state = await self.poll()
            if state != before:
                changed(state)
            try:
                async with asyncio.timeout(self._interval):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def poll(self) -> ScreenState:
        """Look once. What the phone does not tell this time stays as it was.

        Raises an `AdbError`: `AdbTimeout` when it does not answer at all, `DeviceOffline` and `DeviceNotFound` when it
        is gone, `AdbProtocolError` when it has never told its size. If only its services hang, all stays as it was.
        """
        looking = asyncio.get_running_loop().create_task(self._look())
        try:
            await asyncio.wait({looking}, timeout=SLOW_AFTER * self._timeout)
            if not looking.done():
                await self._check_it_answers(looking)
            self.state = await self._unless_silent(looking)
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        return self.state

    async def _check_it_answers(self, looking: asyncio.Task[ScreenState]) -> None:
        """Raise `AdbTimeout` when the phone does not answer at all, `looking` neither."""
        try:
            await self._client.shell(self._serial, command_line(["true"]), timeout=self._timeout)
        except AdbTimeout:
            if not looking.done() or looking.exception() is not None:
                raise

    async def _unless_silent(self, looking: asyncio.Task[ScreenState]) -> ScreenState:
        """What is seen; what was seen before, when the phone's services do not answer."""
        try:
            state = await looking
        except AdbTimeout as error:
            if self.state is None:
                raise
            if not self._are_services_silent:  # The same trouble again and again is one line in the log.
                log.warning("the phone's services do not answer", device=self._serial, reason=str(error))
            self._are_services_silent = True
            return self.state
        self._are_services_silent = False
        return state

    async def _look(self) -> ScreenState:
        sections = await self._ask(_PARTS)
        is_lit, is_awake = parse_power(sections.get("power", ""))
        display = parse_displays(sections.get("displays", ""))
        last = self.state
        size = display.size or (last.size if last else await self._ask_panel_size())
        if size is None:
            raise AdbProtocolError(
                f"device {self._serial!r} tells no screen size: `dumpsys window displays` has no cur="
            )
        windows = ""
        if not parse_has_booted(sections.get("boot", "")):
            condition = ScreenCondition.BOOTING
        elif not is_lit:
            condition = ScreenCondition.OFF
        else:
            windows = await self._ask_windows(display.focus)
            condition = ScreenCondition.SECURE if self._is_secure else ScreenCondition.SHOWN
        if display.size is None and last is not None:
            rotation = last.rotation
        else:
            rotation = fitting_rotation(display, parse_rotation(windows), last.rotation if last else None)
        return ScreenState(size, rotation, condition, is_awake)

    async def _ask_windows(self, focus: str | None) -> str:
        """What the phone says of its windows, if it is time to look at them; and remember whether it is secure."""
        is_known = focus is not None and focus == self._focus and not self._is_secure
        self._polls += 1
        if is_known and self._polls % POLLS_PER_WINDOW:
            return ""
        windows = (await self._ask(_WINDOWS)).get("windows", "")
        self._is_secure = parse_is_secure(windows, focus)
        self._focus = focus
        return windows

    async def _ask_panel_size(self) -> VideoSize | None:
        command = command_line(["dumpsys", "SurfaceFlinger"])
        answer = await self._client.shell(self._serial, command, timeout=self._timeout)
        return parse_panel_size(answer.stdout)

    async def _ask(self, parts: tuple[tuple[str, str, str], ...]) -> dict[str, str]:
        if self._can_filter:
            sections = await self._shell(poll_command(parts, filtered=True))
            if "grep" in sections:
                return sections
            self._can_filter = False
        return await self._shell(poll_command(parts, filtered=False))

    async def _shell(self, command: CommandLine) -> dict[str, str]:
        answer = await self._client.shell(self._serial, command, timeout=self._timeout, label="dumpsys")
        return split_sections(answer.stdout)

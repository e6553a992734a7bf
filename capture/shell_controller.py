"""Input by the phone's shell, one call at a time."""

import asyncio
import re
import time
from collections.abc import Mapping

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import SCREEN_SIZE_AGE, read_screen_size
from capture.dumpsys import fitting_rotation, parse_displays
from capture.errors import AdbError, InputRejected
from capture.input_events import InputEvent, Rotate, Scroll, Swipe, Text, VideoSize
from capture.input_queue import InputQueue, WaitingInput
from capture.shell_input import TEXT_LIMIT, input_commands

CALL_LIMIT = 16
"""Events that go into one shell call, so that the first does not wait long for the last."""

_LONG = (Text, Swipe, Scroll, Rotate)
"""What a call does nothing else beside: it may take long."""

# What `input` says about a command that this Android does not have yet, its exit code being 0.
_UNKNOWN = re.compile(r"Unknown command: [a-z]{1,20}")


class ShellController:
    """Injects input events into one device by its shell; fits `capture.controller.Controller`.

    While the phone is busy with one call, what comes waits and then goes into the next call together.
    """

    def __init__(self, client: AdbClient, serial: str) -> None:
        self._client = client
        self._serial = serial
        self._waiting = InputQueue(serial, lambda text: len(text.text) <= TEXT_LIMIT)
        self._screen: VideoSize | None = None
        self._screen_read_at = 0.0
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events that did not reach the phone, by reason: `replaced_move`, `queue_full`."""
        return self._waiting.dropped

    async def inject(self, event: InputEvent) -> float:
        """See `Controller.inject`; also raises `InputRejected` for what `input_commands` cannot do."""
        input_commands(event, VideoSize(1, 1))  # What can never be injected need not wait to hear it.
        return await asyncio.shield(self._enqueue(event))

    async def aclose(self) -> None:
        """See `Controller.aclose`."""
        self._is_closed = True
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def _enqueue(self, event: InputEvent) -> asyncio.Future[float]:
        if self._is_closed:
            raise InputRejected(f"device {self._serial!r} is no longer controlled")
        taken = self._waiting.add(event)
        if self._worker is None:
            self._worker = asyncio.get_running_loop().create_task(self._work())
        return taken

    async def _work(self) -> None:
        """Inject what waits, and end."""
        call: list[WaitingInput] = []
        try:
            while self._waiting:
                call = self._next_call()
                await self._inject(call)
        finally:
            self._worker = None
            for waiting in (*call, *self._waiting.clear()):
                waiting.fail(InputRejected(f"device {self._serial!r} is no longer controlled"))

    def _next_call(self) -> list[WaitingInput]:
        """The next events for one shell call."""
        call = [self._waiting.pop()]
        while self._waiting and len(call) < CALL_LIMIT:
            if isinstance(call[-1].event, _LONG) or isinstance(self._waiting.first.event, _LONG):
                break
            call.append(self._waiting.pop())
        return call

    async def _inject(self, call: list[WaitingInput]) -> None:
        try:
            screen = self._screen or await self._read_screen()
            rotation = await self._read_rotation() if isinstance(call[0].event, Rotate) else None
            commands = [command for waiting in call for command in input_commands(waiting.event, screen, rotation)]
            if commands:
                # Errors must not tell the command: it may type a password.
                result = await self._client.shell(self._serial, command_line(*commands), check=True, label="input")
                if unknown := _UNKNOWN.search(result.stdout + result.stderr):
                    raise InputRejected(f"device {self._serial!r} cannot do that: {unknown[0]}")
            taken_at = time.monotonic()
            for waiting in call:
                waiting.succeed(taken_at)
            if taken_at - self._screen_read_at > SCREEN_SIZE_AGE:
                await self._read_screen()  # Only now: no finger waits for it.
        except (AdbError, InputRejected) as error:
            self._screen = None
            for waiting in call:
                waiting.fail(error)

    async def _read_screen(self) -> VideoSize:
        self._screen = screen = await read_screen_size(self._client, self._serial)
        self._screen_read_at = time.monotonic()
        return screen

    async def _read_rotation(self) -> int:
        """How many quarters the phone is turned now."""
        dump = await self._client.shell(self._serial, command_line(["dumpsys", "window", "displays"]), check=True)
        return fitting_rotation(parse_displays(dump.stdout))

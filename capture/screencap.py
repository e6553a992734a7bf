"""The phone's screen as one screenshot after the other, coded here: what is left where nothing else works.

A `screencap` without `-p` is a header and bare pixels (`capture.raw_frames`). Each one is a process on the phone, which
takes some tens of milliseconds for 720x1280, so they are taken one at a time, as fast as they come and no faster than
the encoding's frame rate. While the screen is still, they are taken rarely, and while nobody reads not at all.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line, service_of
from capture.adb.connection import in_time
from capture.encoded_source import EncodedSource, Encoding
from capture.errors import SourceEnded
from capture.input_events import VideoSize
from capture.raw_frames import RawFrame, ScreencapParser, UnreadableFrame
from capture.raw_output import RawOutput
from capture.source import SourceFacts

ATTEMPTS: Final = 3
"""Screenshots in a row that may fail before the source gives up."""


@dataclass(frozen=True, slots=True)
class ScreencapTimes:
    """When screenshots are taken and what is expected of them, in seconds."""

    still_after: float = 2.0
    """The screen counts as still when it has not changed for so long."""
    still_period: float = 0.5
    """Lies then between two screenshots."""
    answer: float = 10.0
    """The phone hangs if a screenshot takes longer."""
    first_delay: float = 0.1
    """Lies before the next one after a failure, twice as long after each further one."""


async def open_screencap(client: AdbClient, serial: str, *, box: VideoSize, encoding: Encoding) -> "ScreencapSource":
    """Watch the screen of the device `serial` in pictures that fit into `box`, which counts for both orientations.

    Raises `AdbError` when the device cannot be reached; that it cannot take screenshots is told by the first picture's
    `SourceEnded`.
    """
    is_raw = await client.lacks_shell_v2(serial)
    source = ScreencapSource(client, serial, box=box, encoding=encoding, is_raw=is_raw)
    source.start()
    return source


class ScreencapSource(EncodedSource):
    """One device's screen in screenshots; fits `capture.source.Source`. A turned screen is followed by itself.

    Iteration raises `SourceEnded`, with the tool's own words, when screenshots keep failing or are of a kind that is
    not understood, and an `AdbError` when the device is gone or does not answer any more (`ScreencapTimes`).
    """

    def __init__(
        self,
        client: AdbClient,
        serial: str,
        *,
        box: VideoSize,
        encoding: Encoding,
        is_raw: bool = False,
        times: ScreencapTimes = ScreencapTimes(),
    ) -> None:
        """With `is_raw`, for devices without shell v2, the tool runs by `exec`. `start` begins the capture."""
        reason = "screenshots, one after the other, which are coded here"
        super().__init__(
            SourceFacts(kind="screencap", reason=reason, keyframe_on_demand=True, is_coded_here=True), encoding, box
        )
        self.screenshots = 0
        """Screenshots that were taken so far."""
        self._client = client
        self._serial = serial
        self._service = service_of(command_line(["screencap"]), is_raw=is_raw)
        self._is_raw = is_raw
        self._times = times
        self._frame_period = 1 / encoding.frame_rate
        self._lively_until = 0.0
        self._woken = asyncio.Event()
        self.on_damage = self.wake

    def wake(self) -> None:
        """Look at once, and often for a while: the screen is about to change, as when it was touched."""
        self._lively_until = time.monotonic() + self._times.still_after
        self._woken.set()

    def request_keyframe(self) -> None:
        super().request_keyframe()
        self.wake()

    async def capture(self) -> None:
        """Take one screenshot after the other, each when it is due; ends by an error only."""
        failures = 0
        complaint = ""
        while failures < ATTEMPTS:
            await self.until_wanted()
            begun_at = time.monotonic()
            try:
                frame = await self._take_screenshot()
            except UnreadableFrame as error:
                complaint = str(error)
                await asyncio.sleep(self._times.first_delay * 2.0**failures)
                failures += 1
                continue
            failures = 0
            self.offer(frame)
            await self._until_next_is_due(begun_at)
        raise SourceEnded(f"screencap on {self._serial!r} failed {failures} times in a row: {complaint}")

    async def _take_screenshot(self) -> RawFrame:
        self.screenshots += 1
        parser = ScreencapParser()
        output = RawOutput(parser.feed, is_raw=self._is_raw)
        try:
            async with in_time(self._times.answer, f"'screencap' on device {self._serial!r}"):
                await self._client.open_service(self._serial, self._service, output)
                await output.until_end()
        finally:
            output.close()
        try:
            return parser.finish(output.last_at)
        except UnreadableFrame as error:
            raise UnreadableFrame(output.complaint.strip() or str(error)) from error

    async def _until_next_is_due(self, begun_at: float) -> None:
        while True:
            now = time.monotonic()
            is_lively = self._woken.is_set() or now < self._lively_until
            left = begun_at + (self._frame_period if is_lively else self._times.still_period) - now
            if left <= 0:
                self._woken.clear()
                return
            try:
                async with asyncio.timeout(left):
                    await (asyncio.sleep(left) if is_lively else self._woken.wait())
            except TimeoutError:
                pass

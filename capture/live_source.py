"""One source among those that follow one another on a phone: the way it was opened, and its pictures."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from capture.errors import SourceEnded
from capture.input_events import VideoSize
from capture.ladder import CaptureMode
from capture.playability import Playability
from capture.source import Source
from encoders.access_unit import AccessUnit


@dataclass(frozen=True, slots=True)
class OpenMode:
    """How one way of capture is opened on this phone."""

    open: Callable[[VideoSize], Awaitable[Source]]
    """For a screen that has this size now, as it is turned."""
    turn: Callable[[Source, VideoSize], None] | None = None
    """Tells the source that the screen has this size now; None where it notices by itself."""


class LiveSource:
    """A source whose pictures flow, or are about to."""

    def __init__(
        self,
        mode: CaptureMode,
        way: OpenMode,
        source: Source,
        number: int,
        screen: VideoSize,
        *,
        takes_b_frames: bool = False,
    ) -> None:
        """`number` counts the sources of a phone; `screen` is the size that `source` was opened for.

        With `takes_b_frames` pictures need not come in the order in which they are shown.
        """
        self.mode = mode
        self.source = source
        self.number = number
        self.began_at = time.monotonic()
        self.has_begun = False
        """Whether a picture has come."""
        self.complaint = ""
        """Why there are no more pictures, when there are none."""
        self._doom = ""
        self._turn = way.turn
        self._screen = screen
        self._pictures: AsyncIterator[AccessUnit] = aiter(source)
        self._first: AccessUnit | None = None
        self._playability = Playability(takes_b_frames=takes_b_frames)

    def restart(self) -> None:
        """Have another iteration begin."""
        self._pictures = aiter(self.source)

    def turn(self, screen: VideoSize) -> None:
        """The screen has this size now."""
        if screen != self._screen and self._turn is not None:
            self._turn(self.source, screen)
        self._screen = screen

    def condemn(self, complaint: str) -> None:
        """What ends the pictures next, as the closing of the source, is to be explained by `complaint`."""
        self._doom = complaint

    async def begin(self, patience: float) -> bool:
        """Wait for the first picture, and keep it; whether it came and can be shown. Raises an `AdbError`."""
        self._first = await self.next(patience)
        return self._first is not None

    async def next(self, patience: float) -> AccessUnit | None:
        """The next picture; None when there are no more that can be shown, which `complaint` explains.

        The first one has failed if it does not come within `patience` seconds; a screen may be still for ever. Raises
        an `AdbError` when the phone is gone.
        """
        if self._first is not None:
            access_unit, self._first = self._first, None
            return access_unit
        try:
            async with asyncio.timeout(None if self.has_begun else patience):
                access_unit = await anext(self._pictures)
        except StopAsyncIteration:
            self.complaint = self._doom or "it ended"
            return None
        except SourceEnded as error:
            self.complaint = str(error)
            return None
        except TimeoutError:
            self.complaint = f"no picture came within {patience:g} s"
            return None
        self.has_begun = True
        self.complaint = self._playability.complaint(access_unit)
        return None if self.complaint else access_unit

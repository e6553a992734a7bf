"""When the screen is drawn, and who gets the pictures."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import av

from capture.demo_phone.screen import Screen


@dataclass(frozen=True, slots=True)
class Picture:
    """One drawn picture."""

    frame: av.VideoFrame
    drawn_at: float
    """Seconds of `time.monotonic()`."""


class Pictures:
    """The pictures for one viewer of the display: always the newest, those that it is too slow for are left out."""

    def __init__(self) -> None:
        self.left_out = 0
        """Pictures that were replaced by a newer one before the viewer took them."""
        self._waiting: Picture | None = None
        self._wake = asyncio.Event()
        self._closed = False

    def offer(self, picture: Picture) -> None:
        """Have `picture` taken next, instead of one that still waits."""
        self.left_out += self._waiting is not None
        self._waiting = picture
        self._wake.set()

    def close(self) -> None:
        """End the iteration now; a picture that waits is not shown any more."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> "Pictures":
        return self

    async def __anext__(self) -> Picture:
        await self._wake.wait()
        picture, self._waiting = self._waiting, None
        if self._closed or picture is None:
            raise StopAsyncIteration
        self._wake.clear()
        return picture


class Display:
    """Draws its screen at an even rate while somebody watches and something changes, and not otherwise."""

    def __init__(self, screen: Screen, frame_rate: int) -> None:
        self.screen = screen
        self.frame_rate = frame_rate
        self._viewers: set[Pictures] = set()
        self._changed = asyncio.Event()
        self._latest: Picture | None = None
        self._drawing: asyncio.Task[None] | None = None
        screen.on_change = self._changed.set

    @contextmanager
    def watch(self) -> Iterator[Pictures]:
        """The pictures from now on; the first comes at once, however still the screen is."""
        pictures = Pictures()
        if self._latest is not None and self.screen.is_still():
            pictures.offer(self._latest)
        self._viewers.add(pictures)
        if self._drawing is None:
            self._drawing = asyncio.get_running_loop().create_task(self._draw_pictures())
        try:
            yield pictures
        finally:
            self._viewers.discard(pictures)
            if not self._viewers and self._drawing is not None:
                self._drawing.cancel()
                self._drawing = None

    def snapshot(self) -> Picture:
        """What the screen shows at this moment."""
        if self._latest is None or not self.screen.is_still():
            self._draw(time.monotonic())
        assert self._latest is not None
        return self._latest

    async def _draw_pictures(self) -> None:
        due = time.monotonic()
        while True:
            if self._latest is not None and self.screen.is_still():
                self._changed.clear()
                await self._changed.wait()
            now = time.monotonic()
            await asyncio.sleep(due - now)
            self._draw(time.monotonic())
            due = max(due, now) + 1 / self.frame_rate

    def _draw(self, now: float) -> None:
        self._latest = Picture(self.screen.draw(now), now)
        for viewer in self._viewers:
            viewer.offer(self._latest)

"""When the screen is drawn, and who gets the pictures."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import av

from capture.demo_phone.canvas import Canvas


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


class Shown(Protocol):
    """What a display can show."""

    width: int
    height: int
    on_change: Callable[[], None]
    """Called when drawing again would show something else than before."""

    def is_still(self) -> bool:
        """Whether drawing again would only repeat the last picture."""
        ...

    def draw(self, now: float) -> av.VideoFrame:
        """A yuv420p frame of its own."""
        ...


class Display:
    """Draws what it shows at an even rate while somebody watches and something changes, and not otherwise."""

    def __init__(self, screen: Shown, frame_rate: int) -> None:
        self.screen = screen
        """What it shows when it is on."""
        self.frame_rate = frame_rate
        self._viewers: set[Pictures] = set()
        self._changed = asyncio.Event()
        self._latest: Picture | None = None
        self._drawing: asyncio.Task[None] | None = None
        self._is_on = True
        self._is_secure = False
        screen.on_change = self._changed.set

    @property
    def width(self) -> int:
        """Pixels of the next picture."""
        return self.screen.width

    @property
    def height(self) -> int:
        """Pixels of the next picture."""
        return self.screen.height

    def show(self, screen: Shown) -> None:
        """Show another screen from now on, of any size."""
        self.screen = screen
        screen.on_change = self._changed.set
        self._show_anew()

    @property
    def is_on(self) -> bool:
        """Whether there is light. Switched off, it gives one black picture to those who watch, and then no more."""
        return self._is_on

    @is_on.setter
    def is_on(self, is_on: bool) -> None:
        if is_on == self._is_on:
            return
        self._is_on = is_on
        self._show_anew()
        if not is_on:
            self._offer(self.snapshot())

    @property
    def is_secure(self) -> bool:
        """Whether what is shown may not be captured (FLAG_SECURE): all pictures are black."""
        return self._is_secure

    @is_secure.setter
    def is_secure(self, is_secure: bool) -> None:
        if is_secure != self._is_secure:
            self._is_secure = is_secure
            self._show_anew()

    @contextmanager
    def watch(self) -> Iterator[Pictures]:
        """The pictures from now on; the first comes at once, however still the screen is, unless it is off."""
        pictures = Pictures()
        if self._latest is not None and self._is_on and self._is_settled():
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
        if self._latest is None or not self._is_settled():
            self._draw(time.monotonic())
        assert self._latest is not None
        return self._latest

    def _is_settled(self) -> bool:
        """Whether the next picture would be no other than the last."""
        return not self._is_on or (self._latest is not None and self.screen.is_still())

    def _show_anew(self) -> None:
        self._latest = None
        self._changed.set()

    async def _draw_pictures(self) -> None:
        due = time.monotonic()
        while True:
            while self._is_settled():
                self._changed.clear()
                await self._changed.wait()
            now = time.monotonic()
            await asyncio.sleep(due - now)
            if not self._is_settled():
                self._draw(time.monotonic())
            due = max(due, now) + 1 / self.frame_rate

    def _draw(self, now: float) -> None:
        frame = self.screen.draw(now) if self._is_on else self._black()
        self._latest = Picture(self._black() if self._is_secure else frame, now)
        if self._is_on:
            self._offer(self._latest)

    def _offer(self, picture: Picture) -> None:
        for viewer in self._viewers:
            viewer.offer(picture)

    def _black(self) -> av.VideoFrame:
        return Canvas.black(self.width, self.height).to_frame()

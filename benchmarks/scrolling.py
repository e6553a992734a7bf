"""Raw pictures of what phones mostly show: a list of cards that is flicked through under a bar that stands still."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

_CACHE = Path(__file__).parent.parent / "build" / "benchmarks"
_BAR = 64
"""Rows at the top and at the bottom that do not move."""
_CARD = 320
"""Rows of one card."""

Plane = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


@dataclass(frozen=True, slots=True)
class ScrollingClip:
    """What it is like; equal ones are equal files. It begins again where it ends, without a cut."""

    width: int = 720
    height: int = 1280
    pictures: int = 90
    cards: int = 12
    """After so many the list begins again; it is gone through once."""

    @property
    def picture_size(self) -> int:
        """Bytes of one picture (yuv420p)."""
        return self.width * self.height * 3 // 2

    def make(self) -> Path:
        """The file, drawn when it is not there yet: one picture after the other, its planes without padding."""
        digest = hashlib.sha256(repr(self).encode() + Path(__file__).read_bytes()).hexdigest()[:8]
        path = _CACHE / f"scrolling-{self.width}x{self.height}-{self.pictures}-{digest}.yuv"
        if not path.exists():
            _CACHE.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            with partial.open("wb") as file:
                for picture in self._draw():
                    file.write(picture)
            partial.replace(path)
        return path

    def _draw(self) -> list[bytes]:
        luma, blue, red = _planes(self.width, self.cards)
        bar = _page(np.random.default_rng(7), self.width, 2 * _BAR)
        rows = luma.shape[0]
        drawn = []
        for number in range(self.pictures):
            # Three flicks, each of which comes to rest.
            phase = 3 * number / self.pictures
            top = 2 * round((int(phase) + 1 - (1 - phase % 1) ** 3) / 3 * rows / 2)
            shown = np.roll(luma, -top, 0)[: self.height]
            shown[:_BAR], shown[-_BAR:] = bar[:_BAR], bar[_BAR:]
            chroma = [np.roll(plane, -top // 2, 0)[: self.height // 2] for plane in (blue, red)]
            drawn.append(b"".join(plane.tobytes() for plane in (shown, *chroma)))
        return drawn


class ScrollingPictures:
    """The clip's pictures, of which there is no end. For many threads at once."""

    def __init__(self, clip: ScrollingClip) -> None:
        self.clip = clip
        self.path = clip.make()
        self._bytes = np.fromfile(self.path, np.uint8).reshape(clip.pictures, clip.picture_size)

    def frame(self, number: int) -> av.VideoFrame:
        """A copy of a picture, as who reads it from a pipe has one."""
        clip = self.clip
        data = self._bytes[number % clip.pictures]
        frame = av.VideoFrame(clip.width, clip.height, "yuv420p")
        begin = 0
        for plane in frame.planes:
            size = plane.width * plane.height
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
            rows[:, : plane.width] = data[begin : begin + size].reshape(plane.height, plane.width)
            begin += size
        return frame


def _planes(width: int, cards: int) -> tuple[Plane, Plane, Plane]:
    random = np.random.default_rng(1)
    luma = np.concatenate([_page(random, width, _CARD) for _ in range(cards)])
    chroma = [np.full((luma.shape[0] // 2, width // 2), 128, np.uint8) for _ in range(2)]
    for card in range(cards):
        top = card * _CARD // 2 + 8
        for plane in chroma:
            low, high = sorted(int(tint) for tint in random.integers(88, 168, 2))
            side = min(_CARD - 32, width // 3) // 2
            plane[top : top + side, 8 : 8 + side] = np.linspace(low, high, side).astype(np.uint8)
    return luma, chroma[0], chroma[1]


def _page(random: np.random.Generator, width: int, height: int) -> Plane:
    """A photograph on the left, lines of something like text beside it."""
    page = np.full((height, width), 235, np.uint8)
    side = min(height - 32, width // 3)
    slope = np.add.outer(np.arange(side), np.arange(side)) * 160 // (2 * side) + 40
    page[16 : 16 + side, 16 : 16 + side] = slope + random.integers(0, 12, (side, side), np.uint8)
    for top in range(24, height - 24, 28):
        length = int(random.integers(width // 4, width - side - 64))
        glyphs = random.random((7, length // 4)).repeat(2, 0).repeat(4, 1) < 0.4
        line = page[top : top + 14, side + 40 : side + 40 + glyphs.shape[1]]
        line[glyphs[:, : line.shape[1]]] = 40
    return page

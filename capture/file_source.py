"""`file:CLIP`, a recording that plays for ever."""

import re
import time
from collections import deque
from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Final

from capture.clip import ClipPicture, read_clip
from capture.controller import Controller
from capture.errors import InvalidSource
from capture.pace import Alarm, Playhead
from capture.source import AudioSink, Source, SourceFacts, ignore_audio
from capture.worker_thread import WorkerThread
from encoders.access_unit import AccessUnit

_PICTURES_AHEAD: Final = 64
_BYTES_AHEAD: Final = 1024 * 1024
"""Reading ahead ends at either: a large file is never in memory."""

KEPT_BYTES: Final = 8 * 1024 * 1024
"""A clip up to this size is read once and then played from memory."""


class FileSource:
    """Plays a file's pictures at their own pace, and from the beginning again after the last.

    A keyframe request is ignored: the file has the keyframes it has, and going back to one would throw every viewer
    back in time.
    """

    def __init__(
        self, path: Path, frame_rate: float | None, worker: WorkerThread, *, kept_bytes: int = KEPT_BYTES
    ) -> None:
        """A clip of up to `kept_bytes` is read once, a larger one for every pass."""
        self.facts = SourceFacts(kind="file", reason=f"asked for: {path.name}, looped", keyframe_on_demand=False)
        self._path = path
        self._frame_rate = frame_rate
        self._worker = worker
        self._clip: Generator[ClipPicture, None, None] | None = None
        self.on_audio: AudioSink = ignore_audio
        self.controller: Controller | None = None
        self._pictures: deque[ClipPicture] = deque()
        self._kept: list[ClipPicture] | None = []
        """The pass that is being read, from its beginning; None when it has become too large to keep."""
        self._kept_bytes = 0
        self._largest_kept = kept_bytes
        self._loop: tuple[ClipPicture, ...] = ()
        """All pictures of a clip that was small enough to keep."""
        self._alarm = Alarm()
        self._has_begun = False
        self._rewinds = False
        self._playhead = Playhead()

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        self._rewinds = self._has_begun
        return self

    async def __anext__(self) -> AccessUnit:
        self._has_begun = True
        if (self._rewinds or not self._pictures) and not self._alarm.is_ended:
            if self._loop:
                self._rewinds = False
                self._pictures = deque(self._loop)
            else:
                await self.read_ahead()
        if not await self._alarm.sleep_until(self._playhead.due):
            raise StopAsyncIteration
        picture = self._pictures.popleft()
        captured_at = self._playhead.show(time.monotonic(), picture.duration)
        return AccessUnit(picture.nal_units, captured_at, picture.is_keyframe)

    async def read_ahead(self) -> None:
        """Have pictures ready; raises what `read_clip` does."""
        await self._worker.run(self._read_ahead)

    def request_keyframe(self) -> None:
        pass

    async def aclose(self) -> None:
        if not self._alarm.is_ended:
            self._alarm.end()
            await self._worker.aclose(self._close_clip)

    def _read_ahead(self) -> None:
        """Runs in the worker thread."""
        if self._rewinds:
            self._rewinds = False
            self._pictures.clear()
            self._close_clip()
            self._kept, self._kept_bytes = [], 0
        size = 0
        while len(self._pictures) < _PICTURES_AHEAD and size < _BYTES_AHEAD:
            if self._clip is None:
                self._clip = read_clip(self._path, self._frame_rate)
            picture = next(self._clip, None)
            if picture is None:
                self._clip = None  # the next pass; each gives a picture or raises
                if self._kept is not None:
                    self._loop = tuple(self._kept)
                    self._pictures.extend(self._loop)
                    return
            else:
                self._pictures.append(picture)
                size += self._keep(picture)

    def _keep(self, picture: ClipPicture) -> int:
        """Keep a picture of the pass that is being read, as far as there is room; the picture's size."""
        size = sum(map(len, picture.nal_units))
        self._kept_bytes += size
        if self._kept is not None:
            self._kept.append(picture)
            if self._kept_bytes > self._largest_kept:
                self._kept = None
        return size

    def _close_clip(self) -> None:
        """Runs in the worker thread."""
        if self._clip is not None:
            self._clip.close()
            self._clip = None


async def open_file(rest: str) -> Source:
    """Open `file:PATH`: raw H.264 (annex B), or any container that FFmpeg reads, with an H.264 track.

    `file:PATH?fps=25` is for raw H.264 whose SPS does not say its frame rate; without it, that is taken to be 30. What
    follows the last question mark is the option; `file:who?.mp4?` has one in the name.

    Raises `InvalidSource` for another option and for `fps` with a container, and `SourceEnded` for a file that cannot
    be played; both name the file and what is allowed.
    """
    path, frame_rate = _parse(rest)
    worker = WorkerThread("file-source")
    source = FileSource(path, frame_rate, worker)
    try:
        await source.read_ahead()
    except BaseException:
        await source.aclose()
        raise
    return source


def _parse(rest: str) -> tuple[Path, float | None]:
    name, mark, option = rest.rpartition("?")
    if not mark:
        name, option = rest, ""
    if not name or "\0" in name:
        raise InvalidSource(f"{f'file:{rest}'!r} names no file: it must be file:PATH or file:PATH?fps=RATE")
    if not option:
        return Path(name), None
    rate = re.fullmatch(r"fps=(\d{1,3}(?:\.\d{1,6})?)", option, re.ASCII)
    if rate is None or not 1 <= float(rate[1]) <= 240:
        raise InvalidSource(f"file:{rest} has the option {option!r}: only fps=RATE is allowed, with RATE from 1 to 240")
    return Path(name), float(rate[1])

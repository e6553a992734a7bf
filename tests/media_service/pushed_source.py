"""A source whose pictures a test pushes. Fits `capture.source.Source`."""

import asyncio
import time
from collections.abc import AsyncIterator
from functools import cache

from capture.controller import Controller
from capture.source import AudioSink, SourceFacts, ignore_audio
from encoders.access_unit import AccessUnit
from encoders.annexb import split_nal_units
from encoders.h264 import NalUnitType, nal_unit_type
from tests.fixtures.media import encode_x264
from tests.rtc.samples import nal_unit


@cache
def parameter_sets(width: int, height: int, *, b_frames: bool = False) -> tuple[bytes, ...]:
    """The SPS and PPS that libx264 writes for such pictures."""
    options = "bframes=2" if b_frames else "bframes=0"
    coded = encode_x264(width, height, 4, profile="high" if b_frames else "baseline", x264=options)
    kinds = (NalUnitType.SPS, NalUnitType.PPS)
    return tuple(each for each in split_nal_units(coded[0]) if nal_unit_type(each) in kinds)


class PushedSource:
    """Gives what is pushed, until it is closed, ended or made to fail."""

    def __init__(self, *, keyframe_on_demand: bool = False, kind: str = "pushed", has_audio: bool = False) -> None:
        self.facts = SourceFacts(
            kind=kind, reason="a test pushes", keyframe_on_demand=keyframe_on_demand, has_audio=has_audio
        )
        self.on_audio: AudioSink = ignore_audio
        self.controller: Controller | None = None
        self.is_closed = False
        self.may_close = asyncio.Event()
        """Cleared, closing takes until it is set."""
        self.may_close.set()
        self.failure_at_close: Exception | None = None
        self.keyframe_requests = 0
        self._queue: asyncio.Queue[AccessUnit | Exception | None] = asyncio.Queue()

    def __aiter__(self) -> AsyncIterator[AccessUnit]:
        return self

    async def __anext__(self) -> AccessUnit:
        item = await self._queue.get()
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item

    def request_keyframe(self) -> None:
        self.keyframe_requests += 1

    async def aclose(self) -> None:
        await self.may_close.wait()
        self.is_closed = True
        self._queue.put_nowait(None)
        if self.failure_at_close is not None:
            raise self.failure_at_close

    def keyframe(self, *, width: int = 64, height: int = 96, b_frames: bool = False) -> AccessUnit:
        """Push a keyframe of such pictures."""
        sets = parameter_sets(width, height, b_frames=b_frames)
        return self._push((*sets, nal_unit(5, 3000)), is_keyframe=True)

    def predicted(self, count: int = 1) -> list[AccessUnit]:
        """Push that many pictures that need the one before them."""
        return [self._push((nal_unit(1, 400),), is_keyframe=False) for _ in range(count)]

    def broken_keyframe(self) -> AccessUnit:
        """Push a keyframe whose SPS ends too early."""
        return self._push((b"\x67\x42", nal_unit(5, 3000)), is_keyframe=True)

    def end(self) -> None:
        """Have no more pictures."""
        self._queue.put_nowait(None)

    def fail(self, error: Exception) -> None:
        """Raise `error` after what was pushed."""
        self._queue.put_nowait(error)

    def _push(self, nal_units: tuple[bytes, ...], *, is_keyframe: bool) -> AccessUnit:
        access_unit = AccessUnit(nal_units, time.monotonic(), is_keyframe)
        self._queue.put_nowait(access_unit)
        return access_unit

"""The access units that a source has and its reader has not taken yet."""

import asyncio
from collections import deque

from encoders.access_unit import AccessUnit


class AccessUnitQueue:
    """A bounded queue between a source that cannot wait and one reader that may be slow.

    When it is full, what comes is dropped up to the next keyframe, for which everything older makes room: a picture
    is of no use without those that it builds on.
    """

    def __init__(self, limit: int) -> None:
        self.dropped = 0
        """Access units that were dropped because the reader was slow or away."""
        self.awaits_keyframe = False
        """Whether pictures are being dropped: a keyframe would help."""
        self._limit = limit
        self._access_units: deque[AccessUnit] = deque()
        self._is_ended = False
        self._reader: asyncio.Future[None] | None = None

    def put(self, access_unit: AccessUnit) -> None:
        """Add `access_unit`, or drop it."""
        if self.awaits_keyframe or len(self._access_units) >= self._limit:
            if not access_unit.is_keyframe:
                self.awaits_keyframe = True
                self.dropped += 1
                return
            self.dropped += len(self._access_units)
            self._access_units.clear()
            self.awaits_keyframe = False
        self._access_units.append(access_unit)
        self._wake()

    def end(self) -> None:
        """No more will come; what waits can still be taken."""
        self._is_ended = True
        self._wake()

    def skip_to_keyframe(self) -> None:
        """Have a reader begin with a keyframe: drop what waits before the first one, or comes before the next one."""
        while self._access_units and not self._access_units[0].is_keyframe:
            self._access_units.popleft()
            self.dropped += 1
        self.awaits_keyframe = not self._access_units

    def clear(self) -> None:
        """Forget what waits."""
        self._access_units.clear()

    async def get(self) -> AccessUnit | None:
        """The next access unit; None at the end. For one reader at a time."""
        while not self._access_units:
            if self._is_ended:
                return None
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._access_units.popleft()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

"""A viewer's way from the last keyframe to live: the cached pictures in fast forward."""

from media_service.rtc.picture import CLOCK_RATE, GopCache, Picture
from media_service.rtc.viewer import Viewer

_FIRST_STEP = CLOCK_RATE // 1000
# What fits between two pictures at 30 per second: a live viewer's replay must end before the next timestamp.
_GAP = 2900


class Replay:
    """The pictures that `viewer` still has to get, and the timestamps they get.

    They begin with the keyframe, or where the viewer was left when it has all that was sent before.

    Timestamps are squeezed so that the decoder shows the pictures as fast as it can and is at the live ones'
    timestamps when it reaches them. A keyframe that comes meanwhile shortens the way.
    """

    def __init__(self, viewer: Viewer, cache: GopCache, *, is_only_help: bool = False) -> None:
        """The cache must hold a group of pictures."""
        self.viewer = viewer
        self.is_only_help = is_only_help
        """Whether there is no keyframe to be had instead, however long it takes."""
        self._cache = cache
        self._restart()

    def next_picture(self) -> tuple[Picture, int] | None:
        """The next picture and its unwrapped timestamp; None when the viewer has caught up."""
        if self._pictures is not self._cache.pictures:
            if not self._cache.pictures:
                return None
            self._restart()
        if self._cursor >= len(self._pictures):
            return None
        picture = self._pictures[self._cursor]
        index = self._cursor
        self._cursor += 1
        self._octets_before += picture.octets
        if index < self._squeezed:
            return picture, self._first_timestamp + (index - self._begin) * self._step
        last = self.viewer.last_timestamp
        return picture, picture.timestamp if last is None else max(picture.timestamp, last + 1)

    @property
    def octets_left(self) -> int:
        """What the pictures to come have of coded video."""
        if self._pictures is not self._cache.pictures:
            return self._cache.octets
        return max(0, self._cache.octets - self._octets_before)

    @property
    def is_broken(self) -> bool:
        """Whether the group became too long to keep before the viewer had caught up."""
        return not self._cache.pictures

    def _restart(self) -> None:
        self._pictures = self._cache.pictures
        self._squeezed = len(self._pictures)
        self._begin = self._cursor = self._first_missing()
        self._octets_before = sum(picture.octets for picture in self._pictures[: self._begin])
        count = max(1, self._squeezed - self._begin)
        newest, last = self._pictures[-1].timestamp, self.viewer.last_timestamp
        if last is None:
            self._step = _FIRST_STEP
            self._first_timestamp = newest - self._step * (count - 1)
        else:
            self._step = max(1, min(_FIRST_STEP, _GAP // count))
            self._first_timestamp = last + self._step

    def _first_missing(self) -> int:
        """Where in the group to begin."""
        following = self.viewer.picture_number + 1 - self._pictures[0].number
        return following if not self.viewer.has_gap and 0 <= following <= len(self._pictures) else 0

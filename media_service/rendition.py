"""One coding of a stream's pictures, and the viewers who get it: the stream as it is captured, or one of its rungs."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from encoders.access_unit import AccessUnit
from encoders.h264 import NalUnitType, SequenceParameterSet, nal_unit_type, parse_sps
from media_service.bit_rate_meter import BitRateMeter
from media_service.rtc.egress import Egress
from media_service.rtc.picture import GopCache, Picture
from media_service.rtc.replay import Replay
from media_service.rtc.viewer import Following, Viewer

_KEYFRAME_REQUEST_INTERVAL: Final = 0.5
_SHORT_GROUP, _SHORT_FOR_A_JOIN = 30, 330
"""Pictures that are replayed even where a keyframe is to be had for the asking.

Who joins sees a picture sooner by a replay, and everybody else is spared the keyframe, for which the phone starts its
encoder anew: ten seconds and a little of pictures, which is what phones leave between keyframes.
"""
_LONGEST_REPLAY: Final = 1.0
"""Seconds that a replay may take; over a slow path a keyframe is there sooner."""
_LATE: Final = 0.25
"""Seconds by which live pictures may be late for replays to begin nevertheless."""
_REMINDER: Final = 1.0
"""Seconds after which a keyframe that did not come is asked for again."""
_IMMEDIATE_REASONS: Final = frozenset({"pli", "fir", "request"})
_REMEMBERED_CAUSES: Final = 8
CONGESTED: Final = "congested"
"""Why a viewer needs a keyframe whose path is fuller than it can bear: pictures were dropped for it."""


class Rendition:
    """Pictures of one coding, numbered on their own, and who is sent them."""

    def __init__(
        self, level: str, egress: Egress, ask_for_keyframe: Callable[[], None], moved: Callable[[Viewer], None]
    ) -> None:
        """`ask_for_keyframe` is called no more than twice a second; `moved` when an expected viewer has come over."""
        self.level = level
        self.keyframe_on_demand = False
        """Whether a keyframe comes soon when it is asked for."""
        self.sps: SequenceParameterSet | None = None
        self.pictures = 0
        self.meter = BitRateMeter()
        self.keyframe_causes: deque[tuple[float, str]] = deque(maxlen=_REMEMBERED_CAUSES)
        """When keyframes were asked for last, in monotonic seconds, and why."""
        self._viewers: dict[Viewer, asyncio.TimerHandle | None] = {}
        self._expected: dict[Viewer, Rendition] = {}
        self._egress = egress
        self._ask_for_keyframe = ask_for_keyframe
        self._moved = moved
        self._cache = GopCache()
        self._sps_nal_unit = b""
        self._requested_at = float("-inf")
        self._is_answered = True
        """Whether a keyframe has come since one was asked for."""

    @property
    def viewers(self) -> Mapping[Viewer, asyncio.TimerHandle | None]:
        """Who is sent its pictures, and the next look at whether they go on."""
        return self._viewers

    @property
    def is_needed(self) -> bool:
        """Whether somebody gets its pictures, or waits for them."""
        return bool(self._viewers or self._expected)

    @property
    def group(self) -> list[Picture]:
        """The pictures since the last keyframe; empty when they are too many to keep."""
        return self._cache.pictures

    def push(self, access_unit: AccessUnit) -> Picture:
        """Send the next picture to everybody who follows."""
        if access_unit.is_keyframe:
            self._read_parameters(access_unit)
            self._is_answered = True
        self.pictures += 1
        now = time.monotonic()
        picture = Picture(access_unit, self.pictures, now)
        self.meter.add(picture.octets, now)
        self._cache.add(picture)
        if picture.is_keyframe and self._expected:
            self._welcome()
        if self._viewers:
            self._egress.submit(picture, self._viewers)
        return picture

    def add(self, viewer: Viewer) -> None:
        """Begin to send to `viewer`: the cached pictures first, or a keyframe."""
        self._viewers[viewer] = None
        self._bring_in(viewer, "join")

    def expect(self, viewer: Viewer, former: "Rendition") -> None:
        """Take `viewer` over from `former` with the next keyframe; until then it goes on there."""
        self._expected[viewer] = former
        self.request_keyframe("quality")

    def remove(self, viewer: Viewer) -> None:
        """Neither send to `viewer` nor expect it any more."""
        self._expected.pop(viewer, None)
        pending = self._viewers.pop(viewer, None)
        if pending is not None:
            pending.cancel()
        self._egress.forget(viewer)

    def dismiss(self, viewer: Viewer) -> None:
        """Do not expect `viewer` any more."""
        self._expected.pop(viewer, None)

    def resume(self, viewer: Viewer) -> None:
        """Go on with `viewer`, which was to leave and stays: what it may have needed meanwhile it was not given."""
        if viewer.following is Following.WAITING:
            self._bring_in(viewer, "gap")

    def look(self, now: float) -> None:
        """Ask for a keyframe again that viewers are expected with: the last one came too early for them, or never."""
        patience = _KEYFRAME_REQUEST_INTERVAL if self._is_answered else _REMINDER
        if self._expected and now - self._requested_at >= patience:
            self.request_keyframe("quality")

    def lagging(self, viewer: Viewer, reason: str) -> None:
        """A viewer cannot go on without a keyframe or a replay."""
        if reason == CONGESTED:
            self.request_keyframe(CONGESTED)
            if not self.keyframe_on_demand and self._viewers.get(viewer) is None:
                # It may be long in coming: what there is has to do.
                self._look_again(viewer, viewer.patience.take(time.monotonic()))
        elif reason in _IMMEDIATE_REASONS:
            self._bring_in(viewer, reason)
        else:
            # A path that could not take a picture is left alone for a while; where we were late, it can take more.
            delay = viewer.patience.take(time.monotonic()) if viewer.has_gap else _LATE
            self._look_again(viewer, delay)

    def takes_long(self, viewer: Viewer) -> bool:
        """Whether the pictures since the last keyframe are more than `viewer`'s path carries in a moment."""
        return viewer.seconds_for(self._cache.octets) > _LONGEST_REPLAY

    def request_keyframe(self, cause: str) -> None:
        """Ask for a keyframe, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._requested_at >= _KEYFRAME_REQUEST_INTERVAL:
            self._requested_at, self._is_answered = now, False
            self.keyframe_causes.append((now, cause))
            self._ask_for_keyframe()

    def clear(self) -> None:
        """Forget the pictures: what comes next does not follow them."""
        self._cache.clear()

    def _welcome(self) -> None:
        for viewer, former in self._expected.items():
            former.remove(viewer)
            viewer.change_coding()
            self._viewers[viewer] = None
            self._moved(viewer)
        self._expected.clear()

    def _read_parameters(self, keyframe: AccessUnit) -> None:
        nal_unit = next((each for each in keyframe.nal_units if nal_unit_type(each) is NalUnitType.SPS), b"")
        if nal_unit and nal_unit != self._sps_nal_unit:
            self.sps = parse_sps(nal_unit)
            self._sps_nal_unit = nal_unit

    def _look_again(self, viewer: Viewer, delay: float) -> None:
        if viewer not in self._viewers:
            return
        pending = self._viewers[viewer]
        if pending is not None:
            pending.cancel()
        self._viewers[viewer] = asyncio.get_running_loop().call_later(delay, self._catch_up, viewer)

    def _catch_up(self, viewer: Viewer) -> None:
        self._viewers[viewer] = None
        # A keyframe may have helped it meanwhile.
        if viewer.following is not Following.WAITING:
            return
        if self._egress.lateness > _LATE:
            # A replay now would make all others later still.
            self.lagging(viewer, "late")
        else:
            self._bring_in(viewer, "gap", is_overdue=True)

    def _bring_in(self, viewer: Viewer, cause: str, *, is_overdue: bool = False) -> None:
        if viewer not in self._viewers:
            return
        if self._may_replay(viewer, is_overdue=is_overdue):
            self._egress.replay(Replay(viewer, self._cache, is_only_help=not self.keyframe_on_demand))
        else:
            self.request_keyframe(cause)
            self._look_again(viewer, _REMINDER)

    def _may_replay(self, viewer: Viewer, *, is_overdue: bool) -> bool:
        count = len(self._cache.pictures)
        if not count:
            return False
        if not viewer.has_gap:
            return True  # It goes on where it was.
        if self.keyframe_on_demand:
            short = _SHORT_FOR_A_JOIN if viewer.last_timestamp is None else _SHORT_GROUP
            return count <= short and not self.takes_long(viewer)
        # A keyframe that nobody can be asked for may be long in coming.
        return is_overdue or not self.takes_long(viewer)

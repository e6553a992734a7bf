"""Whose turn it is: pictures go to every viewer of their stream, a slice of a few milliseconds at a time.

Fan-out to one viewer costs some 50 microseconds and never waits, so hundreds of viewers would hold the event loop for
tens of milliseconds; between slices it serves datagrams and requests. Live pictures come first, replays for viewers
who join share what is left. One timer serves the viewers for whom something waits until their path takes it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator

from media_service.rtc.header_extensions import PacketShape, absolute_send_time
from media_service.rtc.picture import Picture
from media_service.rtc.replay import Replay
from media_service.rtc.srtp import PacketBuffer
from media_service.rtc.template import Template, templates
from media_service.rtc.viewer import Following, Viewer

# Looking a member up in an Enum costs a tenth of a microsecond, a hundred viewers' times thirty pictures.
_WAITING, _REPLAYING, _LIVE = Following.WAITING, Following.REPLAYING, Following.LIVE

_SLICE = 0.003
_LARGEST_AGE = 2.0
"""Seconds a picture may wait. An older one is not sent and its viewers have to be brought in again, which costs more
than sending what is late: this is for a machine that is too slow, not for one that stood still for a moment."""
_REPLAY_PACKETS_PER_TURN = 30
_REPLAY_INTERVAL = 0.002
_REPLAY_BACKLOG = 64 << 10
_REPLAY_AHEAD = 0.04
"""Seconds by the viewer's estimate that a replay may be ahead of its path."""
_LONGEST_REPLAY = 2.0
"""Seconds that the rest of a replay may take. A path that turned out too slow for it is better given a keyframe."""
_SOON = 0.005
_EARLY = 0.001
"""Seconds by which a timer may fire too soon."""
_SHARED_TEMPLATES = 2048


class _FanOut:
    """One picture on its way to the viewers that its stream had when its turn came."""

    __slots__ = ("_batches", "picture", "send_time", "turns", "viewers")

    def __init__(self, picture: Picture, viewers: Collection[Viewer]) -> None:
        self.picture = picture
        self.viewers = viewers
        self.turns: Iterator[Viewer] = iter(())
        self.send_time = b""
        self._batches: dict[PacketShape, tuple[Template, ...]] = {}

    def batches(self, shape: PacketShape, buffer: PacketBuffer) -> tuple[Template, ...]:
        found = self._batches.get(shape)
        if found is None:
            found = templates(self.picture.payloads, shape, buffer, self.send_time)
            self._batches[shape] = found
        return found


class Egress:
    """Sends the pictures of all streams, one slice at a time."""

    def __init__(self, observe_latency: Callable[[float], None]) -> None:
        """`observe_latency` gets the seconds from a picture's being ready to its last packet's being sent."""
        self.buffer = PacketBuffer()
        self.pictures_dropped = 0
        """Pictures that waited too long."""
        self._observe_latency = observe_latency
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_FanOut] = deque()
        self._replays: deque[Replay] = deque()
        self._shared: dict[tuple[Picture, PacketShape], tuple[Template, ...]] = {}
        self._wake_up: asyncio.Handle | None = None
        self._attended: dict[Viewer, float] = {}
        """When whom is to be served."""
        self._serving: asyncio.TimerHandle | None = None
        self._served_at = float("inf")

    @property
    def lateness(self) -> float:
        """Seconds for which the oldest picture has been waiting for its turn or for the end of it."""
        return time.monotonic() - self._waiting[0].picture.ready_at if self._waiting else 0.0

    @property
    def waiting(self) -> int:
        """Pictures whose turn has not come or is not over."""
        return len(self._waiting)

    def submit(self, picture: Picture, viewers: Collection[Viewer]) -> None:
        """Send `picture` to those of `viewers` that follow, as they are when their turn comes."""
        self._waiting.append(_FanOut(picture, viewers))
        if self._wake_up is None:
            self._wake_up = self._loop.call_soon(self._run)

    def replay(self, replay: Replay) -> None:
        """Bring a viewer to live by the pictures it missed."""
        self.forget(replay.viewer)
        replay.viewer.following = Following.REPLAYING
        self._replays.append(replay)
        if self._wake_up is None:
            self._wake_up = self._loop.call_soon(self._run)

    def forget(self, viewer: Viewer) -> None:
        """Drop the replays of a viewer who left its stream, or gets another coding of it."""
        self._replays = deque(replay for replay in self._replays if replay.viewer is not viewer)

    def attend(self, viewer: Viewer) -> None:
        """Serve a viewer in a few milliseconds, and for as long as it says."""
        at = _next(_SOON, time.monotonic())
        if at < self._attended.get(viewer, float("inf")):
            self._attended[viewer] = at
            self._serve_at(at)

    def close(self) -> None:
        """Send nothing more."""
        if self._wake_up is not None:
            self._wake_up.cancel()
        if self._serving is not None:
            self._serving.cancel()
        self._attended.clear()
        self._waiting.clear()
        self._replays.clear()

    def _run(self) -> None:
        self._wake_up = None
        deadline = time.monotonic() + _SLICE
        while self._waiting:
            job = self._waiting.popleft()
            if not self._fan_out(job, deadline):
                self._waiting.appendleft(job)
                self._wake_up = self._loop.call_soon(self._run)
                return
        if self._replays:
            self._run_replays(deadline)
        if self._replays and self._wake_up is None:
            self._wake_up = self._loop.call_later(_REPLAY_INTERVAL, self._run)
        elif not self._replays:
            self._shared.clear()

    def _fan_out(self, job: _FanOut, deadline: float) -> bool:
        """Send to as many viewers as the slice allows; whether all have been served."""
        picture = job.picture
        now = time.monotonic()
        if not job.send_time:
            if now - picture.ready_at > _LARGEST_AGE:
                self._drop(job)
                return True
            job.send_time = absolute_send_time(now)
            job.turns = iter(tuple(job.viewers))
        number, is_keyframe, timestamp = picture.number, picture.is_keyframe, picture.timestamp
        viewers, send_time, clock = job.viewers, job.send_time, time.monotonic
        for viewer in job.turns:
            following = viewer.following
            # A replay may have brought the picture already, and since the last slice viewers may have left.
            if following is _REPLAYING or viewer.picture_number >= number or viewer not in viewers:
                continue
            if is_keyframe:
                viewer.following = _LIVE
            elif following is _WAITING:
                continue
            elif viewer.picture_number != number - 1:
                # It cannot be decoded without the ones in between.
                viewer.fell_behind("picture_missed")
                continue
            last = viewer.last_timestamp
            at = timestamp if last is None or timestamp > last else last + 1
            viewer.send(picture, job.batches(viewer.shape, self.buffer), at, send_time, now)
            now = clock()
            if now > deadline:
                return False
        self._observe_latency(now - picture.ready_at)
        return True

    def _drop(self, job: _FanOut) -> None:
        """Leave out a picture that waited too long, and have those who needed it brought in again."""
        self.pictures_dropped += 1
        for viewer in tuple(job.viewers):
            following = viewer.following
            if following is Following.LIVE or (following is Following.WAITING and job.picture.is_keyframe):
                viewer.fell_behind("picture_too_late")

    def _serve_at(self, at: float) -> None:
        if at < self._served_at:
            if self._serving is not None:
                self._serving.cancel()
            self._served_at = at
            self._serving = self._loop.call_later(max(0.0, at - time.monotonic()), self._serve)

    def _serve(self) -> None:
        """Serve everybody whose time has come, as far as the slice allows."""
        self._serving, self._served_at = None, float("inf")
        now = time.monotonic()
        deadline = now + _SLICE
        attended = self._attended
        for viewer, at in tuple(attended.items()):
            if at > now + _EARLY:
                continue
            # It goes to the end, so that those who were not reached come first the next time.
            del attended[viewer]
            delay = viewer.serve(time.monotonic())
            if delay < float("inf"):
                attended[viewer] = _next(delay, now + _EARLY)
            if time.monotonic() > deadline:
                break
        if attended:
            self._serve_at(min(attended.values()))

    def _run_replays(self, deadline: float) -> None:
        """A turn for every replay, round robin, as far as the slice allows."""
        for _ in range(len(self._replays)):
            replay = self._replays.popleft()
            if self._replay_turn(replay):
                self._replays.append(replay)
            if time.monotonic() > deadline:
                return

    def _replay_turn(self, replay: Replay) -> bool:
        """Send a few pictures; whether there is more to do."""
        viewer = replay.viewer
        now = time.monotonic()
        send_time = absolute_send_time(now)
        budget = _REPLAY_PACKETS_PER_TURN
        while budget > 0:
            if viewer.waiting_seconds > _REPLAY_AHEAD or viewer.path.backlog > _REPLAY_BACKLOG:
                if replay.is_only_help or viewer.seconds_for(replay.octets_left) <= _LONGEST_REPLAY:
                    return True
                viewer.give_up(now)
                return False
            following = replay.next_picture()
            if following is None:
                if replay.is_broken:
                    viewer.fell_behind("replay_too_long")
                else:
                    viewer.following = Following.LIVE
                return False
            picture, timestamp = following
            key = (picture, viewer.shape)
            batches = self._shared.get(key)
            if batches is None:
                if len(self._shared) >= _SHARED_TEMPLATES:
                    self._shared.clear()
                batches = self._shared[key] = templates(picture.payloads, viewer.shape, self.buffer, send_time)
            viewer.send(picture, batches, timestamp, send_time, now)
            viewer.counters.pictures_replayed += 1
            if viewer.following is not Following.REPLAYING:
                return False
            budget -= len(picture.payloads)
        return True


def _next(period: float, now: float) -> float:
    """The next moment that all who are served at this period have in common: one wake-up does for all of them."""
    return (now // period + 1) * period

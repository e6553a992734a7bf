"""All codings of one stream, and which of its viewers gets which."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import structlog

from capture.playability import Playability
from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.h264 import SequenceParameterSet
from media_service.rendition import CONGESTED, Rendition
from media_service.rtc.egress import Egress
from media_service.rtc.picture import Picture
from media_service.rtc.viewer import Viewer
from media_service.rung_encoder import RungEncoder, Transcoding
from media_service.rungs import AUTO, SOURCE, QualityControl, Rung, Supply, Wish, bit_rate_of, rungs_of
from media_service.transcoding import Transcoder
from signaling.errors import Conflict
from signaling.h264_match import why_not_as_it_is

_GRACE: Final = 2.0
"""Seconds that a rung is coded without a viewer: the next one may want it in a moment."""
_REFUSED_FOR: Final = 10.0
"""Seconds for which a rung that could not be coded is not tried again."""
_LEAST_CHANGE: Final = 0.1
"""The share by which a rung's bit rate has to change to be worth telling the encoder: some begin a new video then."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Quality:
    """What a viewer gets of its stream."""

    level: str
    """`source`, or the rung's."""
    reason: str
    """Why not the stream as it is; or that it was asked for."""
    levels: tuple[str, ...]
    """What it may choose."""
    sps: SequenceParameterSet | None
    """Of the video that it gets."""
    bit_rate: int
    """Bits per second of that video: what it is coded with, or of the stream as it is what it took of late."""


@dataclass(slots=True)
class _Watching:
    """One viewer's part."""

    rendition: Rendition
    """Whose pictures it gets."""
    target: Rendition
    """Whose it will get from the next keyframe on; the same when it is there."""
    quality: QualityControl
    playable: Sequence[str]
    """The profile-level-ids that its browser takes."""
    unplayable: str
    """Why this viewer cannot be shown the stream as it is, though others may."""
    changed: Callable[[], None]
    """Told when it gets another coding."""


@dataclass(slots=True)
class _RunningRung:
    rung: Rung
    rendition: Rendition
    encoder: RungEncoder
    needed_at: float


class Renditions:
    """The stream as it is captured, its rungs while somebody needs them, and everybody who watches."""

    def __init__(
        self,
        name: str,
        egress: Egress,
        ask_for_keyframe: Callable[[], None],
        transcoding: Transcoding | None,
        always_encoded: str = "",
    ) -> None:
        """Without `transcoding` there is only one coding. `always_encoded` says why nobody gets the stream as it is."""
        self.source = Rendition(SOURCE, egress, ask_for_keyframe, self._arrived)
        self.unplayable = always_encoded
        """Why browsers cannot show the stream as it is; empty when they can."""
        self._name = name
        self._egress = egress
        self._always_encoded = always_encoded
        self._playability = Playability()
        self._transcoder = (
            Transcoder(name, transcoding, partial(self.source.request_keyframe, "encoder"))
            if transcoding is not None
            else None
        )
        self._rungs: dict[str, _RunningRung] = {}
        self._refused: dict[str, float] = {}
        self._watching: dict[Viewer, _Watching] = {}

    @property
    def viewers(self) -> dict[Viewer, _Watching]:
        """Everybody who watches, in whatever coding."""
        return self._watching

    @property
    def can_encode(self) -> bool:
        return self._transcoder is not None

    @property
    def running(self) -> Sequence[tuple[str, RungEncoder, int]]:
        """The rungs that are coded now: level, encoder, viewers."""
        return [(level, each.encoder, len(each.rendition.viewers)) for level, each in self._rungs.items()]

    @property
    def coding_drops(self) -> Counter[str]:
        """What rungs lacked though the pool did its part, by reason; it never falls."""
        return self._transcoder.drops if self._transcoder is not None else Counter()

    def push(self, access_unit: AccessUnit) -> Picture:
        """Take the stream's next picture."""
        complaint = self._playability.complaint(access_unit)
        former = self.source.sps
        if self._transcoder is not None:
            self._transcoder.push(access_unit)
        picture = self.source.push(access_unit)
        # Once it is known, every further B-frame says the same.
        if (complaint and not self.unplayable) or self.source.sps is not former:
            self._judge(complaint)
        return picture

    def add(self, viewer: Viewer, playable: Sequence[str], changed: Callable[[], None] = lambda: None) -> None:
        """Begin to send to `viewer`, whose browser takes these profile-level-ids.

        `changed` is called when it gets another coding.
        """
        quality = QualityControl()
        watching = _Watching(self.source, self.source, quality, playable, self._why_not(playable), changed)
        supply = self._supply_for(watching, self._supply(time.monotonic()))
        level = quality.begin(viewer.estimator.bit_rate, supply).level
        if level == SOURCE and self._would_wait(viewer) and supply.rungs:
            reason = "its path takes too long for the pictures since the last keyframe"
            quality.begin_lower(viewer.estimator.bit_rate, supply, reason)
        budget = quality.budget(viewer.estimator.bit_rate)
        rendition = self._rendition(quality.level, budget)
        watching.rendition = watching.target = rendition
        self._watching[viewer] = watching
        viewer.wanted_bit_rate = quality.wanted_bit_rate(supply)
        rendition.add(viewer)

    def remove(self, viewer: Viewer) -> None:
        """Stop sending to `viewer`."""
        watching = self._watching.pop(viewer, None)
        if watching is not None:
            watching.target.dismiss(viewer)
            watching.rendition.remove(viewer)

    def lagging(self, viewer: Viewer, reason: str) -> None:
        """A viewer cannot go on without a keyframe or a replay."""
        watching = self._watching.get(viewer)
        if watching is None:
            return
        now = time.monotonic()
        if reason == CONGESTED:
            supply = self._supply_for(watching, self._supply(now))
            watching.quality.look(viewer.estimator.bit_rate, supply, now, is_urgent=True)
            self._follow(viewer, watching)
        target = watching.target
        if target is not watching.rendition:
            target.request_keyframe(reason)
        if target is watching.rendition or reason != CONGESTED or not target.keyframe_on_demand:
            # Until it changes, which may take long, it goes on where it is.
            watching.rendition.lagging(viewer, reason)

    def choose(self, viewer: Viewer, wish: Wish) -> None:
        """Pin a viewer to a level or let it go; raises `Conflict` for a level that cannot be had."""
        watching = self._watching.get(viewer)
        if watching is None:
            return
        now = time.monotonic()
        supply = self._supply_for(watching, self._supply(now))
        known = (AUTO, *_levels(supply))
        if wish.level not in known:
            raise Conflict(
                f"{wish.level} cannot be had of {self._name!r} now: only {', '.join(known)}", code="quality_unavailable"
            )
        watching.quality.wish = wish
        watching.quality.look(viewer.estimator.bit_rate, supply, now)
        if not self._follow(viewer, watching):
            watching.changed()

    def look(self, now: float) -> None:
        """Have everybody get what its path carries, and every rung coded for those who get it."""
        supply = self._supply(now)
        for viewer, watching in self._watching.items():
            own = self._supply_for(watching, supply)
            quality = watching.quality
            quality.look(viewer.estimator.bit_rate, own, now)
            viewer.wanted_bit_rate = quality.wanted_bit_rate(own)
            self._follow(viewer, watching)
        self.source.look(now)
        if self._transcoder is not None:
            self._transcoder.look(now)
        for each in tuple(self._rungs.values()):
            each.rendition.look(now)
            each.encoder.look(now)
            self._look_after(each, now)

    def quality(self, viewer: Viewer | None) -> Quality:
        """What `viewer` gets now; what one gets that there is nothing to say about, for None."""
        watching = self._watching.get(viewer) if viewer is not None else None
        if watching is None:
            return Quality(SOURCE, "", (SOURCE,), self.source.sps, 0)
        rendition = watching.rendition
        running = self._rungs.get(rendition.level)
        supply = self._supply(time.monotonic())
        bit_rate = running.encoder.bit_rate if running is not None else supply.source_rate
        levels = _levels(self._supply_for(watching, supply))
        sps = rendition.sps or self.source.sps
        return Quality(rendition.level, watching.quality.choice.reason, levels, sps, bit_rate)

    def keyframe_causes(self, viewer: Viewer) -> Sequence[tuple[float, str]]:
        """When keyframes of what `viewer` gets were asked for last, in monotonic seconds, and why."""
        watching = self._watching.get(viewer)
        return tuple(watching.rendition.keyframe_causes) if watching is not None else ()

    def why_unplayable(self, viewer: Viewer) -> str:
        """Why `viewer`'s browser cannot show the stream as it is captured; empty when it can."""
        watching = self._watching.get(viewer)
        return (watching.unplayable if watching is not None else "") or self.unplayable

    def close(self) -> None:
        """End all rungs, and forget the pictures."""
        for each in tuple(self._rungs.values()):
            self._stop(each)
        self.source.clear()

    def _judge(self, complaint: str) -> None:
        """Note whether browsers can show the stream as it is from now on, and act on it."""
        was_unplayable = self.unplayable
        self.unplayable = self._always_encoded or complaint
        for watching in self._watching.values():
            watching.unplayable = self._why_not(watching.playable)
        if self.can_encode:
            if self.unplayable and self.unplayable != was_unplayable:
                log.info("stream is encoded again", stream=self._name, reason=self.unplayable)
            self.look(time.monotonic())

    def _why_not(self, playable: Sequence[str]) -> str:
        return why_not_as_it_is(playable, self.source.sps) if self.source.sps is not None else ""

    def _supply(self, now: float) -> Supply:
        sps = self.source.sps
        rungs: tuple[Rung, ...] = ()
        if self._transcoder is not None and sps is not None:
            rungs = rungs_of(sps.width, sps.height)
            if self._refused:
                rungs = tuple(rung for rung in rungs if self._refused.get(rung.level, now) <= now)
        return Supply(rungs, self.source.meter.busiest(now), self.unplayable)

    @staticmethod
    def _supply_for(watching: _Watching, supply: Supply) -> Supply:
        """What of `supply` is there for one viewer."""
        return replace(supply, unplayable=watching.unplayable) if watching.unplayable else supply

    def _would_wait(self, viewer: Viewer) -> bool:
        return self.source.takes_long(viewer) and not self.source.keyframe_on_demand

    def _follow(self, viewer: Viewer, watching: _Watching) -> bool:
        """Have the viewer go where its choice is; whether that is another way than before."""
        level = watching.quality.level
        if level == watching.target.level:
            return False
        target = self._rendition(level, watching.quality.budget(viewer.estimator.bit_rate))
        log.debug("viewer changes", stream=self._name, level=level, reason=watching.quality.choice.reason)
        self._aim(viewer, watching, target)
        return True

    @staticmethod
    def _aim(viewer: Viewer, watching: _Watching, target: Rendition) -> None:
        """Have the viewer go to `target` with its next keyframe, or stay where it is."""
        watching.target.dismiss(viewer)
        watching.target = target
        if target is watching.rendition:
            target.resume(viewer)
            watching.changed()
        else:
            target.expect(viewer, watching.rendition)

    def _rendition(self, level: str, budget: int) -> Rendition:
        """The rendition of that level, begun if need be."""
        running = self._rungs.get(level)
        if running is not None:
            return running.rendition
        rung = next((each for each in self._supply(time.monotonic()).rungs if each.level == level), None)
        if rung is None or self._transcoder is None:
            return self.source
        rendition = Rendition(level, self._egress, lambda: encoder.request_keyframe(), self._arrived)
        rendition.keyframe_on_demand = True

        def deliver(access_unit: AccessUnit) -> None:
            former = rendition.sps
            rendition.push(access_unit)
            if former is not None and rendition.sps is not former:
                for viewer in tuple(rendition.viewers):
                    self._watching[viewer].changed()

        try:
            encoder = self._transcoder.start(
                rung, bit_rate_of(rung, (budget,)), self._history, deliver, lambda reason: self._broke(level, reason)
            )
        except EncoderError as error:
            self._refuse(level, str(error))
            return self.source
        self._rungs[level] = _RunningRung(rung, rendition, encoder, time.monotonic())
        return rendition

    def _history(self) -> Sequence[AccessUnit]:
        return [picture.access_unit() for picture in self.source.group]

    def _arrived(self, viewer: Viewer) -> None:
        watching = self._watching.get(viewer)
        if watching is not None:
            watching.rendition = watching.target
            watching.changed()

    def _look_after(self, running: _RunningRung, now: float) -> None:
        if running.rendition.is_needed:
            running.needed_at = now
        elif now - running.needed_at > _GRACE:
            self._stop(running)
            return
        members = [viewer for viewer, each in self._watching.items() if each.target is running.rendition]
        if members:
            bit_rate = bit_rate_of(
                running.rung, (self._watching[each].quality.budget(each.estimator.bit_rate) for each in members)
            )
            if abs(bit_rate - running.encoder.bit_rate) > _LEAST_CHANGE * running.encoder.bit_rate:
                running.encoder.bit_rate = bit_rate

    def _stop(self, running: _RunningRung) -> None:
        self._rungs.pop(running.rung.level, None)
        if self._transcoder is not None:
            self._transcoder.stop(running.encoder)
        running.rendition.clear()

    def _refuse(self, level: str, reason: str) -> None:
        log.warning("rung cannot be coded", stream=self._name, rung=level, reason=reason)
        self._refused[level] = time.monotonic() + _REFUSED_FOR

    def _broke(self, level: str, reason: str) -> None:
        """A rung cannot be coded: those who got it are given another one, or the stream as it is."""
        running = self._rungs.get(level)
        if running is None:
            return
        self._refuse(level, reason)
        self._stop(running)
        now = time.monotonic()
        for viewer, watching in tuple(self._watching.items()):
            if running.rendition not in (watching.rendition, watching.target):
                continue
            supply = self._supply_for(watching, self._supply(now))
            watching.quality.look(viewer.estimator.bit_rate, supply, now, is_urgent=True)
            budget = watching.quality.budget(viewer.estimator.bit_rate)
            target = self._rendition(watching.quality.level, budget)
            if watching.rendition is running.rendition:
                watching.target.dismiss(viewer)
                running.rendition.remove(viewer)
                watching.rendition = watching.target = target
                viewer.change_coding()
                target.add(viewer)
                watching.changed()
            else:
                self._aim(viewer, watching, target)


def _levels(supply: Supply) -> tuple[str, ...]:
    """What a viewer who is offered this may choose."""
    own = () if supply.unplayable and supply.rungs else (SOURCE,)
    return (*own, *(rung.level for rung in supply.rungs))

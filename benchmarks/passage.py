"""What came through a bad link, as one viewer saw it. Pure; seconds since the epoch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from benchmarks.measurement import quantile
from benchmarks.sightings import ShownPicture, Sightings

PROMPT: Final = 0.3
"""Seconds: who touches a picture that is older notices."""
_HOLDS: Final = 2.0
"""Seconds for which something must be so to be called so again."""
_NEARLY: Final = 0.8
"""Share of the quality before a change that is called the same after it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How much had come through the link by a moment."""

    at: float
    octets: int


@dataclass(frozen=True, slots=True)
class Full:
    """What came before the network changed."""

    width: int
    """Pixels."""
    frames_per_second: float
    bit_rate: float
    """Bits per second."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What one window showed; seconds."""

    shown: int
    """Pictures."""
    unreadable: int
    """Those among them whose strip could not be read; nobody knows how old they are."""
    delay_p50: float
    """From drawing on the phone to the compositor."""
    delay_p95: float
    longest_freeze: float
    """The longest time without a new picture."""
    width: int
    """Of the last picture, in pixels."""


def passage(seen: Sightings, since: float, until: float) -> Passage:
    """What the pictures that were shown between two moments say."""
    pictures = [picture for picture in seen.pictures if since <= picture.shown_at < until]
    unreadable = [at for at in seen.unreadable if since <= at < until]
    delays = sorted(picture.shown_at - picture.drawn_at for picture in pictures)
    return Passage(
        shown=len(pictures) + len(unreadable),
        unreadable=len(unreadable),
        delay_p50=quantile(delays, 0.5),
        delay_p95=quantile(delays, 0.95),
        longest_freeze=longest_freeze(seen, since, until),
        width=pictures[-1].width if pictures else 0,
    )


def longest_freeze(seen: Sightings, since: float, until: float) -> float:
    """The longest part of the given time in which no other picture was shown, read or not."""
    shown = sorted([*(picture.shown_at for picture in seen.pictures), *seen.unreadable])
    moments = [since, *(at for at in shown if since < at < until), until]
    return max(later - earlier for earlier, later in pairwise(moments))


def prompt_again_after(seen: Sightings, since: float, until: float) -> float:
    """From `since` to the end of the last lateness, after which pictures came promptly for a while.

    Late is a picture with a delay above `PROMPT`, and one that nothing was shown so long before. 0 when none was late,
    NaN when lateness came to no end before `until`.
    """
    delays = [(picture.shown_at, picture.shown_at - picture.drawn_at) for picture in seen.pictures]
    shown = sorted(delays + [(at, 0.0) for at in seen.unreadable])
    before = since
    late_until: float | None = None
    for at, delay in [*((at, delay) for at, delay in shown if since <= at < until), (until, 0.0)]:
        is_late = max(delay, at - before) > PROMPT
        if late_until is not None and (before if is_late else at) - late_until >= _HOLDS:
            return late_until - since
        if is_late:
            late_until = at
        before = at
    return 0.0 if late_until is None else math.nan


def back_up_after(
    pictures: Sequence[ShownPicture], flows: Sequence[Flow], full: Full, since: float, until: float
) -> float:
    """From `since` to the first picture with which a while of nearly `full` quality begins.

    NaN when there is none before `until`.
    """
    shown = [picture for picture in pictures if since <= picture.shown_at < until]
    for number, picture in enumerate(shown):
        begin, end = picture.shown_at, picture.shown_at + _HOLDS
        if end > until:
            break
        following = [each for each in shown[number:] if each.shown_at < end]
        if (
            all(each.width >= full.width for each in following)
            and len(following) >= _NEARLY * full.frames_per_second * _HOLDS
            and rate(flows, begin, end) >= _NEARLY * full.bit_rate
        ):
            return begin - since
    return math.nan


def rate(flows: Sequence[Flow], since: float, until: float) -> float:
    """Bits per second that came through between two moments, as near to them as was looked; NaN where nobody looked."""
    between = [flow for flow in flows if since <= flow.at <= until]
    if len(between) < 2 or between[-1].at == between[0].at:
        return math.nan
    return (between[-1].octets - between[0].octets) * 8 / (between[-1].at - between[0].at)

"""Which coding of a stream each viewer gets: its own, or a rung of the ladder below. Pure.

A rung is a re-encode: smaller, at a lower bit rate, made once for all viewers who need it. Its bit rate follows the
poorest of them, between the rung's floor and its ceiling; who has not even the floor goes a rung down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

SOURCE: Final = "source"
"""The level of the stream as it is captured."""
AUTO: Final = "auto"

_USABLE: Final = 0.9
"""How much of an estimate pictures may take; sound, reports and what is sent again need the rest."""
_DOWN_AFTER: Final = 0.4
"""Seconds for which an estimate has to be too low, so that one word alone does not decide."""
_UP_AFTER, _LONGEST_UP_AFTER = 1.5, 60.0
"""Seconds for which an estimate has to be high enough; twice as many after each climb that did not last."""
_LASTS: Final = 5.0
"""Seconds after which a climb counts as one that lasted."""

_MARGIN: Final = 1.15
"""How much more than needed has to be there to climb."""
_ASKED_FOR: Final = "it was asked for"


@dataclass(frozen=True, slots=True)
class Rung:
    """One size that a stream may be coded in."""

    level: str
    """What it is called: `480p`."""
    short_side: int
    """Pixels of the shorter side: phones are upright or lie."""
    floor: int
    ceiling: int
    """Bits per second between which it is coded."""


LADDER: Final = (
    Rung("1080p", 1080, 2_000_000, 4_000_000),
    Rung("720p", 720, 900_000, 2_000_000),
    Rung("480p", 480, 400_000, 800_000),
    Rung("360p", 360, 120_000, 400_000),
)
"""The best first. Ceilings are the deployment guide's for these sizes; it has no 360p."""

LEVELS: Final = (SOURCE, *(rung.level for rung in LADDER))


def rungs_of(width: int, height: int) -> tuple[Rung, ...]:
    """The rungs for a stream of that size, the best first: none is larger than the stream, and there is always one."""
    return tuple(rung for rung in LADDER if rung.short_side <= min(width, height)) or LADDER[-1:]


def size_of(rung: Rung, width: int, height: int) -> tuple[int, int]:
    """Width and height of a rung of a stream of that size: even, in the stream's proportions, never larger."""
    scale = min(1.0, rung.short_side / min(width, height))
    return max(16, round(width * scale / 2) * 2), max(16, round(height * scale / 2) * 2)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asked for."""

    level: str = AUTO
    largest_bit_rate: int | None = None
    """Bits per second that it does not want more than."""


@dataclass(frozen=True, slots=True)
class Supply:
    """What a stream has to give now."""

    rungs: Sequence[Rung]
    """The best first; empty when nothing can be re-encoded."""
    source_rate: int
    """Bits per second of the stream as it is, at its busiest of late."""
    unplayable: str = ""
    """Why the stream cannot be shown as it is; empty when it can."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A viewer's level, and why."""

    level: str
    reason: str


class QualityControl:
    """One viewer's level over time. All times are seconds of one clock."""

    def __init__(self) -> None:
        self.wish = Wish()
        self.choice = Choice(SOURCE, "")
        self._low_since: float | None = None
        self._high_since: float | None = None
        self._up_after = _UP_AFTER
        self._climbed_at = float("-inf")

    @property
    def level(self) -> str:
        return self.choice.level

    def wanted_bit_rate(self, supply: Supply) -> int:
        """The estimate that would do for the best that it may have; bits per second.

        Not only for the next better: a path that has become wide is then found to be so at once.
        """
        pinned = next((rung for rung in supply.rungs if rung.level == self.wish.level), None)
        if pinned is not None:
            needed = pinned.ceiling
        elif supply.unplayable and supply.rungs:
            needed = supply.rungs[0].ceiling
        else:
            needed = supply.source_rate
        return int(min(needed, self.wish.largest_bit_rate or needed) * _MARGIN / _USABLE)

    def begin(self, estimate: int, supply: Supply) -> Choice:
        """The first choice, by what is known of the path at the beginning."""
        self.choice = self._suitable(self.budget(estimate), supply)
        return self._pinned(supply) or self.choice

    def look(self, estimate: int, supply: Supply, now: float, *, is_urgent: bool = False) -> Choice:
        """The choice at `now`, with `estimate` bits per second; `is_urgent` when pictures were already dropped."""
        pinned = self._pinned(supply)
        if pinned is not None:
            return pinned
        if self.choice.reason == _ASKED_FOR:
            self.choice = Choice(self.level, "")
        budget = self.budget(estimate)
        if not supply.rungs or self._has_no(self.level, supply):
            self.choice = self._suitable(budget, supply)
        elif budget < self._least(supply):
            self._high_since = None
            self._low_since = now if self._low_since is None else self._low_since
            if is_urgent or now - self._low_since >= _DOWN_AFTER:
                self._descend(budget, supply, now)
        else:
            self._low_since = None
            self._consider_climb(budget, supply, now)
        return self.choice

    def begin_lower(self, estimate: int, supply: Supply, reason: str) -> None:
        """Have it begin with a rung instead of what was chosen."""
        self.choice = Choice(self._fitting(self.budget(estimate), supply).level, reason)

    def budget(self, estimate: int) -> int:
        """What its pictures may take of an estimate; bits per second."""
        return int(min(estimate * _USABLE, self.wish.largest_bit_rate or estimate))

    def _pinned(self, supply: Supply) -> Choice | None:
        level = self.wish.level
        if level == SOURCE and not supply.unplayable:
            self.choice = Choice(SOURCE, _ASKED_FOR)
        elif any(rung.level == level for rung in supply.rungs):
            self.choice = Choice(level, _ASKED_FOR)
        else:
            return None
        self._low_since = self._high_since = None
        return self.choice

    def _has_no(self, level: str, supply: Supply) -> bool:
        if level == SOURCE:
            return bool(supply.unplayable)
        return all(rung.level != level for rung in supply.rungs)

    def _rung(self, supply: Supply) -> Rung:
        return next((rung for rung in supply.rungs if rung.level == self.level), supply.rungs[-1])

    def _least(self, supply: Supply) -> int:
        """The budget below which the present level is too much."""
        if self.level == SOURCE:
            return supply.source_rate
        rung = self._rung(supply)
        return rung.floor if rung is not supply.rungs[-1] and rung.level == self.level else 0

    def _better(self, supply: Supply) -> tuple[str, int] | None:
        """The next better level, and the budget that it needs; None for the best."""
        rung = self._rung(supply)
        above = [each for each in supply.rungs if each.short_side > rung.short_side]
        if not supply.unplayable and (not above or supply.source_rate <= above[-1].floor):
            return SOURCE, supply.source_rate
        return (above[-1].level, above[-1].floor) if above else None

    def _suitable(self, budget: int, supply: Supply) -> Choice:
        """What there is for that budget, whatever it was before."""
        if not supply.rungs:
            return Choice(SOURCE, supply.unplayable)
        if not supply.unplayable and budget >= supply.source_rate:
            return Choice(SOURCE, "")
        return self._fitting(budget, supply)

    def _fitting(self, budget: int, supply: Supply) -> Choice:
        rung = next((each for each in supply.rungs if each.floor <= budget), supply.rungs[-1])
        if supply.unplayable:
            return Choice(rung.level, supply.unplayable)
        if self.wish.largest_bit_rate is not None and budget >= self.wish.largest_bit_rate:
            return Choice(rung.level, f"at most {_megabits(budget)} were asked for")
        return Choice(
            rung.level, f"its path carries {_megabits(budget)}, the stream is {_megabits(supply.source_rate)}"
        )

    def _descend(self, budget: int, supply: Supply, now: float) -> None:
        lasted = now - self._climbed_at >= _LASTS
        self._up_after = _UP_AFTER if lasted else min(2 * self._up_after, _LONGEST_UP_AFTER)
        self._climbed_at = float("-inf")  # a path that narrows twice has not disproved the climb twice
        self._low_since = None
        self.choice = self._fitting(budget, supply)

    def _consider_climb(self, budget: int, supply: Supply, now: float) -> None:
        better = self._better(supply) if self.level != SOURCE else None
        if better is None or budget < better[1] * _MARGIN:
            self._high_since = None
            return
        self._high_since = now if self._high_since is None else self._high_since
        if now - self._high_since < self._up_after:
            return
        self._high_since, self._climbed_at = None, now
        # Whoever has room for more than the next level need not see each one on the way.
        if not supply.unplayable and budget >= supply.source_rate * _MARGIN:
            self.choice = Choice(SOURCE, "")
        else:
            self.choice = self._fitting(int(budget / _MARGIN), supply)


def bit_rate_of(rung: Rung, budgets: Iterable[int]) -> int:
    """What a rung is coded with when its viewers' budgets are these: the poorest of them counts."""
    return min(max(min(budgets, default=rung.ceiling), rung.floor), rung.ceiling)


def _megabits(bit_rate: int) -> str:
    return f"{bit_rate / 1e6:.1f} Mbit/s"

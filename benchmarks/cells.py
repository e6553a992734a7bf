"""The networks that the service is tried on, as the access of one viewer. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from benchmarks.link import Impairment, queue_bytes

QUEUE: Final = 0.3
"""Seconds that the queue before a slow line holds at the line's rate."""
STEP_QUEUE: Final = 128 * 1024
"""Bytes of the queue where the rate changes, as a router's stays the same: 0.3 s at 3 Mbit/s, 1 s at 1 Mbit/s."""

_LOSSES: Final = (0.0, 0.01, 0.02, 0.05)
_DELAYS: Final = (0.01, 0.05, 0.1)
_RATES: Final = (10_000_000, 3_000_000, 1_000_000)
_BURST: Final = 8.0
_MEGABIT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One network. Loss and delay are the same in both directions, the rate is the one towards the viewer."""

    impairment: Impairment
    slow: Impairment | None = None
    """What it becomes for a while in the middle, where it changes."""

    @property
    def name(self) -> str:
        return _words(self.impairment, self.slow)

    @property
    def up(self) -> Impairment:
        """The direction from the viewer, which carries little."""
        return replace(self.impairment, bit_rate=None)


def _network(delay: float, loss: float = 0.0, bit_rate: int | None = None, burst: float | None = None) -> Cell:
    queue = queue_bytes(bit_rate, QUEUE) if bit_rate is not None else 0
    return Cell(Impairment(delay=delay, loss=loss, burst=burst, bit_rate=bit_rate, queue=queue))


LOSSY: Final = _network(0.05, 0.02)
SLOW: Final = _network(0.05, bit_rate=_MEGABIT)
_FAST_SIDE: Final = Impairment(delay=0.05, bit_rate=3 * _MEGABIT, queue=STEP_QUEUE)
STEP: Final = Cell(_FAST_SIDE, replace(_FAST_SIDE, bit_rate=_MEGABIT))

QUICK: Final[Sequence[Cell]] = (LOSSY, SLOW, STEP)

CHOSEN: Final[Sequence[Cell]] = (
    _network(0.01),
    _network(0.1),
    _network(0.05, 0.01),
    _network(0.01, 0.02),
    LOSSY,
    _network(0.1, 0.02),
    _network(0.05, 0.05),
    _network(0.05, 0.02, burst=_BURST),
    _network(0.05, bit_rate=10 * _MEGABIT),
    _network(0.05, bit_rate=3 * _MEGABIT),
    SLOW,
    _network(0.1, 0.01, _MEGABIT),
    _network(0.05, 0.02, 3 * _MEGABIT),
    STEP,
)
"""What tells most in an hour."""

FULL: Final[Sequence[Cell]] = (
    *(_network(delay, loss) for loss, delay in product(_LOSSES, _DELAYS)),
    *(_network(delay, loss, rate) for rate, loss, delay in product(_RATES, _LOSSES, _DELAYS)),
    *(_network(0.05, loss, burst=_BURST) for loss in _LOSSES[1:]),
    STEP,
)
"""Every loss with every delay and every rate."""


def _words(impairment: Impairment, slow: Impairment | None) -> str:
    rates = [each.bit_rate for each in (impairment, slow, impairment if slow is not None else None) if each]
    parts = [f"{impairment.delay * 1000:g} ms"]
    if impairment.loss:
        bursts = f" in bursts of {impairment.burst:g}" if impairment.burst is not None else ""
        parts.append(f"{impairment.loss:.0%} lost{bursts}")
    if impairment.bit_rate is not None:
        parts.append(" → ".join(f"{rate / _MEGABIT:g}" for rate in rates if rate is not None) + " Mbit/s")
    return ", ".join(parts)

"""Which packets transport-wide feedback says are lost. Pure: feedback in, numbers out.

What has not arrived may only have been overtaken. It counts as lost once later packets have arrived: one at first, as
receivers themselves ask for it then, and more on a path that turned out to mix them.
"""

from typing import Final

from media_service.rtc.rtcp import TransportFeedback

_MOST_PATIENT: Final = 15
"""Later packets that are waited for at most."""
_KEPT: Final = 512
"""Numbers that are remembered at most."""


class LossDetector:
    """Tells of each lost packet once."""

    __slots__ = ("_doubtful", "_lost", "_newest_lost", "_patience")

    def __init__(self) -> None:
        self._patience = 1
        """Later packets that have to arrive."""
        self._doubtful: dict[int, int] = {}
        """What has not arrived, and how many later ones have."""
        self._lost: dict[int, None] = {}
        """What was told to be lost, in that order."""
        self._newest_lost = -1

    def reported(self, feedback: TransportFeedback, sent: int) -> list[int]:
        """The unwrapped numbers of packets that are now known to be lost, ascending; `sent` is the next number."""
        arrivals = feedback.arrivals
        # The number meant is the nearest one that is not beyond the last sent.
        first = sent - 1 - (sent - 1 - feedback.first & 0xFFFF)
        if not self._doubtful and first > self._newest_lost and None not in arrivals:
            return []
        lost: list[int] = []
        later = 0
        for number in range(min(first + len(arrivals), sent) - 1, max(first, 0) - 1, -1):
            if arrivals[number - first] is not None:
                later += 1
                self._doubtful.pop(number, None)
                if number in self._lost:
                    del self._lost[number]
                    self._patience = min(2 * self._patience + 1, _MOST_PATIENT)
            elif number not in self._lost:
                self._count(number, later, lost)
        for number in [number for number in self._doubtful if number < first]:
            self._count(number, later, lost)
        lost.sort()
        if lost:
            self._newest_lost = max(self._newest_lost, lost[-1])
        return lost

    def _count(self, number: int, later: int, lost: list[int]) -> None:
        """Note that so many more have arrived that left after `number`, which has not."""
        later += self._doubtful.pop(number, 0)
        kept: dict[int, int] | dict[int, None]
        if later >= self._patience:
            lost.append(number)
            self._lost[number] = None
            kept = self._lost
        else:
            self._doubtful[number] = later
            kept = self._doubtful
        if len(kept) > _KEPT:
            del kept[next(iter(kept))]

"""How long a viewer that needs help again and again is left alone. Pure.

Help is a replay of many pictures at once or a keyframe, so for a path that could not take one picture it is more of
what hurts.
"""

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
_FORGIVEN_AFTER = 10.0


class Patience:
    """Doubles the time between helps while they follow one another. All times in seconds."""

    def __init__(self) -> None:
        self._delay = _FIRST_DELAY
        self._helped_at = float("-inf")

    def is_over(self, now: float) -> bool:
        """Whether it is time to help again."""
        return now - self._helped_at >= self._delay

    def take(self, now: float) -> float:
        """Note that help is given; how long to wait before the next, and with this one where it is not urgent."""
        if now - self._helped_at > self._delay + _FORGIVEN_AFTER:
            self._delay = _FIRST_DELAY
        else:
            self._delay = min(2 * self._delay, _LONGEST_DELAY)
        self._helped_at = now
        return self._delay

"""How much may come: a token bucket. Pure: the time is passed in."""


class Allowance:
    """So many per second, and `burst` at once after a quiet time."""

    def __init__(self, per_second: float, burst: float | None = None) -> None:
        """Without a `burst` it is what comes together in one second."""
        self._per_second = per_second
        self._burst = per_second if burst is None else burst
        self._left = self._burst
        self._at = float("-inf")

    @property
    def wait(self) -> float:
        """Seconds from the last look after which there is one; 0 when there is."""
        return max(0.0, (1 - self._left) / self._per_second)

    def take(self, now: float) -> bool:
        """Take one, if there is one left; `now` is in seconds of any clock that does not go back."""
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

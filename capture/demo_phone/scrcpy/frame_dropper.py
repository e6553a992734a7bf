"""Keeps to a frame rate as Android's encoders do for `max_fps` (frameworks/av, media/libstagefright/FrameDropper)."""

_JITTER = 0.002


class FrameDropper:
    """Says which pictures are too many."""

    def __init__(self, max_fps: float) -> None:
        """`max_fps` 0 is no limit."""
        self._interval = 1 / max_fps if max_fps > 0 else 0.0
        self._due = float("-inf")

    def drops(self, at: float) -> bool:
        """Whether the picture of this time, in seconds, is left out. To be asked once for each."""
        if not self._interval:
            return False
        if at < self._due - _JITTER:
            return True
        late = 0.0 if self._due == float("-inf") else (at - self._due + _JITTER) // self._interval
        base = at if self._due == float("-inf") else self._due
        self._due = base + (late + 1) * self._interval
        return False

"""When a phone's recorder is to be followed by the next one, and when to give up. Seconds of `time.monotonic()`."""

from dataclasses import dataclass
from typing import Final

ATTEMPTS: Final = 5
"""Recorders in a row that may fail before the source gives up."""

SILENT_ATTEMPTS: Final = 2
"""Of these, how many may give nothing at all: each is waited for long."""

RENEW_AFTER: Final = 175.0
"""Seconds after which a recorder that the phone ends at 180 s is replaced."""


@dataclass(frozen=True, slots=True)
class RecordingTimes:
    """When recorders are started and what is expected of them, in seconds."""

    quiet: float = 0.008
    """Without a byte for so long, the pending picture is taken to be whole."""
    longest_quiet: float = 0.1
    """`quiet` is doubled up to this each time a picture was torn by it."""
    renew_after: float | None = None
    """A recorder is replaced at this age; None for never."""
    keyframe_interval: float = 2.0
    """Lies at least between two starts when keyframes are asked for: each start costs the phone an encoder."""
    first_picture: float = 10.0
    """A recorder has failed if it has no keyframe by then."""
    short_life: float = 1.0
    """A recorder that ends earlier has failed too."""
    first_delay: float = 0.1
    """Lies before the next start after a failure, twice as long after each further one, up to `longest_delay`."""
    longest_delay: float = 2.0
    silence: float = 10.0
    """A recorder is replaced when nothing came for so long; twice as long each time, until the picture moves again."""
    longest_silence: float = RENEW_AFTER


class RecordingSchedule:
    """Counts how the recorders of one source went, and says when the next one is due.

    A silent recorder may hang, or its screen may be still: the next one's keyframe tells, and costs a phone that is
    only still less and less.
    """

    def __init__(self, times: RecordingTimes) -> None:
        self.failures = 0
        """Recorders that have failed in a row."""
        self._times = times
        self._silence = times.silence
        self._silent = 0

    @property
    def is_over(self) -> bool:
        """Whether too many have failed."""
        return self.failures >= ATTEMPTS or self._silent >= SILENT_ATTEMPTS

    @property
    def pause(self) -> float:
        """How long to wait before the next start, after what has failed."""
        times = self._times
        return min(times.first_delay * 2 ** (self.failures - 1), times.longest_delay) if self.failures else 0.0

    def due(self, started_at: float, last_at: float, *, wants_keyframe: bool) -> float:
        """When a recorder that was started then, and sent its last bytes then, is to be replaced."""
        age = self._times.keyframe_interval if wants_keyframe else self._times.renew_after
        silent_at = last_at + self._silence
        return silent_at if age is None else min(silent_at, started_at + age)

    def replacing(self, last_at: float, now: float) -> None:
        """A recorder is replaced now: if that is because it was silent, the next one may be silent for longer."""
        if now - last_at >= self._silence:
            self._silence = min(2 * self._silence, self._times.longest_silence)

    def moved(self, since: float) -> None:
        """A picture has come `since` seconds after the recorder's first one.

        The first few are no sign that the screen moves: some recorders begin with the same picture twice.
        """
        if since > self._times.short_life:
            self._silence = self._times.silence

    def worked(self) -> None:
        """A recorder has done what it should."""
        self.failures = self._silent = 0

    def failed(self, waited: float = 0.0) -> None:
        """A recorder has failed, after so many seconds without any picture."""
        self.failures += 1
        if waited >= self._times.first_picture:
            self._silent += 1

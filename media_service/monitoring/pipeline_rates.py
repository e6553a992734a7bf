"""How much is captured per second of late. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Protocol

from media_service.capture_counters import CaptureCounters

_WINDOW: Final = 5.0
"""Seconds."""


class Captured(Protocol):
    """A stream, as far as it is needed here."""

    @property
    def captured(self) -> Mapping[str, CaptureCounters]: ...


class _Sample(NamedTuple):
    at: float
    pictures: int
    """That came since the sample before, as below."""
    octets: int


class PipelineRates:
    """The rates over the last five seconds. Sampled once a second, however often they are asked for."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._counts: dict[Captured, tuple[int, int]] = {}
        """Of each stream, at the last sample."""

    def sample(self, streams: Iterable[Captured], now: float) -> None:
        """Note what `streams` have captured by `now`, in monotonic seconds."""
        before, self._counts = self._counts, {}
        pictures = octets = 0
        for stream in streams:
            # Of each by itself: one that stops takes its counts away, and has not captured less than nothing.
            counts = (
                sum(each.pictures for each in stream.captured.values()),
                sum(each.octets for each in stream.captured.values()),
            )
            earlier = before.get(stream, (0, 0))
            self._counts[stream] = counts
            pictures += counts[0] - earlier[0]
            octets += counts[1] - earlier[1]
        self._samples.append(_Sample(now, pictures, octets))
        while now - self._samples[0].at > _WINDOW:
            self._samples.popleft()

    @property
    def pictures(self) -> float:
        """Per second."""
        return sum(each.pictures for each in self._later) / self._seconds

    @property
    def octets(self) -> float:
        """Of coded video, per second."""
        return sum(each.octets for each in self._later) / self._seconds

    @property
    def _later(self) -> list[_Sample]:
        """All but the first, which says what came before it."""
        return list(self._samples)[1:]

    @property
    def _seconds(self) -> float:
        return self._samples[-1].at - self._samples[0].at if len(self._samples) > 1 else 1.0

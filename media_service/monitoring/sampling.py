"""Looks, once a second, at what changes faster than Prometheus asks."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from media_service.dependency import Dependency
from media_service.monitoring.metrics import Histograms
from media_service.monitoring.pipeline_rates import PipelineRates
from media_service.rtc.viewer import Viewer
from media_service.sessions import Sessions

_INTERVAL: Final = 1.0
_TURNS: Final = 5
"""Viewers are looked at in turns: of each its path every five seconds."""


class Sampling:
    """Feeds the rates of the pipeline, and the histograms of what viewers' paths are like."""

    def __init__(
        self,
        sessions: Sessions,
        rates: PipelineRates,
        histograms: Histograms,
        dependencies: Sequence[Dependency],
    ) -> None:
        self._sessions = sessions
        self._rates = rates
        self._histograms = histograms
        self._dependencies = dependencies
        self._turn = 0

    async def run(self) -> None:
        """Look once a second. Never ends."""
        while True:
            self.look(time.monotonic())
            await asyncio.sleep(_INTERVAL)

    def look(self, now: float) -> None:
        """Take one sample of everything, and of a fifth of the viewers."""
        self._rates.sample(self._sessions.streams, now)
        for dependency in self._dependencies:
            # Those that only know how they are when they are asked learn by this since when.
            _ = dependency.state
        for session in tuple(self._sessions)[self._turn :: _TURNS]:
            if session.viewer is not None:
                self._observe(session.viewer)
        self._turn = (self._turn + 1) % _TURNS

    def _observe(self, viewer: Viewer) -> None:
        reception = viewer.reception
        if viewer.counters.receiver_reports:
            self._histograms.loss.observe(reception.fraction_lost)
        if reception.round_trip_time is not None:
            self._histograms.round_trip.observe(reception.round_trip_time)
        self._histograms.queue.observe(viewer.waiting_seconds)

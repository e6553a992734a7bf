"""What Prometheus is told of encoders."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from encoders.hardware import EncoderChoice
from encoders.pool import EncoderPool
from media_service.monitoring.metric_families import by, counter, counters, gauge, gauges
from media_service.sessions import Sessions


class EncodingCollector(Collector):
    """Reads the pool and the rungs of all streams when Prometheus asks."""

    def __init__(self, sessions: Sessions, pool: EncoderPool, encoders: EncoderChoice) -> None:
        self._sessions = sessions
        self._pool = pool
        self._encoders = encoders

    def collect(self) -> Iterator[Metric]:
        yield gauges(
            "encoder_works",
            "1 for an encoder of H.264 that was tried and works, 0 for one that does not, with the reason.",
            ("encoder", "reason"),
            {(trial.name, trial.reason): trial.ok for trial in self._encoders.trials},
        )
        sessions = self._encoders.sessions
        if sessions is not None:
            yield gauges("encoder_sessions", "Encoders open on each graphics card.", ("gpu",), by(sessions.sessions))
        rungs, viewers = Counter[str](), Counter[str]()
        for stream in self._sessions.streams:
            for level, _, count in stream.renditions.running:
                rungs[level] += 1
                viewers[level] += count
        yield gauges("rungs", "Streams that are coded again, by level.", ("level",), by(rungs))
        yield gauges("rung_viewers", "Viewers who get these.", ("level",), by(viewers))
        sums = self._pool.counters
        yield counter("encoder_pictures", "Pictures decoded and encoded by the pool.", sums.done)
        yield counter("encoder_seconds", "Seconds that these took.", sums.busy_seconds)
        failed = sums.drops["failed"] + sums.drops["timed_out"]
        yield counter("encoding_errors", "Pictures lost to an encoder that failed or took too long.", failed)
        yield counter("encoders_replaced", "Encoders and decoders that had to be replaced.", sums.replaced)
        drops = sums.drops + self._sessions.totals.of_coding(self._sessions.streams.not_over)
        yield counters(
            "encoder_dropped", "Pictures that were not encoded, or not sent then, by reason.", ("reason",), by(drops)
        )
        yield gauge("encoder_threads_stuck", "Threads in a call that does not return.", self._pool.abandoned)

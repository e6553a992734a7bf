"""What Prometheus is told (contract.md section 6). No session id, user id or raw path is a label."""

import asyncio
from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from encoders.hardware import EncoderChoice
from encoders.pool import EncoderPool
from media_service.rtc.egress import Egress
from media_service.rtc.media_port import MediaPort
from media_service.sessions import Sessions

_MILLISECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.2, 0.5, 1.0)
_JOIN_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


class Histograms:
    """What is observed as it happens."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.egress_latency = Histogram(
            "media_service_egress_latency_seconds",
            "From an access unit's being ready to its last packet's being sent to the last viewer.",
            buckets=_MILLISECONDS,
            registry=registry,
        )
        self.loop_lag = Histogram(
            "media_service_event_loop_lag_seconds",
            "How late the event loop ran what was due.",
            buckets=_MILLISECONDS,
            registry=registry,
        )
        self.join = Histogram(
            "media_service_join_seconds",
            "From a session's creation to its first media.",
            buckets=_JOIN_SECONDS,
            registry=registry,
        )


_COUNTER_TEXTS = {
    "packets_sent": ("rtp_packets_sent", "RTP packets of video sent, retransmissions not counted."),
    "bytes_sent": ("rtp_bytes_sent", "Bytes of coded video sent."),
    "pictures_sent": ("pictures_sent", "Pictures sent, replayed ones included."),
    "pictures_replayed": ("pictures_replayed", "Pictures sent from the cache to viewers who joined or fell behind."),
    "retransmitted_packets_sent": ("rtx_packets_sent", "Packets sent again, padding not counted."),
    "repair_copies_sent": ("rtx_copies_sent", "Those sent a second time at once, because the path loses packets."),
    "tail_copies_sent": ("rtx_tail_copies_sent", "Those that were ends of pictures nobody was known to lack."),
    "feedback_repairs": ("feedback_repairs", "Packets sent again because feedback and no NACK told of their loss."),
    "nack_count": ("nacks_received", "NACK packets received."),
    "pli_count": ("plis_received", "Picture loss indications received."),
    "padding_packets_sent": ("padding_packets_sent", "Packets sent to learn whether a path carries more."),
    "padding_bytes_sent": ("padding_bytes_sent", "Bytes of these."),
    "fir_count": ("firs_received", "Full intra requests received."),
    "receiver_reports": ("receiver_reports_received", "Report blocks received."),
}


class ServiceCollector(Collector):
    """Reads the service's state when Prometheus asks."""

    def __init__(
        self, sessions: Sessions, port: MediaPort, egress: Egress, pool: EncoderPool, encoders: EncoderChoice
    ) -> None:
        self._sessions = sessions
        self._pool = pool
        self._encoders = encoders
        self._port = port
        self._egress = egress

    def collect(self) -> Iterator[Metric]:
        sessions = tuple(self._sessions)
        viewers = [session.viewer for session in sessions if session.viewer is not None]
        yield _counter("sessions", "Sessions opened.", self._sessions.opened)
        yield _counter("sessions_failed", "Sessions that could not connect or broke.", self._sessions.failed)
        yield _gauge("active_sessions", "Sessions that are open.", len(sessions))
        yield _gauge("viewers", "Sessions that media flows to.", len(viewers))
        yield _gauge("streams", "Streams that run.", len(self._sessions.streams))
        yield _gauge("goroutines", "asyncio tasks.", len(asyncio.all_tasks()))
        yield _gauge("media_addresses", "Remote addresses known to belong to a viewer.", self._port.address_count)
        yield _gauge("egress_waiting_pictures", "Pictures whose turn to be sent has not come.", self._egress.waiting)
        yield _counter("ice_checks_received", "Authentic ICE checks received.", self._port.checks_received)
        counters, drops = self._sessions.totals.of_viewers(viewers)
        for name, (metric, text) in _COUNTER_TEXTS.items():
            yield _counter(metric, text, getattr(counters, name))
        sound = self._sessions.totals.of_audio(viewers)
        yield _counter("audio_packets_sent", "RTP packets of sound sent.", sound.packets_sent)
        yield _counter("audio_bytes_sent", "Bytes of coded sound sent.", sound.bytes_sent)
        drops.update(self._port.drops)
        drops["too_old"] += self._egress.pictures_dropped
        yield _by_reason("packets_dropped", "What was not sent or not taken, by reason.", drops)
        input_drops = Counter(self._sessions.totals.input_drops)
        for session in sessions:
            input_drops.update(session.control.dropped)
        yield _by_reason("input_dropped", "Input that did not reach a device, by reason.", input_drops)
        captured = self._sessions.totals.of_streams(self._sessions.streams)
        pictures = CounterMetricFamily("media_service_pipeline_pictures", "Pictures captured.", labels=["capture"])
        octets = CounterMetricFamily(
            "media_service_pipeline_bytes", "Bytes of coded video captured.", labels=["capture"]
        )
        for kind, counts in sorted(captured.items()):
            pictures.add_metric([kind], counts.pictures)
            octets.add_metric([kind], counts.octets)
        yield pictures
        yield octets
        yield from self._encoding()
        requested = sum(counts.keyframes_requested for counts in captured.values())
        yield _counter("keyframes_requested", "Keyframes asked of sources.", requested)
        congested = sum(viewer.estimator.is_congested for viewer in viewers)
        yield _gauge("congested_viewers", "Viewers whose path was found to be overused.", congested)

    def _encoding(self) -> Iterator[Metric]:
        known = GaugeMetricFamily(
            "media_service_encoder_works",
            "1 for an encoder of H.264 that was tried and works, 0 for one that does not, with the reason.",
            labels=["encoder", "reason"],
        )
        for trial in self._encoders.trials:
            known.add_metric([trial.name, trial.reason], trial.ok)
        yield known
        sessions = self._encoders.sessions
        if sessions is not None:
            on_cards = GaugeMetricFamily(
                "media_service_encoder_sessions", "Encoders open on each graphics card.", labels=["gpu"]
            )
            for gpu, count in sorted(sessions.sessions.items()):
                on_cards.add_metric([gpu], count)
            yield on_cards
        rungs, viewers = Counter[str](), Counter[str]()
        for stream in self._sessions.streams:
            for level, _, count in stream.renditions.running:
                rungs[level] += 1
                viewers[level] += count
        for name, text, counts in (
            ("rungs", "Streams that are coded again, by level.", rungs),
            ("rung_viewers", "Viewers who get these.", viewers),
        ):
            family = GaugeMetricFamily(f"media_service_{name}", text, labels=["level"])
            for level, count in sorted(counts.items()):
                family.add_metric([level], count)
            yield family
        counters = self._pool.counters
        yield _counter("encoder_pictures", "Pictures decoded and encoded by the pool.", counters.done)
        yield _counter("encoder_seconds", "Seconds that these took.", counters.busy_seconds)
        failed = counters.drops["failed"] + counters.drops["timed_out"]
        yield _counter("encoding_errors", "Pictures lost to an encoder that failed or took too long.", failed)
        yield _counter("encoders_replaced", "Encoders and decoders that had to be replaced.", counters.replaced)
        drops = counters.drops + self._sessions.totals.of_coding(self._sessions.streams)
        yield _by_reason("encoder_dropped", "Pictures that were not encoded, or not sent then, by reason.", drops)
        yield _gauge("encoder_threads_stuck", "Threads in a call that does not return.", self._pool.abandoned)


def _by_reason(name: str, text: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"media_service_{name}", text, labels=["reason"])
    for reason, count in sorted(counts.items()):
        family.add_metric([reason], count)
    return family


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"media_service_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"media_service_{name}", text, value=value)

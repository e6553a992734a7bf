"""What Prometheus is told of devices and of what is captured from them."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.announced_phones import AnnouncedPhones
from media_service.devices import Devices
from media_service.monitoring.metric_families import by, counter, counters, gauge, gauges
from media_service.monitoring.pipeline_rates import PipelineRates
from media_service.sessions import Sessions


class CaptureCollector(Collector):
    """Reads devices and streams when Prometheus asks."""

    def __init__(self, sessions: Sessions, devices: Devices, rates: PipelineRates, announced: AnnouncedPhones) -> None:
        self._sessions = sessions
        self._devices = devices
        self._rates = rates
        self._announced = announced

    def collect(self) -> Iterator[Metric]:
        streams = self._sessions.streams
        phones = Counter(device.state for device in self._devices if device.serial is not None)
        yield gauges("devices", "Phones by state, as adb has it.", ("state",), by(phones))
        yield counter(
            "announced_phones_refused",
            "Phones that RabbitMQ announced and that are not connected, since there are too many.",
            self._announced.refused,
        )
        yield gauge("streams", "Streams that run.", len(streams))
        captured = self._sessions.totals.of_streams(streams.not_over)
        pictures = {kind: counts.pictures for kind, counts in captured.items()}
        octets = {kind: counts.octets for kind, counts in captured.items()}
        yield counters("pipeline_pictures", "Pictures captured.", ("capture",), by(pictures))
        yield counters("pipeline_bytes", "Bytes of coded video captured.", ("capture",), by(octets))
        yield gauge(
            "pipeline_fps", "Pictures captured per second of late, of all streams together.", self._rates.pictures
        )
        yield gauge(
            "pipeline_bitrate_bytes",
            "Bytes of coded video captured per second of late, of all streams together.",
            self._rates.octets,
        )
        requested = sum(counts.keyframes_requested for counts in captured.values())
        yield counter("keyframes_requested", "Keyframes asked of sources.", requested)

"""What Prometheus is told of what is sent to viewers, and of what is not."""

from collections.abc import Iterator
from operator import attrgetter
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.monitoring.metric_families import by, counter, counters, gauge
from media_service.rtc.egress import Egress
from media_service.rtc.media_port import MediaPort
from media_service.sessions import Sessions

_COUNTERS: Final = {
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
_values = attrgetter(*_COUNTERS)


class SendingCollector(Collector):
    """Reads viewers, egress and media port when Prometheus asks."""

    def __init__(self, sessions: Sessions, port: MediaPort, egress: Egress) -> None:
        self._sessions = sessions
        self._port = port
        self._egress = egress

    def collect(self) -> Iterator[Metric]:
        totals, port, egress = self._sessions.totals, self._port, self._egress
        # Who left and who is there belong together: sessions come and go between two yields, and one that is counted
        # in both would make a counter fall at the next look.
        viewers = [session.viewer for session in self._sessions if session.viewer is not None]
        gone, drops = totals.of_viewers(())
        sound = totals.of_audio(viewers)
        # All fields of a viewer at once: there may be hundreds, and the event loop waits.
        columns = zip(_values(gone), *(_values(viewer.counters) for viewer in viewers), strict=True)
        for (metric, text), values in zip(_COUNTERS.values(), columns, strict=True):
            yield counter(metric, text, sum(values))
        yield gauge("viewers", "Sessions that media flows to.", len(viewers))
        yield counter("audio_packets_sent", "RTP packets of sound sent.", sound.packets_sent)
        yield counter("audio_bytes_sent", "Bytes of coded sound sent.", sound.bytes_sent)
        for viewer in viewers:
            drops.update(viewer.drops)
            if viewer.audio is not None:
                drops.update(viewer.audio.drops)
        drops.update(port.drops)
        drops["too_old"] += egress.pictures_dropped
        yield counters("packets_dropped", "What was not sent or not taken, by reason.", ("reason",), by(drops))
        yield counter("ice_checks_received", "Authentic ICE checks received.", port.checks_received)
        yield gauge("media_addresses", "Remote addresses known to belong to a viewer.", port.address_count)
        yield gauge("egress_waiting_pictures", "Pictures whose turn to be sent has not come.", egress.waiting)
        yield gauge("egress_queue_age_seconds", "How long the oldest of these has waited.", egress.lateness)
        longest = max((viewer.waiting_seconds for viewer in viewers), default=0.0)
        yield gauge(
            "viewer_longest_queue_seconds", "The longest that what waits for one viewer would take now.", longest
        )
        congested = sum(viewer.estimator.is_congested for viewer in viewers)
        yield gauge("congested_viewers", "Viewers whose path was found to be overused.", congested)

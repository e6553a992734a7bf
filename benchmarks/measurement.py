"""One sender with one audience, measured over one window."""

import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path

from benchmarks.audience import Inspection, Join, Window, digest
from benchmarks.clip import access_units
from benchmarks.errors import BenchmarkError
from benchmarks.metrics import DROPPED, EGRESS_LATENCY, LOOP_LAG
from benchmarks.nal_units import split
from benchmarks.receivers import Receivers
from benchmarks.sender import Sender
from benchmarks.viewer import ViewerKind

_SETTLE = 1.5
"""Seconds after the last join, in which replays end."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one window showed. Seconds and bytes; NaN for what was not measured."""

    viewers: int
    streams: int
    seconds: float
    packets: int
    """RTP packets that arrived."""
    pictures_per_second: float
    """That arrived, of all viewers together."""
    megabits_per_second: float
    """Of each viewer, as it arrived."""
    microseconds_per_packet: float
    """CPU time of the sender per packet that arrived."""
    sender_core: float
    """Share of its core that the sender used."""
    sender_waited: float
    """Share of the time in which the sender was ready and something else had its core: latencies are worse by it."""
    receivers_core: float
    viewers_per_core: float
    """How many such viewers would fill the sender's core."""
    latency_p50: float
    """Access unit ready to last viewer's last packet sent, by the sender's own histogram."""
    latency_p99: float
    loop_lag: float
    """The upper bound of the event loop's worst lag."""
    lateness_p50: float
    """What the viewers saw: see `Reception.lateness`."""
    lateness_p99: float
    resident_per_viewer: float
    """Growth of the sender's resident memory since before the first viewer, caches and all, per viewer."""
    join_p50: float
    """Offer posted to whole keyframe decrypted."""
    lost: int
    """Packets that were sent and did not arrive, since the viewers joined."""
    dropped: int
    """Packets that the sender says it dropped."""
    retransmitted: int
    verified: int
    """Packets that were decrypted and authentic; none was not, or there would be no measurement."""
    decoded: int
    """Pictures that a decoder made of what one viewer got."""
    skipped: int
    """Places where that viewer's pictures did not follow upon each other."""
    srtp_profile: str


def measure(
    sender: Sender,
    receivers: Receivers,
    *,
    streams: Sequence[str],
    viewers_per_stream: int,
    kind: ViewerKind,
    join_seconds: float,
    join_timeout: float,
    seconds: float,
    clip: Path | None,
) -> Measurement:
    """Join all, let them settle, measure for `seconds`, leave.

    `clip` is what the streams show, None when that cannot be known. Raises `BenchmarkError` when somebody cannot join,
    when a packet is not authentic, and when the pictures are not the clip's or cannot be decoded.
    """
    viewers = len(streams) * viewers_per_stream
    resident = sender.resident_bytes()
    urls = tuple(sender.whep_url(name) for name in streams for _ in range(viewers_per_stream))
    joined = receivers.join(Join("viewers", urls, join_seconds, join_timeout, kind, witnesses=1))
    time.sleep(_SETTLE)
    metrics, cpu, waited = sender.metrics(), sender.cpu_seconds(), sender.waited_seconds()
    receivers.begin("viewers")
    time.sleep(seconds)
    cpu, waited = sender.cpu_seconds() - cpu, sender.waited_seconds() - waited
    window = receivers.end("viewers")
    resident = sender.resident_bytes() - resident
    later = sender.metrics()
    inspection = receivers.inspect("viewers")
    receivers.leave("viewers")

    check_window(window)
    check_pictures(inspection, clip)
    begin, end = window.begin, window.end
    elapsed, packets = end.moment - begin.moment, end.packets - begin.packets
    latency = later.histogram_since(metrics, EGRESS_LATENCY)
    return Measurement(
        viewers=viewers,
        streams=len(streams),
        seconds=elapsed,
        packets=packets,
        pictures_per_second=(end.pictures - begin.pictures) / elapsed,
        megabits_per_second=(end.octets - begin.octets) * 8e-6 / elapsed / viewers,
        microseconds_per_packet=cpu * 1e6 / packets,
        sender_core=cpu / elapsed,
        sender_waited=waited / elapsed,
        receivers_core=(end.cpu_seconds - begin.cpu_seconds) / elapsed,
        viewers_per_core=viewers * elapsed / cpu,
        latency_p50=latency.quantile(0.5),
        latency_p99=latency.quantile(0.99),
        loop_lag=later.histogram_since(metrics, LOOP_LAG).maximum(),
        lateness_p50=quantile(window.lateness, 0.5),
        lateness_p99=quantile(window.lateness, 0.99),
        resident_per_viewer=resident / viewers,
        join_p50=statistics.median(times.keyframe for times in joined),
        lost=end.lost,
        dropped=int(later.total(DROPPED)),
        retransmitted=end.retransmitted,
        verified=end.verified,
        decoded=inspection.decoded,
        skipped=0 if clip is None else _skipped(inspection, clip),
        srtp_profile=", ".join(window.srtp_profiles),
    )


def median(measurements: Sequence[Measurement]) -> Measurement:
    """The median of every number; the worst of what should be nothing."""
    worst = {"lost", "dropped", "retransmitted", "skipped", "loop_lag"}
    values: dict[str, object] = {}
    for field in fields(Measurement):
        column = [getattr(measurement, field.name) for measurement in measurements]
        if isinstance(column[0], str):
            values[field.name] = column[0]
        elif field.name in worst:
            values[field.name] = max(column)
        else:
            middle = statistics.median(column)
            values[field.name] = round(middle) if isinstance(column[0], int) else middle
    return Measurement(**values)  # type: ignore[arg-type]  # each has the type of its own field


def quantile(ascending: Sequence[float], fraction: float) -> float:
    """The value that `fraction` of them do not exceed; NaN of nothing."""
    if not ascending:
        return math.nan
    return ascending[min(len(ascending) - 1, math.ceil(fraction * len(ascending)) - 1)]


def check_window(window: Window) -> None:
    """Raises `BenchmarkError` when no packet arrived, one was not authentic, or one made no sense."""
    if window.end.packets == window.begin.packets:
        raise BenchmarkError("no packet arrived in the window")
    if window.end.refused:
        raise BenchmarkError(f"{window.end.refused} packets were not authentic")
    if window.end.depacketizing_errors:
        raise BenchmarkError(f"{window.end.depacketizing_errors} packets did not fit their picture (RFC 6184)")


def check_pictures(inspection: Inspection, clip: Path | None) -> None:
    """Raises `BenchmarkError` when pictures cannot be decoded, or are not the clip's byte for byte."""
    seen = sum(map(len, inspection.witnessed))
    if inspection.decoded != seen:
        raise BenchmarkError(f"a viewer got {seen} whole pictures, of which the decoder made {inspection.decoded}")
    if clip is not None:
        known = set(_digests(clip))
        foreign = sum(picture not in known for pictures in inspection.witnessed for picture in pictures)
        if foreign:
            raise BenchmarkError(f"{foreign} of {seen} pictures that a viewer got are not the clip's, byte for byte")


def _skipped(inspection: Inspection, clip: Path) -> int:
    order = {picture: number for number, picture in enumerate(_digests(clip))}
    return sum(
        (order[later] - order[earlier]) % len(order) != 1
        for pictures in inspection.witnessed
        for earlier, later in pairwise(pictures)
    )


def _digests(clip: Path) -> list[bytes]:
    return [digest(split(picture)) for picture in access_units(clip)]

"""What was counted by viewers and streams that have gone, so that the service's counters never fall."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields

from media_service.capture_counters import CaptureCounters
from media_service.rtc.audio import AudioCounters
from media_service.rtc.counters import ViewerCounters
from media_service.rtc.viewer import Viewer
from media_service.stream import Stream


class Totals:
    """The sums over everything that has gone."""

    def __init__(self) -> None:
        self._viewers = ViewerCounters()
        self._audio = AudioCounters()
        self._drops: Counter[str] = Counter()
        self.input_drops: Counter[str] = Counter()
        """Input of sessions that have ended which did not reach a device, by reason."""
        self._streams: dict[str, CaptureCounters] = {}
        self._coding_drops: Counter[str] = Counter()

    def viewer_left(self, viewer: Viewer) -> None:
        """Keep the counts of a viewer who is gone."""
        _add(self._viewers, viewer.counters)
        self._drops.update(viewer.drops)
        if viewer.audio is not None:
            _add_audio(self._audio, viewer.audio.counters)
            self._drops.update(viewer.audio.drops)

    def stream_stopped(self, stream: Stream) -> None:
        """Keep the counts of a stream that has stopped."""
        _add_captured(self._streams, stream.captured)
        self._coding_drops.update(stream.renditions.coding_drops)

    def of_viewers(self, viewers: Iterable[Viewer]) -> tuple[ViewerCounters, Counter[str]]:
        """The counts and drops of those who left and of `viewers` together."""
        counters, drops = ViewerCounters(), Counter(self._drops)
        _add(counters, self._viewers)
        for viewer in viewers:
            _add(counters, viewer.counters)
            drops.update(viewer.drops)
            if viewer.audio is not None:
                drops.update(viewer.audio.drops)
        return counters, drops

    def of_audio(self, viewers: Iterable[Viewer]) -> AudioCounters:
        """What was sent of sound to those who left and to `viewers` together."""
        counters = AudioCounters()
        _add_audio(counters, self._audio)
        for viewer in viewers:
            if viewer.audio is not None:
                _add_audio(counters, viewer.audio.counters)
        return counters

    def of_streams(self, streams: Iterable[Stream]) -> dict[str, CaptureCounters]:
        """The counts of the stopped and of `streams` together, by kind of capture."""
        sums: dict[str, CaptureCounters] = {}
        for captured in (self._streams, *(stream.captured for stream in streams)):
            _add_captured(sums, captured)
        return sums

    def of_coding(self, streams: Iterable[Stream]) -> Counter[str]:
        """Pictures that the rungs of the stopped and of `streams` lacked though the pool did its part, by reason."""
        drops = Counter(self._coding_drops)
        for stream in streams:
            drops.update(stream.renditions.coding_drops)
        return drops


def _add(to: ViewerCounters, other: ViewerCounters) -> None:
    for field in fields(ViewerCounters):
        setattr(to, field.name, getattr(to, field.name) + getattr(other, field.name))


def _add_audio(to: AudioCounters, other: AudioCounters) -> None:
    to.packets_sent += other.packets_sent
    to.bytes_sent += other.bytes_sent


def _add_captured(sums: dict[str, CaptureCounters], captured: Mapping[str, CaptureCounters]) -> None:
    for kind, counters in captured.items():
        sums.setdefault(kind, CaptureCounters()).add(counters)

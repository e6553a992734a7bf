"""Counters that never fall, whoever leaves."""

from dataclasses import replace

from media_service.capture_counters import CaptureCounters
from media_service.rtc.audio import AudioCounters
from media_service.rtc.counters import ViewerCounters
from media_service.rtc.egress import Egress
from media_service.stream import Stream
from media_service.totals import Totals
from signaling.jsep import AudioTrack
from tests.media_service.pushed_source import PushedSource
from tests.rtc.joined import joined_ends
from tests.rtc.samples import TRACK


async def test_viewers_who_left_still_count() -> None:
    ends = await joined_ends()
    egress = Egress(lambda _: None)
    gone, present = ends.viewer(TRACK, egress), ends.viewer(TRACK, egress)
    for viewer, packets in ((gone, 10), (present, 5)):
        viewer.counters.packets_sent = packets
        viewer.counters.nack_count = 1
        viewer.drops["buffer_full"] = packets
    totals = Totals()
    totals.viewer_left(gone)
    counters, drops = totals.of_viewers([present])
    assert counters == ViewerCounters(packets_sent=15, nack_count=2)
    assert drops == {"buffer_full": 15}
    assert totals.of_viewers([]) == (replace(gone.counters), gone.drops), "asking changes nothing"
    await ends.dtls.aclose()


async def test_sound_that_was_sent_still_counts() -> None:
    ends = await joined_ends()
    egress = Egress(lambda _: None)
    track = AudioTrack("2", 7, 111, None)
    gone, present = ends.viewer(TRACK, egress, audio=track), ends.viewer(TRACK, egress, audio=track)
    silent = ends.viewer(TRACK, egress)
    for viewer, packets in ((gone, 10), (present, 5)):
        assert viewer.audio is not None
        viewer.audio.counters.packets_sent = packets
        viewer.audio.counters.bytes_sent = 100 * packets
        viewer.audio.drops["audio_backlog"] = packets
    totals = Totals()
    totals.viewer_left(gone)
    totals.viewer_left(silent)
    assert totals.of_audio([present, silent]) == AudioCounters(15, 1500)
    assert totals.of_viewers([present, silent])[1] == {"audio_backlog": 15}
    assert totals.of_audio([]) == AudioCounters(10, 1000), "asking changes nothing"
    await ends.dtls.aclose()


async def test_streams_that_stopped_still_count_by_kind() -> None:
    egress = Egress(lambda _: None)
    streams = []
    for captured in (
        {"scrcpy": CaptureCounters(2, 200, 1), "screenrecord": CaptureCounters(1, 100, 0)},
        {"file": CaptureCounters(3, 300, 1)},
        {"scrcpy": CaptureCounters(3, 300, 1)},
        {},
    ):
        stream = Stream("phone", PushedSource, egress, lambda _: None)  # type: ignore[arg-type]  # never opened
        stream.captured = captured
        streams.append(stream)
    totals = Totals()
    totals.stream_stopped(streams[0])
    totals.stream_stopped(streams[3])
    assert totals.of_streams(streams[1:3]) == {
        "scrcpy": CaptureCounters(5, 500, 2),
        "screenrecord": CaptureCounters(1, 100, 0),
        "file": CaptureCounters(3, 300, 1),
    }
    gone = {"scrcpy": CaptureCounters(2, 200, 1), "screenrecord": CaptureCounters(1, 100, 0)}
    assert totals.of_streams([]) == gone, "asking changes nothing"

"""The service's numbers for one viewer, named as in webrtc-stats."""

from media_service.rtc.viewer import Viewer
from media_service.session_state import SessionState
from media_service.stream import Stream


def statistics_of(state: SessionState, viewer: Viewer | None, stream: Stream) -> dict[str, float | int | str | None]:
    """What is known of a session that is in `state`; a `viewer` there is once media flows."""
    if viewer is None:
        return {"state": state, "packetsSent": 0, "bytesSent": 0}
    counters, reception, audio = viewer.counters, viewer.reception, viewer.audio
    quality = stream.renditions.quality(viewer)
    sps = quality.sps
    return {
        "state": state,
        "packetsSent": counters.packets_sent,
        "bytesSent": counters.bytes_sent,
        "framesSent": counters.pictures_sent,
        "framesReplayed": counters.pictures_replayed,
        "retransmittedPacketsSent": counters.retransmitted_packets_sent,
        "nackCount": counters.nack_count,
        "pliCount": counters.pli_count,
        "firCount": counters.fir_count,
        "fractionLost": reception.fraction_lost,
        "packetsLost": reception.packets_lost,
        "jitter": reception.jitter,
        "roundTripTime": reception.round_trip_time,
        "availableOutgoingBitrate": viewer.estimator.bit_rate,
        "targetBitrate": quality.bit_rate,
        "quality": quality.level,
        "isCongested": viewer.estimator.is_congested,
        "queueDelay": viewer.waiting_seconds,
        "framesDropped": sum(viewer.drops.values()),
        "frameWidth": sps.width if sps else None,
        "frameHeight": sps.height if sps else None,
        "protocol": viewer.path.protocol,
        "following": viewer.following.value,
        "audioPacketsSent": audio.counters.packets_sent if audio else None,
        "audioBytesSent": audio.counters.bytes_sent if audio else None,
        "audioPacketsDropped": sum(audio.drops.values()) if audio else None,
        "audioFractionLost": audio.fraction_lost if audio else None,
    }

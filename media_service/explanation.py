"""Why a session looks as it does, in words and numbers that can be acted on (`GET /sessions/{id}/explain`)."""

import time
from typing import Any

from media_service.renditions import Quality
from media_service.rtc.viewer import Viewer
from media_service.rungs import SOURCE
from media_service.session import Session
from media_service.stream import Stream, StreamState
from signaling.rfc3339 import milliseconds

_LOSS_WORTH_A_WORD = 0.02
_LATE = 0.1
_FAR = 0.3


def explain(session: Session) -> dict[str, Any]:
    """Everything that is known of it, ready to become JSON.

    `bottleneck` names what holds the picture back most: `none`, `device` (it sends no pictures), `connection` (media
    does not flow yet), `network` or `screen` (nothing to be seen on the phone); `bottleneckReason` says it in words.
    """
    stream, viewer = session.stream, session.viewer
    bottleneck, reason = _bottleneck(session)
    return {
        "sessionId": session.session_id,
        "deviceId": session.device_id,
        "userId": session.user_id,
        "state": session.state.value,
        "reason": session.reason,
        "bottleneck": bottleneck,
        "bottleneckReason": reason,
        "capture": _capture(stream),
        "video": _video(session),
        "audio": _audio(session),
        "path": _path(session),
        "network": _network(viewer) if viewer is not None else None,
        "keyframes": _keyframes(stream, viewer) if viewer is not None else [],
        "mayControl": session.may_control,
    }


def _capture(stream: Stream) -> dict[str, Any]:
    facts, sps = stream.facts, stream.sps
    return {
        "state": stream.state.value,
        "mode": facts.kind if facts is not None else None,
        "reason": stream.reason,
        "screen": facts.screen.value if facts is not None else None,
        "rotation": facts.rotation if facts is not None else None,
        "width": sps.width if sps is not None else None,
        "height": sps.height if sps is not None else None,
        "profileLevelId": sps.profile_level_id if sps is not None else None,
        "keyframeOnDemand": facts.keyframe_on_demand if facts is not None else None,
        "viewers": len(stream.renditions.viewers),
    }


def _video(session: Session) -> dict[str, Any]:
    stream, viewer = session.stream, session.viewer
    track = session.negotiated.video if session.negotiated is not None else None
    quality = stream.renditions.quality(viewer)
    sps = quality.sps
    is_encoded = quality.level != SOURCE or (stream.facts is not None and stream.facts.is_coded_here)
    return {
        "codec": "H264",
        "profileLevelId": track.profile_level_id if track is not None else None,
        "profileReason": track.profile_reason if track is not None else None,
        "playableProfiles": list(track.playable_profiles) if track is not None else [],
        "coding": "encoded" if is_encoded else "passthrough",
        "codingReason": _coding_reason(stream, viewer, quality, is_encoded=is_encoded),
        "quality": quality.level,
        "qualityReason": quality.reason,
        "levels": list(quality.levels),
        "width": sps.width if sps is not None else None,
        "height": sps.height if sps is not None else None,
        "targetBitrate": quality.bit_rate,
        "retransmission": track.rtx_payload_type is not None if track is not None else None,
        "transportFeedback": track.transport_cc if track is not None else None,
    }


def _coding_reason(stream: Stream, viewer: Viewer | None, quality: Quality, *, is_encoded: bool) -> str:
    unplayable = stream.renditions.why_unplayable(viewer) if viewer is not None else stream.renditions.unplayable
    if not is_encoded:
        return "the browser plays the phone's own coded pictures"
    if quality.level == SOURCE:
        return "this way of capture gives raw pictures"
    return unplayable or quality.reason or "the viewer chose the quality"


def _audio(session: Session) -> dict[str, Any] | None:
    negotiated = session.negotiated
    if negotiated is None or negotiated.audio is None:
        return None
    audio = session.viewer.audio if session.viewer is not None else None
    return {
        "codec": "opus",
        "isWanted": audio.is_wanted if audio is not None else None,
        "packetsSent": audio.counters.packets_sent if audio is not None else 0,
        "fractionLost": audio.fraction_lost if audio is not None else None,
    }


def _path(session: Session) -> dict[str, Any] | None:
    path, ice = session.peer.ice.path, session.peer.ice
    if path is None:
        return None
    known = {(each.address, each.port): each.kind for each in ice.candidates}
    return {
        "protocol": path.protocol,
        # What the browser did not name, its check revealed (RFC 8445 section 7.3.1.3).
        "remoteType": known.get((path.remote[0], path.remote[1]), "prflx"),
        "remoteAddress": path.remote[0],
        "remotePort": path.remote[1],
        "isNominated": ice.is_nominated,
        "changes": ice.path_changes,
        "lastCheckSecondsAgo": round(time.monotonic() - ice.last_check, 3),
        "roundTripTime": ice.round_trip,
    }


def _network(viewer: Viewer) -> dict[str, Any]:
    return {
        "roundTripTime": viewer.reception.round_trip_time,
        "fractionLost": viewer.reception.fraction_lost,
        "packetsLost": viewer.reception.packets_lost,
        "jitter": viewer.reception.jitter,
        "availableOutgoingBitrate": viewer.estimator.bit_rate,
        "isCongested": viewer.estimator.is_congested,
        "queueDelay": viewer.waiting_seconds,
        "following": viewer.following.value,
        "dropped": dict(viewer.drops),
    }


def _keyframes(stream: Stream, viewer: Viewer) -> list[dict[str, str]]:
    """What keyframes were asked for last, the newest first."""
    now, wall_clock = time.monotonic(), time.time()
    causes = reversed(stream.renditions.keyframe_causes(viewer))
    return [{"at": milliseconds(wall_clock - (now - at)), "cause": cause} for at, cause in causes]


def _bottleneck(session: Session) -> tuple[str, str]:
    stream, viewer = session.stream, session.viewer
    if stream.state is not StreamState.RUNNING:
        return "device", stream.reason or f"its capture is {stream.state.value}"
    if viewer is None:
        return "connection", session.reason or f"the session is {session.state.value}"
    if viewer.estimator.is_congested or viewer.waiting_seconds > _LATE:
        rate = viewer.estimator.bit_rate // 1000
        return "network", f"its path carries about {rate} kbit/s, and {viewer.waiting_seconds:.3f} s of video wait"
    reception = viewer.reception
    if (reception.fraction_lost or 0.0) > _LOSS_WORTH_A_WORD:
        return "network", f"its path loses {reception.fraction_lost:.1%} of the packets"
    if (reception.round_trip_time or 0.0) > _FAR:
        return "network", f"a round trip takes {reception.round_trip_time:.3f} s"
    screen = stream.video_state(viewer).screen
    if screen != "shown":
        return "screen", f"the phone's screen is {screen}"
    return "none", ""

"""Whether a stream can be shown as it is, and which offered H.264 payload type it goes under (RFC 6184 section 8.2.2).

One payload type carries the stream as it is and whatever it is coded anew to, so that a viewer goes from one to the
other at any keyframe without negotiating again:

* What is coded anew is Constrained Baseline, whose tools every other profile that is not for intra pictures alone
  contains (H.264 annex A.2), and which every WebRTC browser has to decode (RFC 7742 section 6.2). `profile-level-id`
  names the tools that may be used; a stream may use fewer (RFC 6184 section 8.1).
* Size, profile and level change with the SPS that comes in front of an IDR picture (H.264 section 7.4.1.2.1), and
  decoders read that SPS: Chromium plays each of them under any H.264 payload type in packetization mode 1.
"""

from collections.abc import Sequence

from encoders.errors import BitstreamError
from encoders.h264 import SequenceParameterSet
from encoders.h264_profile import H264Profile, profile_of
from signaling.jsep import H264Format

COMMON_PROFILE_LEVEL_ID = "42e01f"
"""Constrained Baseline at level 3.1: what every WebRTC browser takes (RFC 7742 section 6.2), and what we code."""

# H.264 annex A.2: a decoder of these decodes all of that; the closest first.
_CONTAINED_IN = {
    H264Profile.CONSTRAINED_BASELINE: (
        H264Profile.BASELINE,
        H264Profile.MAIN,
        H264Profile.CONSTRAINED_HIGH,
        H264Profile.PROGRESSIVE_HIGH,
        H264Profile.HIGH,
    ),
    H264Profile.BASELINE: (H264Profile.EXTENDED,),
    H264Profile.MAIN: (H264Profile.HIGH,),
    H264Profile.CONSTRAINED_HIGH: (H264Profile.PROGRESSIVE_HIGH, H264Profile.HIGH),
    H264Profile.PROGRESSIVE_HIGH: (H264Profile.HIGH,),
    H264Profile.HIGH_10: (H264Profile.HIGH_422, H264Profile.HIGH_444_PREDICTIVE),
    H264Profile.HIGH_10_INTRA: (H264Profile.HIGH_10, H264Profile.HIGH_422, H264Profile.HIGH_444_PREDICTIVE),
    H264Profile.HIGH_422: (H264Profile.HIGH_444_PREDICTIVE,),
    H264Profile.HIGH_422_INTRA: (H264Profile.HIGH_422, H264Profile.HIGH_444_PREDICTIVE),
    H264Profile.HIGH_444_INTRA: (H264Profile.HIGH_444_PREDICTIVE,),
    H264Profile.CAVLC_444_INTRA: (H264Profile.HIGH_444_PREDICTIVE,),
}

# What has a hardware decoder comes first; High 4:4:4 would contain nearly all, but is decoded in software only.
_MOST_CAPABLE_FIRST = (
    H264Profile.HIGH,
    H264Profile.PROGRESSIVE_HIGH,
    H264Profile.CONSTRAINED_HIGH,
    H264Profile.MAIN,
    H264Profile.CONSTRAINED_BASELINE,
    H264Profile.BASELINE,
)

# 8 bits and 4:2:0, with tools that a browser's decoder has whatever it offered. It has no others but those it offered.
_TAKEN_EVERYWHERE = frozenset(_MOST_CAPABLE_FIRST)

# Phones use none of the tools that only Baseline has (FMO, ASO, redundant slices): the plainest decoder is the safest.
_FALLBACKS = {H264Profile.BASELINE: (H264Profile.CONSTRAINED_BASELINE, *_MOST_CAPABLE_FIRST)}


def choose_format(formats: Sequence[H264Format], stream_profile_level_id: str) -> tuple[H264Format, str]:
    """The payload type for a stream of that profile, with the reason in words. `formats` is not empty.

    The same profile; else one that contains it; else the most capable one, because decoders read the stream's own SPS
    and not the SDP: Chromium plays High under an offered `42e01f`. Within a profile, a level that holds the stream's.
    A stream that cannot be shown as it is goes under what suits it coded anew.
    """
    wanted = profile_if_known(stream_profile_level_id)
    stream = f"the stream's {_described(stream_profile_level_id)}"
    if wanted is None or not _is_taken(playable_profiles(formats), wanted):
        chosen, _ = choose_format(formats, COMMON_PROFILE_LEVEL_ID)
        return chosen, f"{_described(chosen.profile_level_id)}: {stream} has to be coded anew for this browser"
    offered = {one.payload_type: profile_if_known(one.profile_level_id) for one in formats}
    fallbacks = _FALLBACKS.get(wanted, _MOST_CAPABLE_FIRST)
    steps: tuple[tuple[Sequence[H264Profile], str], ...] = (
        ((wanted,), f"the same profile as {stream}"),
        (_CONTAINED_IN.get(wanted, ()), f"a profile that contains {stream}"),
        (fallbacks, f"nothing that was offered contains {stream}, but decoders take it under this profile too"),
    )
    for profiles, verdict in steps:
        for profile in profiles:
            of_profile = [one for one in formats if offered[one.payload_type] is profile]
            if of_profile:
                return _with_reason(_best_level(of_profile, stream_profile_level_id), verdict, stream_profile_level_id)
    verdict = f"no usual profile was offered, but decoders read {stream} from the stream itself"
    return _with_reason(formats[0], verdict, stream_profile_level_id)


def why_not_as_it_is(playable: Sequence[str], stream: SequenceParameterSet) -> str:
    """Why a browser that takes the profile-level-ids `playable` cannot be shown the stream as it is; empty if it can.

    B-frames are another matter, which `capture.playability` sees. What is coded anew can be shown by all.
    """
    if not stream.frame_mbs_only:
        return "it is interlaced, which browsers do not show"
    profile = profile_if_known(stream.profile_level_id)
    if profile is None or not _is_taken(playable, profile):
        known = dict.fromkeys(filter(None, map(profile_if_known, playable)))
        taken = ", ".join(known) or "no known profile"
        return f"it is {_described(stream.profile_level_id)}, the browser takes {taken}"
    return ""


def playable_profiles(formats: Sequence[H264Format]) -> tuple[str, ...]:
    """The profile-level-ids of the formats, each once."""
    return tuple(dict.fromkeys(one.profile_level_id for one in formats))


def profile_if_known(profile_level_id: str) -> H264Profile | None:
    """The profile of `profile_level_id`; None for one that has no name."""
    try:
        return profile_of(profile_level_id)
    except BitstreamError:
        return None


def _is_taken(playable: Sequence[str], profile: H264Profile) -> bool:
    """Whether a browser that takes these profile-level-ids decodes that profile."""
    if profile in _TAKEN_EVERYWHERE:
        return True
    fitting = (profile, *_CONTAINED_IN.get(profile, ()))
    return any(profile_if_known(each) in fitting for each in playable)


def _best_level(formats: Sequence[H264Format], stream_profile_level_id: str) -> H264Format:
    """The first whose level holds the stream's, else the one with the highest."""
    needed = _level(stream_profile_level_id)
    for one in formats:
        if _level(one.profile_level_id) >= needed:
            return one
    return max(formats, key=lambda one: _level(one.profile_level_id))


def _level(profile_level_id: str) -> float:
    """The level's number; 1b, an 11 with constraint_set3 or a 9, lies between 1 and 1.1 (H.264 section A.3.1)."""
    profile_idc, constraint_flags, level_idc = bytes.fromhex(profile_level_id)
    if level_idc == 9 or (level_idc == 11 and constraint_flags & 0x10 and profile_idc in (0x42, 0x4D, 0x58)):
        return 1.05
    return level_idc / 10


def _described(profile_level_id: str) -> str:
    return f"{profile_level_id} ({profile_if_known(profile_level_id) or 'no known profile'})"


def _with_reason(chosen: H264Format, verdict: str, stream_profile_level_id: str) -> tuple[H264Format, str]:
    reason = f"{_described(chosen.profile_level_id)}: {verdict}"
    needed, offered = _level(stream_profile_level_id), _level(chosen.profile_level_id)
    if needed > offered:
        reason += f"; its level {needed:g} is above the offered {offered:g}, which decoders take too"
    return chosen, reason

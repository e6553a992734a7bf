"""Pictures and tracks to send; the sizes are what matters, the coded content is not."""

from dataclasses import replace
from random import Random
from typing import Any

from encoders.access_unit import AccessUnit
from media_service.rtc.picture import Picture
from signaling.jsep import VideoTrack

TRACK = VideoTrack(
    mid="0",
    ssrc=0x11111111,
    payload_type=102,
    profile_level_id="42e01f",
    profile_reason="",
    rtx_ssrc=0x22222222,
    rtx_payload_type=103,
    mid_extension=4,
    absolute_send_time_extension=2,
    playout_delay_extension=5,
    nack=True,
    goog_remb=True,
)
"""As Chromium negotiates it."""


def video_track(**changes: Any) -> VideoTrack:
    """`TRACK` with some of its values changed."""
    return replace(TRACK, **changes)


def nal_unit(kind: int, size: int, seed: int = 0) -> bytes:
    """A NAL unit of `size` bytes, its nal_ref_idc 3, with noise after its header."""
    return bytes((0x60 | kind,)) + Random(seed).randbytes(size - 1)


def keyframe(size: int = 5000, captured_at: float = 0.0) -> AccessUnit:
    """Parameter sets and an IDR slice."""
    return AccessUnit((nal_unit(7, 12), nal_unit(8, 5), nal_unit(5, size)), captured_at, is_keyframe=True)


def predicted(size: int = 800, captured_at: float = 0.0) -> AccessUnit:
    """A picture that needs the one before it."""
    return AccessUnit((nal_unit(1, size),), captured_at, is_keyframe=False)


def group(
    count: int, *, first: int = 1, begin: float = 100.0, interval: float = 1 / 30, size: int = 800
) -> list[Picture]:
    """A keyframe and the `count - 1` pictures after it, numbered from `first`, ready when captured."""
    pictures = []
    for index in range(count):
        at = begin + index * interval
        access_unit = keyframe(5 * size, at) if index == 0 else predicted(size, at)
        pictures.append(Picture(access_unit, first + index, at))
    return pictures

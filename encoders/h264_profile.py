"""H.264 profiles as RTP negotiates them: by profile_idc and the constraint flags (RFC 6184 table 5)."""

import string
from enum import StrEnum
from typing import Final

from encoders.errors import BitstreamError


class H264Profile(StrEnum):
    """A set of coding tools; two profile-level-ids with the same profile can talk to each other."""

    CONSTRAINED_BASELINE = "constrained baseline"
    BASELINE = "baseline"
    MAIN = "main"
    EXTENDED = "extended"
    CONSTRAINED_HIGH = "constrained high"
    PROGRESSIVE_HIGH = "progressive high"
    HIGH = "high"
    HIGH_10 = "high 10"
    HIGH_10_INTRA = "high 10 intra"
    HIGH_422 = "high 4:2:2"
    HIGH_422_INTRA = "high 4:2:2 intra"
    HIGH_444_PREDICTIVE = "high 4:4:4 predictive"
    HIGH_444_INTRA = "high 4:4:4 intra"
    CAVLC_444_INTRA = "CAVLC 4:4:4 intra"


_PATTERNS: Final[dict[int, tuple[tuple[int, int, H264Profile], ...]]] = {
    # profile_idc: (mask, constraint flags under the mask, profile), the first that fits.
    0x42: ((0x40, 0x40, H264Profile.CONSTRAINED_BASELINE), (0, 0, H264Profile.BASELINE)),
    0x4D: ((0x80, 0x80, H264Profile.CONSTRAINED_BASELINE), (0, 0, H264Profile.MAIN)),
    0x58: (
        (0xC0, 0xC0, H264Profile.CONSTRAINED_BASELINE),
        (0x80, 0x80, H264Profile.BASELINE),
        (0, 0, H264Profile.EXTENDED),
    ),
    # constraint_set4_flag: frames only; constraint_set5_flag: no B slices (H.264 sections A.2.4.1 and A.2.4.2).
    0x64: (
        (0x0C, 0x0C, H264Profile.CONSTRAINED_HIGH),
        (0x08, 0x08, H264Profile.PROGRESSIVE_HIGH),
        (0, 0, H264Profile.HIGH),
    ),
    0x6E: ((0x10, 0x10, H264Profile.HIGH_10_INTRA), (0, 0, H264Profile.HIGH_10)),
    0x7A: ((0x10, 0x10, H264Profile.HIGH_422_INTRA), (0, 0, H264Profile.HIGH_422)),
    0xF4: ((0x10, 0x10, H264Profile.HIGH_444_INTRA), (0, 0, H264Profile.HIGH_444_PREDICTIVE)),
    0x2C: ((0, 0, H264Profile.CAVLC_444_INTRA),),
}


def profile_of(profile_level_id: str) -> H264Profile:
    """The profile of six hexadecimal digits, as `42e01f` (RFC 6184 section 8.1); raises `BitstreamError` for others.

    Constraint flags that table 5 does not list (phones set some) only narrow a profile down, so they are taken as the
    widest profile of their profile_idc: whoever decodes that one decodes them.
    """
    if len(profile_level_id) != 6 or not set(profile_level_id) <= set(string.hexdigits):
        raise BitstreamError(f"{profile_level_id!r} is not a profile-level-id: it has six hexadecimal digits")
    profile_idc, constraint_flags, _ = bytes.fromhex(profile_level_id)
    for mask, flags, profile in _PATTERNS.get(profile_idc, ()):
        if constraint_flags & mask == flags:
            return profile
    known = ", ".join(f"{number:02x}" for number in sorted(_PATTERNS))
    raise BitstreamError(f"{profile_level_id!r} has the unknown profile_idc {profile_idc:02x}; known are {known}")

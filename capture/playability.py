"""Whether browsers can show what an encoder makes. Pure."""

from encoders.access_unit import AccessUnit
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, nal_unit_type, parse_sps

_B_FRAMES = "its encoder makes B-frames{}, which browsers do not show"


class Playability:
    """Looks at the parameter sets of one source's pictures, and where these leave it open at the pictures."""

    def __init__(self, *, takes_b_frames: bool = False) -> None:
        """With `takes_b_frames` only parameter sets that make no sense are complained of."""
        self._takes_b_frames = takes_b_frames
        self._sps = b""
        self._may_reorder = False

    def complaint(self, access_unit: AccessUnit) -> str:
        """What is wrong from this picture on, in words; empty when nothing is.

        Browsers show pictures in the order in which they come, so there can be no B-frames.
        """
        if not access_unit.is_keyframe:
            has_b_slices = self._may_reorder and any(map(_is_b_slice, access_unit.nal_units))
            return _B_FRAMES.format("") if has_b_slices else ""
        nal_unit = next((each for each in access_unit.nal_units if nal_unit_type(each) is NalUnitType.SPS), b"")
        if not nal_unit or nal_unit == self._sps:
            return ""
        self._sps = nal_unit
        try:
            sps = parse_sps(nal_unit)
        except BitstreamError as error:
            return f"its parameter sets make no sense: {error}"
        if self._takes_b_frames:
            return ""
        self._may_reorder = sps.may_reorder
        reordered = sps.max_num_reorder_frames
        return _B_FRAMES.format(f" (up to {reordered} out of order)") if reordered else ""


def _is_b_slice(nal_unit: bytes) -> bool:
    """Whether it is the first slice of a picture, and of the type B (H.264 section 7.3.3 and table 7-6)."""
    # first_mb_in_slice 0 and slice_type 1 or 6 are the bits 1 010 and 1 00111.
    return (
        len(nal_unit) > 1
        and nal_unit[0] & 0x1F == NalUnitType.SLICE
        and (nal_unit[1] & 0xF0 == 0xA0 or nal_unit[1] & 0xFC == 0x9C)
    )

"""One stream out of recordings that follow one another."""

from encoders.access_unit import AccessUnit
from encoders.h264 import NalUnitType

_PARAMETER_SETS = frozenset({NalUnitType.SPS, NalUnitType.PPS})


class Splice:
    """Passes on the pictures of the newest recording that has come to a keyframe, as one valid stream.

    Recordings are numbered in the order of their start. The pictures of one flow until the first keyframe of a later
    one, then only that one's. Time does not run backwards, and every keyframe has its parameter sets: recorders send
    them once, at their beginning.
    """

    def __init__(self) -> None:
        self.live = 0
        """The number of the recording whose pictures flow; 0 for none yet."""
        self._parameter_sets: tuple[bytes, ...] = ()
        self._last_at = 0.0

    def take(self, recording: int, access_unit: AccessUnit) -> AccessUnit | None:
        """The picture as it goes into the stream; None when it does not."""
        if access_unit.is_keyframe:
            completed = self._take_keyframe(recording, access_unit)
            if completed is None:
                return None
            access_unit = completed
        elif recording != self.live:
            return None
        if access_unit.captured_at < self._last_at:
            return AccessUnit(access_unit.nal_units, self._last_at, access_unit.is_keyframe)
        self._last_at = access_unit.captured_at
        return access_unit

    def _take_keyframe(self, recording: int, access_unit: AccessUnit) -> AccessUnit | None:
        if recording < self.live:
            return None
        kinds = [nal[0] & 0x1F for nal in access_unit.nal_units]
        if NalUnitType.SPS in kinds:
            self._parameter_sets = tuple(
                nal for nal, kind in zip(access_unit.nal_units, kinds, strict=True) if kind in _PARAMETER_SETS
            )
        elif recording != self.live:
            return None  # Undecodable: it came without parameter sets, and those of another recording are others.
        else:
            nal_units = self._parameter_sets + access_unit.nal_units
            access_unit = AccessUnit(nal_units, access_unit.captured_at, is_keyframe=True)
        self.live = recording
        return access_unit

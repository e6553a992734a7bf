"""Making every keyframe complete: a decoder that joins at it has the parameter sets."""

from dataclasses import replace

from encoders.access_unit import AccessUnit
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, SequenceParameterSet, nal_unit_type, parse_pps_id, parse_sps


class ParameterSets:
    """Remembers the newest parameter sets of a stream and gives them to keyframes that come without.

    Android's encoders send them once at the start, or before every IDR picture, as they like.
    """

    def __init__(self) -> None:
        self.sps: SequenceParameterSet | None = None
        """The newest sequence parameter set seen."""
        self._sps: dict[int, bytes] = {}
        self._pps: dict[int, bytes] = {}

    def complete(self, access_unit: AccessUnit) -> AccessUnit:
        """`access_unit` as it is, or a keyframe with its parameter sets, and those that it lacked, at its beginning.

        Raises `BitstreamError` for a parameter set that is broken and for a keyframe that has none and came before any.
        """
        own = []
        for nal in access_unit.nal_units:
            kind = nal_unit_type(nal)
            if kind is NalUnitType.SPS:
                self._remember_sps(nal)
                own.append(nal)
            elif kind is NalUnitType.PPS:
                self._pps[parse_pps_id(nal)] = nal
                own.append(nal)
        if not access_unit.is_keyframe:
            return access_unit
        if not self._sps or not self._pps:
            lacking = "sequence" if not self._sps else "picture"
            raise BitstreamError(f"a keyframe came, but no {lacking} parameter set with it or before it")
        needed = (*self._sps.values(), *self._pps.values())
        if all(nal in own for nal in needed) and access_unit.nal_units[0] in own:
            return access_unit
        others = (nal for nal in access_unit.nal_units if nal not in own)
        return replace(access_unit, nal_units=(*needed, *others))

    def _remember_sps(self, nal: bytes) -> None:
        if nal in self._sps.values():
            return
        sps = parse_sps(nal)
        if sps.seq_parameter_set_id in self._sps:
            # Another size or profile is another stream: what belonged to the old one must not be sent along for ever.
            self._sps.clear()
            self._pps.clear()
        self._sps[sps.seq_parameter_set_id] = nal
        self.sps = sps

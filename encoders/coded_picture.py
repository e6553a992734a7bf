"""From what an encoder gave for one picture to the access unit that is passed on."""

from collections.abc import Iterable
from typing import Final

from encoders.access_unit import AccessUnit
from encoders.errors import BitstreamError, EncoderError
from encoders.h264 import NalUnitType, nal_unit_type
from encoders.parameter_sets import ParameterSets

_LEFT_OUT: Final = frozenset(
    {
        NalUnitType.SEI,  # x264 names itself and its settings in one; nobody reads that.
        NalUnitType.ACCESS_UNIT_DELIMITER,
        NalUnitType.END_OF_SEQUENCE,
        NalUnitType.END_OF_STREAM,
        NalUnitType.FILLER,
    }
)


def coded_picture(nal_units: Iterable[bytes], captured_at: float, parameter_sets: ParameterSets) -> AccessUnit:
    """The access unit of one picture's NAL units: a keyframe with its parameter sets, nothing that shows nothing.

    `parameter_sets` are those of the coded video that the picture belongs to. Raises `EncoderError` where there is no
    picture, or a keyframe without parameter sets.
    """
    kept = tuple(nal for nal in nal_units if nal_unit_type(nal) not in _LEFT_OUT)
    types = {nal_unit_type(nal) for nal in kept}
    is_keyframe = NalUnitType.IDR_SLICE in types
    if not is_keyframe and NalUnitType.SLICE not in types:
        raise EncoderError("the encoder gave something without a picture in it")
    access_unit = AccessUnit(kept, captured_at, is_keyframe)
    try:
        return parameter_sets.complete(access_unit) if is_keyframe else access_unit
    except BitstreamError as error:
        raise EncoderError(f"the encoder gave a broken keyframe: {error}") from error

"""A keyframe never goes without the parameter sets that it needs."""

from pathlib import Path

import pytest

from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser, picture_nal_units
from encoders.errors import BitstreamError
from encoders.h264 import NalUnitType, nal_unit_type
from encoders.parameter_sets import ParameterSets
from tests.fixtures.media import encode_x264

IDR, SLICE, SEI = b"\x65\x88\x84", b"\x41\x9a\x33", b"\x06\x05\x80"


def sets_of(width: int, x264: str = "") -> tuple[bytes, bytes]:
    """SPS and PPS."""
    nal_units = picture_nal_units(encode_x264(width, 64, 1, x264=x264)[0])
    return nal_units[0], nal_units[1]


def keyframe(*nal_units: bytes) -> AccessUnit:
    return AccessUnit(nal_units, 1.5, True)


def picture(*nal_units: bytes) -> AccessUnit:
    return AccessUnit(nal_units, 1.5, False)


def test_a_complete_keyframe_stays_the_same_object() -> None:
    sps, pps = sets_of(64)
    access_unit = keyframe(sps, pps, SEI, IDR)
    assert ParameterSets().complete(access_unit) is access_unit


def test_a_picture_stays_the_same_object() -> None:
    access_unit = picture(SLICE)
    assert ParameterSets().complete(access_unit) is access_unit


@pytest.mark.parametrize("own", [(), (0,), (1,), (0, 1)])
def test_a_keyframe_gets_what_it_lacks(own: tuple[int, ...]) -> None:
    sets = sets_of(64)
    parameter_sets = ParameterSets()
    parameter_sets.complete(picture(*sets, SLICE))
    completed = parameter_sets.complete(keyframe(*(sets[index] for index in own), SEI, IDR))
    assert completed == keyframe(*sets, SEI, IDR)


def test_a_keyframe_begins_with_its_parameter_sets() -> None:
    sps, pps = sets_of(64)
    assert ParameterSets().complete(keyframe(SEI, sps, pps, IDR)) == keyframe(sps, pps, SEI, IDR)


def test_the_newest_ones_are_given() -> None:
    old, new = sets_of(64), sets_of(96)
    parameter_sets = ParameterSets()
    parameter_sets.complete(keyframe(*old, IDR))
    assert parameter_sets.sps is not None
    assert parameter_sets.sps.width == 64
    parameter_sets.complete(keyframe(*new, IDR))
    assert parameter_sets.sps.width == 96
    assert parameter_sets.complete(keyframe(IDR)) == keyframe(*new, IDR)


def test_several_parameter_sets_are_kept_by_their_number() -> None:
    first, second = sets_of(64), sets_of(96, "sps-id=1")
    parameter_sets = ParameterSets()
    access_unit = keyframe(*first, *second, IDR)
    assert parameter_sets.complete(access_unit) is access_unit
    assert parameter_sets.complete(keyframe(IDR)) == keyframe(first[0], second[0], first[1], second[1], IDR)


def test_a_new_size_forgets_the_old_picture_parameter_sets() -> None:
    sps, pps = sets_of(64)
    other_sps, _ = sets_of(96)
    parameter_sets = ParameterSets()
    parameter_sets.complete(keyframe(sps, pps, IDR))
    with pytest.raises(BitstreamError, match="no picture parameter set"):
        parameter_sets.complete(keyframe(other_sps, IDR))


def test_a_keyframe_before_any_parameter_set_is_refused() -> None:
    with pytest.raises(BitstreamError, match="no sequence parameter set"):
        ParameterSets().complete(keyframe(IDR))


@pytest.mark.parametrize("broken", [b"\x67", b"\x67\x64\x00", b"\x68"])
def test_a_broken_parameter_set_is_refused(broken: bytes) -> None:
    with pytest.raises(BitstreamError):
        ParameterSets().complete(picture(broken, SLICE))


def test_a_real_clip_with_its_later_parameter_sets_removed(clip_h264: Path) -> None:
    parser, parameter_sets = AnnexBParser(), ParameterSets()
    access_units = [*parser.feed(clip_h264.read_bytes(), 0.0), *parser.flush()]
    keyframes = 0
    for access_unit in access_units:
        bare = access_unit
        if access_unit.is_keyframe and keyframes:
            slices = tuple(nal for nal in access_unit.nal_units if nal_unit_type(nal) is NalUnitType.IDR_SLICE)
            bare = AccessUnit(slices, access_unit.captured_at, True)
        keyframes += access_unit.is_keyframe
        assert parameter_sets.complete(bare) == access_unit
    assert keyframes == 2

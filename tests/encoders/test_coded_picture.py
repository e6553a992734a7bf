"""Access units of what encoders give."""

import pytest

from encoders.access_unit import AccessUnit
from encoders.coded_picture import coded_picture
from encoders.errors import EncoderError
from encoders.parameter_sets import ParameterSets
from tests.encoders.test_parameter_sets import IDR, SEI, SLICE, sets_of


def test_what_shows_nothing_is_left_out() -> None:
    delimiter, filler, end = b"\x09\x10", b"\x0c\xff", b"\x0a"
    assert coded_picture((delimiter, SEI, SLICE, filler, end), 1.5, ParameterSets()) == AccessUnit((SLICE,), 1.5, False)


def test_a_keyframe_gets_the_parameter_sets_that_came_before() -> None:
    sets = sets_of(64)
    parameter_sets = ParameterSets()
    parameter_sets.complete(AccessUnit(sets, 0.0, False))
    assert coded_picture((SEI, IDR), 1.5, parameter_sets) == AccessUnit((*sets, IDR), 1.5, True)


@pytest.mark.parametrize(
    ("nal_units", "message"),
    [
        ((), "without a picture in it"),
        ((SEI,), "without a picture in it"),
        ((b"\x67", IDR), "a broken keyframe"),
        ((IDR,), "a broken keyframe: a keyframe came, but no sequence parameter set"),
    ],
)
def test_what_is_no_picture(nal_units: tuple[bytes, ...], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        coded_picture(nal_units, 0.0, ParameterSets())

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from capture.splice import Splice
from encoders.access_unit import AccessUnit

SPS, PPS, IDR, SLICE = b"\x67\x42", b"\x68\xce", b"\x65\x88", b"\x41\x9a"


def key(at: float, *, mark: bytes = b"") -> AccessUnit:
    return AccessUnit((SPS + mark, PPS + mark, IDR + mark), at, is_keyframe=True)


def bare_key(at: float) -> AccessUnit:
    return AccessUnit((IDR,), at, is_keyframe=True)


def delta(at: float) -> AccessUnit:
    return AccessUnit((SLICE,), at, is_keyframe=False)


def test_a_recording_begins_with_its_keyframe() -> None:
    splice = Splice()
    assert splice.take(1, delta(1.0)) is None
    assert splice.live == 0
    assert splice.take(1, key(2.0)) == key(2.0)
    assert splice.take(1, delta(3.0)) == delta(3.0)
    assert splice.live == 1


def test_the_old_recording_flows_until_the_new_one_has_a_keyframe() -> None:
    splice = Splice()
    splice.take(1, key(1.0))
    assert splice.take(2, delta(1.1)) is None
    assert splice.take(1, delta(1.2)) == delta(1.2)
    assert splice.take(2, key(1.3)) == key(1.3)
    assert splice.take(1, delta(1.4)) is None
    assert splice.take(1, key(1.5)) is None
    assert splice.take(2, delta(1.6)) == delta(1.6)


def test_a_recording_that_failed_is_skipped() -> None:
    splice = Splice()
    splice.take(1, key(1.0))
    assert splice.take(3, key(2.0)) == key(2.0)
    assert splice.take(2, key(3.0)) is None


def test_keyframes_get_the_parameter_sets_that_came_last() -> None:
    splice = Splice()
    splice.take(1, key(1.0, mark=b"1"))
    assert splice.take(1, bare_key(2.0)) == AccessUnit((SPS + b"1", PPS + b"1", IDR), 2.0, is_keyframe=True)
    splice.take(1, key(3.0, mark=b"2"))
    completed = splice.take(1, bare_key(4.0))
    assert completed is not None
    assert completed.nal_units == (SPS + b"2", PPS + b"2", IDR)


def test_a_recording_is_of_no_use_without_parameter_sets_of_its_own() -> None:
    splice = Splice()
    assert splice.take(1, bare_key(1.0)) is None
    splice.take(1, key(2.0))
    assert splice.take(2, bare_key(3.0)) is None
    assert splice.live == 1


def test_time_does_not_run_backwards() -> None:
    splice = Splice()
    splice.take(1, key(5.0))
    late = splice.take(2, key(4.0))
    assert late == key(5.0)
    assert splice.take(2, delta(4.5)) == delta(5.0)
    assert splice.take(2, delta(6.0)) == delta(6.0)


PICTURES = st.tuples(st.integers(1, 4), st.sampled_from([key, bare_key, delta]), st.floats(0, 100))


@given(st.lists(PICTURES, max_size=30))
def test_whatever_comes_the_stream_is_valid(given_pictures: list[tuple[int, object, float]]) -> None:
    splice = Splice()
    stream: list[tuple[int, AccessUnit]] = []
    for recording, make, at in given_pictures:
        assert callable(make)
        if (taken := splice.take(recording, make(at))) is not None:
            stream.append((recording, taken))
    for _, access_unit in stream:
        assert not access_unit.is_keyframe or access_unit.nal_units[:2] == (SPS, PPS)
    assert all(access_unit.is_keyframe for _, access_unit in stream[:1])
    for (recording, before), (following, after) in pairwise(stream):
        assert before.captured_at <= after.captured_at
        assert recording <= following
        assert recording == following or after.is_keyframe

"""The file that stands for scrcpy's server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.scrcpy.jar import jar_version, make_jar


@pytest.mark.parametrize("version", ["3.0", "3.3.4", "4.1"])
def test_it_names_its_version_and_is_always_the_same(version: str) -> None:
    assert jar_version(make_jar(version)) == version
    assert make_jar(version) == make_jar(version)


@pytest.mark.parametrize("version", ["", "3", "v3.3.4", "3.3.4\n", "3.x"])
def test_only_versions(version: str) -> None:
    with pytest.raises(ValueError, match="no version of scrcpy"):
        make_jar(version)


@given(st.binary(max_size=300))
def test_any_other_bytes_have_no_version(data: bytes) -> None:
    assert jar_version(data) is None


@given(st.integers(0, 250), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_not(at: int, damage: bytes) -> None:
    jar = bytearray(make_jar("3.3.4"))
    jar[at : at + len(damage)] = damage
    assert jar_version(bytes(jar)) in (None, "3.3.4")

"""The versions of scrcpy's server that we speak, and what each has."""

import pytest

from capture.scrcpy.version import parse_version


@pytest.mark.parametrize(
    ("text", "session_packets", "scroll_range"),
    [
        ("3.0", False, 1),
        ("3.0.2", False, 1),
        ("3.3", False, 1),
        ("3.3.1", False, 16),
        ("3.3.4", False, 16),
        ("4.0", True, 16),
        ("4.1", True, 16),
    ],
)
def test_the_table(text: str, session_packets: bool, scroll_range: float) -> None:
    version = parse_version(text)
    assert version.has_session_packets is session_packets
    assert version.scroll_range == scroll_range


def test_the_name_is_what_the_server_compares() -> None:
    assert str(parse_version(" v3.3.4\n")) == "3.3.4"
    assert str(parse_version("4.0")) == "4.0"


@pytest.mark.parametrize("text", ["2.7", "1.25", "5.0", "2.99.9", "99.0"])
def test_other_versions_are_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match=rf"scrcpy {text} is not supported: 3\.0 up to 4\.x are allowed"):
        parse_version(text)


@pytest.mark.parametrize("text", ["", "4", "4.", "4.1.2.3", "4.1-beta", "latest", "4.1 scid=0", "٤.١", "4.99999"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a version of scrcpy"):
        parse_version(text)

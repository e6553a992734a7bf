"""Moments as text."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from signaling.rfc3339 import milliseconds, whole_seconds

HALF_PAST_TEN = datetime(2025, 1, 15, 10, 30, tzinfo=UTC).timestamp()


def test_whole_seconds() -> None:
    assert whole_seconds(HALF_PAST_TEN + 0.999) == "2025-01-15T10:30:00Z"


def test_whole_seconds_have_milliseconds_too() -> None:
    assert milliseconds(0) == "1970-01-01T00:00:00.000Z"


@given(st.floats(0, 4e9))
def test_milliseconds_are_those_of_the_standard_library(seconds: float) -> None:
    expected = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert milliseconds(seconds) == expected

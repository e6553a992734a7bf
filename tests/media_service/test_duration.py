"""Durations as they are written in settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.duration import Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10.0), ("5m", 300.0), ("200ms", 0.2), ("1h", 3600.0), ("1.5s", 1.5), ("1m30s", 90.0), (" 2s ", 2.0)],
)
def test_reads_durations(text: str, seconds: float) -> None:
    assert Duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", " ", "10", "s", "10 s", "-1s", "1d", "ten s", "1s,", "٣s", "9" * 400 + "s"])
def test_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        Duration.parse(text)


@pytest.mark.parametrize(
    ("written", "shown"),
    [("90s", "90s"), ("60s", "1m"), ("0.2s", "200ms"), ("120m", "2h"), ("1.5s", "1.5s"), ("0ms", "0s")],
)
def test_is_shown_in_the_largest_unit_that_fits(written: str, shown: str) -> None:
    assert str(Duration.parse(written)) == shown


@given(st.integers(min_value=1, max_value=10**9))
def test_what_is_shown_reads_back_the_same(milliseconds: int) -> None:
    duration = Duration(milliseconds / 1000)
    assert Duration.parse(str(duration)) == pytest.approx(duration)


@given(st.text())
def test_any_text_is_a_duration_or_a_value_error(text: str) -> None:
    try:
        assert Duration.parse(text) > 0
    except ValueError:
        pass

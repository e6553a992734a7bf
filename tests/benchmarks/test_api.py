"""What `benchmarks.api` makes of what wrk says, and of what the streams were like. It runs in `test_smoke`."""

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import api
from benchmarks.api_stage import Streams, Window
from benchmarks.errors import BenchmarkError
from benchmarks.wrk import Answered, Load, parse

RESULT = {
    "requests": 2000,
    "microseconds": 4_000_000,
    "octets": 1_000_000,
    "p50": 1500,
    "p95": 4000,
    "p99": 8000,
    "maximum": 20_000,
    "refused": 0,
    "broken": 0,
}


def printed(**changes: object) -> str:
    found = {name: value for name, value in (RESULT | changes).items() if value is not ...}
    return f"Running 4s test @ http://127.0.0.1:1\n  1 threads\nresult {json.dumps(found)}\n"


def test_a_result_is_read() -> None:
    answered = parse(printed())

    assert (answered.p50, answered.p95, answered.p99, answered.maximum) == (0.0015, 0.004, 0.008, 0.02)
    assert (answered.per_second, answered.octets_each) == (500, 500)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (printed(refused=3), "3 were refused"),
        (printed(broken=2), "2 broke off"),
        (printed(requests=0), "nothing was answered"),
        (printed(p95=...), "no result"),
        (printed(p95="4000"), "no result"),
        (printed(p95=True), "no result"),
        (printed(requests=-1), "no result"),
        ("unable to connect to 127.0.0.1:1 Connection refused\n", "Connection refused"),
        ("result 5\n", "no result"),
        ("result [[[\n", "no result"),
        ("", "no result"),
    ],
)
def test_anything_else_is_no_result(output: str, why: str) -> None:
    with pytest.raises(BenchmarkError, match=why):
        parse(output)


@given(st.text() | st.text().map("result {}".format))
def test_garbage_is_refused(output: str) -> None:
    with pytest.raises(BenchmarkError):
        parse(output)


@given(
    st.recursive(st.none() | st.integers() | st.floats() | st.text(max_size=5), st.lists), st.sampled_from([*RESULT])
)
def test_a_field_that_is_no_count_is_refused(value: object, name: str) -> None:
    try:
        parse(printed(**{name: value}))
    except BenchmarkError:
        return
    assert type(value) is int
    assert value >= 0


@pytest.mark.parametrize(
    ("load", "pause", "text"),
    [
        (Load(16), 0, "flat out, 16 connections"),
        (Load(1), 0, "flat out, 1 connection"),
        (Load(16, 429.0), 37, "429/s, 16 connections"),
        (Load(16, 1000.0), 16, "1000/s, 16 connections"),
        (Load(1, 100_000.0), 1, "100000/s, 1 connection"),
    ],
)
def test_a_pace_is_a_pause_of_each_connection(load: Load, pause: int, text: str) -> None:
    assert load.pause == pause
    assert str(load) == text


def row(what: str, latency_p99: float, *, has_token: bool = False, lost: int = 0) -> api.Row:
    streams = Streams(100, 0.001, latency_p99, 0.001, 0.005, 0.002, math.inf, lost)
    answered = None if what.startswith("nobody") else Answered(2000, 4.0, 1_000_000, 0.0015, 0.004, 0.008, 0.02)
    return api.Row(what, has_token, Window(4.0, answered, streams, 0.3, 0.01, 250.0))


PLAN = replace(api.Plan.quick(["levels"]), levels=(Load(16, 100.0), Load(16, 1000.0), Load(16)))


def test_what_viewers_notice_is_compared_with_the_quiet_of_the_same_stage() -> None:
    quiet, quiet_with_tokens = row("nobody asks", 0.002), row("nobody asks", 0.1, has_token=True)
    busy, busy_with_tokens = row("100/s, 16 connections", 0.006), row("100/s, 16 connections", 0.09, has_token=True)
    rows = [quiet, busy, quiet_with_tokens, busy_with_tokens]

    assert [api.added(rows, each) for each in rows] == pytest.approx([0, 0.004, 0, -0.01])
    assert api.failures(rows, PLAN) == []


def test_only_what_the_predecessor_could_answer_has_to_go_unnoticed() -> None:
    quiet = row("nobody asks", 0.002)
    slow = [row(str(load), 0.0075, lost=2) for load in PLAN.levels]

    assert api.failures([quiet, *slow], PLAN) == [
        "100/s, 16 connections: p99 of the streams rose by 5.5 ms",
        "100/s, 16 connections: 2 packets were lost",
    ]


def test_a_machine_that_is_busy_by_itself_cannot_tell() -> None:
    calm, again = row("nobody asks", 0.002), row("nobody asks again", 0.004)

    assert not api.is_too_busy([calm, row("100/s, 16 connections", 0.5), again])
    assert api.is_too_busy([calm, replace(again, window=row("", 0.02).window)])


def test_the_tables_take_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row("nobody asks", 0.002), row("flat out, 16 connections", 0.003, has_token=True)]
    api.print_rows({"routes": [row("/devices", 0.002)], "levels": rows, "scrape": rows})

    text = capsys.readouterr().out
    assert "1.2 times the 429 requests/s" in text
    assert "0.02 of its 184 ms" in text
    assert "∞" in text

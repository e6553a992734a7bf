import struct
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.transport_feedback import Arrivals
from media_service.rtc.rtcp import TransportFeedback, parse

EXTENSION = 4


def packet(number: int, *, before: bytes = b"") -> bytes:
    """An RTP packet with that transport-wide number, other header extensions `before` it."""
    elements = before + struct.pack("!BH", EXTENSION << 4 | 1, number & 0xFFFF)
    elements += bytes(-len(elements) % 4)
    return struct.pack("!BBHII", 0x90, 96, 1, 2, 3) + b"\xbe\xde" + struct.pack("!H", len(elements) // 4) + elements


def told(arrivals: Arrivals) -> list[TransportFeedback]:
    parsed = [each for report in arrivals.reports(1, 2) for each in parse(report)]
    return [each for each in parsed if isinstance(each, TransportFeedback)]


def test_tells_what_arrived_when() -> None:
    arrivals = Arrivals(EXTENSION)
    for number, at in ((10, 1.0), (11, 1.0), (14, 1.02), (13, 1.025), (15, 3.0)):
        arrivals.packet(packet(number), at)
    [feedback] = told(arrivals)
    assert (feedback.first, feedback.count) == (10, 0)
    assert feedback.arrivals == pytest.approx((1.0, 1.0, None, 1.025, 1.02, 3.0), abs=0.00013)


def test_tells_it_once_and_goes_on() -> None:
    arrivals = Arrivals(EXTENSION)
    arrivals.packet(packet(0xFFFE), 1.0)
    assert len(told(arrivals)) == 1
    assert told(arrivals) == []
    arrivals.packet(packet(1), 2.0)
    arrivals.packet(packet(0xFFFE), 2.1)  # told of already
    [feedback] = told(arrivals)
    assert (feedback.first, feedback.count) == (0xFFFF, 1)
    assert feedback.arrivals == pytest.approx((None, None, 2.0), abs=0.00013)


def test_finds_the_number_wherever_it_is() -> None:
    arrivals = Arrivals(EXTENSION)
    for number, before in enumerate((b"", b"\x22abc", b"\x50a\x00\x60b", b"")):
        arrivals.packet(packet(number, before=before), 1.0)
    [feedback] = told(arrivals)
    assert len(feedback.arrivals) == 4


@pytest.mark.parametrize(
    "other", [bytes(40), b"\x90" + bytes(40), b"\x90" + bytes(11) + b"\xbe\xde\0\1\x22abc" + bytes(20)]
)
def test_a_packet_without_a_number_is_not_told_of(other: bytes) -> None:
    arrivals = Arrivals(EXTENSION)
    arrivals.packet(other, 1.0)
    assert told(arrivals) == []


@given(st.lists(st.tuples(st.integers(0, 300), st.floats(0, 0.5)), min_size=1, max_size=200), st.integers(0, 0xFFFF))
def test_the_service_reads_all_of_it(steps: Sequence[tuple[int, float]], first: int) -> None:
    arrivals, number, now, expected = Arrivals(EXTENSION), first, 100.0, dict[int, float]()
    for ahead, later in steps:
        number, now = number + ahead + 1, now + later
        expected[number & 0xFFFF] = now
        arrivals.packet(packet(number), now)
    reports = told(arrivals)
    read = {
        (report.first + index) & 0xFFFF: at
        for report in reports
        for index, at in enumerate(report.arrivals)
        if at is not None
    }
    assert read == pytest.approx(expected, abs=0.00013)

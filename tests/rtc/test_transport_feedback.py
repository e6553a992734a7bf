"""Transport-wide feedback on the wire, chunk by chunk, and whatever else may be in such a packet."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.rtc import rtcp
from tests.rtc.transport_feedback import (
    REFERENCE,
    TICK,
    one_bit_vector,
    packet,
    run_length,
    two_bit_vector,
    written,
)


def parsed(compound: bytes) -> rtcp.TransportFeedback:
    (feedback,) = rtcp.parse(compound)
    assert isinstance(feedback, rtcp.TransportFeedback)
    return feedback


def ticks(feedback: rtcp.TransportFeedback, reference: int = 0) -> list[int | None]:
    """Arrivals in units of 250 us after the reference time."""
    base = reference * REFERENCE
    return [None if arrival is None else round((arrival - base) / TICK) for arrival in feedback.arrivals]


def test_the_wire_format_byte_by_byte() -> None:
    compound = bytes.fromhex(
        "8f cd 00 06"  # format 15, RTPFB, 6 words follow
        "00 00 00 01 00 00 00 02"  # sender and media source
        "00 a3 00 05"  # from number 163, five packets
        "00 00 02 07"  # reference time 2 * 64 ms, the seventh report
        "20 03 90 00"  # three small deltas; a vector of one bit: 0, 1
        "04 08 0c ff"  # 1, 2, 3 ms, 63.75 ms
    )
    assert parsed(compound) == rtcp.TransportFeedback(163, (0.129, 0.131, 0.134, None, 0.19775), 7)


@pytest.mark.parametrize(
    ("chunks", "deltas", "arrivals"),
    [
        ([run_length(1, 3)], b"\x01\x02\xff", [1, 3, 258]),
        ([run_length(0, 2), run_length(1, 1)], b"\x05", [None, None, 5]),
        ([run_length(2, 2)], b"\x01\x00\xff\xff", [256, 255]),
        ([one_bit_vector([1, 0, 1])], b"\x01\x01", [1, None, 2]),
        ([two_bit_vector([1, 0, 2])], b"\x01\xff\xfe", [1, None, -1]),
        ([two_bit_vector([3, 1])], b"\x07", [None, 7]),
        ([two_bit_vector([1] * 7), one_bit_vector([1] * 14), run_length(0, 1)], bytes(21), [0] * 21 + [None]),
    ],
    ids=["run", "run_of_losses", "large_deltas", "one_bit", "two_bit", "reserved", "one_after_another"],
)
def test_each_kind_of_chunk(chunks: list[int], deltas: bytes, arrivals: list[int | None]) -> None:
    feedback = parsed(packet(9, len(arrivals), 1000, 3, chunks, deltas))
    assert ticks(feedback, 1000) == arrivals
    assert (feedback.first, feedback.count) == (9, 3)


def test_the_last_chunk_may_go_on_beyond_the_last_packet() -> None:
    assert ticks(parsed(packet(0, 2, 0, 0, [one_bit_vector([1] * 14)], b"\x01\x01"))) == [1, 2]
    assert ticks(parsed(packet(0, 2, 0, 0, [run_length(1, 8191)], b"\x01\x01"))) == [1, 2]


@pytest.mark.parametrize(
    "compound",
    [
        packet(0, 0, 0, 0, [], b""),
        packet(0, 3, 0, 0, [run_length(1, 2)], b""),
        packet(0, 3, 0, 0, [run_length(1, 0)], bytes(4)),
        packet(0, 9, 0, 0, [run_length(2, 9)], bytes(8)),
        packet(0, 8193, 0, 0, [run_length(0, 8191)] * 2, b""),
        packet(0, 0xFFFF, 0, 0, [run_length(0, 8191)] * 9, b""),
    ],
    ids=["of_nothing", "chunks_missing", "empty_run", "deltas_missing", "of_too_many", "of_all_there_are"],
)
def test_what_makes_no_sense_is_skipped(compound: bytes) -> None:
    pli = struct.pack("!BBHII", 0x81, rtcp.PAYLOAD_FEEDBACK, 2, 1, 2)
    assert rtcp.parse(compound + pli) == [rtcp.KeyframeRequest(2, "pli")]


def test_a_datagram_tells_of_a_bounded_number_of_packets() -> None:
    greedy = packet(0, 8000, 0, 0, [run_length(0, 8000)], b"")
    assert sum(len(each.arrivals) for each in map(parsed, [greedy])) == 8000
    found = rtcp.parse(greedy * 60)
    assert sum(len(each.arrivals) for each in found if isinstance(each, rtcp.TransportFeedback)) == 8000


@given(st.integers(0, 0xFFFF), st.integers(0, 255), st.lists(st.none() | st.integers(0, 30_000), min_size=1))
def test_what_a_receiver_writes_is_read(first: int, count: int, arrival_ticks: list[int | None]) -> None:
    arrivals = [None if each is None else each * TICK for each in arrival_ticks]
    feedback = parsed(written(first, arrivals, count))
    assert (feedback.first, feedback.count) == (first, count)
    assert ticks(feedback) == arrival_ticks


@given(st.binary(max_size=200), st.integers(0, 31))
def test_garbage_never_raises(body: bytes, count: int) -> None:
    body += bytes(-len(body) % 4)
    for padded in (0x80, 0xA0):
        found = rtcp.parse(struct.pack("!BBH", padded | count, rtcp.TRANSPORT_FEEDBACK, len(body) // 4) + body)
        assert len(found) <= 1


@given(
    st.integers(0, 0xFFFF),
    st.integers(0, 0xFFFF),
    st.lists(st.integers(0, 0xFFFF), max_size=30),
    st.binary(max_size=60),
)
def test_any_chunks_are_read_or_skipped(first: int, statuses: int, chunks: list[int], deltas: bytes) -> None:
    for feedback in rtcp.parse(packet(first, statuses, 5, 1, chunks, deltas)):
        assert isinstance(feedback, rtcp.TransportFeedback)
        assert len(feedback.arrivals) == statuses

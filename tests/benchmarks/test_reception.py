import struct

import pytest

from benchmarks.reception import Reception


def packet(sequence_number: int, timestamp: int = 0, *, marker: bool = False) -> bytes:
    return struct.pack("!BBHII", 0x80, 0xE0 if marker else 0x60, sequence_number, timestamp & 0xFFFFFFFF, 1)


def receive(reception: Reception, *sequence_numbers: int) -> None:
    for number in sequence_numbers:
        reception.packet(packet(number), 100, 0.0)


def test_counts_what_is_missing() -> None:
    reception = Reception()
    receive(reception, 10, 11, 14)

    assert (reception.packets, reception.expected, reception.lost, reception.octets) == (3, 5, 2, 300)


def test_a_late_packet_is_not_lost() -> None:
    reception = Reception()
    receive(reception, 10, 12, 11)

    assert reception.lost == 0


def test_the_sequence_number_wraps() -> None:
    reception = Reception()
    receive(reception, 0xFFFE, 0xFFFF, 0, 2)

    assert (reception.expected, reception.lost) == (5, 1)
    assert reception.report().highest_sequence_number == 0x10002


def test_a_duplicate_does_not_hide_a_loss() -> None:
    reception = Reception()
    receive(reception, 10, 12, 12)

    assert (reception.lost, reception.duplicates) == (1, 1)


def test_a_report_tells_the_loss_since_the_one_before() -> None:
    reception = Reception()
    receive(reception, 0, 1, 3)
    first = reception.report()
    receive(reception, 4, 5)
    second = reception.report()

    assert (first.fraction_lost, first.cumulative_lost) == (64, 1)
    assert (second.fraction_lost, second.cumulative_lost) == (0, 1)


def test_lateness_is_against_the_timestamps_and_across_their_wrap() -> None:
    reception = Reception()
    start = 2**32 - 3000
    for number, late in enumerate((0.002, 0.0, 0.030)):
        reception.packet(packet(number, start + 3000 * number, marker=True), 100, 5.0 + number / 30 + late)

    assert reception.lateness() == pytest.approx([0.002, 0.0, 0.030])


def test_a_window_forgets_the_timing_before() -> None:
    reception = Reception()
    reception.packet(packet(0, 0, marker=True), 100, 1.0)
    reception.begin()

    assert reception.lateness() == []
    assert reception.packets == 1

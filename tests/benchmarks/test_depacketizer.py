import struct

import pytest

from benchmarks.depacketizer import Depacketizer, is_keyframe, slices

IDR = b"\x65" + bytes(range(1, 200))
SLICE = b"\x41\x9a\x01"
SPS, PPS = b"\x67\x42\x00\x1f", b"\x68\xce"


def packet(sequence_number: int, payload: bytes, *, timestamp: int = 0, marker: bool = False) -> bytes:
    return struct.pack("!BBHII", 0x80, 0xE0 if marker else 0x60, sequence_number, timestamp, 1) + payload


def fragments(nal_unit: bytes, size: int) -> list[bytes]:
    pieces = [nal_unit[offset : offset + size] for offset in range(1, len(nal_unit), size)]
    flags = [0x80, *[0] * (len(pieces) - 2), 0x40]
    header = nal_unit[0] & 0xE0 | 28
    return [bytes((header, flag | nal_unit[0] & 0x1F)) + piece for flag, piece in zip(flags, pieces, strict=True)]


def aggregate(*nal_units: bytes) -> bytes:
    return b"\x78" + b"".join(len(nal_unit).to_bytes(2, "big") + nal_unit for nal_unit in nal_units)


def test_single_aggregated_and_fragmented_nal_units() -> None:
    depacketizer = Depacketizer()
    payloads = [aggregate(SPS, PPS), *fragments(IDR, 50)]
    units = [
        depacketizer.receive(packet(number, payload, marker=number == len(payloads) - 1))
        for number, payload in enumerate(payloads)
    ]

    assert units[:-1] == [None] * (len(payloads) - 1)
    assert units[-1] == (SPS, PPS, IDR)
    assert depacketizer.receive(packet(len(payloads), SLICE, timestamp=3000, marker=True)) == (SLICE,)
    assert depacketizer.errors == 0


def test_header_extension_and_padding_are_not_payload() -> None:
    header = struct.pack("!BBHII", 0xB0, 0xE0, 1, 0, 1) + b"\xbe\xde\x00\x01" + bytes(4)

    assert Depacketizer().receive(header + SLICE + b"\0\0\x03") == (SLICE,)


def test_a_gap_spoils_the_picture_but_not_the_next() -> None:
    depacketizer = Depacketizer()
    first, _, *rest = fragments(IDR, 50)
    numbered = [(0, first), *enumerate(rest, 2)]
    units = [depacketizer.receive(packet(number, payload, marker=number == 3)) for number, payload in numbered]

    assert units == [None] * len(numbered)
    assert depacketizer.errors > 0
    assert depacketizer.receive(packet(4, SLICE, timestamp=3000, marker=True)) == (SLICE,)


@pytest.mark.parametrize(
    "payload",
    [b"", b"\x7f\x00", fragments(IDR, 50)[1], fragments(IDR, 50)[0], aggregate(SPS) + b"\x00", b"\x7c"],
    ids=["empty", "unknown type", "no start", "no end", "ragged aggregate", "fragment without header"],
)
def test_a_payload_that_makes_no_sense_is_an_error(payload: bytes) -> None:
    depacketizer = Depacketizer()

    assert depacketizer.receive(packet(0, payload, marker=True)) is None
    assert depacketizer.errors > 0


def test_keyframes_and_slices() -> None:
    assert is_keyframe((SPS, PPS, IDR))
    assert not is_keyframe((SPS, SLICE))
    assert slices((SPS, PPS, IDR, SLICE)) == (IDR, SLICE)

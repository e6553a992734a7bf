"""ADB packets. The golden bytes are the wire's documentation."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.demo_phone.adb_wire import (
    MAX_PAYLOAD,
    VERSION_WITH_CHECKSUM,
    VERSION_WITHOUT_CHECKSUM,
    BadPacket,
    Command,
    Packet,
    PacketParser,
    checksum,
    serialize,
)

words = st.integers(0, 2**32 - 1)
packets = st.builds(Packet, st.sampled_from(Command), words, words, st.binary(max_size=300))
versions = st.sampled_from([VERSION_WITH_CHECKSUM, VERSION_WITHOUT_CHECKSUM])


def parse_all(parser: PacketParser, chunks: list[bytes]) -> list[Packet]:
    parsed = []
    for chunk in chunks:
        parser.feed(chunk)
        while (packet := parser.next_packet()) is not None:
            parsed.append(packet)
    return parsed


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def test_open_on_the_wire() -> None:
    packet = Packet(Command.OPEN, 7, 0, b"shell:ls\0")
    assert serialize(packet, VERSION_WITHOUT_CHECKSUM) == (
        b"OPEN\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\xb0\xaf\xba\xb1shell:ls\0"
    )


def test_old_versions_and_the_handshake_carry_the_sum_of_the_bytes() -> None:
    assert serialize(Packet(Command.WRTE, 1, 2, b"abc"), VERSION_WITH_CHECKSUM)[16:20] == b"\x26\x01\0\0"
    assert serialize(Packet(Command.CNXN, 1, 2, b"abc"), VERSION_WITHOUT_CHECKSUM)[16:20] == b"\x26\x01\0\0"
    assert serialize(Packet(Command.AUTH, 1, 0, b"abc"), VERSION_WITHOUT_CHECKSUM)[16:20] == b"\x26\x01\0\0"
    assert checksum(b"\xff" * 100) == 25500


@given(st.lists(packets, max_size=8), versions, st.lists(st.integers(0, 5000), max_size=12))
@settings(max_examples=60)
def test_any_chunking_gives_the_same_packets(sent: list[Packet], version: int, places: list[int]) -> None:
    parser = PacketParser()
    parser.version = version
    assert parse_all(parser, cut(b"".join(serialize(packet, version) for packet in sent), places)) == sent


@given(st.lists(st.binary(max_size=100), max_size=6))
@settings(max_examples=100)
def test_garbage_is_a_bad_packet_and_nothing_else(chunks: list[bytes]) -> None:
    try:
        parse_all(PacketParser(), chunks)
    except BadPacket:
        pass


@given(packets, st.integers(0, 23), st.integers(1, 255))
@settings(max_examples=100)
def test_a_damaged_header_never_gives_another_command(packet: Packet, place: int, flip: int) -> None:
    data = bytearray(serialize(packet, VERSION_WITH_CHECKSUM))
    data[place] ^= flip
    try:
        parsed = parse_all(PacketParser(), [bytes(data)])
    except BadPacket:
        return
    assert all(other.command is packet.command for other in parsed)


def test_a_packet_too_large_is_refused_by_its_header() -> None:
    parser = PacketParser(max_payload=100)
    parser.feed(serialize(Packet(Command.WRTE, 1, 1, bytes(101)), VERSION_WITHOUT_CHECKSUM)[:24])
    with pytest.raises(BadPacket, match="WRTE announces 101 bytes, more than the 100 allowed"):
        parser.next_packet()


def test_the_checksum_counts_until_both_agree_to_leave_it() -> None:
    wrong = serialize(Packet(Command.WRTE, 1, 1, bytes([1])), VERSION_WITHOUT_CHECKSUM)
    parser = PacketParser()
    parser.feed(wrong)
    with pytest.raises(BadPacket, match="WRTE has checksum 0x00000000, its payload 0x00000001"):
        parser.next_packet()
    parser = PacketParser()
    parser.version = VERSION_WITHOUT_CHECKSUM
    parser.feed(wrong)
    assert parser.next_packet() == Packet(Command.WRTE, 1, 1, b"\x01")


def test_an_adb_that_reconnects_leaves_the_checksum_out_at_once() -> None:
    data = bytearray(serialize(Packet(Command.CNXN, 1, 2, b"host::"), VERSION_WITHOUT_CHECKSUM))
    data[16:20] = bytes(4)
    assert parse_all(PacketParser(), [bytes(data)]) == [Packet(Command.CNXN, 1, 2, b"host::")]


def test_the_largest_packet_passes() -> None:
    packet = Packet(Command.WRTE, 1, 1, bytes(MAX_PAYLOAD))
    parser = PacketParser()
    parser.feed(serialize(packet, VERSION_WITHOUT_CHECKSUM))
    parser.version = VERSION_WITHOUT_CHECKSUM
    assert parser.next_packet() == packet


@pytest.mark.parametrize("word", [0x12345678, int.from_bytes(b"STLS", "little")])
def test_other_commands_are_refused(word: int) -> None:
    parser = PacketParser()
    parser.feed(b"".join(number.to_bytes(4, "little") for number in (word, 0, 0, 0, 0, word ^ 0xFFFFFFFF)))
    with pytest.raises(BadPacket, match=f"{word:#010x} is not an ADB command"):
        parser.next_packet()

"""ADB packets as bytes (AOSP packages/modules/adb, docs/dev/protocol.md): a 24-byte header of six little-endian words,
then the payload. No I/O here."""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

VERSION_WITH_CHECKSUM = 0x01000000
VERSION_WITHOUT_CHECKSUM = 0x01000001
"""From this version on both sides write 0 where the checksum was and nobody looks at it."""

MAX_PAYLOAD = 1 << 20
"""The largest payload of today's adb and of ours; each side announces its own in CNXN."""

_HEADER = Struct("<6I")
HEADER_SIZE = _HEADER.size


class BadPacket(ValueError):
    """Bytes that are not an ADB packet; the connection cannot go on after them."""


class Command(IntEnum):
    """The commands that a device and its host exchange over TCP."""

    CNXN = int.from_bytes(b"CNXN", "little")
    AUTH = int.from_bytes(b"AUTH", "little")
    OPEN = int.from_bytes(b"OPEN", "little")
    OKAY = int.from_bytes(b"OKAY", "little")
    WRTE = int.from_bytes(b"WRTE", "little")
    CLSE = int.from_bytes(b"CLSE", "little")


_HANDSHAKE = (Command.CNXN, Command.AUTH)


class Authentication(IntEnum):
    """What an AUTH packet carries, in its first argument."""

    TOKEN = 1
    SIGNATURE = 2
    PUBLIC_KEY = 3


@dataclass(frozen=True, slots=True)
class Packet:
    """One ADB packet."""

    command: Command
    argument0: int
    """CNXN: version; AUTH: kind; the stream commands: the sender's stream id."""
    argument1: int
    """CNXN: maximum payload; the stream commands: the receiver's stream id, 0 while it has none."""
    payload: bytes = b""


def checksum(payload: bytes) -> int:
    """The sum of all bytes: called data_crc32 in the protocol's text, but never was a CRC."""
    return sum(payload) & 0xFFFFFFFF


def serialize(packet: Packet, version: int) -> bytes:
    """The packet's bytes on a connection that speaks `version`."""
    # Until both have said CNXN no version is agreed on.
    has_checksum = version < VERSION_WITHOUT_CHECKSUM or packet.command in _HANDSHAKE
    data_check = checksum(packet.payload) if has_checksum else 0
    magic = packet.command ^ 0xFFFFFFFF
    header = _HEADER.pack(packet.command, packet.argument0, packet.argument1, len(packet.payload), data_check, magic)
    return header + packet.payload


class PacketParser:
    """Packets out of a byte stream that arrives in any chunks.

    Holds no more than one incomplete packet when `next_packet` is called until it returns None after each `feed`.
    """

    def __init__(self, max_payload: int = MAX_PAYLOAD) -> None:
        self.version = VERSION_WITH_CHECKSUM
        """The negotiated version; the checksum is verified below `VERSION_WITHOUT_CHECKSUM`."""
        self._max_payload = max_payload
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def next_packet(self) -> Packet | None:
        """The next complete packet, or None until more bytes are fed. Raises `BadPacket`."""
        if len(self._buffer) < HEADER_SIZE:
            return None
        word, argument0, argument1, length, data_check, magic = _HEADER.unpack_from(self._buffer)
        if magic != word ^ 0xFFFFFFFF:
            raise BadPacket(f"magic {magic:#010x} does not fit command {word:#010x}")
        try:
            command = Command(word)
        except ValueError:
            raise BadPacket(f"{word:#010x} is not an ADB command") from None
        if length > self._max_payload:
            raise BadPacket(f"{command.name} announces {length} bytes, more than the {self._max_payload} allowed")
        end = HEADER_SIZE + length
        if len(self._buffer) < end:
            return None
        with memoryview(self._buffer) as view:
            payload = bytes(view[HEADER_SIZE:end])
        del self._buffer[:end]
        # An adb that reconnects still has the version of before, and leaves the checksum out of its CNXN.
        is_left_out = data_check == 0 and command in _HANDSHAKE
        if self.version < VERSION_WITHOUT_CHECKSUM and not is_left_out and checksum(payload) != data_check:
            raise BadPacket(f"{command.name} has checksum {data_check:#010x}, its payload {checksum(payload):#010x}")
        return Packet(command, argument0, argument1, payload)

"""RTP packets become access units again (RFC 6184), strictly: anything odd is counted, nothing is guessed."""

import struct

_IDR, _STAP_A, _FU_A = 5, 24, 28
_HEADER = struct.Struct("!BBHI")


class Depacketizer:
    """Takes the decrypted packets of one viewer in the order of their arrival."""

    def __init__(self) -> None:
        self.errors = 0
        """Packets that did not fit: a gap, a fragment without its start, an empty or unknown payload."""
        self._next: int | None = None
        self._timestamp = 0
        self._nal_units: list[bytes] = []
        self._fragments: list[bytes] = []
        self._spoiled = False

    def receive(self, packet: bytes) -> tuple[bytes, ...] | None:
        """Take one RTP packet; the NAL units of the access unit that it completes, if it is whole."""
        first, second, sequence_number, timestamp = _HEADER.unpack_from(packet)
        gap = self._next is not None and sequence_number != self._next
        self._next = sequence_number + 1 & 0xFFFF
        if timestamp != self._timestamp:
            if self._nal_units or self._fragments:
                self._spoil()
            self._begin(timestamp)
        if gap:
            self._spoil()
        self._payload(_payload(packet, first))
        if not second & 0x80:
            return None
        if self._fragments:
            self._spoil()
        complete = None if self._spoiled else tuple(self._nal_units)
        self._begin(timestamp)
        return complete

    def _begin(self, timestamp: int) -> None:
        self._timestamp, self._nal_units, self._fragments, self._spoiled = timestamp, [], [], False

    def _spoil(self) -> None:
        self.errors += 1
        self._spoiled = True
        self._fragments = []

    def _payload(self, payload: bytes) -> None:
        if not payload:
            return self._spoil()
        kind = payload[0] & 0x1F
        if self._fragments and kind != _FU_A:
            return self._spoil()
        if 1 <= kind <= 23:
            self._nal_units.append(payload)
        elif kind == _STAP_A:
            self._aggregate(payload)
        elif kind == _FU_A and len(payload) > 2:
            self._fragment(payload)
        else:
            self._spoil()
        return None

    def _aggregate(self, payload: bytes) -> None:
        """RFC 6184 section 5.7.1."""
        offset = 1
        while offset + 2 < len(payload):
            end = offset + 2 + int.from_bytes(payload[offset : offset + 2], "big")
            self._nal_units.append(payload[offset + 2 : end])
            offset = end
        if offset != len(payload):
            self._spoil()

    def _fragment(self, payload: bytes) -> None:
        """RFC 6184 section 5.8."""
        is_start, is_end = payload[1] & 0x80, payload[1] & 0x40
        header = bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))
        if bool(is_start) is bool(self._fragments) or (self._fragments and self._fragments[0] != header):
            return self._spoil()
        if is_start:
            self._fragments = [header]
        self._fragments.append(payload[2:])
        if is_end:
            self._nal_units.append(b"".join(self._fragments))
            self._fragments = []
        return None


def is_keyframe(nal_units: tuple[bytes, ...]) -> bool:
    """Whether decoding can start here."""
    return any(nal_unit[0] & 0x1F == _IDR for nal_unit in nal_units)


def slices(nal_units: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The coded picture itself: what passthrough may never touch (NAL unit types 1 and 5)."""
    return tuple(nal_unit for nal_unit in nal_units if nal_unit[0] & 0x1F in (1, _IDR))


def _payload(packet: bytes, first: int) -> bytes:
    """What follows the header, its CSRCs and its extension, without padding (RFC 3550 section 5.1)."""
    start = 12 + 4 * (first & 0x0F)
    if first & 0x10:
        start += 4 + 4 * int.from_bytes(packet[start + 2 : start + 4], "big")
    return packet[start : len(packet) - packet[-1] if first & 0x20 else len(packet)]

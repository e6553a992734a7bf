"""What a receiver says about when packets arrived, as browsers do ten times a second. Pure.

draft-holmer-rmcat-transport-wide-cc-extensions-01.
"""

import struct
from typing import Final

INTERVAL: Final = 0.1
"""Seconds between reports; libwebrtc's is 0.05 to 0.25."""

_TICKS: Final = 4000
"""Deltas are in units of 250 microseconds,"""
_REFERENCE_TICKS: Final = 256
"""and the reference time in units of 64 ms."""
_MOST_PACKETS: Final = 400
"""That one report tells of: it must fit a datagram."""
_FIRST_BYTE, _PADDED, _TRANSPORT_FEEDBACK = 0x80 | 15, 0x20, 205
_ABSENT, _SMALL, _LARGE = 0, 1, 2
_PER_CHUNK: Final = 7
_TWO_BIT_VECTOR: Final = 0xC000


class Arrivals:
    """Packets by their transport-wide number, which all streams of a connection share."""

    def __init__(self, extension: int) -> None:
        """`extension` is the id that was negotiated for the number (RFC 8285)."""
        self._element = extension << 4 | 1
        self._offset = 16
        self._arrived: dict[int, float] = {}
        """By unwrapped number, those that no report has told of."""
        self._next: int | None = None
        """The first number that no report has told of."""
        self._highest = 0
        self._reports = 0

    def packet(self, packet: bytes | bytearray, now: float) -> None:
        """Note the RTP packet `packet`, which arrived at `now` (any clock's seconds)."""
        # The number is at the same place in most packets.
        offset = self._offset
        if (len(packet) < offset + 3 or packet[offset] != self._element) and not self._find(packet):
            return
        number = packet[self._offset + 1] << 8 | packet[self._offset + 2]
        if self._next is None:
            self._next = self._highest = number
        ahead = (number - self._highest) & 0xFFFF
        unwrapped = self._highest + (ahead if ahead < 0x8000 else ahead - 0x10000)
        self._highest = max(self._highest, unwrapped)
        if unwrapped >= self._next:
            self._arrived.setdefault(unwrapped, now)

    def reports(self, ssrc: int, media_ssrc: int) -> list[bytes]:
        """RTCP packets about what has arrived since the last call; none when nothing has."""
        reports = []
        while self._arrived and self._next is not None:
            last = min(self._highest, self._next + _MOST_PACKETS - 1)
            times = [self._arrived.pop(number, None) for number in range(self._next, last + 1)]
            if any(time is not None for time in times):
                reports.append(self._report(ssrc, media_ssrc, self._next, times))
            self._next = last + 1
        return reports

    def _find(self, packet: bytes | bytearray) -> bool:
        """Find the number's element in the packet's header extension."""
        if not packet[0] & 0x10:
            return False
        offset = 12 + 4 * (packet[0] & 0x0F)
        end = offset + 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
        if packet[offset : offset + 2] != b"\xbe\xde":
            return False
        offset += 4
        while offset + 2 < min(end, len(packet)):
            element = packet[offset]
            if element == self._element:
                self._offset = offset
                return True
            offset += 2 + (element & 0x0F) if element else 1
        return False

    def _report(self, ssrc: int, media_ssrc: int, first: int, times: list[float | None]) -> bytes:
        ticks = [None if time is None else round(time * _TICKS) for time in times]
        reference = next(tick for tick in ticks if tick is not None) // _REFERENCE_TICKS
        before = reference * _REFERENCE_TICKS
        symbols, deltas = [], bytearray()
        for tick in ticks:
            if tick is None:
                symbols.append(_ABSENT)
                continue
            delta, before = tick - before, tick
            symbols.append(_SMALL if 0 <= delta <= 255 else _LARGE)
            deltas += struct.pack("!B" if symbols[-1] == _SMALL else "!h", max(-32768, min(delta, 32767)))
        symbols += [_ABSENT] * (-len(symbols) % _PER_CHUNK)
        chunks = b"".join(
            _chunk(symbols[begin : begin + _PER_CHUNK]).to_bytes(2, "big")
            for begin in range(0, len(symbols), _PER_CHUNK)
        )
        body = struct.pack(
            "!IIHHI", ssrc, media_ssrc, first & 0xFFFF, len(times), (reference & 0xFFFFFF) << 8 | self._reports & 0xFF
        )
        self._reports += 1
        body += chunks + deltas
        padding = -len(body) % 4
        body += (bytes(padding - 1) + bytes((padding,))) if padding else b""
        first_byte = _FIRST_BYTE | (_PADDED if padding else 0)
        return struct.pack("!BBH", first_byte, _TRANSPORT_FEEDBACK, len(body) // 4) + body


def _chunk(symbols: list[int]) -> int:
    return _TWO_BIT_VECTOR | sum(symbol << 2 * (6 - position) for position, symbol in enumerate(symbols))

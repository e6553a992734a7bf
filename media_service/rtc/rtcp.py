"""RTCP as a sender of video and sound needs it (RFC 3550, 4585, 5104, draft-alvestrand-rmcat-remb). Pure.

Transport-wide feedback is that of draft-holmer-rmcat-transport-wide-cc-extensions-01.
"""

import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

SENDER_REPORT = 200
RECEIVER_REPORT = 201
SOURCE_DESCRIPTION = 202
BYE = 203
TRANSPORT_FEEDBACK = 205
PAYLOAD_FEEDBACK = 206

_header = struct.Struct("!BBH").unpack_from
_block = struct.Struct("!IIIIII").unpack_from
_nack = struct.Struct("!HH").unpack_from
_arrivals = struct.Struct("!HHI").unpack_from
_FCI = 12
"""Where feedback control information begins in a feedback packet (RFC 4585 section 6.1)."""
_MOST_STATUSES = 8192
"""Packets that the feedback of one compound packet may tell of.

Two bytes can report 8191 losses, so that otherwise one datagram could name millions of packets. A receiver that reports
every 100 ms names as many at a gigabit per second.
"""
_REFERENCE = 0.064
"""Seconds in a unit of the reference time."""
_DELTA = 0.00025
"""Seconds in a unit of a receive delta."""
TRANSPORT_FEEDBACK_PERIOD = (1 << 24) * _REFERENCE
"""Seconds after which arrival times begin anew."""
_ONE_BIT_SYMBOLS = tuple(range(13, -1, -1))
_TWO_BIT_SYMBOLS = tuple(range(12, -1, -2))


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """One report block about our stream (RFC 3550 section 6.4.1)."""

    ssrc: int
    fraction_lost: float
    """Share of packets lost since the last report, 0..1."""
    packets_lost: int
    """Cumulative; negative when duplicates outweigh losses."""
    highest_sequence: int
    jitter: int
    """In RTP timestamp units."""
    last_sender_report: int
    """Middle 32 bits of the NTP timestamp of our last report that arrived; 0 for none."""
    delay_since_last: int
    """In units of 1/65536 s."""


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers the receiver misses (RFC 4585 section 6.2.1)."""

    ssrc: int
    sequence_numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """A PLI (RFC 4585 section 6.3.1) or FIR (RFC 5104 section 4.3.1)."""

    ssrc: int
    kind: str
    """`pli` or `fir`."""


@dataclass(frozen=True, slots=True)
class Remb:
    """The receiver's estimate of what the path can carry."""

    bit_rate: int


@dataclass(slots=True)
class TransportFeedback:
    """When packets arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

    Not frozen, because ten are made a second and viewer, and that doubles the price.
    """

    first: int
    """The 16-bit transport-wide sequence number of the first packet told of."""
    arrivals: tuple[float | None, ...]
    """Of it and each one after it: seconds on the receiver's clock, None for one that did not arrive."""
    count: int
    """Numbers these reports, modulo 256."""


@dataclass(frozen=True, slots=True)
class Bye:
    """A source that leaves (RFC 3550 section 6.6)."""

    ssrc: int


RtcpPacket = ReceptionReport | Nack | KeyframeRequest | Remb | TransportFeedback | Bye


def parse(compound: bytes) -> list[RtcpPacket]:
    """What a decrypted compound packet says to a sender; packets of other kinds, and cut ones, are skipped."""
    packets: list[RtcpPacket] = []
    offset, size, statuses = 0, len(compound), _MOST_STATUSES
    while offset + 8 <= size:
        first, kind, words = _header(compound, offset)
        end = offset + 4 * words + 4
        if first >> 6 != 2 or end > size:
            break
        count = first & 31
        following = end
        if first & 0x20:
            # Padding: the last byte counts it, itself included (RFC 3550 section 6.4.1).
            end -= compound[end - 1]
        if kind in (RECEIVER_REPORT, SENDER_REPORT):
            _parse_reports(compound, offset + (8 if kind == RECEIVER_REPORT else 28), end, count, packets)
        elif kind == TRANSPORT_FEEDBACK and count == 1:
            _parse_nack(compound, offset, end, packets)
        elif kind == TRANSPORT_FEEDBACK and count == 15:
            feedback = _parse_arrivals(compound, offset + _FCI, end, statuses)
            if feedback is None:
                # What cannot be read has cost its reading: the rest of the datagram gets no more of it.
                statuses = 0
            else:
                statuses -= len(feedback.arrivals)
                packets.append(feedback)
        elif kind == PAYLOAD_FEEDBACK:
            _parse_payload_feedback(compound, offset, end, count, packets)
        elif kind == BYE and count and offset + 8 <= end:
            packets.append(Bye(int.from_bytes(compound[offset + 4 : offset + 8], "big")))
        offset = following
    return packets


def _parse_reports(compound: bytes, offset: int, end: int, count: int, packets: list[RtcpPacket]) -> None:
    for _ in range(count):
        if offset + 24 > end:
            return
        ssrc, lost, highest, jitter, last_report, delay = _block(compound, offset)
        cumulative = lost & 0xFFFFFF
        if cumulative & 0x800000:
            cumulative -= 1 << 24
        packets.append(ReceptionReport(ssrc, (lost >> 24) / 256, cumulative, highest, jitter, last_report, delay))
        offset += 24


def _parse_nack(compound: bytes, offset: int, end: int, packets: list[RtcpPacket]) -> None:
    if offset + _FCI > end:
        return
    missing: list[int] = []
    for position in range(offset + _FCI, end - 3, 4):
        first, mask = _nack(compound, position)
        missing.append(first)
        while mask:
            bit = mask & -mask
            missing.append(first + bit.bit_length() & 0xFFFF)
            mask ^= bit
    packets.append(Nack(int.from_bytes(compound[offset + 8 : offset + 12], "big"), tuple(missing)))


def _parse_arrivals(compound: bytes, offset: int, end: int, most: int) -> TransportFeedback | None:
    """Read transport-wide feedback; None when it is cut short or tells of more than `most` packets."""
    if offset + 8 > end:
        return None
    first, statuses, reference = _arrivals(compound, offset)
    if not 0 < statuses <= most:
        return None
    offset += 8
    symbols: list[int] = []
    while len(symbols) < statuses:
        if offset + 2 > end:
            return None
        chunk = compound[offset] << 8 | compound[offset + 1]
        offset += 2
        if chunk < 0x8000:
            symbols += (chunk >> 13,) * (chunk & 0x1FFF)
            if not chunk & 0x1FFF:
                return None
        else:
            symbols += _vector(chunk)
    # The last chunk may go on beyond the last packet.
    del symbols[statuses:]
    small = symbols.count(1)
    if offset + small + 2 * symbols.count(2) > end:
        return None
    begin = (reference >> 8) * _REFERENCE
    if small == statuses:
        # All have arrived, soon after each other: nearly always so, and four times as fast.
        deltas = accumulate(compound[offset : offset + statuses])
        return TransportFeedback(first, tuple([begin + ticks * _DELTA for ticks in deltas]), reference & 0xFF)
    ticks = 0
    arrivals: list[float | None] = []
    for symbol in symbols:
        if symbol == 1:
            ticks += compound[offset]
            offset += 1
            arrivals.append(begin + ticks * _DELTA)
        elif symbol == 2:
            delta = compound[offset] << 8 | compound[offset + 1]
            offset += 2
            ticks += delta - 0x10000 if delta & 0x8000 else delta
            arrivals.append(begin + ticks * _DELTA)
        else:
            # 3 is reserved; nothing can be said of such a packet but that no time is given.
            arrivals.append(None)
    return TransportFeedback(first, tuple(arrivals), reference & 0xFF)


@lru_cache(maxsize=1024)
def _vector(chunk: int) -> tuple[int, ...]:
    """The symbols of a status vector chunk; there are few that come often."""
    if chunk < 0xC000:
        return tuple(chunk >> shift & 1 for shift in _ONE_BIT_SYMBOLS)
    return tuple(chunk >> shift & 3 for shift in _TWO_BIT_SYMBOLS)


def _parse_payload_feedback(compound: bytes, offset: int, end: int, kind: int, packets: list[RtcpPacket]) -> None:
    if kind == 1 and offset + _FCI <= end:
        packets.append(KeyframeRequest(int.from_bytes(compound[offset + 8 : offset + 12], "big"), "pli"))
    elif kind == 4 and offset + _FCI + 8 <= end:
        # A FIR names its target in the FCI (RFC 5104 section 4.3.1.1).
        packets.append(KeyframeRequest(int.from_bytes(compound[offset + 12 : offset + 16], "big"), "fir"))
    elif kind == 15 and offset + _FCI + 8 <= end and compound[offset + 12 : offset + 16] == b"REMB":
        word = int.from_bytes(compound[offset + 17 : offset + 20], "big")
        packets.append(Remb((word & 0x3FFFF) << (word >> 18)))


def sender_report(ssrc: int, ntp: int, timestamp: int, packets: int, octets: int, cname: bytes) -> bytes:
    """A sender report with its SDES CNAME (RFC 3550 sections 6.4.1 and 6.5.1).

    `ntp` is a 64-bit NTP timestamp and `timestamp` the RTP time of that same moment.
    """
    report = struct.pack(
        "!BBHIQIII",
        0x80, SENDER_REPORT, 6, ssrc, ntp, timestamp & 0xFFFFFFFF, packets & 0xFFFFFFFF, octets & 0xFFFFFFFF,
    )  # fmt: skip
    return report + _source_description(ssrc, cname)


def bye(ssrcs: tuple[int, ...], cname: bytes) -> bytes:
    """A goodbye for our sources; a compound packet begins with a report (RFC 3550 section 6.1)."""
    empty_report = struct.pack("!BBHI", 0x80, RECEIVER_REPORT, 1, ssrcs[0])
    goodbye = struct.pack(f"!BBH{len(ssrcs)}I", 0x80 | len(ssrcs), BYE, len(ssrcs), *ssrcs)
    return empty_report + _source_description(ssrcs[0], cname) + goodbye


def _source_description(ssrc: int, cname: bytes) -> bytes:
    chunk = struct.pack("!IBB", ssrc, 1, len(cname)) + cname
    chunk += bytes(4 - len(chunk) % 4)  # the item list ends with at least one zero byte
    return struct.pack("!BBH", 0x81, SOURCE_DESCRIPTION, len(chunk) // 4) + chunk

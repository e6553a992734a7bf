"""The RTCP that a browser sends once a second. Pure."""

import struct

from benchmarks.reception import ReportBlock

_HEADER = struct.Struct("!BBH")
_SENDER_REPORT, _RECEIVER_REPORT, _PAYLOAD_SPECIFIC = 200, 201, 206


def is_rtcp(second: int) -> bool:
    """Whether a packet whose second byte this is is RTCP (RFC 5761 section 4)."""
    return 192 <= second <= 223


def sender_report_time(compound: bytes) -> int | None:
    """The middle 32 bits of the NTP time of the sender report that `compound` begins with, if it does."""
    if len(compound) >= 16 and compound[1] == _SENDER_REPORT:
        return int.from_bytes(compound[10:14], "big")
    return None


def receiver_report(ssrc: int, media_ssrc: int, block: ReportBlock, last_report: int, delay: float) -> bytes:
    """RFC 3550 section 6.4.2; `delay` is the seconds since the sender report `last_report` arrived."""
    return (
        _HEADER.pack(0x81, _RECEIVER_REPORT, 7)
        + struct.pack("!IIB", ssrc, media_ssrc, block.fraction_lost)
        + min(block.cumulative_lost, 0x7FFFFF).to_bytes(3, "big")
        + struct.pack("!IIII", block.highest_sequence_number, block.jitter, last_report, int(delay * 65536))
    )


def remb(ssrc: int, media_ssrc: int, bits_per_second: int) -> bytes:
    """draft-alvestrand-rmcat-remb-03 section 2.2."""
    exponent = max(0, bits_per_second.bit_length() - 18)
    rate = exponent << 18 | bits_per_second >> exponent
    return (
        _HEADER.pack(0x8F, _PAYLOAD_SPECIFIC, 5)
        + struct.pack("!II4sB", ssrc, 0, b"REMB", 1)
        + rate.to_bytes(3, "big")
        + struct.pack("!I", media_ssrc)
    )

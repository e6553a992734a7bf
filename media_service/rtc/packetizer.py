"""NAL units to RTP payloads (RFC 6184, packetization-mode 1). Pure."""

from collections.abc import Sequence

MAX_PAYLOAD = 1180
"""Bytes of one RTP payload. With 12 + 20 bytes of header and extensions, a 16-byte SRTP tag and the 2 bytes of RFC 4588
the datagram is at most 1230 bytes, which every path that carries WebRTC takes unfragmented."""

_STAP_A = 24
_FU_A = 28
_START = 0x80
_END = 0x40


def packetize(nal_units: Sequence[bytes]) -> tuple[bytes, ...]:
    """The RTP payloads of one access unit, in order; the marker bit belongs on the last.

    Runs of small NAL units become STAP-A packets (section 5.7.1), a NAL unit above `MAX_PAYLOAD` becomes FU-A
    packets (section 5.8) that are all exactly `MAX_PAYLOAD` long but the last: UDP GSO needs segments of one size.
    """
    payloads: list[bytes] = []
    small: list[bytes] = []
    size = 1
    for nal_unit in nal_units:
        length = len(nal_unit)
        if length <= MAX_PAYLOAD:
            if small and size + 2 + length > MAX_PAYLOAD:
                payloads.append(_aggregate(small))
                small, size = [], 1
            small.append(nal_unit)
            size += 2 + length
        else:
            if small:
                payloads.append(_aggregate(small))
                small, size = [], 1
            _fragment(nal_unit, payloads)
    if small:
        payloads.append(_aggregate(small))
    return tuple(payloads)


def depacketize(payloads: Sequence[bytes]) -> tuple[bytes, ...]:
    """The NAL units that `packetize` made these payloads of."""
    nal_units: list[bytes] = []
    fragments: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind == _STAP_A:
            offset = 1
            while offset < len(payload):
                size = int.from_bytes(payload[offset : offset + 2], "big")
                nal_units.append(payload[offset + 2 : offset + 2 + size])
                offset += 2 + size
        elif kind == _FU_A:
            if payload[1] & _START:
                fragments = [bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))]
            fragments.append(payload[2:])
            if payload[1] & _END:
                nal_units.append(b"".join(fragments))
        else:
            nal_units.append(payload)
    return tuple(nal_units)


def _aggregate(nal_units: list[bytes]) -> bytes:
    if len(nal_units) == 1:
        return nal_units[0]
    # The aggregate's F bit is the OR, its NRI the maximum of the parts' (section 5.7).
    forbidden = max(nal_unit[0] & 0x80 for nal_unit in nal_units)
    importance = max(nal_unit[0] & 0x60 for nal_unit in nal_units)
    parts = [bytes((forbidden | importance | _STAP_A,))]
    for nal_unit in nal_units:
        parts += (len(nal_unit).to_bytes(2, "big"), nal_unit)
    return b"".join(parts)


def _fragment(nal_unit: bytes, payloads: list[bytes]) -> None:
    indicator = nal_unit[0] & 0xE0 | _FU_A
    kind = nal_unit[0] & 0x1F
    step = MAX_PAYLOAD - 2
    end = len(nal_unit)
    middle = bytes((indicator, kind))
    payloads.append(bytes((indicator, kind | _START)) + nal_unit[1 : 1 + step])
    offset = 1 + step
    while offset + step < end:
        payloads.append(middle + nal_unit[offset : offset + step])
        offset += step
    payloads.append(bytes((indicator, kind | _END)) + nal_unit[offset:])

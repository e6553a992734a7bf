"""Writes transport-wide feedback as a receiver does (draft-holmer-rmcat-transport-wide-cc-extensions-01 3.1)."""

import math
import struct
from collections.abc import Sequence

from media_service.rtc.rtcp import TRANSPORT_FEEDBACK

TICK = 0.00025
REFERENCE = 0.064


def run_length(symbol: int, length: int) -> int:
    """The chunk that says `symbol` so many times."""
    return symbol << 13 | length


def one_bit_vector(symbols: Sequence[int]) -> int:
    """The chunk of up to 14 symbols 0 and 1."""
    return 0x8000 | sum(symbol << 13 - position for position, symbol in enumerate(symbols))


def two_bit_vector(symbols: Sequence[int]) -> int:
    """The chunk of up to 7 symbols."""
    return 0xC000 | sum(symbol << 2 * (6 - position) for position, symbol in enumerate(symbols))


def packet(first: int, statuses: int, reference: int, count: int, chunks: Sequence[int], deltas: bytes) -> bytes:
    """The RTCP packet with these fields, padded as RFC 3550 has it."""
    body = struct.pack("!IIHHI", 1, 2, first, statuses, (reference & 0xFFFFFF) << 8 | count)
    body += struct.pack(f"!{len(chunks)}H", *chunks) + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    first_byte = 0x80 | (0x20 if padding else 0) | 15
    return struct.pack("!BBH", first_byte, TRANSPORT_FEEDBACK, len(body) // 4) + body


def written(first: int, arrivals: Sequence[float | None], count: int) -> bytes:
    """Feedback on packets from `first` on with their arrival times in seconds, to the nearest 250 us.

    Steps of more than 8 s between packets do not fit.
    """
    begin = next((arrival for arrival in arrivals if arrival is not None), 0.0)
    reference = math.floor(begin / REFERENCE)
    before = round(reference * REFERENCE / TICK)
    symbols, deltas = [], bytearray()
    for arrival in arrivals:
        if arrival is None:
            symbols.append(0)
            continue
        ticks = round(arrival / TICK)
        step, before = ticks - before, ticks
        symbols.append(1 if 0 <= step < 256 else 2)
        deltas += struct.pack("!B" if symbols[-1] == 1 else "!h", step)
    return packet(first & 0xFFFF, len(arrivals), reference, count, chunked(symbols), bytes(deltas))


def chunked(symbols: Sequence[int]) -> list[int]:
    """Chunks of all kinds, as they fit."""
    chunks, position = [], 0
    while position < len(symbols):
        symbol, length = symbols[position], 1
        while length < 8191 and symbols[position + length : position + length + 1] == [symbol]:
            length += 1
        if length >= 7 or length == len(symbols) - position:
            chunks.append(run_length(symbol, length))
            position += length
        elif 2 not in symbols[position : position + 14]:
            chunks.append(one_bit_vector(symbols[position : position + 14]))
            position += 14
        else:
            chunks.append(two_bit_vector(symbols[position : position + 7]))
            position += 7
    return chunks

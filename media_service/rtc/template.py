"""The packets of one picture as they are before they belong to a viewer.

Everything but sequence number, timestamp and SSRC is the same for all viewers of one shape, so it is laid out once;
a viewer costs one copy, ten bytes of header per packet, and the encryption. The values here are named tuples and not
frozen dataclasses because several are made per picture, and a tuple is made three times as fast.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from media_service.rtc.header_extensions import PacketShape
from media_service.rtc.packetizer import MAX_PAYLOAD
from media_service.rtc.srtp import PACKETS_PER_BATCH, PacketBuffer

_SOL_UDP = 17
_UDP_SEGMENT = 103
_LARGEST_DATAGRAM = 65_000

Control = list[tuple[int, int, bytes]]


class Run(NamedTuple):
    """Packets that leave in one system call: all `segment_size` long but the last."""

    view: memoryview
    control: Control | None
    """The UDP_SEGMENT control message; None for a single packet."""
    segment_size: int


class Template(NamedTuple):
    """Up to `PACKETS_PER_BATCH` packets laid out for a `PacketBuffer`."""

    data: bytes
    packets: tuple[tuple[Any, int, int], ...]
    """(pointer for `protect`, offset of the sequence number, length without tag) of each packet."""
    runs: tuple[Run, ...]
    send_time: bytes
    """The abs-send-time that is in `data`."""
    send_time_offsets: tuple[int, ...]
    """Where it is; empty when it is not sent."""


def templates(
    payloads: Sequence[bytes], shape: PacketShape, buffer: PacketBuffer, send_time: bytes
) -> tuple[Template, ...]:
    """The packets of the picture with these `payloads`; the last one carries the marker bit."""
    return tuple(_batches(payloads, shape, buffer, send_time))


def _batches(
    payloads: Sequence[bytes], shape: PacketShape, buffer: PacketBuffer, send_time: bytes
) -> Iterator[Template]:
    for start in range(0, len(payloads), PACKETS_PER_BATCH):
        batch = payloads[start : start + PACKETS_PER_BATCH]
        yield _layout(batch, shape, buffer, send_time, ends_picture=start + len(batch) == len(payloads))


def _layout(
    payloads: Sequence[bytes], shape: PacketShape, buffer: PacketBuffer, send_time: bytes, *, ends_picture: bool
) -> Template:
    header = shape.header(shape.payload_type, send_time)
    fixed = len(header)
    tag = shape.tag_size
    stride = fixed + MAX_PAYLOAD + tag
    pointers = buffer.pointers(stride)
    control = [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", stride))]
    per_run = _LARGEST_DATAGRAM // stride
    full_tail, last = bytes(tag), len(payloads) - 1
    parts: list[bytes] = []
    packets: list[tuple[Any, int, int]] = []
    runs: list[Run] = []
    run_start = 0
    for index, payload in enumerate(payloads):
        size = len(payload)
        if index == last and ends_picture:
            header = shape.header(shape.payload_type, send_time, marker=True)
        tail = full_tail if size == MAX_PAYLOAD or index == last else bytes(stride - fixed - size)
        parts += (header, payload, tail)
        offset = index * stride
        packets.append((pointers[index], offset + 2, fixed + size))
        # UDP GSO takes segments of one size, of which only the last may be shorter.
        if size != MAX_PAYLOAD or index == last or index - run_start == per_run - 1:
            view = buffer.view[run_start * stride : offset + fixed + size + tag]
            runs.append(Run(view, control if index > run_start else None, stride))
            run_start = index + 1
    at = shape.send_time_offset
    offsets = tuple(index * stride + 12 + at for index in range(len(payloads))) if at else ()
    return Template(b"".join(parts), tuple(packets), tuple(runs), send_time, offsets)

"""The packets of one picture as they are before they belong to a viewer.

Everything but sequence number, timestamp and SSRC is the same for all viewers of one shape, so it is laid out once;
a viewer costs one copy, ten bytes of header per packet, and the encryption. The values here are named tuples and not
frozen dataclasses because several are made per picture, and a tuple is made three times as fast.
"""

import struct
from collections.abc import Sequence
from functools import cache
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
    send_time_offsets: range
    """Where it is; empty when it is not sent."""
    sizes: tuple[int, ...]
    """Of each packet, in octets with the tag."""
    octets: int
    """Of all of them."""


def templates(
    payloads: Sequence[bytes],
    shape: PacketShape,
    buffer: PacketBuffer,
    send_time: bytes,
    *,
    ends_picture: bool = True,
) -> tuple[Template, ...]:
    """The packets of these `payloads`; the last one carries the marker bit where it ends its picture."""
    count = len(payloads)
    if count <= PACKETS_PER_BATCH:
        return (_layout(payloads, shape, buffer, send_time, ends_picture=ends_picture),)
    return tuple(
        _layout(
            payloads[start : start + PACKETS_PER_BATCH],
            shape,
            buffer,
            send_time,
            ends_picture=ends_picture and start + PACKETS_PER_BATCH >= count,
        )
        for start in range(0, count, PACKETS_PER_BATCH)
    )


def _layout(
    payloads: Sequence[bytes], shape: PacketShape, buffer: PacketBuffer, send_time: bytes, *, ends_picture: bool
) -> Template:
    header = shape.header(shape.payload_type, send_time)
    fixed = len(header)
    tag = shape.tag_size
    stride = fixed + MAX_PAYLOAD + tag
    per_run = _LARGEST_DATAGRAM // stride
    room, count, view = bytes(tag), len(payloads), buffer.view
    parts: list[bytes] = []
    lengths: list[int] = []
    sizes: list[int] = []
    runs: list[Run] = []
    run_start = 0
    for index, payload in enumerate(payloads, 1):
        size = len(payload)
        if index == count and ends_picture:
            header = shape.header(shape.payload_type, send_time, marker=True)
        parts += (header, payload, room)
        lengths.append(fixed + size)
        sizes.append(fixed + size + tag)
        # UDP GSO takes segments of one size, of which only the last may be shorter.
        if size != MAX_PAYLOAD or index == count or index - run_start == per_run:
            end = (index - 1) * stride + fixed + size + tag
            control = _segments(stride) if index - run_start > 1 else None
            runs.append(Run(view[run_start * stride : end], control, stride))
            run_start = index
            if index < count:
                parts.append(bytes(index * stride - end))
    packets = tuple(zip(buffer.pointers(stride), buffer.offsets(stride), lengths, strict=False))
    at = shape.send_time_offset
    offsets = range(12 + at, count * stride, stride) if at else range(0)
    return Template(b"".join(parts), packets, tuple(runs), send_time, offsets, tuple(sizes), sum(sizes))


@cache
def _segments(size: int) -> Control:
    """The control message that has the kernel cut a datagram into packets of `size` bytes."""
    return [(_SOL_UDP, _UDP_SEGMENT, struct.pack("=H", size))]

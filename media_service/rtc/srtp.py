"""SRTP in place (RFC 3711), through pylibsrtp's own binding: no bytes object per packet.

This is the only module that touches pylibsrtp's private names; `tests/rtc/test_srtp.py` fails when an upgrade moves
them.
"""

from collections.abc import Callable
from typing import Any

from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

PACKETS_PER_BATCH = 128
"""The kernel cuts one UDP_SEGMENT datagram into at most 128 segments; larger pictures go in several batches."""

_LARGEST_STRIDE = 1400

SrtpContext = Any
"""A libsrtp session as `protect` wants it."""

protect: Callable[[SrtpContext, Any, Any], int] = lib.srtp_protect
"""`protect(context, pointer, length)`: encrypt the packet at `pointer` in place and grow `length[0]`; 0 when done."""


def context_of(session: Session) -> SrtpContext:
    """The libsrtp session inside `session`, valid as long as `session` lives."""
    return session._srtp[0]


class PacketBuffer:
    """The one buffer in which every outgoing packet is built and encrypted, with a fixed distance between packets."""

    def __init__(self) -> None:
        self.data = bytearray(PACKETS_PER_BATCH * _LARGEST_STRIDE)
        self.view = memoryview(self.data)
        self.length = ffi.new("int *")
        """The in-out length argument of `protect`."""
        self._base = ffi.from_buffer(self.data)
        self._pointers: dict[int, tuple[Any, ...]] = {}

    def pointers(self, stride: int) -> tuple[Any, ...]:
        """C pointers to packets 0, 1, 2… that lie `stride` bytes apart; `stride` is at most 1400."""
        pointers = self._pointers.get(stride)
        if pointers is None:
            if stride > _LARGEST_STRIDE:
                raise ValueError(f"packets of {stride} bytes: at most {_LARGEST_STRIDE} fit")
            pointers = tuple(self._base + index * stride for index in range(PACKETS_PER_BATCH))
            self._pointers[stride] = pointers
        return pointers

    def offsets(self, stride: int) -> range:
        """Where in `data` the sequence numbers of those packets are."""
        return range(2, PACKETS_PER_BATCH * stride, stride)

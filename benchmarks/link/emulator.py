"""The process that carries a link's packets: from one TUN device to another, with what happens on the way.

    python -m benchmarks.link.emulator SERVER CLIENT NUMBER SEED

It makes the devices in the named namespaces and says `ready`. On its standard input it takes a line for each request
(`wire` has them) and answers each with a line. It ends with its input.
"""

import fcntl
import gc
import os
import select
import struct
import sys
import time
from contextlib import suppress
from random import Random
from typing import Final

from benchmarks.link import wire
from benchmarks.link.impairment import Direction, Impairment
from benchmarks.link.namespace import Namespace

_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST_PACKET: Final = 65536
_PACKETS_PER_TURN: Final = 64
_KERNEL_QUEUE: Final = "10000"
"""Packets that the kernel keeps for us, so that none is dropped but by the link."""


class Emulator:
    """Two directions between two file descriptors."""

    def __init__(self, server: int, client: int, seed: int) -> None:
        self._down = Direction(Impairment(), Random(seed))
        self._up = Direction(Impairment(), Random(seed + 1))
        self._ends = ((server, client, self._down), (client, server, self._up))
        self._latest = 0.0
        self._late = 0.0
        self._refused = 0

    def run(self, requests: int, answers: int) -> None:
        """Carry packets until `requests` ends."""
        readable = [self._ends[0][0], self._ends[1][0], requests]
        unfinished = b""
        while True:
            ready, _, _ = select.select(readable, [], [], self._pause())
            for source, _, direction in self._ends:
                if source in ready:
                    _read(source, direction)
            if requests in ready:
                received = os.read(requests, 65536)
                if not received:
                    return
                *lines, unfinished = (unfinished + received).split(b"\n")
                for line in lines:
                    os.write(answers, self._answer(wire.parse_request(line)))
            self._deliver()

    def _pause(self) -> float | None:
        dues = [due for direction in (self._down, self._up) if (due := direction.due()) is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _deliver(self) -> None:
        for _, target, direction in self._ends:
            now = time.monotonic()
            for arrived_at, packet in direction.take(now):
                late = now - arrived_at
                self._late += late
                if late > self._latest:
                    self._latest = late
                try:
                    os.write(target, packet)
                except OSError:
                    self._refused += 1

    def _answer(self, request: wire.Request) -> bytes:
        now = time.monotonic()
        if isinstance(request, wire.Change):
            self._down.change(request.down, now)
            self._up.change(request.up, now)
        down, up = self._down.snapshot(), self._up.snapshot()
        delivered = down.delivered + up.delivered
        answer = wire.Answer(
            moment=now,
            time=time.time(),
            down=down,
            up=up,
            refused=self._refused,
            late_mean=self._late / delivered if delivered else 0.0,
            late_most=self._latest,
        )
        return wire.serialize(answer) + b"\n"


def _read(source: int, direction: Direction) -> None:
    now = time.monotonic()
    for _ in range(_PACKETS_PER_TURN):
        try:
            packet = os.read(source, _LARGEST_PACKET)
        except BlockingIOError:
            return
        direction.put(packet, now)


def _tun(inside: Namespace, name: str, address: str) -> int:
    """A TUN device in a namespace, up."""
    with inside.entered():
        opened = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(opened, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    inside.ip("link", "set", name, "txqueuelen", _KERNEL_QUEUE, "addrgenmode", "none")
    inside.ip("addr", "add", address, "dev", name)
    inside.ip("link", "set", name, "up")
    return opened


def main() -> None:
    """Be the link until standard input ends."""
    server, client = Namespace(sys.argv[1]), Namespace(sys.argv[2])
    number, seed = map(int, sys.argv[3:])
    name = f"link{number}"
    ends = [
        _tun(inside, name, f"{address}/{wire.PREFIX_LENGTH}")
        for inside, address in zip((server, client), wire.addresses(number), strict=True)
    ]
    client.ip("route", "add", "default", "dev", name)
    # On a machine that is too small for all of a benchmark, the link is the last to be late; it needs little.
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    gc.freeze()
    gc.disable()
    os.write(1, b"ready\n")
    Emulator(ends[0], ends[1], seed).run(0, 1)


if __name__ == "__main__":
    main()

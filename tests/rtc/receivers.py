"""Whose datagrams a media port's are: a viewer with a real ICE agent that keeps what arrives."""

import socket
import time

from media_service.rtc.ice import IceAgent, new_credentials
from media_service.rtc.path import Path
from media_service.rtc.stun import StunMessage
from signaling.jsep import IceCredentials


class KeepingReceiver:
    """A `media_port.Receiver`."""

    def __init__(self) -> None:
        self.paths: list[Path] = []
        self.agent = IceAgent(new_credentials(), time.monotonic(), self.paths.append)
        self.datagrams: list[bytes] = []

    @property
    def local(self) -> IceCredentials:
        return self.agent.local

    def check_received(self, request: StunMessage, path: Path) -> bool:
        return self.agent.check_received(request, path, time.monotonic())

    def datagram_received(self, datagram: bytes) -> None:
        self.datagrams.append(datagram)


def free_ports(count: int = 20) -> range:
    """Port numbers of which the first is free at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        first: int = probe.getsockname()[1]
        return range(first, min(first + count, 65_536))

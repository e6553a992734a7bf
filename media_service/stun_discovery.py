"""Asks STUN servers for the address that a NAT gives to our media port (RFC 8489 section 5)."""

import asyncio
import socket
from collections.abc import Sequence

import structlog

from media_service.ice_url import IceUrl
from media_service.rtc.media_port import MediaPort
from media_service.rtc.stun import StunMessage, TransportAddress, mapped_address

_log = structlog.get_logger(__name__)

_ATTEMPTS = (0.25, 0.5, 1.0)
_REFRESH = 20.0
"""Seconds between questions: a NAT forgets an unused mapping after as little as 30 (RFC 4787 section 4.3)."""

ReflexiveAddress = tuple[TransportAddress, TransportAddress]
"""The address that a STUN server saw, and the local one it was asked from."""


class StunDiscovery:
    """Keeps the reflexive addresses of the media port current."""

    def __init__(self, port: MediaPort, servers: Sequence[IceUrl]) -> None:
        self.addresses: tuple[ReflexiveAddress, ...] = ()
        self._port = port
        self._servers = servers
        self._found: dict[tuple[str, str], ReflexiveAddress | None] = {}
        """The last answer by server and local address; None where there is no NAT between."""
        self._trouble: set[str] = set()
        self._has_asked_all = asyncio.Event()

    async def gathered(self, patience: float) -> bool:
        """Wait until every server has answered or was given up, `patience` seconds at most; whether that was enough."""
        try:
            async with asyncio.timeout(patience):
                await self._has_asked_all.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Ask now and again. Never ends; a server that does not answer is logged once."""
        while True:
            for server in self._servers:
                await self._ask_server(server)
            addresses = tuple(dict.fromkeys(each for each in self._found.values() if each is not None))
            if addresses != self.addresses:
                self.addresses = addresses
                _log.info("public media address", addresses=[f"{ip}:{port}" for (ip, port), _ in addresses])
            self._has_asked_all.set()
            await asyncio.sleep(_REFRESH)

    async def _ask_server(self, server: IceUrl) -> None:
        """Note what the server sees; where it does not answer, what it saw before still counts."""
        loop = asyncio.get_running_loop()
        try:
            resolved = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            self._note(server, f"its name cannot be resolved: {error}")
            return
        for local in self._port.hosts:
            family = socket.AF_INET6 if ":" in local else socket.AF_INET
            remote = next((entry[4][:2] for entry in resolved if entry[0] == family), None)
            # What a loopback socket sends never reaches a NAT.
            if remote is None or (local in ("127.0.0.1", "::1") and str(remote[0]) not in ("127.0.0.1", "::1")):
                continue
            base = (local, self._port.number)
            mapped = await self._ask(local, (str(remote[0]), int(remote[1])))
            if mapped is None:
                self._note(server, f"it does not answer {local}")
            else:
                self._trouble.discard(str(server))
                self._found[str(server), local] = (mapped, base) if mapped != base else None

    async def _ask(self, local: str, remote: TransportAddress) -> TransportAddress | None:
        answered: asyncio.Future[StunMessage] = asyncio.get_running_loop().create_future()

        def take(message: StunMessage) -> None:
            if not answered.done():
                answered.set_result(message)

        for patience in _ATTEMPTS:
            stop_waiting = self._port.ask(local, remote, take)
            try:
                async with asyncio.timeout(patience):
                    return mapped_address(await asyncio.shield(answered))
            except TimeoutError:
                continue
            finally:
                stop_waiting()
        return None

    def _note(self, server: IceUrl, reason: str) -> None:
        if str(server) not in self._trouble:
            self._trouble.add(str(server))
            _log.warning("a STUN server cannot be asked", server=str(server), reason=reason)

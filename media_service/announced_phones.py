"""Phones that come and go by what the platform announces."""

from typing import Protocol

import structlog

from media_service.integrations import DeviceEvent, DeviceEventKind

ORIGIN = "device.started"
"""On whose word such a phone is expected."""


MAX_PHONES = 1000
"""Phones that are expected at once. Whoever may speak on the broker can name any address and any number of them."""

_log = structlog.get_logger(__name__)


class Expectations(Protocol):
    """Keeps phones connected, as `media_service.phones.Phones` does."""

    def expect(self, address: str, origin: str, name: str | None = None) -> None: ...

    def forget(self, address: str, origin: str) -> None: ...


class AnnouncedPhones:
    """Expects a phone from its start to its stop; what is announced twice counts once.

    More than `MAX_PHONES` are not expected.
    """

    def __init__(self, phones: Expectations) -> None:
        self._phones = phones
        self._names: dict[str, str | None] = {}
        """By the address of each that has started."""
        self.refused = 0
        """Starts that were passed over, since there were enough."""

    def take(self, event: DeviceEvent) -> None:
        """Act on what was announced."""
        if event.kind is DeviceEventKind.STARTED and event.address is not None:
            self._started(event.address, event.name)
        else:
            for address in self._meant(event):
                self._stopped(address)

    def _started(self, address: str, name: str | None) -> None:
        if self._names.get(address, "") == name:
            return
        if name is not None:
            # A phone that starts anew may do so elsewhere.
            for former in [each for each, called in self._names.items() if called == name]:
                self._stopped(former)
        if address in self._names:
            self._stopped(address)
        if len(self._names) >= MAX_PHONES:
            if not self.refused:
                _log.warning("more phones are announced than are connected", connected=MAX_PHONES)
            self.refused += 1
            return
        self._names[address] = name
        self._phones.expect(address, ORIGIN, name)

    def _stopped(self, address: str) -> None:
        del self._names[address]
        self._phones.forget(address, ORIGIN)

    def _meant(self, event: DeviceEvent) -> list[str]:
        if event.address is not None:
            return [event.address] if event.address in self._names else []
        return [address for address, name in self._names.items() if name == event.name]

"""What can be watched: the phones that adb knows and the sources that the operator named."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from capture.adb.client import AdbClient
from capture.adb.wire import AdbDevice
from capture.errors import AdbError
from signaling.errors import NotFound

_log = structlog.get_logger(__name__)

_RETRY_DELAY = 1.0


@dataclass(frozen=True, slots=True)
class Device:
    """Something that can be watched."""

    device_id: str
    source: str
    """The URI of its source."""
    model: str
    state: str
    """`online`, `offline`, `unauthorized` or `connecting`."""
    reason: str
    serial: str | None
    """The adb serial; None for what is not a phone."""


class Devices:
    """The devices by id. A phone's id is its serial."""

    def __init__(self, named: Mapping[str, str]) -> None:
        """`named` maps ids to source URIs."""
        self.adb_trouble = "no adb server was asked yet"
        """Why the adb server's list is not known; empty while it is."""
        self._named = dict(named)
        self._phones: dict[str, AdbDevice] = {}

    def __iter__(self) -> Iterator[Device]:
        yield from (self._named_device(name) for name in self._named)
        yield from (self._phone(phone) for phone in self._phones.values())

    def find(self, device_id: str) -> Device:
        """The device of that id. Raises `NotFound`, which says what there is."""
        if device_id in self._named:
            return self._named_device(device_id)
        phone = self._phones.get(device_id)
        if phone is not None:
            return self._phone(phone)
        known = ", ".join([*self._named, *self._phones][:10]) or "none"
        trouble = f" (adb: {self.adb_trouble})" if self.adb_trouble else ""
        raise NotFound(f"there is no device {device_id[:100]!r}; known: {known}{trouble}", code="device_not_found")

    async def follow(self, client: AdbClient) -> None:
        """Keep the list of phones as the adb server pushes it. Never ends."""
        while True:
            try:
                async with aclosing(client.track_devices()) as changes:
                    async for phones in changes:
                        self.adb_trouble = ""
                        self._take(phones)
            except AdbError as error:
                if self.adb_trouble != str(error):
                    self.adb_trouble = str(error)
                    _log.warning("the adb server's devices are not known", reason=self.adb_trouble)
                self._take(())
            await asyncio.sleep(_RETRY_DELAY)

    def _take(self, phones: tuple[AdbDevice, ...]) -> None:
        previous, self._phones = self._phones, {phone.serial: phone for phone in phones}
        for serial, phone in self._phones.items():
            if serial not in previous or previous[serial].state != phone.state:
                _log.info("phone", serial=serial, state=phone.state, model=phone.model)
        for serial in previous.keys() - self._phones.keys():
            _log.info("phone gone", serial=serial)

    def _named_device(self, name: str) -> Device:
        uri = self._named[name]
        serial = uri.removeprefix("adb:") if uri.startswith("adb:") else None
        phone = self._phones.get(serial) if serial else None
        if serial is None:
            return Device(name, uri, uri.partition(":")[0], "online", "", None)
        state = phone.state if phone is not None else "offline"
        return Device(name, uri, phone.model if phone else "", *_said(state), serial)

    def _phone(self, phone: AdbDevice) -> Device:
        return Device(phone.serial, f"adb:{phone.serial}", phone.model, *_said(phone.state), phone.serial)


def _said(adb_state: str) -> tuple[str, str]:
    """Our word for adb's state of a phone, and what to do about it."""
    match adb_state:
        case "device":
            return "online", ""
        case "unauthorized":
            return "unauthorized", "allow USB debugging on the phone's screen"
        case "authorizing" | "connecting":
            return "connecting", ""
        case other:
            return "offline", f"adb says {other!r}"

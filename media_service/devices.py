"""What can be watched: the phones that adb knows or that are expected, and the sources that the operator named."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from capture.adb.client import AdbClient
from capture.adb.wire import AdbDevice
from capture.errors import AdbError, DeviceNotFound
from signaling.errors import NotFound

_log = structlog.get_logger(__name__)

_RETRY_DELAY = 0.5
_REMEMBERED = 60.0
"""Seconds that a phone which went away is still listed: a container that is restarted is back by then."""

ONLINE, OFFLINE, UNAUTHORIZED, CONNECTING, LOST = "online", "offline", "unauthorized", "connecting", "lost"


@dataclass(frozen=True, slots=True)
class Device:
    """Something that can be watched."""

    device_id: str
    """Its name where it has one, else its serial. Stays when a container's phone comes back at another address."""
    source: str
    """The URI of its source."""
    model: str
    state: str
    """`online`, `offline`, `unauthorized`, `connecting` (it was not there yet) or `lost` (it was, and is not now)."""
    reason: str
    """Why it is not online, in words; empty while it is."""
    serial: str | None
    """The adb serial; None for what is not a phone."""
    name: str | None = None
    """What the operator calls it, or its container."""
    origin: str = ""
    """Why it is there: `adb`, `ADB_DEVICES`, `container redroid-1`, …"""


@dataclass(frozen=True, slots=True)
class _Expected:
    """Somebody's word that there is a phone."""

    origin: str
    name: str | None
    is_kept: bool
    """Whether it is being connected."""


_NOBODY = Device("", "", "", "", "", None)


def _ignore_change(device_id: str, state: str) -> None:
    pass


def _unknown(serial: str) -> str:
    return ""


class Devices:
    """The devices, each under one id; a phone is found by its serial and by each of its names.

    A phone that was online stays listed as `lost` while it is expected, and for a minute when it is not.
    """

    def __init__(self, named: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`named` maps ids to source URIs."""
        self.adb_trouble = "no adb server was asked yet"
        """Why the adb server's list is not known; empty while it is."""
        self.on_change: Callable[[str, str], None] = _ignore_change
        """Called with `(device_id, state)` on every change."""
        self.why_away: Callable[[str], str] = _unknown
        """Why a serial is not connected, as who connects it knows; empty when that is not known."""
        self._clock = clock
        self._named = {name: uri for name, uri in named.items() if not uri.startswith("adb:")}
        self._expected: dict[str, list[_Expected]] = {}
        self._phones: dict[str, AdbDevice] = {}
        self._devices: dict[str, Device] = {}
        self._ids: dict[str, str] = {}
        """The id by everything that a device is called."""
        self._let_go: set[str] = set()
        """Serials that were expected, and that adb is about to list no more."""
        self._were_online: set[str] = set()
        self._gone: dict[str, tuple[Device, float]] = {}
        """What was online and is expected no more, and since when."""
        for name, uri in named.items():
            if uri.startswith("adb:"):
                self._expected.setdefault(uri.removeprefix("adb:"), []).append(_Expected("--source", name, False))
        self._update()

    def __iter__(self) -> Iterator[Device]:
        self._forget_the_long_gone()
        yield from [self._explained(device) for device in self._devices.values()]
        yield from [device for device, _ in self._gone.values()]

    def find(self, device_id: str) -> Device:
        """The device of that id, serial or name. Raises `NotFound`, which says what there is."""
        self._forget_the_long_gone()
        known_as = self._ids.get(device_id)
        if known_as is not None:
            return self._explained(self._devices[known_as])
        for device, _ in self._gone.values():
            if device_id in (device.device_id, device.serial):
                return device
        known = ", ".join([*self._devices][:10]) or "none"
        trouble = f" (adb: {self.adb_trouble})" if self.adb_trouble else ""
        raise NotFound(f"there is no device {device_id[:100]!r}; known: {known}{trouble}", code="device_not_found")

    def source(self, device_id: str) -> str:
        """The URI of its source now. Raises `DeviceNotFound` while the device is gone.

        To be asked whenever a source is opened: a container may have come back at another address, and another
        phone at the former one.
        """
        device = self._devices.get(self._ids.get(device_id, ""))
        if device is None:
            reason = self._gone[device_id][0].reason if device_id in self._gone else "nobody knows it"
            raise DeviceNotFound(f"device {device_id[:100]!r} is not there: {reason}")
        return device.source

    def expect(self, serial: str, origin: str, name: str | None = None, *, is_kept: bool = True) -> None:
        """List the phone of that serial whether adb knows it or not; `is_kept` says that it is being connected.

        `origin` says why. It is found by `name` too, unless another one has that name.
        """
        self._expected.setdefault(serial, []).append(_Expected(origin, name, is_kept))
        self._let_go.discard(serial)
        self._update()

    def forget(self, serial: str, origin: str) -> None:
        """Take back what `expect` said. The phone is hidden while adb still lists it."""
        left = [each for each in self._expected.pop(serial, ()) if each.origin != origin]
        if left:
            self._expected[serial] = left
        else:
            self._let_go.add(serial)
        self._update(f"{origin} is not there any more")

    async def follow(self, client: AdbClient) -> None:
        """Keep the list of phones as the adb server pushes it. Never ends."""
        while True:
            try:
                async with aclosing(client.track_devices()) as changes:
                    async for phones in changes:
                        self.adb_trouble = ""
                        self.take(phones)
            except AdbError as error:
                if self.adb_trouble != str(error):
                    self.adb_trouble = str(error)
                    _log.warning("the adb server's devices are not known", reason=self.adb_trouble)
                self.take(())
            await asyncio.sleep(_RETRY_DELAY)

    def take(self, phones: tuple[AdbDevice, ...]) -> None:
        """These are the phones that the adb server lists now."""
        self._phones = {phone.serial: phone for phone in phones}
        self._let_go &= self._phones.keys()
        self._update(self.adb_trouble or "adb does not list it any more")

    def _update(self, why_gone: str = "") -> None:
        before = self._devices
        former = {device_id: device for device_id, (device, _) in self._gone.items()} | before
        self._devices, self._ids = {}, {}
        for name, uri in self._named.items():
            self._add(Device(name, uri, uri.partition(":")[0], ONLINE, "", None, name, "--source"), [name])
        for serial, expected in self._expected.items():
            names = [each.name for each in expected if each.name is not None and each.name not in self._ids]
            origin = " and ".join(dict.fromkeys(each.origin for each in expected))
            is_kept = any(each.is_kept for each in expected)
            self._add(self._phone(serial, names[0] if names else None, origin, is_kept, former), [serial, *names])
        for serial in self._phones:
            if serial not in self._expected and serial not in self._let_go:
                self._add(self._phone(serial, None, "adb", False, former), [serial])
        left = [self._leave(before[device_id], why_gone) for device_id in before.keys() - self._ids.keys()]
        for device_id in self._devices:
            self._gone.pop(device_id, None)
        for device in [*left, *self._devices.values()]:
            if former.get(device.device_id, _NOBODY).state != device.state:
                self._tell(device)

    def _tell(self, device: Device) -> None:
        if device.serial is not None:
            _log.info("phone", device=device.device_id, serial=device.serial, state=device.state, model=device.model)
        self.on_change(device.device_id, device.state)

    def _add(self, device: Device, called: Iterable[str]) -> None:
        self._devices[device.device_id] = device
        for text in called:
            self._ids.setdefault(text, device.device_id)
        if device.state == ONLINE:
            self._were_online.add(device.device_id)

    def _phone(self, serial: str, name: str | None, origin: str, is_kept: bool, former: Mapping[str, Device]) -> Device:
        device_id = name or serial
        phone = self._phones.get(serial)
        model = (phone.model if phone is not None else "") or former.get(device_id, _NOBODY).model
        state, reason = _said(phone.state) if phone is not None else (OFFLINE, "adb does not list it")
        if is_kept and state == OFFLINE:
            # adb calls it offline while it connects, too.
            state = LOST if device_id in self._were_online else CONNECTING
            reason = "adb has lost it" if state == LOST else "adb is not connected to it yet"
        if self.adb_trouble and state != ONLINE:
            reason = self.adb_trouble
        return Device(device_id, f"adb:{serial}", model, state, reason, serial, name, origin)

    def _leave(self, device: Device, why: str) -> Device:
        """What becomes of a device that nobody lists any more."""
        device = replace(device, state=LOST, reason=why)
        if device.device_id in self._were_online and device.serial not in self._ids:
            self._gone[device.device_id] = device, self._clock()
        else:
            self._were_online.discard(device.device_id)
        return device

    def _explained(self, device: Device) -> Device:
        reason = self.why_away(device.serial) if device.serial is not None and device.state != ONLINE else ""
        return replace(device, reason=f"{device.reason}: {reason}") if reason else device

    def _forget_the_long_gone(self) -> None:
        now = self._clock()
        for device_id in [key for key, (_, since) in self._gone.items() if now - since > _REMEMBERED]:
            del self._gone[device_id]
            self._were_online.discard(device_id)


def _said(adb_state: str) -> tuple[str, str]:
    """Our word for adb's state of a phone, and what to do about it."""
    match adb_state:
        case "device":
            return ONLINE, ""
        case "unauthorized":
            return UNAUTHORIZED, "allow USB debugging on the phone's screen"
        case "authorizing" | "connecting":
            return CONNECTING, ""
        case other:
            return OFFLINE, f"adb says {other!r}"

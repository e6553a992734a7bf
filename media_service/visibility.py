"""Which devices and sessions there are for whom: what a token does not cover looks like what does not exist."""

from collections.abc import Iterator

from media_service.device_description import names_of
from media_service.devices import Device, Devices
from signaling.caller import Caller, Capability
from signaling.errors import NotFound


class Visibility:
    """Looks at the devices with a caller's eyes."""

    def __init__(self, devices: Devices) -> None:
        self._devices = devices

    def devices(self, caller: Caller) -> Iterator[Device]:
        """Those that the caller may watch."""
        return (device for device in self._devices if caller.may(Capability.VIEW, names_of(device)))

    def device(self, device_id: str, caller: Caller) -> Device:
        """The device of that id, serial or name. Raises `NotFound` where the caller may not watch it, too."""
        device = self.find(device_id, caller)
        if not caller.may(Capability.VIEW, names_of(device)):
            raise _no_such_device(device_id)
        return device

    def find(self, device_id: str, caller: Caller) -> Device:
        """The device of that id, serial or name, whatever the caller may do with it.

        Raises `NotFound`, which says what there is only to those who may see everything.
        """
        try:
            return self._devices.find(device_id)
        except NotFound:
            if caller.is_admin or caller.devices is None:
                raise
            raise _no_such_device(device_id) from None

    def covers(self, caller: Caller, user_id: str | None, device_id: str) -> bool:
        """Whether a session of that user on that device is one of the caller's."""
        return caller.owns(user_id) and (caller.devices is None or caller.may(Capability.VIEW, self.names(device_id)))

    def names(self, device_id: str) -> tuple[str, ...]:
        """Everything that a token may call the device; its id alone once it is gone."""
        try:
            return names_of(self._devices.find(device_id))
        except NotFound:
            return (device_id,)


def _no_such_device(device_id: str) -> NotFound:
    """What somebody with a token for certain devices is told of any other, whether it exists or not."""
    return NotFound(f"there is no device {device_id[:100]!r} that this token allows to watch", code="device_not_found")

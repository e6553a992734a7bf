"""What the platform says of devices: `device.started`, `device.stopped` and `device.deleted`. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from capture.adb.address import in_url, is_device_name, parse_device_entry, with_port

LARGEST_BODY = 64 * 1024


class DeviceEventKind(StrEnum):
    STARTED = "device.started"
    """It can be connected."""
    STOPPED = "device.stopped"
    DELETED = "device.deleted"


@dataclass(frozen=True, slots=True)
class DeviceEvent:
    """What happened to a device; it has an address or a name, one that started has an address."""

    kind: DeviceEventKind
    address: str | None
    """Where its adb is: `host:port`, which is its serial too."""
    name: str | None
    """What it is called besides."""


class MalformedDeviceEvent(ValueError):
    """The text says what is wrong and nothing of what was sent: that may be anything."""


_Text = Annotated[str, Field(min_length=1, max_length=260)]


class _Body(BaseModel):
    # Platforms say more of a device than we want to know.
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    device_id: _Text
    event_type: str | None = None
    name: _Text | None = None
    adb_address: _Text | None = None
    adb_host: _Text | None = None
    adb_port: Annotated[int, Field(ge=1, le=65535)] | None = None


def parse_device_event(routing_key: str, body: bytes) -> DeviceEvent:
    """Read a message. Raises `MalformedDeviceEvent`.

    The address is `adb_address`, else `adb_host` with `adb_port`, else `device_id` where that is HOST:PORT. The name is
    `name` where that can be one (some platforms have it for people to read), else a `device_id` that is no address.
    """
    try:
        kind = DeviceEventKind(routing_key)
    except ValueError:
        raise MalformedDeviceEvent(
            "its routing key is none of device.started, device.stopped, device.deleted"
        ) from None
    if len(body) > LARGEST_BODY:
        raise MalformedDeviceEvent(f"it has more than {LARGEST_BODY} bytes")
    try:
        said = _Body.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(part for part in map(str, first["loc"]) if part in _Body.model_fields) or "the body"
        raise MalformedDeviceEvent(f"{place}: {first['type']}") from None
    if said.event_type not in (None, routing_key):
        raise MalformedDeviceEvent("event_type is not the routing key")
    name = next((text for text in (said.name, said.device_id) if text is not None and is_device_name(text)), None)
    address = _address(said)
    if address is None and (kind is DeviceEventKind.STARTED or name is None):
        raise MalformedDeviceEvent("neither adb_address, adb_host nor device_id says where its adb is")
    return DeviceEvent(kind, address, name)


def _address(said: _Body) -> str | None:
    if said.adb_address is not None:
        return _parsed("adb_address", said.adb_address)
    if said.adb_host is not None:
        host = said.adb_host.strip("[]")
        return _parsed("adb_host", in_url(host) if said.adb_port is None else f"{in_url(host)}:{said.adb_port}")
    if is_device_name(said.device_id):
        return None
    if with_port(said.device_id) != said.device_id:
        raise MalformedDeviceEvent("device_id is neither HOST:PORT nor a name")
    return _parsed("device_id", said.device_id)


def _parsed(field: str, text: str) -> str:
    try:
        entry = parse_device_entry(text)
    except ValueError:
        entry = None
    if entry is None or entry.name is not None or (entry.serial.startswith("[") and not _is_ipv6(entry.serial)):
        raise MalformedDeviceEvent(f"{field} is not HOST:PORT")
    return entry.serial


def _is_ipv6(serial: str) -> bool:
    try:
        return ip_address(serial[1 : serial.index("]")]).version == 6
    except ValueError:
        return False

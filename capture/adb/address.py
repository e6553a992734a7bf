"""Where a phone on the network is, as operators write it and as the adb server lists it."""

import re
from dataclasses import dataclass

DEFAULT_PORT = 5555

_WITH_PORT = re.compile(r"(\[[^]]*\]|[^:\[\]]+):\d+")
_SERIAL = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def in_url(host: str) -> str:
    """`host` as it stands before a port: IPv6 in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def with_port(address: str) -> str:
    """`address` as the server lists it: with adb's default port when none is given; IPv6 in brackets (RFC 3986)."""
    if _WITH_PORT.fullmatch(address):
        return address
    return f"{in_url(address.strip('[]'))}:{DEFAULT_PORT}"


def is_device_name(text: str) -> bool:
    """Whether `text` can name a device: it becomes part of addresses, and no serial on the network looks like it."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A phone that an operator listed."""

    serial: str
    """What the adb server calls it: `host:port`."""

    name: str | None = None
    """What the operator calls it."""

    def __str__(self) -> str:
        return self.serial if self.name is None else f"{self.name}={self.serial}"


def parse_device_entry(text: str) -> DeviceEntry:
    """`host:port` or `name=host:port`, where the port may be left out; raises ValueError, which names the value."""
    before, separator, after = text.partition("=")
    name, address = (before.strip(), after.strip()) if separator else (None, text.strip())
    if name is not None and not is_device_name(name):
        raise ValueError(f"{text!r}: {name!r} is no name: 1 to 63 letters, digits, dots, dashes or underscores are")
    serial = with_port(address)
    match = _SERIAL.fullmatch(serial)
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise ValueError(f"{address!r} is not HOST:PORT")
    return DeviceEntry(serial, name)

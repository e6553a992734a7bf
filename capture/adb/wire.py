"""The adb server's socket protocol: bytes in, values out.

    request   > hhhh + service                          h = hexadecimal digit of the length
    answer    < OKAY | FAIL + hhhh + message            then whatever the service says
    shell v2  < id + length (little-endian 32) + data   id 1 = stdout, 2 = stderr, 3 = exit code
    sync      > SEND + length + "path,mode", DATA + length + bytes ..., DONE + mtime    < OKAY | FAIL + length + message

Sources: AOSP packages/modules/adb, docs/dev/services.md, docs/dev/sync.md and shell_protocol.h.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from capture.errors import AdbError, AdbProtocolError, DeviceNotFound, DeviceOffline

MAX_REQUEST = 0xFFFF
"""Bytes that four hexadecimal digits can announce."""

SYNC_CHUNK = 64 * 1024
"""The most bytes in one DATA message (SYNC_DATA_MAX)."""

STDOUT, STDERR, EXIT = 1, 2, 3

_Bytes = TypeVar("_Bytes", bytes, memoryview)

_SHELL_HEADER = struct.Struct("<BI")
_SYNC_HEADER = struct.Struct("<4sI")
_HEX_LENGTH = re.compile(rb"[0-9a-fA-F]{4}")
_SERIAL = re.compile(r"[\x21-\x7e]{1,255}")
_ATTRIBUTES = frozenset({"product", "model", "device", "transport_id", "usb", "features", "dev_path"})
_ADVICE = "accept its key on the phone's screen"
_NOT_READY = ("offline", "unauthorized", "authorizing", "connecting", "insufficient permissions", "no permissions")


@dataclass(frozen=True, slots=True)
class AdbDevice:
    """A device as the adb server lists it."""

    serial: str
    """What requests name it by; for a device on TCP its address, as `127.0.0.1:5555`."""
    state: str
    """`device` when usable; else `offline`, `unauthorized`, `authorizing`, `connecting`, `recovery`, ..."""
    model: str = ""
    product: str = ""
    transport_id: int | None = None
    """Counts connections: another number under the same serial is another connection."""

    @property
    def is_ready(self) -> bool:
        """Whether it takes commands."""
        return self.state == "device"


def checked_serial(serial: str) -> str:
    """`serial`, when it can be one; raises `DeviceNotFound` for what adb could only misread."""
    if not _SERIAL.fullmatch(serial):
        raise DeviceNotFound(
            f"{serial[:80]!r} is not a device serial: 1 to 255 printable ASCII characters without spaces are allowed"
        )
    return serial


def request(service: str) -> bytes:
    """The bytes that ask for `service`; raises `ValueError` when it is too long or holds a NUL byte."""
    payload = service.encode()
    if len(payload) > MAX_REQUEST:
        raise ValueError(f"an adb request of {len(payload)} bytes is too long: at most {MAX_REQUEST} are allowed")
    if b"\0" in payload:
        raise ValueError(f"an adb request must not hold a NUL byte: {service[:80]!r}")
    return b"%04x" % len(payload) + payload


def parse_status(status: bytes) -> bool:
    """Whether the four bytes say OKAY rather than FAIL; raises `AdbProtocolError` for anything else."""
    if status == b"OKAY":
        return True
    if status == b"FAIL":
        return False
    raise AdbProtocolError(f"the adb server answered {status!r} where OKAY or FAIL belongs")


def parse_length(digits: bytes) -> int:
    """The length that four hexadecimal digits announce; raises `AdbProtocolError` for anything else."""
    if not _HEX_LENGTH.fullmatch(digits):
        raise AdbProtocolError(f"the adb server announced a length of {digits!r} where four hexadecimal digits belong")
    return int(digits, 16)


def parse_devices(listing: bytes) -> tuple[AdbDevice, ...]:
    """The devices in an answer to `host:devices-l` or `host:devices`; raises `AdbProtocolError` when it is neither."""
    return tuple(_parse_device(line) for line in listing.decode(errors="replace").splitlines() if line.strip())


def _parse_device(line: str) -> AdbDevice:
    serial, *words = line.split()
    # A state may be several words ("no permissions (user in plugdev group ...)"): it lasts until the first attribute.
    states: list[str] = []
    attributes: dict[str, str] = {}
    for word in words:
        name, colon, value = word.partition(":")
        if colon and name in _ATTRIBUTES:
            attributes[name] = value
        elif not attributes:
            states.append(word)
    if not states:
        raise AdbProtocolError(f"the adb server listed a device without a state: {line[:200]!r}")
    transport_id = attributes.get("transport_id", "")
    return AdbDevice(
        serial=serial,
        state=" ".join(states),
        model=attributes.get("model", ""),
        product=attributes.get("product", ""),
        transport_id=int(transport_id) if transport_id.isascii() and transport_id.isdigit() else None,
    )


def failure(message: str, serial: str | None = None) -> AdbError:
    """The error that the text of a FAIL answer means."""
    text = message.strip() or "no reason given"
    who = f"device {serial!r}" if serial else "the adb server"
    if "not found" in text or "no such device" in text or "no devices" in text:
        return DeviceNotFound(text if serial is None or serial in text else f"{who}: {text}")
    if "unauthorized" in text or "authorizing" in text:
        return DeviceOffline(f"{who} does not trust this computer yet: {_ADVICE} ({text})")
    if any(word in text for word in _NOT_READY):
        return DeviceOffline(f"{who} does not take commands now: {text}")
    return AdbError(f"{who} refused: {text}")


def check_connected(message: str, address: str) -> None:
    """Raise what the answer to `host:connect:` means; the server reports failure as success with a text."""
    text = message.strip()
    if text.startswith(("connected to", "already connected to")):
        return
    if "resolve" in text or "bad port" in text or "empty address" in text:
        raise DeviceNotFound(f"{address!r} is not an address that adb can connect to: {text}")
    if "authenticate" in text or "unauthorized" in text:
        raise DeviceOffline(f"{address!r} does not trust this computer yet: {_ADVICE} ({text})")
    raise DeviceOffline(f"adb cannot connect to {address!r}: {text or 'no reason given'}")


class ShellParser:
    """Splits what a `shell,v2` service sends into its three streams, at any chunking.

    Data is passed on as it comes, never collected, so an announced length costs no memory.
    """

    def __init__(self) -> None:
        self._header = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: _Bytes) -> Iterator[tuple[int, _Bytes]]:
        """Pieces of the streams as (id, bytes), which are views where `data` is one.

        Raises `AdbProtocolError` for an id that a device never sends.
        """
        size = len(data)
        position = 0
        while position < size:
            if not self._left:
                missing = _SHELL_HEADER.size - len(self._header)
                self._header += data[position : position + missing]
                position += missing
                if len(self._header) < _SHELL_HEADER.size:
                    return
                self._stream, self._left = _SHELL_HEADER.unpack(self._header)
                self._header = b""
                if self._stream not in (STDOUT, STDERR, EXIT):
                    raise AdbProtocolError(f"a shell packet has the id {self._stream}, where 1, 2 or 3 belongs")
                if self._stream == EXIT and self._left != 1:
                    raise AdbProtocolError(f"a shell exit code is {self._left} bytes long, where 1 belongs")
                continue
            piece = data[position : position + self._left]
            self._left -= len(piece)
            position += len(piece)
            yield self._stream, piece


STATUS_SUFFIX = "; echo :$?"
"""What, after a command line, makes a shell without exit codes (before shell v2) print its own."""


def split_status(output: bytes) -> tuple[bytes, int]:
    """Output and exit code of a command that ran with `STATUS_SUFFIX`; raises `AdbProtocolError` when there is none."""
    head, colon, status = output.rstrip(b"\r\n").rpartition(b":")
    if not colon or not re.fullmatch(rb"\d{1,3}", status):
        raise AdbProtocolError(f"a shell did not tell its exit code, its last words were {output[-80:]!r}")
    return head, int(status)


def sync_request(name: bytes, argument: bytes) -> bytes:
    """A message of the sync service: SEND or DATA with its bytes."""
    return _SYNC_HEADER.pack(name, len(argument)) + argument


def sync_done(modified_at: int) -> bytes:
    """The end of a file, with its modification time in seconds since 1970."""
    return _SYNC_HEADER.pack(b"DONE", modified_at)


def parse_sync_status(header: bytes) -> int | None:
    """None when the eight bytes say OKAY, else the length of the FAIL message; raises `AdbProtocolError`."""
    if len(header) != _SYNC_HEADER.size:
        raise AdbProtocolError(f"the sync service answered {header!r} where eight bytes belong")
    name, length = _SYNC_HEADER.unpack(header)
    if name == b"OKAY":
        return None
    if name == b"FAIL" and length <= SYNC_CHUNK:
        return int(length)
    raise AdbProtocolError(f"the sync service answered {header!r} where OKAY or FAIL belongs")

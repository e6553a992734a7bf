"""The devices as a running service lists them, and as text for a terminal."""

import http.client
import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from media_service.devices import Device

_TIMEOUT = 3.0
_LARGEST_ANSWER = 8 * 1024 * 1024


class NoListing(Exception):
    """No service lists its devices there; the text says why."""


class ListedDevice(BaseModel):
    """A device of `GET /api/media/devices`."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)

    device_id: str
    name: str | None = None
    serial: str | None = None
    origin: str = ""
    model: str
    state: str
    reason: str
    capture_mode: str | None = None
    width: int | None = None
    height: int | None = None
    rotation: int | None = None
    screen: str | None = None
    audio: bool = False
    viewers: int = 0

    @classmethod
    def of(cls, device: Device) -> "ListedDevice":
        """A device that nobody watches."""
        return cls(
            device_id=device.device_id,
            name=device.name,
            serial=device.serial,
            origin=device.origin,
            model=device.model,
            state=device.state,
            reason=device.reason,
        )


class _Answer(BaseModel):
    devices: list[ListedDevice]


_ANSWER = TypeAdapter(_Answer)


def ask_service(url: str, token: str | None = None) -> list[ListedDevice]:
    """The devices of the service at `url`, as `http://127.0.0.1:30006`, with `token` where it needs one.

    Raises `NoListing`.
    """
    if not re.fullmatch(r"https?://[^/?#\s]+/?", url):
        raise NoListing(f"{url!r} is not the address of a service: it is like http://127.0.0.1:30006")
    # Without the environment's proxies: a service on this machine is not reached through one.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        request = urllib.request.Request(f"{url.rstrip('/')}/api/media/devices", headers=headers)
        with opener.open(request, timeout=_TIMEOUT) as response:
            body = response.read(_LARGEST_ANSWER)
    except urllib.error.HTTPError as error:
        with error:
            raise NoListing(f"{url} answers with {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise NoListing(f"no service answers at {url} ({_why(error.reason)})") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoListing(f"{url} broke off ({_why(error)})") from error
    try:
        return _ANSWER.validate_json(body).devices
    except ValidationError as error:
        raise NoListing(f"what answers at {url} is not media-service") from error


def as_json(devices: Iterable[ListedDevice]) -> str:
    """As the API has them."""
    listed: list[dict[str, Any]] = [device.model_dump(by_alias=True) for device in devices]
    return json.dumps(listed, indent=2)


def as_table(devices: Sequence[ListedDevice]) -> str:
    """In aligned columns; those with nothing in them are left out."""
    columns = {
        "DEVICE": [device.device_id for device in devices],
        "SERIAL": [(device.serial or "") if device.serial != device.device_id else "" for device in devices],
        "STATE": [device.state for device in devices],
        "MODEL": [device.model for device in devices],
        "SIZE": [f"{device.width}x{device.height}" if device.width and device.height else "" for device in devices],
        "CAPTURE": [device.capture_mode or "" for device in devices],
        "VIEWERS": [str(device.viewers or "") for device in devices],
        "FROM": [device.origin for device in devices],
        "WHY": [device.reason for device in devices],
    }
    shown = {title: [_printable(cell) for cell in cells] for title, cells in columns.items() if any(cells)}
    widths = [max(len(title), *map(len, cells)) for title, cells in shown.items()]
    rows = [tuple(shown), *zip(*shown.values(), strict=True)]
    return "\n".join(
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _printable(text: str) -> str:
    """Without what would move a terminal's cursor: models are the phones' own words."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _why(reason: object) -> str:
    return getattr(reason, "strerror", None) or str(reason) or type(reason).__name__

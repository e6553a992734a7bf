"""How the text of a setting becomes its value, or an error that says what is wrong with it and repeats no secret."""

import re
import shutil
import zipfile
from dataclasses import dataclass
from ipaddress import ip_address as parse_ip_address
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from capture.adb.address import DeviceEntry, parse_device_entry
from capture.docker_engine import parse_docker_host
from capture.scrcpy.version import parse_version
from media_service.duration import Duration
from media_service.ice_url import IceUrl


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words, for error messages and for the README's table."""

    words: str


def items(value: object) -> object:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def above_zero(duration: Duration) -> Duration:
    if not duration:
        raise ValueError("it is not above zero")
    return duration


def ten_minutes(duration: Duration) -> Duration:
    # The viewer page keeps them for five.
    if duration < 600:
        raise ValueError("it is less than 10m")
    return duration


def listening_address(host: str) -> str:
    return host if host == "localhost" else ip_address(host)


def reachable_host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", host):
        ip_address(host)
    return host


def network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network: {error}") from None


def log_file(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_dir():
        raise ValueError("it is a folder")
    if not path.parent.is_dir():
        raise ValueError(f"there is no folder {str(path.parent)!r}")
    return path


def url(text: str, *schemes: str) -> str:
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        # It may hold a password, which an error message must not repeat.
        raise ValueError(f"it is not a URL that begins with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return text


def http_url(text: str) -> str:
    return url(text, "http", "https")


def amqp_url(secret: SecretStr) -> SecretStr:
    url(secret.get_secret_value(), "amqp", "amqps")
    return secret


def public_key(name: str) -> Path:
    path = Path(name).expanduser()
    try:
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"it cannot be read: {error}") from None
    if "-----BEGIN PUBLIC KEY-----" not in text:
        raise ValueError("it holds no PEM public key")
    return path


def long_enough(secret: SecretStr) -> SecretStr:
    # RFC 7518 section 3.2: a key of HS256 has at least as many bits as the hash.
    if len(secret.get_secret_value().encode()) < 32:
        raise ValueError("it is too short to be safe")
    return secret


def ip_address(text: str) -> str:
    try:
        return str(parse_ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def stun_url(value: object) -> IceUrl:
    url = value if isinstance(value, IceUrl) else IceUrl.parse(str(value))
    if url.scheme != "stun":
        raise ValueError(f"{str(url)!r} is not a stun: URL")
    return url


def turn_url(value: object) -> IceUrl:
    url = value if isinstance(value, IceUrl) else IceUrl.parse(str(value))
    if url.scheme not in ("turn", "turns"):
        raise ValueError(f"{str(url)!r} is not a turn: or turns: URL")
    return url


def program(name: str) -> str:
    if shutil.which(name) is None:
        raise ValueError("no such program can be run")
    return name


def scrcpy_server(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError("it is not a file" if path.exists() else "there is no such file")
    # What was fetched from a wrong address is a page of text.
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not scrcpy's server, or not all of it: that is a zip archive")
    return path


def scrcpy_version(text: str) -> str:
    return parse_version(text).name


def docker_host(text: str) -> str:
    parse_docker_host(text)
    return text


def device_entry(value: object) -> DeviceEntry:
    return value if isinstance(value, DeviceEntry) else parse_device_entry(str(value))


def web_origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454 section 6.2)."""
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", text):
        raise ValueError(f"{text!r} is not an origin")
    return text


Port = Annotated[int, Field(ge=1, le=65535), Allowed("a port from 1 to 65535")]
Switch = Annotated[bool, Allowed("true or false")]
Time = Annotated[Duration, AfterValidator(above_zero), Allowed("a duration above zero like 10s, 5m or 200ms")]

Host = Annotated[str, AfterValidator(reachable_host), Allowed("an IP address or a host name")]

Networks = Annotated[
    tuple[Annotated[str, AfterValidator(network)], ...],
    BeforeValidator(items),
    Allowed("networks like 10.0.0.0/8, comma separated"),
]

AmqpUrl = Annotated[SecretStr, AfterValidator(amqp_url), Allowed("an amqp:// or amqps:// URL")]

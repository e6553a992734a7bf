"""What an operator can set. `media_service.configuration` reads it from the environment and from `.env`."""

import re
import shutil
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from capture.adb.presence import with_port
from media_service.duration import Duration
from media_service.ice_url import IceUrl


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words, for error messages and for the README's table."""

    words: str


def _items(value: object) -> object:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _loopback_address(host: str) -> str:
    if host == "localhost":
        return host
    if not ip_address(_ip_address(host)).is_loopback:
        raise ValueError(
            "this version has no authentication and listens on loopback only;"
            " to be reached from elsewhere, put a reverse proxy with authentication in front"
        )
    return host


def _ip_address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IP address") from None


def _stun_url(value: object) -> IceUrl:
    url = value if isinstance(value, IceUrl) else IceUrl.parse(str(value))
    if url.scheme != "stun":
        raise ValueError(f"{str(url)!r} is not a stun: URL")
    return url


def _turn_url(value: object) -> IceUrl:
    url = value if isinstance(value, IceUrl) else IceUrl.parse(str(value))
    if url.scheme not in ("turn", "turns"):
        raise ValueError(f"{str(url)!r} is not a turn: or turns: URL")
    return url


def _program(name: str) -> str:
    if shutil.which(name) is None:
        raise ValueError("no such program can be run")
    return name


def _network_address(text: str) -> str:
    """The serial under which adb lists the phone at this address."""
    serial = with_port(text)
    match = re.fullmatch(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", serial)
    if match is None or not 1 <= int(match[1]) <= 65535:
        raise ValueError(f"{text!r} is not HOST:PORT")
    return serial


def _web_origin(text: str) -> str:
    """An origin as browsers send it (RFC 6454 section 6.2)."""
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", text):
        raise ValueError(f"{text!r} is not an origin")
    return text


Port = Annotated[int, Field(ge=1, le=65535), Allowed("a port from 1 to 65535")]
Switch = Annotated[bool, Allowed("true or false")]
Time = Annotated[Duration, Allowed("a duration above zero like 10s, 5m or 200ms")]


class Settings(BaseSettings):
    """Every setting there is; each has an effect. Named in capitals outside: `ice_port_min` is `ICE_PORT_MIN`.

    Made in code it takes only what it is given, so that a test does not depend on the machine.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, env_ignore_empty=True
    )

    host: Annotated[str, AfterValidator(_loopback_address), Allowed("127.0.0.1, ::1 or localhost")] = "127.0.0.1"
    """Address that the HTTP and WebSocket API listens on."""

    port: Annotated[int, Field(ge=0, le=65535), Allowed("a port from 1 to 65535, or 0 for any free one")] = 30006
    """Port of the HTTP and WebSocket API and of the viewer page."""

    service_name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        Allowed("1 to 63 letters, digits, dots, dashes or underscores"),
    ] = "media-service"
    """Name that this service gives itself in its log."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_lower_case),
        Allowed("debug, info, warning or error"),
    ] = "info"
    """How much is logged."""

    enable_metrics: Switch = True
    """Whether `/metrics` answers Prometheus."""

    allowed_origins: Annotated[
        tuple[Annotated[str, AfterValidator(_web_origin)], ...],
        BeforeValidator(_items),
        Allowed("origins like https://phones.example.com, comma separated"),
    ] = ()
    """Other web sites whose pages may use the API; the viewer page itself always may."""

    ice_port_min: Port = 50000
    """First port tried for media. One is taken, for all viewers, on UDP and on TCP."""

    ice_port_max: Port = 50100
    """Last port tried for media."""

    nat_1to1_ips: Annotated[
        tuple[Annotated[str, AfterValidator(_ip_address)], ...],
        BeforeValidator(_items),
        Allowed("IP addresses, comma separated"),
    ] = ()
    """Public addresses of a machine behind 1:1 NAT; viewers are told these."""

    stun_servers: Annotated[
        tuple[Annotated[IceUrl, BeforeValidator(_stun_url)], ...],
        BeforeValidator(_items),
        Allowed("stun:HOST:PORT, comma separated"),
    ] = ()
    """STUN servers: asked for our own public address, and handed to browsers."""

    turn_urls: Annotated[
        tuple[Annotated[IceUrl, BeforeValidator(_turn_url)], ...],
        BeforeValidator(_items),
        Allowed("turn:HOST:PORT or turns:HOST:PORT, with ?transport=tcp if need be, comma separated"),
    ] = ()
    """TURN servers, handed to browsers."""

    turn_username: Annotated[str | None, Allowed("text, set where TURN_URLS is")] = None
    """User name for the TURN servers."""

    turn_credential: Annotated[SecretStr | None, Allowed("text, set where TURN_URLS is")] = None
    """Password for the TURN servers. Browsers are given it."""

    adb_path: Annotated[
        Annotated[str, AfterValidator(_program)] | None, Allowed("a program: its path, or its name on the PATH")
    ] = None
    """The adb to run; without it, the one that is installed with media-service."""

    adb_connect_timeout: Time = Duration(10)
    """How long to wait for a phone to connect."""

    adb_command_timeout: Time = Duration(30)
    """How long to wait for a phone's answer to a command."""

    adb_devices: Annotated[
        tuple[Annotated[str, AfterValidator(_network_address)], ...],
        BeforeValidator(_items),
        Allowed("HOST:PORT, comma separated"),
    ] = ()
    """Phones on the network that are kept connected."""

    android_adb_server_port: Port = 5037
    """Port of the adb server on this machine; adb itself reads this variable too. One is started if none answers."""

    video_width: Annotated[int, Field(ge=16, le=8192), Allowed("pixels from 16 to 8192")] = 1280
    """Long side of the box that a phone's picture is scaled down to fit in; it is turned as the phone is."""

    video_height: Annotated[int, Field(ge=16, le=8192), Allowed("pixels from 16 to 8192")] = 720
    """Short side of that box."""

    video_bitrate: Annotated[
        int, Field(ge=100_000, le=100_000_000), Allowed("bits per second from 100000 to 100000000")
    ] = 2_000_000
    """Bit rate that phones are asked for."""

    def ice_servers(self) -> list[dict[str, str | list[str]]]:
        """What a browser puts into `RTCConfiguration.iceServers` (W3C webrtc-pc section 4.2.1)."""
        servers: list[dict[str, str | list[str]]] = []
        if self.stun_servers:
            servers.append({"urls": [str(url) for url in self.stun_servers]})
        if self.turn_urls and self.turn_username and self.turn_credential:
            servers.append(
                {
                    "urls": [str(url) for url in self.turn_urls],
                    "username": self.turn_username,
                    "credential": self.turn_credential.get_secret_value(),
                }
            )
        return servers

    @field_validator("ice_port_max")
    @classmethod
    def _not_below_the_first(cls, last: int, info: ValidationInfo) -> int:
        first = info.data.get("ice_port_min")
        if first is not None and last < first:
            raise ValueError(f"it is below ICE_PORT_MIN={first}")
        return last

    @field_validator("turn_credential")
    @classmethod
    def _complete(cls, credential: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Browsers refuse a TURN server without both (W3C webrtc-pc section 4.2.1)."""
        urls, username = info.data.get("turn_urls"), info.data.get("turn_username")
        if urls and not (username and credential):
            raise ValueError("TURN_URLS is set without it or without TURN_USERNAME")
        return credential

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

"""What an operator can set. `media_service.configuration` reads it from the environment and from `.env`."""

import re
import shutil
import zipfile
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from capture.adb.address import DeviceEntry, parse_device_entry
from capture.docker_engine import parse_docker_host
from capture.scrcpy.version import parse_version
from media_service.duration import Duration
from media_service.ice_url import IceUrl

_VERSION_IN_NAME = re.compile(r"(?:^|[^0-9.])(\d+\.\d+(?:\.\d+)?)(?:\.jar|$)")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting may be, in words, for error messages and for the README's table."""

    words: str


def _items(value: object) -> object:
    return tuple(item.strip() for item in value.split(",") if item.strip()) if isinstance(value, str) else value


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _number(value: object) -> object:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


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


def _scrcpy_server(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError("it is not a file" if path.exists() else "there is no such file")
    # What was fetched from a wrong address is a page of text.
    if not zipfile.is_zipfile(path):
        raise ValueError("it is not scrcpy's server, or not all of it: that is a zip archive")
    return path


def _scrcpy_version(text: str) -> str:
    return parse_version(text).name


def _docker_host(text: str) -> str:
    parse_docker_host(text)
    return text


def _device_entry(value: object) -> DeviceEntry:
    return value if isinstance(value, DeviceEntry) else parse_device_entry(str(value))


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
        tuple[Annotated[DeviceEntry, BeforeValidator(_device_entry)], ...],
        BeforeValidator(_items),
        Allowed("HOST:PORT or NAME=HOST:PORT, comma separated"),
    ] = ()
    """Phones on the network that are kept connected; one with a name is found by that too."""

    android_adb_server_port: Port = 5037
    """Port of the adb server on this machine; adb itself reads this variable too. One is started if none answers."""

    docker_host: Annotated[
        Annotated[str, AfterValidator(_docker_host)] | None, Allowed("unix:///PATH or tcp://HOST:PORT")
    ] = None
    """Docker engine whose Redroid containers are connected; without it, /var/run/docker.sock where that is there."""

    redroid_label: Annotated[
        str | None,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*(?:=.*)?$"),
        Allowed("a container label: KEY or KEY=VALUE"),
    ] = None
    """Label of the containers that are phones; without it, those whose image is called `…redroid…`."""

    capture_mode: Annotated[
        Literal["auto", "scrcpy", "screenrecord", "rawvideo", "screencap"],
        BeforeValidator(_lower_case),
        Allowed("auto, scrcpy, screenrecord, rawvideo or screencap"),
    ] = "auto"
    """How phones are captured. `auto` is the first of the others that works, and says why; any other is insisted on."""

    scrcpy_server_path: Annotated[
        Annotated[Path, BeforeValidator(_scrcpy_server)] | None,
        Allowed("a file: scrcpy's server, as its releases have it"),
    ] = None
    """scrcpy's server, which is put on the phones; without it, they are captured in another way."""

    scrcpy_server_version: Annotated[
        Annotated[str, AfterValidator(_scrcpy_version)] | None, Allowed("3.x or 4.x, as 3.3.4 or 4.1")
    ] = None
    """Version of that file; without it, the one in the file's name, as in `scrcpy-server-v3.3.4`."""

    video_width: Annotated[int, Field(ge=16, le=8192), Allowed("pixels from 16 to 8192")] = 1280
    """Long side of the box that a phone's picture is scaled down to fit in; it is turned as the phone is."""

    video_height: Annotated[int, Field(ge=16, le=8192), Allowed("pixels from 16 to 8192")] = 720
    """Short side of that box."""

    video_bitrate: Annotated[
        int, Field(ge=100_000, le=100_000_000), Allowed("bits per second from 100000 to 100000000")
    ] = 2_000_000
    """Bit rate that phones are asked for."""

    video_framerate: Annotated[int, Field(ge=1, le=120), Allowed("pictures per second from 1 to 120")] = 30
    """Pictures per second, at most; `screenrecord` does as the phone does."""

    video_encoder_type: Annotated[
        Literal["auto", "passthrough", "h264"],
        BeforeValidator(_lower_case),
        Allowed("auto, passthrough or h264"),
    ] = "auto"
    """Whether pictures are encoded again: `auto` for viewers who need it, `passthrough` never, `h264` for everybody."""

    h264_hw_accel: Annotated[
        Literal["auto", "nvenc", "qsv", "vaapi", "libx264"],
        BeforeValidator(_lower_case),
        Allowed("auto, nvenc, qsv, vaapi or libx264"),
    ] = "auto"
    """What encodes. `auto` is the first of the others that works when it is tried; any other is insisted on."""

    h264_preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"],
        BeforeValidator(_lower_case),
        Allowed("ultrafast, superfast, veryfast, faster, fast or medium"),
    ] = "faster"
    """How much work our own encoder takes upon itself: more makes better pictures."""

    use_worker_pool: Switch = True
    """Whether encoders and decoders share `WORKER_COUNT` threads; otherwise each has one of its own."""

    worker_count: Annotated[int, Field(ge=1, le=256), Allowed("threads from 1 to 256")] = 4
    """Threads that encode and decode."""

    worker_input_buffer: Annotated[int, Field(ge=1, le=1000), Allowed("pictures from 1 to 1000")] = 10
    """Raw pictures that may wait for one encoder; the oldest is left out for one more."""

    worker_output_buffer: Annotated[int, Field(ge=1, le=1000), Allowed("pictures from 1 to 1000")] = 20
    """Coded pictures of one encoder that may wait to be sent; beyond, all are left out up to the next keyframe."""

    pipeline_encoding_timeout: Time = Duration(0.2)
    """How long one picture may take to be encoded; an encoder that takes longer is replaced."""

    ffmpeg_shutdown_timeout: Time = Duration(5)
    """How long an `ffmpeg` that encodes (VAAPI) has to end by itself."""

    audio_encoder_type: Annotated[
        Literal["opus", "none"], BeforeValidator(_lower_case), Allowed("opus, or none for no sound")
    ] = "opus"
    """How sound is coded."""

    audio_sample_rate: Annotated[
        Literal[8000, 12000, 16000, 24000, 48000],
        BeforeValidator(_number),
        Allowed("8000, 12000, 16000, 24000 or 48000 samples per second"),
    ] = 48_000
    """Samples per second that are coded. 48000 with two channels is passed on as the phone codes it."""

    audio_channels: Annotated[Literal[1, 2], BeforeValidator(_number), Allowed("1 or 2")] = 2
    """Channels that are coded; one is the mean of the phone's two."""

    audio_bitrate: Annotated[int, Field(ge=6_000, le=510_000), Allowed("bits per second from 6000 to 510000")] = 64_000
    """Bit rate of the sound."""

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

    @field_validator("adb_devices")
    @classmethod
    def _one_phone_by_name(cls, entries: tuple[DeviceEntry, ...]) -> tuple[DeviceEntry, ...]:
        serials: dict[str, str] = {}
        for entry in entries:
            if entry.name is not None and serials.setdefault(entry.name, entry.serial) != entry.serial:
                raise ValueError(f"{entry.name!r} is the name of two phones")
        return entries

    @field_validator("scrcpy_server_path")
    @classmethod
    def _there_if_insisted_on(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is None and info.data.get("capture_mode") == "scrcpy":
            raise ValueError("CAPTURE_MODE=scrcpy needs it")
        return path

    @field_validator("scrcpy_server_version")
    @classmethod
    def _version_of_the_file(cls, version: str | None, info: ValidationInfo) -> str | None:
        """What is set, or what the file is called by."""
        path = info.data.get("scrcpy_server_path")
        if path is None or version is not None:
            return version
        named = _VERSION_IN_NAME.search(path.name)
        if named is None:
            raise ValueError(f"SCRCPY_SERVER_PATH is set, and {path.name!r} does not name its version")
        return _scrcpy_version(named[1])

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

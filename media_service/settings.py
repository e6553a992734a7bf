"""What an operator can set. `media_service.configuration` reads it from the environment and from `.env`."""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from capture.adb.address import DeviceEntry
from media_service import setting_values as values
from media_service.duration import Duration
from media_service.ice_url import IceUrl
from media_service.setting_values import Allowed, AmqpUrl, Host, Networks, Port, Switch, Time
from signaling.turn_credentials import StunAndTurn

_VERSION_IN_NAME = re.compile(r"(?:^|[^0-9.])(\d+\.\d+(?:\.\d+)?)(?:\.jar|$)")


class Settings(BaseSettings):
    """Every setting there is; each has an effect. Named in capitals outside: `ice_port_min` is `ICE_PORT_MIN`.

    Made in code it takes only what it is given, so that a test does not depend on the machine.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, env_ignore_empty=True
    )

    host: Annotated[
        str,
        AfterValidator(values.listening_address),
        Allowed("an IP address of this machine, 0.0.0.0, :: or localhost"),
    ] = "127.0.0.1"
    """Address that HTTP and WebSockets are listened for on. Beyond this machine the API needs a token."""

    port: Annotated[int, Field(ge=0, le=65535), Allowed("a port from 1 to 65535, or 0 for any free one")] = 30006
    """Port of the HTTP and WebSocket API and of the viewer page."""

    service_name: Annotated[
        str,
        Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"),
        Allowed("1 to 63 letters, digits, dots, dashes or underscores"),
    ] = "media-service"
    """Name that this service gives itself in its log, in events and to Consul."""

    service_host: Annotated[
        Annotated[str, AfterValidator(values.reachable_host)] | None, Allowed("an IP address or a host name")
    ] = None
    """Where others reach this instance, told to Consul and Redis; without it, this machine's first address."""

    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(values.lower_case),
        Allowed("debug, info, warning or error"),
    ] = "info"
    """How much is logged."""

    enable_file_logging: Switch = False
    """Whether the log is written to `LOG_FILE` too."""

    log_file: Annotated[
        Annotated[Path, BeforeValidator(values.log_file)] | None, Allowed("a file in a folder that is there")
    ] = None
    """File for the log, a JSON object per line."""

    log_file_max_bytes: Annotated[int, Field(ge=0, le=2**40), Allowed("bytes, or 0 for no limit")] = 100_000_000
    """Size at which the log file is put aside and begun anew. One that another program moved is begun anew too."""

    log_file_backups: Annotated[int, Field(ge=1, le=1000), Allowed("files from 1 to 1000")] = 5
    """Log files that are kept aside."""

    drain_timeout: Annotated[Duration, Allowed("a duration like 30s, or 0s for none")] = Duration(30)
    """How long viewers may stay after SIGTERM; new ones are sent away at once. A second SIGTERM ends it."""

    enable_metrics: Switch = True
    """Whether `/metrics` answers Prometheus."""

    enable_pprof: Switch = False
    """Whether `/debug/pprof/` answers: to this machine, and elsewhere to tokens with the role `admin`."""

    monitoring_networks: Networks = (
        "127.0.0.0/8",
        "::1/128",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    )
    """Where `/metrics` and `/health` may be asked from without a token, beside this machine's own addresses."""

    trusted_proxies: Networks = ("127.0.0.0/8", "::1/128")
    """Proxies who are believed when they say who asks and for which host: `X-Forwarded-For`, `X-Forwarded-Host`."""

    resource_monitor_interval: Time = Duration(10)
    """How often memory and CPU use are measured."""

    goroutine_monitor_interval: Time = Duration(30)
    """How often asyncio tasks are counted."""

    goroutine_leak_threshold: Annotated[int, Field(ge=1, le=1_000_000), Allowed("tasks from 1 to 1000000")] = 20
    """Tasks beyond those that sessions and streams account for, at which a leak is logged."""

    tracing_enabled: Switch = False
    """Whether traces of requests and joins are sent to `JAEGER_ENDPOINT`; needs `media-service[tracing]`."""

    jaeger_endpoint: Annotated[
        str, AfterValidator(values.http_url), Allowed("an http:// or https:// URL that takes OTLP")
    ] = "http://localhost:4318"
    """Where traces are sent, by OTLP over HTTP."""

    jwt_secret: Annotated[
        Annotated[SecretStr, AfterValidator(values.long_enough)] | None, Allowed("32 bytes of text or more")
    ] = None
    """Secret that tokens are signed with (HS256). Without it or one of the next two nobody here needs a token."""

    jwt_public_key: Annotated[
        Annotated[Path, BeforeValidator(values.public_key)] | None, Allowed("a PEM file with a public key")
    ] = None
    """Public key of who signs the tokens (RS256)."""

    jwt_jwks_url: Annotated[
        Annotated[str, AfterValidator(values.http_url)] | None,
        Allowed("an http:// or https:// URL of a JSON Web Key Set"),
    ] = None
    """Where the public keys of who signs the tokens are published (RS256); asked again when an unknown key is named."""

    jwt_issuer: Annotated[str, Field(min_length=1), Allowed("text")] = "cloudphone-platform"
    """The `iss` that tokens must have."""

    jwt_audience: Annotated[str, Field(min_length=1), Allowed("text")] = "cloudphone-users"
    """The `aud` that tokens must have."""

    max_sessions: Annotated[int, Field(ge=1, le=100_000), Allowed("sessions from 1 to 100000")] = 1000
    """Sessions at once; who comes after is told to come again (503)."""

    max_sessions_per_user: Annotated[int, Field(ge=1, le=100_000), Allowed("sessions from 1 to 100000")] = 100
    """Sessions of one user at once (429). Without tokens nobody is a user, unless a request names one."""

    max_sessions_per_device: Annotated[int, Field(ge=1, le=100_000), Allowed("sessions from 1 to 100000")] = 500
    """Viewers of one device at once (503)."""

    max_joins_per_minute: Annotated[int, Field(ge=1, le=1_000_000), Allowed("sessions from 1 to 1000000")] = 600
    """Sessions that one user may open per minute (429)."""

    session_cleanup_interval: Time = Duration(300)
    """How often ended sessions are looked for that need not be remembered any more."""

    session_inactive_timeout: Time = Duration(1800)
    """How long a session without media and without its browser's consent is remembered, with the reason of its end."""

    allowed_origins: Annotated[
        tuple[Annotated[str, AfterValidator(values.web_origin)], ...],
        BeforeValidator(values.items),
        Allowed("origins like https://phones.example.com, comma separated"),
    ] = ()
    """Other web sites whose pages may use the API; the viewer page itself always may."""

    ice_port_min: Port = 50000
    """First port tried for media. One is taken, for all viewers, on UDP and on TCP."""

    ice_port_max: Port = 50100
    """Last port tried for media."""

    nat_1to1_ips: Annotated[
        tuple[Annotated[str, AfterValidator(values.ip_address)], ...],
        BeforeValidator(values.items),
        Allowed("IP addresses, comma separated"),
    ] = ()
    """Public addresses of a machine behind 1:1 NAT; viewers are told these."""

    stun_servers: Annotated[
        tuple[Annotated[IceUrl, BeforeValidator(values.stun_url)], ...],
        BeforeValidator(values.items),
        Allowed("stun:HOST:PORT, comma separated"),
    ] = ()
    """STUN servers: asked for our own public address, and handed to browsers."""

    turn_urls: Annotated[
        tuple[Annotated[IceUrl, BeforeValidator(values.turn_url)], ...],
        BeforeValidator(values.items),
        Allowed("turn:HOST:PORT or turns:HOST:PORT, with ?transport=tcp if need be, comma separated"),
    ] = ()
    """TURN servers, handed to browsers."""

    turn_secret: Annotated[SecretStr | None, Allowed("text, set where TURN_URLS is")] = None
    """Secret shared with the TURN servers, coturn's `static-auth-secret`: viewers get credentials that expire."""

    turn_ttl: Annotated[Duration, AfterValidator(values.ten_minutes), Allowed("a duration of 10m or more")] = Duration(
        3600
    )
    """How long such credentials are good for a new connection."""

    turn_username: Annotated[str | None, Allowed("text, set where TURN_URLS is")] = None
    """User name for TURN servers that have no such secret."""

    turn_credential: Annotated[SecretStr | None, Allowed("text, set where TURN_URLS is")] = None
    """Password for these. Browsers are given it."""

    ice_gathering_timeout: Time = Duration(5)
    """How long the start waits for the STUN servers to tell our public address; it is announced later all the same."""

    adb_path: Annotated[
        Annotated[str, AfterValidator(values.program)] | None, Allowed("a program: its path, or its name on the PATH")
    ] = None
    """The adb to run; without it, the one that is installed with media-service."""

    adb_connect_timeout: Time = Duration(10)
    """How long to wait for a phone to connect."""

    adb_command_timeout: Time = Duration(30)
    """How long to wait for a phone's answer to a command."""

    adb_devices: Annotated[
        tuple[Annotated[DeviceEntry, BeforeValidator(values.device_entry)], ...],
        BeforeValidator(values.items),
        Allowed("HOST:PORT or NAME=HOST:PORT, comma separated"),
    ] = ()
    """Phones on the network that are kept connected; one with a name is found by that too."""

    android_adb_server_port: Port = 5037
    """Port of the adb server on this machine; adb itself reads this variable too. One is started if none answers."""

    docker_host: Annotated[
        Annotated[str, AfterValidator(values.docker_host)] | None, Allowed("unix:///PATH or tcp://HOST:PORT")
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
        BeforeValidator(values.lower_case),
        Allowed("auto, scrcpy, screenrecord, rawvideo or screencap"),
    ] = "auto"
    """How phones are captured. `auto` is the first of the others that works, and says why; any other is insisted on."""

    scrcpy_server_path: Annotated[
        Annotated[Path, BeforeValidator(values.scrcpy_server)] | None,
        Allowed("a file: scrcpy's server, as its releases have it"),
    ] = None
    """scrcpy's server, which is put on the phones; without it, they are captured in another way."""

    scrcpy_server_version: Annotated[
        Annotated[str, AfterValidator(values.scrcpy_version)] | None, Allowed("3.x or 4.x, as 3.3.4 or 4.1")
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
        BeforeValidator(values.lower_case),
        Allowed("auto, passthrough or h264"),
    ] = "auto"
    """Whether pictures are encoded again: `auto` for viewers who need it, `passthrough` never, `h264` for everybody."""

    h264_hw_accel: Annotated[
        Literal["auto", "nvenc", "qsv", "vaapi", "libx264"],
        BeforeValidator(values.lower_case),
        Allowed("auto, nvenc, qsv, vaapi or libx264"),
    ] = "auto"
    """What encodes. `auto` is the first of the others that works when it is tried; any other is insisted on."""

    h264_preset: Annotated[
        Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow"],
        BeforeValidator(values.lower_case),
        Allowed("ultrafast, superfast, veryfast, faster, fast, medium or slow"),
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

    pipeline_writing_timeout: Time = Duration(0.1)
    """How long a coded picture may wait to be sent; beyond, all that wait are left out up to the next keyframe."""

    ffmpeg_shutdown_timeout: Time = Duration(5)
    """How long an `ffmpeg` that encodes (VAAPI) has to end by itself."""

    audio_encoder_type: Annotated[
        Literal["opus", "none"], BeforeValidator(values.lower_case), Allowed("opus, or none for no sound")
    ] = "opus"
    """How sound is coded."""

    audio_sample_rate: Annotated[
        Literal[8000, 12000, 16000, 24000, 48000],
        BeforeValidator(values.number),
        Allowed("8000, 12000, 16000, 24000 or 48000 samples per second"),
    ] = 48_000
    """Samples per second that are coded. 48000 with two channels is passed on as the phone codes it."""

    audio_channels: Annotated[Literal[1, 2], BeforeValidator(values.number), Allowed("1 or 2")] = 2
    """Channels that are coded; one is the mean of the phone's two."""

    audio_bitrate: Annotated[int, Field(ge=6_000, le=510_000), Allowed("bits per second from 6000 to 510000")] = 64_000
    """Bit rate of the sound."""

    redis_enabled: Switch = False
    """Whether sessions, and which instance has which device, are written to Redis."""

    redis_host: Host = "localhost"
    """Redis' host."""

    redis_port: Port = 6379
    """Redis' port."""

    redis_db: Annotated[int, Field(ge=0, le=1_000_000), Allowed("a number from 0 on")] = 0
    """Redis' database."""

    redis_password: Annotated[SecretStr | None, Allowed("text")] = None
    """Redis' password."""

    rabbitmq_enabled: Switch = False
    """Whether events are sent to RabbitMQ and phones are connected by the events of others."""

    rabbitmq_url: AmqpUrl = SecretStr("amqp://guest:guest@localhost:5672/")
    """RabbitMQ, with user and virtual host."""

    consul_enabled: Switch = False
    """Whether the service registers with Consul."""

    consul_host: Host = "localhost"
    """Host of the Consul agent."""

    consul_port: Port = 8500
    """Port of its HTTP API."""

    consul_health_check_interval: Time = Duration(10)
    """How often Consul asks `/health`."""

    def stun_and_turn(self) -> StunAndTurn:
        """The servers that browsers are given."""
        return StunAndTurn(
            stun_urls=tuple(map(str, self.stun_servers)),
            turn_urls=tuple(map(str, self.turn_urls)),
            secret=self.turn_secret.get_secret_value() if self.turn_secret is not None else None,
            ttl=self.turn_ttl,
            username=self.turn_username,
            credential=self.turn_credential.get_secret_value() if self.turn_credential is not None else None,
        )

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
        return values.scrcpy_version(named[1])

    @field_validator("turn_credential")
    @classmethod
    def _complete(cls, credential: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        """Browsers refuse a TURN server without both (W3C webrtc-pc section 4.2.1)."""
        urls, username = info.data.get("turn_urls"), info.data.get("turn_username")
        if urls and not (username and credential) and not info.data.get("turn_secret"):
            raise ValueError("TURN_URLS is set without TURN_SECRET, and without it or without TURN_USERNAME")
        return credential

    @field_validator("log_file")
    @classmethod
    def _there_if_logged_to(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is None and info.data.get("enable_file_logging"):
            raise ValueError("ENABLE_FILE_LOGGING needs it")
        return path

    @property
    def has_authentication(self) -> bool:
        """Whether the settings say how tokens are verified."""
        return any((self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url))

    @property
    def is_reachable_from_elsewhere(self) -> bool:
        """Whether the API listens on more than this machine's own addresses."""
        return self.host != "localhost" and not ip_address(self.host).is_loopback

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

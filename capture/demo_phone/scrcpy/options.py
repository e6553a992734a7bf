"""The arguments of scrcpy's server: its version, then `key=value` (com.genymobile.scrcpy.Options)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from capture.demo_phone.scrcpy.log import Level, Thrown
from capture.demo_phone.scrcpy.version import ServerVersion

VIDEO_CODECS = ("h264", "h265", "av1")
AUDIO_CODECS = ("opus", "aac", "flac", "raw")
_VIDEO_SOURCES = ("display", "camera")
_AUDIO_SOURCES = (
    "output mic playback mic-unprocessed mic-camcorder mic-voice-recognition mic-voice-communication "
    "voice-call voice-call-uplink voice-call-downlink voice-performance"
).split()

_AT = (
    "com.genymobile.scrcpy.Options.parse(Options.java)",
    "com.genymobile.scrcpy.Server.internalMain(Server.java)",
    "com.genymobile.scrcpy.Server.main(Server.java)",
    "com.android.internal.os.RuntimeInit.nativeFinishInit(Native Method)",
    "com.android.internal.os.RuntimeInit.main(RuntimeInit.java)",
)


@dataclass(frozen=True, slots=True)
class Options:
    """What one server was asked for, as far as it matters on the demo phone."""

    scid: int = -1
    """The number in the socket's name, 31 bits; -1 leaves it out."""
    log_level: Level = Level.DEBUG
    video: bool = True
    audio: bool = True
    control: bool = True
    tunnel_forward: bool = False
    """Whether the server listens and the client connects, and not the other way around."""
    display_id: int = 0
    max_size: int = 0
    """Pixels of the video's longer side at most; 0 is no limit."""
    min_size_alignment: int = 1
    """What both sides are multiples of (4.0)."""
    max_fps: float = 0.0
    """Pictures per second at most; 0 is no limit."""
    video_codec: str = "h264"
    video_encoder: str = ""
    video_bit_rate: int = 8_000_000
    """Bits per second."""
    video_source: str = "display"
    audio_codec: str = "opus"
    audio_bit_rate: int = 128_000
    """Bits per second."""
    downsize_on_error: bool = True
    """Whether an encoder that refuses the video's size is tried with smaller ones."""
    ignore_video_encoder_constraints: bool = False
    """Whether what the encoder says of itself is not looked at (4.1)."""
    clipboard_autosync: bool = True
    """Whether the client is told of every change of the clipboard, and not only when it asks."""
    cleanup: bool = True
    """Whether the server removes its own file, and puts the phone right in the end."""
    power_off_on_close: bool = False
    power_on: bool = True
    """Whether the screen is switched on at the beginning, where control is."""
    send_device_meta: bool = True
    send_frame_meta: bool = True
    send_dummy_byte: bool = True
    send_stream_meta: bool = True
    """Whether codec (and size) are told; `send_codec_meta` before 4.0."""
    list_encoders: bool = False
    list_displays: bool = False
    unknown: tuple[str, ...] = ()
    """Keys that this version does not know: it warns, and goes on."""
    not_emulated: tuple[str, ...] = ()
    """Keys that were given a value for, and that the demo phone has nothing for: its cameras, for one."""


def parse_options(arguments: tuple[str, ...], version: ServerVersion) -> Options:
    """The options of a server of this version. Raises `Thrown` as its own code."""
    if not arguments:
        raise Thrown("Missing client version", at=_AT)
    if arguments[0] != version.name:
        message = f"The server version ({version.name}) does not match the client ({arguments[0]})"
        raise Thrown(message, at=_AT)
    keys = _keys(version)
    changes: dict[str, Any] = {}
    unknown: list[str] = []
    not_emulated: list[str] = []
    for argument in arguments[1:]:
        key, equals, value = argument.partition("=")
        if not equals:
            raise Thrown(f'Invalid key=value pair: "{argument}"', at=_AT)
        if key in keys:
            changes[_FIELDS.get(key, key)] = keys[key](key, value)
        elif key in _EMPTY_VALUES:
            if value not in _EMPTY_VALUES[key]:
                not_emulated.append(key)
        elif key == "raw_stream":
            if _boolean(key, value):
                changes |= dict.fromkeys(_METADATA, False)
        elif key in _IGNORED or (key in _IGNORED_SINCE_4 and version.number >= (4,)):
            pass
        else:
            unknown.append(key)
    if version.rounds_to_8 and "max_size" in changes:
        changes["max_size"] &= ~7
    return replace(Options(), **changes, unknown=tuple(unknown), not_emulated=tuple(not_emulated))


_Parse = Callable[[str, str], object]


def _boolean(_: str, value: str) -> bool:
    return value.lower() == "true"


def _integer(_: str, value: str, base: int = 10) -> int:
    """Integer.parseInt."""
    digits = r"[+-]?[0-9a-fA-F]{1,31}" if base == 16 else r"[+-]?\d{1,31}"
    number = int(value, base) if re.fullmatch(digits, value, re.ASCII) else None
    if number is None or not -(1 << 31) <= number < 1 << 31:
        radix = " under radix 16" if base == 16 else ""
        raise Thrown(f'For input string: "{value}"{radix}', "java.lang.NumberFormatException", _AT)
    return number


def _float(key: str, value: str) -> float:
    if not re.fullmatch(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?[fFdD]?\s*", value, re.ASCII):
        raise Thrown(f'Invalid float value for {key}: "{value}"', at=_AT)
    return float(value.strip().rstrip("fFdD"))


def _text(_: str, value: str) -> str:
    return value


def _scid(key: str, value: str) -> int:
    scid = _integer(key, value, 16)
    if scid < -1:
        raise Thrown(f"scid may not be negative (except -1 for 'none'): {scid}", at=_AT)
    return scid


def _log_level(_: str, value: str) -> Level:
    if value.upper() not in Level.__members__:
        raise Thrown(f"No enum constant com.genymobile.scrcpy.util.Ln.Level.{value.upper()}", at=_AT)
    return Level[value.upper()]


def _alignment(key: str, value: str) -> int:
    alignment = _integer(key, value)
    if alignment not in (1, 2, 4, 8, 16):
        raise Thrown(f"min_size_alignment ({alignment}) must be 1, 2, 4, 8 or 16", at=_AT)
    return alignment


def _one_of(names: tuple[str, ...] | list[str], what: str) -> _Parse:
    def parse(_: str, value: str) -> str:
        if value not in names:
            raise Thrown(f"{what} {value} not supported", at=_AT)
        return value

    return parse


_METADATA = ("send_device_meta", "send_frame_meta", "send_dummy_byte", "send_stream_meta")
_FIELDS = {"send_codec_meta": "send_stream_meta"}
_KEYS: Mapping[str, _Parse] = {
    "scid": _scid,
    "log_level": _log_level,
    "video_codec": _one_of(VIDEO_CODECS, "Video codec"),
    "audio_codec": _one_of(AUDIO_CODECS, "Audio codec"),
    "video_source": _one_of(_VIDEO_SOURCES, "Video source"),
    "video_encoder": _text,
    "max_fps": _float,
    **dict.fromkeys(("max_size", "video_bit_rate", "audio_bit_rate", "display_id"), _integer),
    **dict.fromkeys(("video", "audio", "control", "tunnel_forward", "downsize_on_error"), _boolean),
    **dict.fromkeys(("clipboard_autosync", "cleanup", "power_off_on_close", "power_on"), _boolean),
    **dict.fromkeys(("send_device_meta", "send_frame_meta", "send_dummy_byte"), _boolean),
    **dict.fromkeys(("list_encoders", "list_displays"), _boolean),
}

_EMPTY_VALUES: Mapping[str, tuple[str, ...]] = {
    "crop": ("",),
    "angle": ("0", "0.0"),
    "capture_orientation": ("0", "@0"),
    "audio_encoder": ("",),
    "camera_id": ("",),
    "camera_size": ("",),
    "camera_facing": ("",),
    "new_display": (),
    "list_cameras": ("false",),
    "list_camera_sizes": ("false",),
    "list_apps": ("false",),
}
"""Keys of all versions that the demo phone does nothing for, with the values that ask for nothing."""

_IGNORED = frozenset(
    "audio_source audio_dup show_touches stay_awake screen_off_timeout video_codec_options audio_codec_options "
    "camera_ar camera_fps camera_high_speed vd_destroy_content vd_system_decorations display_ime_policy".split()
)
"""Keys that change nothing which can be seen on the demo phone."""

_IGNORED_SINCE_4 = frozenset(("camera_zoom", "camera_torch", "flex_display", "keep_active"))


def _keys(version: ServerVersion) -> Mapping[str, _Parse]:
    keys = dict(_KEYS)
    if version.has_sessions:
        keys |= {"min_size_alignment": _alignment, "send_stream_meta": _boolean}
    else:
        keys["send_codec_meta"] = _boolean
    if version.tries_declared_limits:
        keys["ignore_video_encoder_constraints"] = _boolean
    return keys

"""The options of `screenrecord` (AOSP frameworks/av, cmds/screenrecord/screenrecord.cpp)."""

import re
from dataclasses import dataclass, replace

MAX_TIME_LIMIT = 180
"""Seconds, and the default; from Android 14 on more is allowed."""

UNLIMITED_SDK = 34

_LEAST_BIT_RATE, _LARGEST_BIT_RATE = 100_000, 200_000_000
_LONGEST = 2**32 - 1
_FORMATS = ("mp4", "h264", "webm", "3gpp", "frames", "raw-frames")
_FLAGS = (
    "bugreport capture-secure monotonic-time persistent-surface rotate show-device-info show-frame-time verbose".split()
)
_WITH_VALUE = ["size", "bit-rate", "time-limit", "output-format", "codec-name", "bframes", "display-id"]

USAGE = """\
Usage: screenrecord [options] <filename>

Android screenrecord v1.3.  Records the device's display to a .mp4 file.

Options:
--size WIDTHxHEIGHT
    Set the video size, e.g. "1280x720".  Default is the device's main
    display resolution (if supported), 1280x720 if not.  For best results,
    use a size supported by the AVC encoder.
--bit-rate RATE
    Set the video bit rate, in bits per second.  Value may be specified as
    bits or megabits, e.g. '4000000' is equivalent to '4M'.  Default 20Mbps.
--bugreport
    Add additional information, such as a timestamp overlay, that is helpful
    in videos captured to illustrate bugs.
--time-limit TIME
    Set the maximum recording time, in seconds.  {limits}
{display}--verbose
    Display interesting information on stdout.
--help
    Show this message.

Recording continues until Ctrl-C is hit or the time limit is reached.
"""


_DISPLAY_USAGE = """\
--display-id ID
    specify the physical display ID to record. Default is the primary display.
    see "dumpsys SurfaceFlinger --display-id" for valid display IDs.
"""
_DISPLAY_SDK = 29


class UsageError(Exception):
    """Options that screenrecord refuses."""

    exit_code = 2


class HelpWanted(Exception):
    """`--help`: the message is what to print."""


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What one `screenrecord` was asked for."""

    filename: str = ""
    size: tuple[int, int] | None = None
    """Width and height; None is the screen's own."""
    bit_rate: int = 20_000_000
    """Bits per second."""
    time_limit: float | None = MAX_TIME_LIMIT
    """Seconds; None records without end."""
    output_format: str = "mp4"

    @property
    def needs_encoder(self) -> bool:
        """Whether the pictures are coded."""
        return self.output_format not in ("frames", "raw-frames")


def parse_options(arguments: tuple[str, ...], sdk: int) -> RecordingOptions:
    """The options of a phone with Android's API level `sdk`. Raises `UsageError` and `HelpWanted`."""
    options = RecordingOptions()
    names: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            names += words
            break
        if not word.startswith("--"):
            if word.startswith("-") and word != "-":
                raise UsageError(f"screenrecord: unknown option -- {word[1:2]}")
            names.append(word)
            continue
        option, equals, value = word[2:].partition("=")
        if option == "help":
            display = _DISPLAY_USAGE if sdk >= _DISPLAY_SDK else ""
            raise HelpWanted(USAGE.format(limits=_limits(sdk), display=display))
        if option in _WITH_VALUE:
            if not equals:
                if not words:
                    raise UsageError(f"screenrecord: option requires an argument -- {option}")
                value = words.pop(0)
            options = _with_value(options, option, value, sdk)
        elif option not in _FLAGS:
            raise UsageError(f"screenrecord: unknown option -- {option}")
    if len(names) != 1:
        raise UsageError("Must specify output file (see --help).")
    return replace(options, filename=names[0])


def _with_value(options: RecordingOptions, option: str, value: str, sdk: int) -> RecordingOptions:
    match option:
        case "size":
            return replace(options, size=_size(value))
        case "bit-rate":
            return replace(options, bit_rate=_bit_rate(value))
        case "time-limit":
            return replace(options, time_limit=_time_limit(value, sdk))
        case "output-format":
            if value not in _FORMATS:
                raise UsageError(f"Unknown format '{value}'")
            return replace(options, output_format=value)
    return options


def _size(value: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})x(\d{1,9})", value, re.ASCII)
    if match is None:
        raise UsageError(f"Invalid size '{value}', must be width x height")
    width, height = int(match[1]), int(match[2])
    if width == 0 or height == 0:
        raise UsageError(f"Invalid size {width}x{height}, width and height may not be zero")
    return width, height


def _bit_rate(value: str) -> int:
    match = re.fullmatch(r"(\d{1,12})([mM]?)", value, re.ASCII)
    if match is None:
        raise UsageError(f"Unrecognized value: {value}")
    bit_rate = int(match[1]) * (1_000_000 if match[2] else 1)
    if not _LEAST_BIT_RATE <= bit_rate <= _LARGEST_BIT_RATE:
        raise UsageError(f"Bit rate {bit_rate}bps outside acceptable range [{_LEAST_BIT_RATE},{_LARGEST_BIT_RATE}]")
    return bit_rate


def _time_limit(value: str, sdk: int) -> float | None:
    match = re.fullmatch(r"-?\d{1,12}", value, re.ASCII)
    if sdk < UNLIMITED_SDK:
        limit = int(value) if match else 0  # as atoi
        if not 1 <= limit <= MAX_TIME_LIMIT:
            raise UsageError(f"Time limit {limit}s outside acceptable range [1,{MAX_TIME_LIMIT}]")
        return limit
    if match is None:
        raise UsageError("Error parsing time limit argument")
    limit = int(value)
    if not 0 <= limit <= _LONGEST:
        raise UsageError(f"Time limit {limit}s outside acceptable range [0,{_LONGEST}] seconds")
    return limit or None


def _limits(sdk: int) -> str:
    if sdk < UNLIMITED_SDK:
        return f"Default / maximum is {MAX_TIME_LIMIT}."
    return f"Default is {MAX_TIME_LIMIT}. Set to 0\n    to remove the time limit."

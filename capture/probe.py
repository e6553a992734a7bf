"""What a phone can, asked once when its capture begins: the ladder's first steps are chosen by it."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.adb.screen import parse_wm_size
from capture.dumpsys import blocks, fitting_rotation, parse_displays, parse_panel_size
from capture.errors import AdbProtocolError, AdbTimeout
from capture.input_events import VideoSize

RECORDER_LIMIT: Final = 180
"""Seconds after which `screenrecord` ends before Android 14 (API level 34), and its default since."""

SDK_WITHOUT_LIMIT: Final = 34
"""Android 14's API level: from it on `--time-limit 0` means none."""

_PROPERTY = re.compile(r"^\[([^\]\n]+)\]: \[(.*?)\]\s*?$", re.MULTILINE | re.DOTALL)
_MEDIA_TYPE = re.compile(r"^\s*Media type '([^'\n]*)'", re.MULTILINE)
_ENCODER = re.compile(r"^\s*Encoder \"([^\"\n]+)\"", re.MULTILINE)
_LISTING = re.compile(r"^\s*Encoder infos by media types?:", re.MULTILINE)
_ABI_64: Final = frozenset({"arm64-v8a", "x86_64", "riscv64", "mips64"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecorderFacts:
    """What the phone's `screenrecord` says of itself."""

    exists: bool | None = None
    """None: it did not answer in time."""
    has_raw_frames: bool = False
    """Whether it knows the output format `raw-frames`."""
    time_limit: int | None = RECORDER_LIMIT
    """The most seconds that one may record; None when `--time-limit 0` means without end."""


@dataclass(frozen=True, slots=True)
class PhoneFacts:
    """One phone, as it describes itself."""

    sdk: int = 0
    """Android's API level; 0 when it is not told."""
    release: str = ""
    """Android's version, as `13`."""
    model: str = ""
    abis: tuple[str, ...] = ()
    """The instruction sets that it runs, the preferred one first."""
    h264_encoders: tuple[str, ...] | None = None
    """Its H.264 encoders by name, none for `()`; None when the phone does not tell, as before Android 10."""
    recorder: RecorderFacts = RecorderFacts()
    screen: VideoSize | None = None
    """Pixels, upright; None when it is not told."""
    rotation: int = 0
    """Quarter turns from upright, 0 to 3; 1 for any phone on its side before Android 10."""
    has_booted: bool = True

    @property
    def is_64_bit_only(self) -> bool:
        """Whether it runs no 32-bit code: images of that kind have come without any H.264 encoder."""
        return bool(self.abis) and _ABI_64.issuperset(self.abis)


def parse_properties(text: str) -> dict[str, str]:
    """Android's system properties, as `getprop` prints them."""
    return dict(_PROPERTY.findall(text.replace("\r\n", "\n")))


def parse_h264_encoders(text: str) -> tuple[str, ...] | None:
    """The names of the H.264 encoders in `dumpsys media.player`; None when it lists no encoders of any kind.

    The list is there since Android 10. A list that is empty is told, and means that no app can encode.
    """
    has_listing = _LISTING.search(text) is not None or _ENCODER.search(text) is not None
    names: dict[str, None] = {}
    for heading, end in blocks(_MEDIA_TYPE, text):
        if heading[1].lower() == "video/avc":
            names |= dict.fromkeys(_ENCODER.findall(text, heading.end(), end))
    return tuple(names) if has_listing else None


def parse_recorder(text: str, sdk: int) -> RecorderFacts:
    """What `screenrecord --help` printed, and `screenrecord --output-format=raw-frames` without a file's name.

    The help does not name the formats; but one that is unknown is refused before the missing name is.
    """
    is_missing_name_told = "output file" in text
    if not is_missing_name_told and "--size" not in text:
        return RecorderFacts(exists=False)
    _, found, rest = text.partition("--time-limit")
    paragraph = rest.partition("\n--")[0]
    is_unlimited = bool(re.search(r"\b0\b", paragraph)) if found else sdk >= SDK_WITHOUT_LIMIT
    return RecorderFacts(
        exists=True,
        has_raw_frames=is_missing_name_told and "Unknown format" not in text,
        time_limit=None if is_unlimited else RECORDER_LIMIT,
    )


def parse_sdk(text: str) -> int:
    """The API level in the property `ro.build.version.sdk`; 0 for what is none."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,4}", text) else 0


async def probe(client: AdbClient, serial: str, *, timeout: float = 5.0) -> PhoneFacts:
    """Ask the device `serial`; what one of its services does not tell within `timeout` seconds is left unknown.

    Raises an `AdbError`: `AdbTimeout` when it answers nothing at all.
    """

    async def output(*commands: Sequence[str]) -> str:
        result = await client.shell(serial, command_line(*commands), timeout=timeout)
        return result.stdout + result.stderr

    async def if_told(*commands: Sequence[str]) -> str:
        try:
            return await output(*commands)
        except AdbTimeout as error:
            log.warning("a service of the phone does not answer", device=serial, reason=str(error))
            return ""

    # Properties need no service: whoever does not tell them tells nothing.
    properties = await output(["getprop"])
    others = await asyncio.gather(
        if_told(["dumpsys", "media.player"]),
        if_told(["screenrecord", "--help"], ["screenrecord", "--output-format=raw-frames"]),
        if_told(["wm", "size"]),
        if_told(["dumpsys", "window", "displays"]),
    )
    facts = facts_of(properties, *others)
    if facts.screen is None:
        return replace(facts, screen=parse_panel_size(await if_told(["dumpsys", "SurfaceFlinger"])))
    return facts


def facts_of(properties: str, media_player: str, recorder: str, wm_size: str, displays: str) -> PhoneFacts:
    """The facts in what the probe's commands printed; empty for one that did not answer."""
    known = parse_properties(properties)
    sdk = parse_sdk(known.get("ro.build.version.sdk", ""))
    display = parse_displays(displays)
    rotation = fitting_rotation(display)
    try:
        screen: VideoSize | None = parse_wm_size(wm_size)
    except AdbProtocolError:
        screen = display.size
        if screen is not None and rotation % 2:
            screen = VideoSize(screen.height, screen.width)
    abis = known.get("ro.product.cpu.abilist") or known.get("ro.product.cpu.abi", "")
    return PhoneFacts(
        sdk=sdk,
        release=known.get("ro.build.version.release", ""),
        model=known.get("ro.product.model", ""),
        abis=tuple(filter(None, (abi.strip() for abi in abis.split(",")))),
        h264_encoders=parse_h264_encoders(media_player),
        recorder=parse_recorder(recorder, sdk) if recorder else RecorderFacts(),
        screen=screen,
        rotation=rotation,
        has_booted=known.get("sys.boot_completed") == "1" and known.get("init.svc.bootanim") != "running",
    )

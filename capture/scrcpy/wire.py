"""The bytes that scrcpy's server sends, at any chunking: video, audio and messages.

    video   > [0] [device name, 64] codec, 4 [width, 4, height, 4: before 4.0]  packet ...
    audio   > codec, 4   packet ...         the codec's number is 0 for "no sound", 1 for "wrong settings"
    packet  > flags and presentation time, 8   size, 4   payload
              S C K                   S: a session begins (4.0 and newer; then 31 bits, width, 4, height, 4, no payload)
              63 62 61 ... bit        C: the payload is parameter sets, K: a keyframe (one bit higher before 4.0)
    message > 0, size, 4, text        the clipboard
              1, sequence, 8          that a clipboard was set
              2, id, 2, size, 2, data what goes to a virtual input device

All numbers are big-endian. The zero byte and the device's name are on the first socket only. Sources: scrcpy's
doc/develop.md, `DesktopConnection`, `Streamer` and `DeviceMessageWriter`.
"""

import struct
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from capture.errors import SourceEnded
from capture.input_events import VideoSize
from capture.scrcpy.version import ScrcpyVersion

LARGEST_PICTURE: Final = 8 * 1024 * 1024
"""Bytes of one coded picture; a header that announces more is broken."""

LARGEST_AUDIO_PACKET: Final = 64 * 1024
"""Bytes of one packet of sound: raw ones have 4 KiB."""

LARGEST_SIDE: Final = 0xFFFF
"""Pixels: what positions can be told in (`ControlMessage`)."""

LARGEST_MESSAGE: Final = 1 << 18
"""Bytes of one message (`DeviceMessageWriter.MESSAGE_MAX_SIZE`)."""

_DEVICE_NAME_SIZE: Final = 64
_NUMBER: Final = struct.Struct(">I")
_LONG: Final = struct.Struct(">Q")
_SIZE: Final = struct.Struct(">II")
_PACKET_HEADER: Final = struct.Struct(">QI")
_SESSION_HEADER: Final = struct.Struct(">III")
_UHID_HEADER: Final = struct.Struct(">HH")


class ScrcpyProtocolError(SourceEnded):
    """The server's bytes are not what its version sends; the connection is of no use any more."""


@dataclass(frozen=True, slots=True)
class DeviceName:
    """The first thing that a server says: it has taken all connections."""

    name: str


@dataclass(frozen=True, slots=True)
class Codec:
    """What the stream's packets are coded in, or why there are none."""

    number: int

    @property
    def name(self) -> str:
        """As scrcpy's options spell it: `h264`, `opus`, `raw`, ...; a number for one that has no name."""
        name = _NUMBER.pack(self.number).lstrip(b"\0")
        return name.decode() if name and name.isalnum() and name.isascii() else str(self.number)


H264: Final = Codec(0x68323634)
OPUS: Final = Codec(0x6F707573)
RAW_AUDIO: Final = Codec(0x00726177)
DISABLED: Final = Codec(0)
"""The device has no sound to give."""
MISCONFIGURED: Final = Codec(1)
"""The device cannot do what the options ask for; the server ends."""


@dataclass(frozen=True, slots=True)
class Session:
    """The encoder begins anew, with pictures of this size."""

    size: VideoSize


@dataclass(frozen=True, slots=True)
class Packet:
    """What the encoder gave at once: a picture, some sound, or parameter sets."""

    data: bytes

    pts: int
    """Microseconds of the device's clock; 0 for parameter sets."""

    is_config: bool
    """Whether it is parameter sets (of Opus: its header) rather than something to be shown or heard."""

    is_keyframe: bool


@dataclass(frozen=True, slots=True)
class Clipboard:
    """The text in the device's clipboard."""

    text: str


@dataclass(frozen=True, slots=True)
class ClipboardSet:
    """The answer to a `SetClipboard` that has this sequence number."""

    sequence: int


@dataclass(frozen=True, slots=True)
class UhidOutput:
    """What the device tells a virtual input device, as a keyboard's lights."""

    device_id: int
    data: bytes


DeviceMessage = Clipboard | ClipboardSet | UhidOutput
VideoEvent = DeviceName | Codec | Session | Packet
AudioEvent = Codec | Packet

_Event = TypeVar("_Event")
_Steps = Generator[int, bytes, None]


class _Parser(Generic[_Event]):
    """Feeds a generator that yields how many bytes it wants next, and collects what it finds.

    It never wants more than a stated maximum, and only what came is kept.
    """

    def __init__(self, steps: Callable[[Callable[[_Event], None]], _Steps]) -> None:
        self._events: list[_Event] = []
        self._steps = steps(lambda event: self._events.append(event))
        self._buffer = bytearray()
        self._wanted = next(self._steps)

    @property
    def is_idle(self) -> bool:
        """Whether nothing has begun that is not complete: the stream may end here."""
        return not self._buffer

    def feed(self, data: bytes) -> list[_Event]:
        """Take the next bytes; what is complete by them. Raises `ScrcpyProtocolError`, and is of no use after that."""
        buffer = self._buffer
        buffer += data
        start = 0
        while len(buffer) - start >= self._wanted:
            end = start + self._wanted
            piece = bytes(memoryview(buffer)[start:end])
            start = end
            self._wanted = self._steps.send(piece)
        del buffer[:start]
        events, self._events = self._events, []
        return events


class VideoParser(_Parser[VideoEvent]):
    """The video stream, which is the first that is opened."""

    def __init__(self, version: ScrcpyVersion) -> None:
        super().__init__(lambda found: _video(version, found))


class AudioParser(_Parser[AudioEvent]):
    """The audio stream."""

    def __init__(self, version: ScrcpyVersion) -> None:
        super().__init__(lambda found: _audio(version, found))


class DeviceMessageParser(_Parser[DeviceMessage]):
    """What comes back on the control connection."""

    def __init__(self) -> None:
        super().__init__(_messages)


def _video(version: ScrcpyVersion, found: Callable[[VideoEvent], None]) -> _Steps:
    dummy = yield 1
    if dummy != b"\0":
        raise ScrcpyProtocolError(f"scrcpy's server began with the byte {dummy!r} where a zero belongs")
    name = yield _DEVICE_NAME_SIZE
    found(DeviceName(name.rstrip(b"\0").decode(errors="replace")))
    codec = Codec(_NUMBER.unpack((yield _NUMBER.size))[0])
    if codec != H264:
        raise ScrcpyProtocolError(f"scrcpy's server sends video of the codec {codec.name!r} where h264 belongs")
    found(codec)
    if not version.has_session_packets:
        found(Session(_video_size(*_SIZE.unpack((yield _SIZE.size)))))
    flags = _Flags(version)
    while True:
        header = yield _PACKET_HEADER.size
        marked, size = _PACKET_HEADER.unpack(header)
        if marked & flags.session:
            _, width, height = _SESSION_HEADER.unpack(header)
            found(Session(_video_size(width, height)))
            continue
        if not 1 <= size <= LARGEST_PICTURE:
            raise ScrcpyProtocolError(
                f"scrcpy's server announced a picture of {size} bytes: 1 to {LARGEST_PICTURE} are allowed"
            )
        found(flags.packet(marked, (yield size)))


def _audio(version: ScrcpyVersion, found: Callable[[AudioEvent], None]) -> _Steps:
    codec = Codec(_NUMBER.unpack((yield _NUMBER.size))[0])
    if codec not in (OPUS, RAW_AUDIO, DISABLED, MISCONFIGURED):
        raise ScrcpyProtocolError(f"scrcpy's server sends sound of the codec {codec.name!r} where opus or raw belongs")
    found(codec)
    flags = _Flags(version)
    while True:
        marked, size = _PACKET_HEADER.unpack((yield _PACKET_HEADER.size))
        if codec in (DISABLED, MISCONFIGURED):
            raise ScrcpyProtocolError("scrcpy's server sends sound after it said that there is none")
        if marked & flags.session or size > LARGEST_AUDIO_PACKET:
            raise ScrcpyProtocolError(
                f"scrcpy's server announced a packet of sound with the flags {marked >> 61:03b} and {size} bytes: "
                f"no session and at most {LARGEST_AUDIO_PACKET} bytes are allowed"
            )
        payload = (yield size) if size else b""
        found(flags.packet(marked, payload))


def _messages(found: Callable[[DeviceMessage], None]) -> _Steps:
    while True:
        kind = (yield 1)[0]
        if kind == 0:
            size = _NUMBER.unpack((yield _NUMBER.size))[0]
            if size > LARGEST_MESSAGE:
                raise ScrcpyProtocolError(
                    f"scrcpy's server announced a clipboard of {size} bytes: at most {LARGEST_MESSAGE} are allowed"
                )
            found(Clipboard(((yield size) if size else b"").decode(errors="replace")))
        elif kind == 1:
            found(ClipboardSet(_LONG.unpack((yield _LONG.size))[0]))
        elif kind == 2:
            device_id, size = _UHID_HEADER.unpack((yield _UHID_HEADER.size))
            found(UhidOutput(device_id, (yield size) if size else b""))
        else:
            raise ScrcpyProtocolError(f"scrcpy's server sent a message of the type {kind}, where 0, 1 or 2 belongs")


class _Flags:
    """Where a version has the flags of a packet's header."""

    def __init__(self, version: ScrcpyVersion) -> None:
        self.session = 1 << 63 if version.has_session_packets else 0
        self._config = 1 << 62 if version.has_session_packets else 1 << 63
        self._keyframe = self._config >> 1

    def packet(self, marked: int, data: bytes) -> Packet:
        is_config = bool(marked & self._config)
        pts = 0 if is_config else marked & (self._keyframe - 1)
        return Packet(data, pts, is_config, is_keyframe=bool(marked & self._keyframe))


def _video_size(width: int, height: int) -> VideoSize:
    if not (1 <= width <= LARGEST_SIDE and 1 <= height <= LARGEST_SIDE):
        raise ScrcpyProtocolError(
            f"scrcpy's server announced a video of {width}x{height}: 1 to {LARGEST_SIDE} pixels are allowed each way"
        )
    return VideoSize(width, height)

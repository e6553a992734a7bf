"""Where a device's access units come from.

A new source is a class that fits `Source`, one `register` line in `media_service/app.py`, and a subclass of the
contract in `tests/capture/source_contract.py`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from capture.controller import Controller
from capture.errors import UnknownScheme
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket

AudioSink = Callable[[AudioPacket], None]
"""Takes the packets of one device's sound as they come. Called from the event loop, never blocks."""


def ignore_audio(packet: AudioPacket) -> None:
    """An `AudioSink` for nobody."""


class ScreenCondition(StrEnum):
    """What the device says of its screen: why a picture is black, or is no app's."""

    SHOWN = "shown"
    """It is on and may be seen, or nothing else is known."""
    OFF = "off"
    SECURE = "secure"
    """An app forbids its capture (Android's `FLAG_SECURE`)."""
    BOOTING = "booting"


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What a source says about itself."""

    kind: str
    """The way pictures are captured: `test`, `file`, `scrcpy`, `screenrecord`, `rawvideo`, `screencap`."""

    reason: str
    """Why this way was taken, in words an operator understands."""

    keyframe_on_demand: bool
    """Whether `request_keyframe` is cheap and answered with one of the next few pictures."""

    has_audio: bool = False
    """Whether sound comes too, or came and may come again."""

    is_coded_here: bool = False
    """Whether the pictures come uncompressed from the device, and are coded by us."""

    screen: ScreenCondition = ScreenCondition.SHOWN
    """What the device says of its screen."""

    rotation: int | None = None
    """Degrees that the device is turned, as Android's `Surface.ROTATION_*`: 0, 90, 180, 270; None when unknown."""


class Source(Protocol):
    """Coded pictures of one device.

    Iterating yields access units in decoding order with non-decreasing `captured_at`. The first one is a keyframe, and
    every keyframe carries its SPS and PPS. Iteration ends, or raises a `CaptureError`, when no more pictures will come.
    Only one iteration at a time.
    """

    on_audio: AudioSink
    """Who gets the sound while there is an iteration; `ignore_audio` until somebody wants it."""

    @property
    def facts(self) -> SourceFacts:
        """What is true now; another value when something changes."""
        ...

    @property
    def controller(self) -> Controller | None:
        """Injects input by the way that the pictures come; None where the device's shell is the only way."""
        ...

    def __aiter__(self) -> AsyncIterator[AccessUnit]: ...

    def request_keyframe(self) -> None:
        """Ask for an IDR picture soon. Never blocks; a request while one is under way changes nothing."""
        ...

    async def aclose(self) -> None:
        """Stop capturing and free everything here and on the device. Idempotent; ends a running iteration."""
        ...


@runtime_checkable
class WakefulSource(Protocol):
    """A source that looks at a still screen only now and then."""

    def wake(self) -> None:
        """Look at once: the screen is about to change."""
        ...


SourceOpener = Callable[[str], Awaitable[Source]]
"""Opens the source for what follows the colon of its URI; raises a `CaptureError` when it cannot."""


class Sources:
    """The registered ways to open a source, by URI scheme."""

    def __init__(self) -> None:
        self._openers: dict[str, SourceOpener] = {}

    def register(self, scheme: str, opener: SourceOpener) -> None:
        """Open `scheme:…` URIs with `opener`."""
        self._openers[scheme] = opener

    async def open(self, uri: str) -> Source:
        """Open `uri`, as `test:`, `file:clip.h264` or `adb:127.0.0.1:5555`.

        Raises `UnknownScheme` for a scheme that nobody registered and whatever `CaptureError` the opener raises.
        """
        scheme, _, rest = uri.partition(":")
        opener = self._openers.get(scheme)
        if opener is None:
            known = ", ".join(f"{name}:" for name in sorted(self._openers))
            raise UnknownScheme(f"{uri!r} is not a source: it must begin with one of {known}")
        return await opener(rest)

"""What light phones play: a clip's pictures and a second of sound, coded beforehand, over and over."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from benchmarks.clip import access_units
from benchmarks.nal_units import split
from benchmarks.put_out import digest
from capture.demo_phone.sound import SAMPLE_RATE, Sound
from capture.demo_phone.sound_coder import PACKET_SAMPLES, SoundCoder
from encoders.annexb import to_annexb
from encoders.h264 import parse_sps

PICTURE_PERIOD: Final = 1 / 30
PACKET_PERIOD: Final = PACKET_SAMPLES / SAMPLE_RATE
PACKETS_PER_LOOP: Final = 50
"""Of sound; they are all different."""

_PARAMETER_SETS: Final = (7, 8)
_IDR: Final = 5


_Piece = TypeVar("_Piece")


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """One of the encoder's pictures."""

    stream: bytes
    """As it stands in the clip."""
    parameter_sets: bytes
    """Byte stream of these NAL units, which MediaCodec gives apart; empty for most pictures."""
    slices: bytes
    """Byte stream of all others."""
    is_keyframe: bool
    digest: str

    @classmethod
    def of(cls, stream: bytes) -> Self:
        nal_units = split(stream)
        sets = [nal_unit for nal_unit in nal_units if nal_unit[0] & 0x1F in _PARAMETER_SETS]
        others = [nal_unit for nal_unit in nal_units if nal_unit[0] & 0x1F not in _PARAMETER_SETS]
        is_keyframe = any(nal_unit[0] & 0x1F == _IDR for nal_unit in others)
        return cls(stream, to_annexb(sets), to_annexb(others), is_keyframe, digest(nal_units))


@dataclass(frozen=True, slots=True)
class CodedSound:
    """One of the encoder's packets."""

    data: bytes
    digest: str


@dataclass(frozen=True, slots=True)
class Media:
    """All of it."""

    width: int
    height: int
    pictures: tuple[CodedPicture, ...]
    sound_header: bytes
    sound: tuple[CodedSound, ...]

    @classmethod
    def load(cls, clip: Path, sound_bit_rate: int) -> Self:
        """`sound_bit_rate` in bits per second."""
        pictures = access_units(clip)
        sps = parse_sps(split(pictures[0])[0])
        coder, phone = SoundCoder(sound_bit_rate), Sound()
        sound = [
            coder.encode(phone.samples(number * PACKET_PERIOD, PACKET_SAMPLES)) for number in range(PACKETS_PER_LOOP)
        ]
        return cls(
            sps.width,
            sps.height,
            tuple(CodedPicture.of(picture) for picture in pictures),
            coder.header,
            tuple(CodedSound(packet, digest([packet])) for packet in sound),
        )


async def play(
    pieces: Sequence[_Piece], write: Callable[[_Piece], Awaitable[None]], *, period: float, delay: float = 0.0
) -> None:
    """Write the pieces over and over, one each `period` seconds, until `write` raises."""
    due = time.monotonic() + delay
    for piece in itertools.cycle(pieces):
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await write(piece)
        due += period

"""How sound is to be coded, and raw sound brought into that form."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av

CAPTURED_RATE: Final = 48_000
CAPTURED_CHANNELS: Final = 2
"""What phones capture: interleaved 16-bit little-endian samples of two channels, 48000 a second."""

_BYTES_PER_MOMENT: Final = 4


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """What is coded."""

    sample_rate: int = CAPTURED_RATE
    """Samples of each channel per second."""
    channels: int = CAPTURED_CHANNELS
    bit_rate: int = 64_000
    """Bits per second, of all channels together."""

    @property
    def is_captured(self) -> bool:
        """Whether it is what phones capture, so that they can code it themselves."""
        return (self.sample_rate, self.channels) == (CAPTURED_RATE, CAPTURED_CHANNELS)


class SoundConverter:
    """Brings captured samples into a format, without delay that adds up."""

    def __init__(self, wanted: SoundFormat) -> None:
        self._layout = "stereo" if wanted.channels == CAPTURED_CHANNELS else "mono"
        self._moment_size = 2 * wanted.channels
        self._resampler = None if wanted.is_captured else av.AudioResampler("s16", self._layout, wanted.sample_rate)
        self._taken = 0

    def convert(self, samples: bytes) -> bytes:
        """The samples in the wanted format; a part of a sample at the end is left out.

        A few samples wait inside for the next call.
        """
        if self._resampler is None:
            return samples
        moments = len(samples) // _BYTES_PER_MOMENT
        if not moments:
            return b""
        frame = av.AudioFrame(format="s16", layout="stereo", samples=moments)
        frame.planes[0].update(samples[: moments * _BYTES_PER_MOMENT])
        frame.sample_rate = CAPTURED_RATE
        frame.time_base = Fraction(1, CAPTURED_RATE)
        frame.pts = self._taken
        self._taken += moments
        converted = self._resampler.resample(frame)
        return b"".join(bytes(each.planes[0])[: each.samples * self._moment_size] for each in converted)

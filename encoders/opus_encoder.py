"""Raw sound to Opus by libopus: packets of 20 ms, each out as soon as its samples are in."""

from fractions import Fraction
from typing import Final

import av
from av.audio.codeccontext import AudioCodecContext

from encoders.audio_packet import AudioPacket
from encoders.errors import EncoderError

PACKET_DURATION: Final = 0.02
"""Seconds of sound in each packet: what every WebRTC receiver is tuned to."""

SAMPLE_RATES: Final = (8_000, 12_000, 16_000, 24_000, 48_000)
"""What libopus takes (RFC 6716 section 2); the RTP clock is 48 kHz whatever is coded."""

_BYTES_PER_SAMPLE: Final = 2
_LARGEST_JITTER: Final = 0.04
"""Seconds by which samples may come earlier or later than those before them promised, and still follow them."""


class OpusEncoder:
    """Encodes interleaved 16-bit little-endian samples. Use it from one thread at a time.

    `bit_rate` is in bits per second, of all channels together. Raises `EncoderError` for settings that cannot be.
    """

    def __init__(self, *, sample_rate: int = 48_000, channels: int = 2, bit_rate: int = 64_000) -> None:
        if sample_rate not in SAMPLE_RATES:
            allowed = ", ".join(map(str, SAMPLE_RATES))
            raise EncoderError(f"sample_rate is {sample_rate}: Opus takes {allowed} samples per second")
        if channels not in (1, 2):
            raise EncoderError(f"channels is {channels}: it must be 1 or 2")
        if not 6_000 <= bit_rate <= 256_000 * channels:
            raise EncoderError(f"bit_rate is {bit_rate}: it must be 6000 to {256_000 * channels} bits per second")
        self._sample_rate = sample_rate
        self._layout = "stereo" if channels == 2 else "mono"
        self._bit_rate = bit_rate
        self._moment_size = channels * _BYTES_PER_SAMPLE
        self._packet_size = round(PACKET_DURATION * sample_rate) * self._moment_size
        self._remainder = b""
        self._following_at: float | None = None
        """When the sample after the last one that came is expected to be heard."""
        self._context = self._open()
        self._encoded = 0
        """Moments (a sample of each channel) that the context got."""

    def encode(self, samples: bytes, captured_at: float) -> list[AudioPacket]:
        """The packets that `samples`, of which the first was heard at `captured_at`, complete.

        What does not fill a packet waits for the next call: less than 20 ms. `captured_at` may jitter by 40 ms; beyond
        that samples are missing or come from another time, and the encoder begins anew without what waited. Raises
        `EncoderError` for bytes that are no whole number of samples.
        """
        if len(samples) % self._moment_size:
            raise EncoderError(f"{len(samples)} bytes of sound: it must be a multiple of {self._moment_size}")
        if self._following_at is not None and abs(captured_at - self._following_at) > _LARGEST_JITTER:
            self._restart()
        self._following_at = captured_at + self._seconds(len(samples))
        begin = captured_at - self._seconds(len(self._remainder))
        waiting = self._remainder + samples
        end = len(waiting) - len(waiting) % self._packet_size
        self._remainder = waiting[end:]
        return [
            self._encode_packet(waiting[offset : offset + self._packet_size], begin + self._seconds(offset))
            for offset in range(0, end, self._packet_size)
        ]

    def _encode_packet(self, samples: bytes, captured_at: float) -> AudioPacket:
        frame = av.AudioFrame(format="s16", layout=self._layout, samples=len(samples) // self._moment_size)
        frame.planes[0].update(samples)
        frame.sample_rate = self._sample_rate
        frame.time_base = Fraction(1, self._sample_rate)
        frame.pts = self._encoded
        try:
            packets = self._context.encode(frame)
        except av.FFmpegError as error:
            raise EncoderError(f"libopus failed: {error}") from error
        if len(packets) != 1 or packets[0].pts is None:
            raise EncoderError(f"libopus gave {len(packets)} packets for one frame")
        # The decoder's output runs behind by the encoder's look-ahead, which is in the packet's pts.
        look_ahead = (self._encoded - packets[0].pts) / self._sample_rate
        self._encoded += frame.samples
        return AudioPacket(bytes(packets[0]), captured_at - look_ahead, PACKET_DURATION)

    def _restart(self) -> None:
        self._remainder = b""
        self._context = self._open()
        self._encoded = 0

    def _seconds(self, size: int) -> float:
        return size / (self._moment_size * self._sample_rate)

    def _open(self) -> AudioCodecContext:
        context = av.CodecContext.create("libopus", "w")
        context.sample_rate = self._sample_rate
        context.layout = self._layout
        context.format = "s16"
        context.bit_rate = self._bit_rate
        context.time_base = Fraction(1, self._sample_rate)
        context.options = {"application": "lowdelay", "frame_duration": f"{PACKET_DURATION * 1000:g}"}
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise EncoderError(
                f"libopus does not take {self._layout} at {self._sample_rate} Hz, {self._bit_rate} bit/s: {error}"
            ) from error
        return context

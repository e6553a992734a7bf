"""A beep at each whole second, for sound without a phone."""

import asyncio
import math
import time
from array import array
from typing import Final

from capture.source import AudioSink
from encoders.audio_packet import AudioPacket
from encoders.opus_encoder import PACKET_DURATION, OpusEncoder

_SAMPLE_RATE: Final = 48_000
_PITCH: Final = 1000
"""Hertz."""
_LENGTH: Final = 0.1
_LOUDNESS: Final = 8000
"""Of 32767."""
_PACKETS_PER_SECOND: Final = round(1 / PACKET_DURATION)
_LATEST: Final = 0.5
"""Seconds that packets may be late and still follow at once; after a longer delay they are left out."""


class Beeps:
    """One second of sound, coded once and played again and again: its beep begins where the second does."""

    def __init__(self) -> None:
        """Takes some 20 ms."""
        second = _second()
        encoder = OpusEncoder(sample_rate=_SAMPLE_RATE, channels=2)
        # The encoder knows what was before, so the first second is not like those that follow it.
        encoder.encode(second, 0.0)
        packets = encoder.encode(second, 1.0)
        self._payloads = [packet.data for packet in packets]
        self._lead = 1.0 - packets[0].captured_at

    def packet(self, number: int, begin: float) -> AudioPacket:
        """The packet with this number since a whole second's begin, of samples that are heard from `begin` on."""
        return AudioPacket(self._payloads[number % _PACKETS_PER_SECOND], begin - self._lead, PACKET_DURATION)


class Beeper:
    """Gives a packet to its sink every 20 ms, with a beep at each whole second of the wall clock."""

    def __init__(self, beeps: Beeps) -> None:
        self._beeps = beeps
        self._sink: AudioSink | None = None
        self._epoch = 0.0
        """The monotonic time at which the wall clock began."""
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, sink: AudioSink) -> None:
        """Beep from now on until `stop`. A second start only changes the sink."""
        self._sink = sink
        if self._timer is None:
            self._epoch = time.monotonic() - time.time()
            self._go_on(time.monotonic())
            self._beep()

    def stop(self) -> None:
        """Give nothing more. Idempotent."""
        self._sink = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _go_on(self, now: float) -> None:
        self._number = math.floor((now - self._epoch) / PACKET_DURATION)

    def _beep(self) -> None:
        now = time.monotonic()
        if now - self._due > _LATEST:
            self._go_on(now)
        while self._due <= now and self._sink is not None:
            begin = self._epoch + self._number * PACKET_DURATION
            self._number += 1
            self._sink(self._beeps.packet(self._number - 1, begin))
        if self._sink is not None:
            self._timer = asyncio.get_running_loop().call_later(self._due - now, self._beep)

    @property
    def _due(self) -> float:
        """When the last sample of the next packet has been heard."""
        return self._epoch + (self._number + 1) * PACKET_DURATION


def _second() -> bytes:
    samples = array("h")
    for index in range(_SAMPLE_RATE):
        at = index / _SAMPLE_RATE
        # It begins at its full loudness, to be found to the millisecond, and fades out without a click.
        level = _LOUDNESS * min(1.0, 4 * (1 - at / _LENGTH)) if at < _LENGTH else 0.0
        value = round(level * math.sin(math.tau * _PITCH * at))
        samples.extend((value, value))
    return samples.tobytes()

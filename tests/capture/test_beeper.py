"""The beep at each whole second, as a receiver hears it."""

import asyncio
import time

import numpy as np
import pytest

from capture.beeper import Beeper, Beeps
from encoders.audio_packet import AudioPacket
from tests.encoders.test_opus_encoder import decoded


def test_each_second_begins_with_a_beep() -> None:
    beeps = Beeps()
    packets = [beeps.packet(number, 50.0 + 0.02 * number) for number in range(3 * 50)]
    sound = np.abs(decoded(packets)[0]) > 0.1
    times = packets[0].captured_at + np.flatnonzero(sound) / 48_000
    begins = times[np.flatnonzero(np.diff(times, prepend=-np.inf) > 0.5)]
    assert begins == pytest.approx([50.0, 51.0, 52.0], abs=0.004)
    ends = times[np.flatnonzero(np.diff(times, append=np.inf) > 0.5)]
    assert np.all((ends - begins > 0.05) & (ends - begins < 0.12))


async def test_its_packets_follow_the_clock_and_one_another() -> None:
    packets: list[AudioPacket] = []
    enough = asyncio.Event()

    def take(packet: AudioPacket) -> None:
        packets.append(packet)
        if len(packets) == 6:
            enough.set()

    beeps = Beeps()
    beeper = Beeper(beeps)
    beeper.start(take)
    async with asyncio.timeout(20):
        await enough.wait()
    beeper.stop()
    beeper.stop()
    now = time.monotonic()
    assert np.diff([packet.captured_at for packet in packets[:6]]) == pytest.approx([0.02] * 5, abs=1e-5)
    assert all(packet.captured_at + packet.duration <= now for packet in packets)
    # Packet 0 of a second begins at a whole second of the wall clock.
    begin = packets[0].captured_at + (time.time() - now)
    number = round(begin % 1 / 0.02) % 50
    assert packets[0].data == beeps.packet(number, 0.0).data


async def test_a_stopped_one_is_silent_also_when_stopped_by_its_sink() -> None:
    packets: list[AudioPacket] = []

    def take(packet: AudioPacket) -> None:
        packets.append(packet)
        beeper.stop()

    beeper = Beeper(Beeps())
    beeper.start(take)
    async with asyncio.timeout(20):
        while not packets:
            await asyncio.sleep(0)
    assert len(packets) == 1

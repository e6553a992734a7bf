"""Samples to Opus, judged by FFmpeg's own decoder, which is not libopus."""

import math
from array import array

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.audio_packet import AudioPacket
from encoders.errors import EncoderError
from encoders.opus import packet_duration
from encoders.opus_encoder import SAMPLE_RATES, OpusEncoder


def tone(seconds: float, *, rate: int = 48_000, channels: int = 2, hertz: float = 440.0) -> bytes:
    """A tone that is the same in all channels."""
    samples = array("h")
    for index in range(round(seconds * rate)):
        samples.extend([round(8000 * math.sin(math.tau * hertz * index / rate))] * channels)
    return samples.tobytes()


def decoded(packets: list[AudioPacket], channels: int = 2) -> np.ndarray:
    """What a receiver hears, as (channels, samples) at 48 kHz, with nothing skipped at the beginning."""
    decoder = av.CodecContext.create("opus", "r")
    decoder.layout = "stereo" if channels == 2 else "mono"
    decoder.sample_rate = 48_000
    frames = [frame.to_ndarray() for packet in packets for frame in decoder.decode(av.Packet(packet.data))]
    return np.concatenate(frames, axis=1)


@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_packets_of_20_ms_that_follow_one_another(rate: int, channels: int) -> None:
    encoder = OpusEncoder(sample_rate=rate, channels=channels, bit_rate=32_000 * channels)
    packets = encoder.encode(tone(0.1, rate=rate, channels=channels), 10.0)
    assert [packet.duration for packet in packets] == [0.02] * 5
    assert [packet_duration(packet.data) for packet in packets] == [0.02] * 5
    distances = np.diff([packet.captured_at for packet in packets])
    assert distances == pytest.approx([0.02] * 4)
    assert 9.98 < packets[0].captured_at <= 10.0, "the decoder's output is late by the encoder's look-ahead"


def test_what_is_heard_is_what_was_said_when_it_was_said() -> None:
    silence, beep = bytes(48_000 * 4), tone(0.1, hertz=1000)
    packets = OpusEncoder().encode(silence + beep + bytes(4 * 4800), 100.0)
    sound = decoded(packets)[0]
    onset = int(np.argmax(np.abs(sound) > 0.1))
    assert packets[0].captured_at + onset / 48_000 == pytest.approx(101.0, abs=0.004)


def test_a_loud_second_has_the_bit_rate_that_was_asked_for() -> None:
    noise = np.random.default_rng(1).integers(-8000, 8000, 2 * 48_000, dtype=np.int16).tobytes()
    octets = sum(len(packet.data) for packet in OpusEncoder(bit_rate=64_000).encode(noise, 0.0))
    assert octets * 8 == pytest.approx(64_000, rel=0.2)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3000), max_size=40))
def test_any_chunking_gives_the_same_packets(sizes: list[int]) -> None:
    samples = tone(0.25)
    whole = OpusEncoder().encode(samples, 5.0)
    encoder, packets, begin = OpusEncoder(), [], 0
    for size in [*sizes, len(samples)]:
        chunk = samples[begin : begin + 4 * size]
        packets += encoder.encode(chunk, 5.0 + begin / 4 / 48_000)
        begin += len(chunk)
    assert [packet.data for packet in packets] == [packet.data for packet in whole]
    assert [packet.captured_at for packet in packets] == pytest.approx([packet.captured_at for packet in whole])


def test_jitter_in_the_times_of_samples_loses_none() -> None:
    encoder, packets = OpusEncoder(), []
    samples = tone(0.2)
    for index in range(10):
        chunk = samples[index * 3840 : (index + 1) * 3840]
        packets += encoder.encode(chunk, 1.0 + 0.02 * index + 0.015 * (index % 2))
    assert len(packets) == 10


@pytest.mark.parametrize("away", [0.5, -0.5])
def test_a_gap_begins_anew(away: float) -> None:
    encoder = OpusEncoder()
    assert len(encoder.encode(tone(0.03), 1.0)) == 1
    following = encoder.encode(tone(0.04), 1.03 + away)
    assert len(following) == 2, "the 10 ms that waited are of another time"
    assert following[0].captured_at == pytest.approx(1.03 + away, abs=0.01)
    fresh = OpusEncoder().encode(tone(0.04), 0.0)
    assert [packet.data for packet in following] == [packet.data for packet in fresh]


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"sample_rate": 44_100}, "sample_rate is 44100: Opus takes 8000, 12000, 16000, 24000, 48000"),
        ({"channels": 0}, "channels is 0: it must be 1 or 2"),
        ({"channels": 6}, "channels is 6"),
        ({"bit_rate": 5_999}, "bit_rate is 5999: it must be 6000 to 512000"),
        ({"bit_rate": 256_001, "channels": 1}, "bit_rate is 256001: it must be 6000 to 256000"),
    ],
)
def test_impossible_settings_are_named(setting: dict[str, int], text: str) -> None:
    with pytest.raises(EncoderError, match=text):
        OpusEncoder(**setting)


def test_half_a_sample_is_no_sound() -> None:
    with pytest.raises(EncoderError, match="5 bytes of sound: it must be a multiple of 4"):
        OpusEncoder().encode(b"12345", 0.0)

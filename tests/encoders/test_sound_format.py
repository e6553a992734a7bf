"""Captured sound in the format that was asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.opus_encoder import SAMPLE_RATES
from encoders.sound_format import SoundConverter, SoundFormat


def tone(frequency: float, seconds: float, *, left: float = 0.5, right: float = 0.5) -> bytes:
    """A sine in 48 kHz stereo."""
    moments = np.arange(round(48_000 * seconds))
    wave = np.sin(2 * np.pi * frequency * moments / 48_000)
    return (np.stack([wave * left, wave * right], axis=1) * 32767).astype("<i2").tobytes()


def loudest_frequency(samples: bytes, rate: int, channels: int) -> float:
    first_channel = np.frombuffer(samples, "<i2")[::channels].astype(float)
    spectrum = np.abs(np.fft.rfft(first_channel * np.hanning(len(first_channel))))
    return float(np.argmax(spectrum) * rate / len(first_channel))


def test_what_phones_capture_stays_as_it_is() -> None:
    samples = tone(440, 0.02)
    assert SoundFormat().is_captured
    assert SoundConverter(SoundFormat()).convert(samples) is samples


@pytest.mark.parametrize("rate", SAMPLE_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_keeps_its_height_and_its_length(rate: int, channels: int) -> None:
    converter = SoundConverter(SoundFormat(rate, channels))
    samples = tone(1000, 1.0)
    pieces = [samples[start : start + 3840] for start in range(0, len(samples), 3840)]
    converted = b"".join(converter.convert(piece) for piece in pieces)
    assert len(converted) / (2 * channels * rate) == pytest.approx(1.0, abs=0.005)
    assert loudest_frequency(converted, rate, channels) == pytest.approx(1000, abs=3)


def test_one_channel_is_the_mean_of_two() -> None:
    converter = SoundConverter(SoundFormat(48_000, 1))
    converted = np.frombuffer(converter.convert(tone(500, 0.1, left=0.6, right=0.2)), "<i2")
    assert np.abs(converted).max() == pytest.approx(0.4 * 32767, rel=0.03)


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from(SAMPLE_RATES), st.sampled_from([1, 2]))
def test_any_bytes_give_whole_samples(pieces: list[bytes], rate: int, channels: int) -> None:
    converter = SoundConverter(SoundFormat(rate, channels))
    if converter.convert(b"\0" * 4) == b"\0" * 4 and (rate, channels) == (48_000, 2):
        return
    for piece in pieces:
        assert len(converter.convert(piece)) % (2 * channels) == 0

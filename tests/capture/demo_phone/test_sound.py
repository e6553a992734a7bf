"""The phone's sound."""

import time
from contextlib import aclosing
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.sound import BEEP_LENGTH, SAMPLE_RATE, Sound
from capture.demo_phone.sound_coder import PACKET_SAMPLES, SoundCoder
from encoders.errors import EncoderError
from encoders.opus import packet_duration


def sound_at(wall: float) -> Sound:
    """A phone's sound whose clock was `wall` when the monotonic one was 0."""
    return Sound(lambda: wall + time.monotonic())


def test_a_beep_at_the_whole_second_and_a_soft_tone_else() -> None:
    samples = sound_at(1_700_000_000.25).samples(0.0, SAMPLE_RATE)
    assert samples.shape == (SAMPLE_RATE, 2)
    assert (samples[:, 0] == samples[:, 1]).all()
    (loud,) = np.nonzero(np.abs(samples[:, 0]) > 1000)
    assert abs(loud[0] - 0.75 * SAMPLE_RATE) <= 1
    assert abs(loud[-1] - (0.75 + BEEP_LENGTH) * SAMPLE_RATE) < 20
    assert np.abs(samples).max() > 10_000
    assert np.abs(samples[: SAMPLE_RATE // 2]).max() > 50


@given(st.floats(0, 1), st.integers(1, 4000), st.integers(1, 4000))
def test_it_is_the_same_in_any_pieces(start: float, first: int, second: int) -> None:
    sound = sound_at(1_000.0)
    whole = sound.samples(start, first + second)[:, 0].astype(int)
    parts = [sound.samples(start, first), sound.samples(start + first / SAMPLE_RATE, second)]
    differing = np.abs(whole - np.concatenate(parts)[:, 0]) > 2
    assert differing.sum() <= 1  # the one at the edge of a beep may fall to either side of it


async def test_it_is_recorded_without_gaps_as_it_is_heard() -> None:
    async with aclosing(Sound().record(480)) as pieces:
        began_at = time.monotonic()
        recorded = [await anext(pieces) for _ in range(20)]
        ended_at = time.monotonic()
    gaps = [later.started_at - earlier.started_at for earlier, later in pairwise(recorded)]
    assert median(gaps) == pytest.approx(0.01)
    assert began_at - 0.001 <= recorded[0].started_at
    assert recorded[-1].started_at + 0.01 <= ended_at + 0.001


async def test_a_late_reader_goes_on_with_what_sounds_now() -> None:
    async with aclosing(Sound().record(480)) as pieces:
        first = await anext(pieces)
        time.sleep(0.15)  # noqa: ASYNC251 # the whole loop stalls
        second = await anext(pieces)
        third = await anext(pieces)
    assert second.started_at - first.started_at > 0.13
    assert third.started_at - second.started_at > 0.009


def test_each_piece_is_one_packet_of_20_milliseconds() -> None:
    coder = SoundCoder(64_000)
    assert coder.header.startswith(b"OpusHead\x01\x02")
    sound = sound_at(1_000.0)
    for number in range(10):
        packet = coder.encode(sound.samples(number * 0.02, PACKET_SAMPLES))
        assert packet_duration(packet) == pytest.approx(0.02)


def test_it_follows_a_clock_that_is_set() -> None:
    ahead = 0.0
    sound = Sound(lambda: 1_000.25 + ahead + time.monotonic())
    assert np.abs(sound.samples(0.0, 100)).max() < 1000
    ahead = 0.75
    assert np.abs(sound.samples(0.0, 100)).max() > 1000


@pytest.mark.parametrize("bit_rate", [-1, 1, 10_000_000])
def test_a_bit_rate_that_libopus_has_not(bit_rate: int) -> None:
    with pytest.raises(EncoderError):
        SoundCoder(bit_rate)

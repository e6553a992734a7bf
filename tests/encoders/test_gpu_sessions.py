"""Sessions on graphics cards: shared out, refused, given back. The cards are real small encoders that take so many."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import av
import pytest

from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.gpu_sessions import GpuSessions, SessionCounts
from encoders.h264_encoder import H264Encoder
from encoders.video_encoder import VideoCoding, VideoEncoder
from tests.encoders.video_encoders import SMALL, VideoEncoderContract, decode
from tests.fixtures.media import moving_frames


class CardEncoder:
    """libx264 that plays a card's encoder; a lame one refuses with the first picture."""

    def __init__(self, name: str, coding: VideoCoding, on_close: Callable[[], None], *, is_lame: bool) -> None:
        self.name = name
        self.coding = coding
        self._encoder = H264Encoder.of(coding)
        self._on_close: Callable[[], None] | None = on_close
        self._is_lame = is_lame

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        access_unit = self._encoder.encode(frame, captured_at, force_keyframe=force_keyframe)
        if self._is_lame:
            raise EncoderError("OpenEncodeSessionEx failed: out of memory (10)")
        return access_unit

    def set_bit_rate(self, bit_rate: int) -> None:
        self._encoder.set_bit_rate(bit_rate)
        self.coding = self._encoder.coding

    def close(self) -> None:
        self._encoder.close()
        if self._on_close is not None:
            self._on_close()
        self._on_close = None


class Cards:
    """So many cards; a card refuses when it has as many encoders as `takes` says, some with the first picture only."""

    def __init__(self, takes: dict[str, int], *, with_first_picture: bool = False) -> None:
        self.takes = takes
        self.open_now: Counter[str] = Counter()
        self.asked = 0
        self._with_first_picture = with_first_picture
        self.now = 0.0
        self.sessions = GpuSessions(
            tuple(takes), self._open_on, lambda coding: H264Encoder.of(coding), clock=lambda: self.now
        )

    def _open_on(self, gpu: str, coding: VideoCoding) -> VideoEncoder:
        self.asked += 1
        is_full = self.open_now[gpu] >= self.takes[gpu]
        if is_full and not self._with_first_picture:
            raise EncoderError("OpenEncodeSessionEx failed: out of memory (10)")
        encoder = CardEncoder(f"card {gpu}", coding, lambda: self.open_now.subtract([gpu]), is_lame=is_full)
        self.open_now[gpu] += 1
        return encoder


class TestOnACard(VideoEncoderContract):
    def open(self, coding: VideoCoding) -> VideoEncoder:
        return Cards({"0": 8}).sessions.open(coding)


class TestRefusedByACard(VideoEncoderContract):
    def open(self, coding: VideoCoding) -> VideoEncoder:
        return Cards({"0": 0}, with_first_picture=True).sessions.open(coding)


def test_the_card_with_the_fewest_sessions_gets_the_next() -> None:
    cards = Cards({"0": 8, "1": 8, "2": 8})
    encoders = [cards.sessions.open(SMALL) for _ in range(7)]
    assert [encoder.name for encoder in encoders] == [f"card {gpu}" for gpu in "0120120"]
    encoders[1].close()
    encoders[1].close()
    assert cards.sessions.sessions == {"0": 3, "1": 1, "2": 2} == cards.open_now
    assert cards.sessions.open(SMALL).name == "card 1"


def test_what_no_card_takes_is_coded_without() -> None:
    cards = Cards({"0": 2, "1": 1})
    names = [cards.sessions.open(SMALL).name for _ in range(5)]
    assert names == ["card 0", "card 1", "card 0", "libx264", "libx264"]
    assert cards.sessions.limits == {"0": 2, "1": 1}
    assert cards.sessions.refusals == 2
    assert cards.asked == 5, "the fifth encoder asked nobody"


def test_a_session_that_was_given_back_is_used_again() -> None:
    cards = Cards({"0": 2})
    first, _, third = (cards.sessions.open(SMALL) for _ in range(3))
    assert third.name == "libx264"
    first.close()
    third.close()
    assert cards.sessions.sessions == {"0": 1}
    assert cards.sessions.open(SMALL).name == "card 0"
    assert cards.sessions.open(SMALL).name == "libx264"


def test_a_limit_is_doubted_after_a_minute() -> None:
    cards = Cards({"0": 0})
    assert cards.sessions.open(SMALL).name == "libx264"
    cards.takes["0"] = 1
    cards.now = 59.9
    assert cards.sessions.open(SMALL).name == "libx264"
    assert cards.asked == 1
    cards.now = 60.0
    assert cards.sessions.open(SMALL).name == "card 0"


def test_a_card_that_refuses_with_the_first_picture() -> None:
    cards = Cards({"0": 1}, with_first_picture=True)
    first, second = cards.sessions.open(SMALL), cards.sessions.open(SMALL)
    frames = list(moving_frames(96, 64, 5))
    assert [first.encode(frame, 0.0).is_keyframe for frame in frames] == [True] + [False] * 4
    access_units = [second.encode(frame, 0.0) for frame in frames]
    assert len(decode(access_units)) == 5
    assert (first.name, second.name) == ("card 0", "libx264")
    assert cards.sessions.sessions == {"0": 1} == cards.open_now
    assert cards.sessions.limits == {"0": 1}
    second.close()
    assert cards.sessions.sessions == {"0": 1}


def test_a_card_that_fails_later_is_for_others_to_see_to() -> None:
    cards = Cards({"0": 1})
    encoder = cards.sessions.open(SMALL)
    frame = next(moving_frames(96, 64, 1))
    encoder.encode(frame, 0.0)
    with pytest.raises(EncoderError, match="the frame is 64x96"):
        encoder.encode(next(moving_frames(64, 96, 1)), 0.0)
    assert encoder.name == "card 0"
    encoder.close()
    with pytest.raises(EncoderError, match="closed"):
        encoder.encode(frame, 0.0)


def test_what_no_encoder_takes_costs_no_session() -> None:
    cards = Cards({"0": 1})
    with pytest.raises(EncoderError, match="width is 97"):
        cards.sessions.open(replace(SMALL, width=97))
    assert cards.sessions.sessions == {"0": 0}


def test_counts() -> None:
    counts = SessionCounts(("0", "1"), retry_after=10)
    assert [counts.take(0.0) for _ in range(3)] == ["0", "1", "0"]
    counts.refuse("0", 0.0)
    assert counts.limits(9.9) == {"0": 1}
    assert [counts.take(9.9) for _ in range(2)] == ["1", "1"]
    counts.refuse("1", 9.9)
    assert counts.take(9.9) is None
    assert counts.take(10.0) == "0"
    counts.give_back("1")
    assert counts.take(10.0) == "1"
    assert counts.sessions == {"0": 2, "1": 2}

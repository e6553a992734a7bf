import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.encoder_size import LONG_SIDES, EncoderSize, fit_long_side
from capture.input_events import VideoSize

REFUSAL = "ERROR: unable to configure video/avc codec at 1440x2880 (err=-38)"
EVEN = st.integers(1, 4096).map(lambda half: 2 * half)
SIZES = st.builds(VideoSize, EVEN, EVEN)


def tried(size: EncoderSize, message: str = REFUSAL) -> list[VideoSize | None]:
    """What is tried, when the encoder always says the same."""
    sizes = [size.current]
    while size.refuse(message):
        sizes.append(size.current)
    return sizes


def test_smaller_ones_are_tried_one_after_the_other() -> None:
    size = EncoderSize(VideoSize(1440, 2880))
    assert tried(size) == [
        VideoSize(1440, 2880),
        VideoSize(1280, 2560),
        VideoSize(960, 1920),
        VideoSize(640, 1280),
        VideoSize(400, 800),
    ]
    assert size.current == VideoSize(1440, 2880)
    assert size.reason == ""
    assert not size.refuse(REFUSAL)


def test_what_was_learned_counts_for_a_turned_screen() -> None:
    size = EncoderSize(VideoSize(1080, 2400))
    assert size.refuse(REFUSAL)
    size.accept(size.current)
    assert size.reason == "864x1920 because the encoder refuses 1080x2400"
    size.want(VideoSize(2400, 1080))
    assert size.current == VideoSize(1920, 864)
    assert not size.refuse(REFUSAL)
    size.want(VideoSize(640, 360))
    assert (size.current, size.reason) == (VideoSize(640, 360), "")


def test_a_size_that_has_worked_is_not_the_trouble() -> None:
    size = EncoderSize(VideoSize(1080, 1920))
    size.accept(VideoSize(1920, 1080))
    assert tried(size) == [VideoSize(1080, 1920)]


def test_sizes_that_all_fail_are_tried_again_for_another_screen() -> None:
    size = EncoderSize(VideoSize(720, 1280))
    assert len(tried(size)) == 2
    size.want(VideoSize(1280, 720))
    assert tried(size) == [VideoSize(1280, 720), VideoSize(800, 450)]


@pytest.mark.parametrize(
    "message",
    [
        "",
        "Unable to get video encoder",
        "ERROR: unable to create video/avc codec instance",
        "no picture within 10 s",
        "Encoder failed (err=-32)",
    ],
)
def test_other_complaints_are_not_about_the_size(message: str) -> None:
    assert not EncoderSize(VideoSize(1080, 1920)).refuse(message)


def test_the_phones_own_choice_is_told_by_its_refusal() -> None:
    size = EncoderSize(None)
    assert not size.refuse("ERROR: unable to start codec (err=-12)")
    assert size.refuse(REFUSAL)
    assert size.current == VideoSize(1280, 2560)
    worked = EncoderSize(None)
    worked.accept(None)
    assert not worked.refuse(REFUSAL)
    assert worked.current is None


@given(SIZES, st.sampled_from(LONG_SIDES))
def test_a_fitted_size_is_even_and_of_the_same_proportions(size: VideoSize, long_side: int) -> None:
    fitted = fit_long_side(size, long_side)
    assert fitted.width % 2 == fitted.height % 2 == 0
    assert min(fitted.width, fitted.height) >= 2
    assert max(fitted.width, fitted.height) == min(long_side, max(size.width, size.height))
    assert abs(fitted.width * size.height - fitted.height * size.width) <= 2 * max(size.width, size.height)


@given(
    st.none() | SIZES, st.lists(st.text(max_size=40) | st.just(REFUSAL) | st.just("unable to start at 0x2"), max_size=9)
)
def test_any_message_leaves_a_size_that_a_recorder_takes(wanted: VideoSize | None, messages: list[str]) -> None:
    size = EncoderSize(wanted)
    for message in messages:
        size.refuse(message)
        current = size.current
        assert current is None or (current.width % 2 == current.height % 2 == 0 and current.width and current.height)

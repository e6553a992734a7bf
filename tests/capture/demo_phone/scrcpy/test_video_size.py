"""How large scrcpy's video of a screen is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.demo_phone.scrcpy.version import ServerVersion
from capture.demo_phone.scrcpy.video_size import smaller_max_size, video_size
from capture.input_events import VideoSize

V3, V4 = ServerVersion("3.3.4"), ServerVersion("4.1")


@pytest.mark.parametrize(
    ("screen", "max_size", "before_4", "since_4"),
    [
        ((1080, 1920), 0, (1080, 1920), (1080, 1920)),
        ((1080, 2340), 0, (1080, 2336), (1080, 2340)),
        ((1081, 2341), 0, (1080, 2336), (1080, 2340)),
        ((2340, 1080), 0, (2336, 1080), (2340, 1080)),
        ((1080, 2340), 1280, (592, 1280), (590, 1280)),
        ((1080, 1920), 1024, (576, 1024), (576, 1024)),
        ((1920, 1080), 800, (800, 448), (800, 450)),
        ((720, 720), 400, (400, 400), (400, 400)),
        ((1023, 1020), 0, (1016, 1016), (1022, 1020)),
    ],
)
def test_sizes(screen: tuple[int, int], max_size: int, before_4: tuple[int, int], since_4: tuple[int, int]) -> None:
    assert video_size(VideoSize(*screen), V3, max_size, 1) == VideoSize(*before_4)
    assert video_size(VideoSize(*screen), V4, max_size, 1) == VideoSize(*since_4)


def test_sides_are_multiples_of_what_was_asked_for_since_4() -> None:
    assert video_size(VideoSize(1080, 2340), V4, 0, 16) == VideoSize(1072, 2336)
    assert video_size(VideoSize(1080, 2340), V4, 1000, 8) == VideoSize(456, 1000)


@given(
    st.integers(120, 4096),
    st.integers(120, 4096),
    st.integers(0, 500).map(lambda n: n * 8),
    st.sampled_from([V3, V4]),
)
def test_never_larger_than_the_screen_or_the_limit(
    width: int, height: int, max_size: int, version: ServerVersion
) -> None:
    size = video_size(VideoSize(width, height), version, max_size, 1)
    assert size.width % 2 == size.height % 2 == 0
    assert max(size.width, size.height) <= max(width, height)
    if max_size:
        assert max(size.width, size.height) <= max_size


def test_smaller_sizes_are_tried_one_after_another() -> None:
    tried = []
    size = VideoSize(1440, 3200)
    while limit := smaller_max_size(size):
        tried.append(limit)
        size = video_size(VideoSize(1440, 3200), V3, limit, 1)
    assert tried == [2560, 1920, 1600, 1280, 1024, 800]

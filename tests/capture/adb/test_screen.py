import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.adb.client import AdbClient
from capture.adb.screen import fit_screen, parse_wm_size, place_on_screen, read_screen_size
from capture.errors import AdbProtocolError, CommandFailed
from capture.input_events import VideoSize
from tests.capture.adb.fake_server import FakeAdbServer, okay, packet

SCREEN = VideoSize(1080, 2400)


def test_the_override_counts() -> None:
    assert parse_wm_size("Physical size: 1080x2400\n") == VideoSize(1080, 2400)
    assert parse_wm_size("Physical size: 1080x2400\r\nOverride size: 720x1600\r\n") == VideoSize(720, 1600)
    assert parse_wm_size("WARNING: linker: x\nPhysical size: 1x2\n") == VideoSize(1, 2)


@pytest.mark.parametrize("output", ["", "nonsense", "Physical size: 0x0", "Physical size: axb", "size: 1x2"])
def test_no_size(output: str) -> None:
    with pytest.raises(AdbProtocolError, match="no size"):
        parse_wm_size(output)


@given(st.text(max_size=60) | st.from_regex(r"(Physical|Override) size: [0-9x]{1,12}"))
def test_any_output_is_a_size_or_a_protocol_error(output: str) -> None:
    try:
        size = parse_wm_size(output)
    except AdbProtocolError:
        return
    assert size.width >= 1
    assert size.height >= 1


async def test_reading_it_from_a_device(fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host-serial:", okay(b"shell_v2"))
    fake_adb.on("shell,v2,raw:wm size", b"OKAY" + packet(1, b"Physical size: 720x1280\n") + packet(3, b"\0"))
    client = AdbClient(port=fake_adb.port)
    assert await read_screen_size(client, "phone") == VideoSize(720, 1280)
    fake_adb.on("shell,v2,raw:wm size", b"OKAY" + packet(2, b"wm: not found\n") + packet(3, b"\x7f"))
    with pytest.raises(CommandFailed, match="'wm size' ended with exit code 127: wm: not found"):
        await read_screen_size(client, "phone")


def test_a_video_fits_into_the_box_either_way_up() -> None:
    box = VideoSize(1280, 720)
    assert fit_screen(VideoSize(720, 1280), box) == VideoSize(720, 1280)
    assert fit_screen(VideoSize(1080, 1920), box) == VideoSize(720, 1280)
    assert fit_screen(VideoSize(1920, 1080), box) == VideoSize(1280, 720)
    assert fit_screen(VideoSize(1080, 2400), box) == VideoSize(576, 1280)
    assert fit_screen(VideoSize(320, 480), box) == VideoSize(320, 480)
    assert fit_screen(VideoSize(321, 481), box) == VideoSize(320, 480)


SIZES = st.builds(VideoSize, st.integers(2, 5000), st.integers(2, 5000))


@given(SIZES, SIZES)
def test_a_fitted_video_is_even_and_in_its_box(screen: VideoSize, box: VideoSize) -> None:
    fitted = fit_screen(screen, box)
    assert fitted.width % 2 == fitted.height % 2 == 0
    assert min(fitted.width, fitted.height) >= 2
    assert max(fitted.width, fitted.height) <= max(2, min(max(box.width, box.height), max(screen.width, screen.height)))


def test_device_pixels_are_themselves() -> None:
    assert place_on_screen(12.7, 0, None, SCREEN) == (12, 0)
    assert place_on_screen(1079.9, 2399, None, SCREEN) == (1079, 2399)


def test_a_video_is_scaled_to_the_screen() -> None:
    video = VideoSize(540, 1200)
    assert place_on_screen(0, 0, video, SCREEN) == (0, 0)
    assert place_on_screen(270, 600, video, SCREEN) == (540, 1200)
    assert place_on_screen(539.9, 1199.9, video, SCREEN) == (1079, 2399)


def test_a_wide_video_of_a_tall_screen_shows_it_turned() -> None:
    assert place_on_screen(600, 270, VideoSize(1200, 540), SCREEN) == (1200, 540)
    assert place_on_screen(2000, 500, None, SCREEN) == (2000, 500)


def test_a_known_rotation_counts_more_than_the_video() -> None:
    video = VideoSize(540, 1200)  # It was begun upright: the turned screen is 540 wide and 243 high in it.
    assert place_on_screen(270, 600, video, SCREEN, rotation=1) == (1200, 540)
    assert place_on_screen(0, 478.5, video, SCREEN, rotation=3) == (0, 0)
    assert place_on_screen(270, 100, video, SCREEN, rotation=1) == (1200, 0)
    assert place_on_screen(270, 600, video, SCREEN, rotation=2) == (540, 1200)
    assert place_on_screen(2000, 500, None, SCREEN, rotation=0) == (1079, 500)
    assert place_on_screen(500, 500, None, SCREEN, rotation=1) == (500, 500)
    square = VideoSize(1000, 1000)
    assert place_on_screen(0, 275, square, SCREEN, rotation=1) == (0, 0)


def test_black_bars_are_not_screen() -> None:
    square = VideoSize(1000, 1000)  # The screen is 450 wide in it, from 275 to 725.
    assert place_on_screen(275, 0, square, SCREEN) == (0, 0)
    assert place_on_screen(500, 500, square, SCREEN) == (540, 1200)
    assert place_on_screen(100, 500, square, SCREEN) == (0, 1200)
    assert place_on_screen(900, 500, square, SCREEN) == (1079, 1200)


def test_a_finger_that_leaves_the_picture_stays_at_its_edge() -> None:
    assert place_on_screen(-5, 1e300, VideoSize(540, 1200), SCREEN) == (0, 2399)
    assert place_on_screen(-1e300, -0.1, None, SCREEN) == (0, 0)


@pytest.mark.parametrize(("x", "y"), [(math.nan, 0), (0, math.inf), (-math.inf, 0)])
def test_what_is_no_point(x: float, y: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        place_on_screen(x, y, None, SCREEN)


@pytest.mark.parametrize("video", [VideoSize(0, 100), VideoSize(100, -1)])
def test_what_is_no_video(video: VideoSize) -> None:
    with pytest.raises(ValueError, match="not the size of a video"):
        place_on_screen(1, 1, video, SCREEN)


COORDINATES = st.floats(allow_nan=False, allow_infinity=False)


@given(COORDINATES, COORDINATES, SIZES | st.none(), SIZES, st.integers(0, 3) | st.none())
def test_every_point_is_on_the_screen(
    x: float, y: float, video: VideoSize | None, screen: VideoSize, rotation: int | None
) -> None:
    across, down = place_on_screen(x, y, video, screen, rotation)
    assert 0 <= across < max(screen.width, screen.height)
    assert 0 <= down < max(screen.width, screen.height)

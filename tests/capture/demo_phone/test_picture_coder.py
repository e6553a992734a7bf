"""The phone's codec."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from av.video.frame import PictureType

from capture.demo_phone.display import Picture
from capture.demo_phone.picture_coder import PictureCoder, fit_picture
from capture.demo_phone.screen import Screen
from capture.demo_phone.strip import read_strip
from encoders.errors import EncoderError
from tests.capture.demo_phone.pictures import decode, luma

IDR_SLICE = b"\0\0\0\x01\x65"


def pictures(width: int, height: int, count: int) -> list[Picture]:
    screen = Screen(width, height)
    return [Picture(screen.draw(number / 30), number / 30) for number in range(count)]


@pytest.mark.parametrize(("single_idr", "expected"), [(False, [0, 100, 200]), (True, [0])])
def test_an_idr_every_ten_seconds_or_only_one(single_idr: bool, expected: list[int]) -> None:
    coder = PictureCoder(120, 120, frame_rate=10, bit_rate=500_000, single_idr=single_idr)
    coded = [coder.encode(picture) for picture in pictures(120, 120, 205)]
    assert [number for number, data in enumerate(coded) if IDR_SLICE in data] == expected


@pytest.mark.parametrize(
    ("screen", "video", "bars"),
    [
        ((240, 320), (240, 320), None),
        ((240, 320), (120, 160), None),
        ((240, 320), (240, 160), (60, 160)),  # 120 wide, black to the left and right
        ((320, 240), (160, 320), (320, 100)),  # 120 tall, black above and below
    ],
)
def test_the_aspect_is_kept(screen: tuple[int, int], video: tuple[int, int], bars: tuple[int, int] | None) -> None:
    coder = PictureCoder(*video, frame_rate=30, bit_rate=4_000_000)
    (picture,) = pictures(*screen, 1)
    (frame,) = decode(coder.encode(picture))
    assert (frame.width, frame.height) == video
    shown = frame.to_ndarray(format="gray")
    if bars is None:
        assert shown[: video[1] // 2].min(axis=0).max() > 30
    elif bars[0] < video[0]:
        assert shown[:, : bars[0] - 4].max() < 30
        assert shown[:, -bars[0] + 4 :].max() < 30
        assert shown[:, bars[0] : -bars[0]].mean() > 40
    else:
        assert shown[: bars[1] - 4].max() < 30
        assert shown[-bars[1] + 4 :].max() < 30
        assert shown[bars[1] : -bars[1]].mean() > 40


def test_pictures_are_not_changed_by_coding_them() -> None:
    (picture,) = pictures(240, 320, 1)
    before = picture.frame.to_ndarray()
    coders = [PictureCoder(240, 320, frame_rate=30, bit_rate=1_000_000) for _ in range(2)]
    assert coders[0].encode(picture) == coders[1].encode(picture)
    assert (picture.frame.to_ndarray() == before).all()
    assert picture.frame.pts is None


def test_pictures_in_another_order_than_they_are_shown() -> None:
    coder = PictureCoder(240, 320, frame_rate=30, bit_rate=1_000_000, b_frames=True)
    coded = [coder.encode(picture) for picture in pictures(240, 320, 20)]
    assert coded[0] == b""
    data = b"".join(coded)
    frames = decode(data)
    assert {frame.pict_type for frame in frames} == {PictureType.I, PictureType.P, PictureType.B}
    numbers = [read_strip(luma(frame)).frame_number for frame in frames]
    # The last one that came is to be shown after one that did not come yet.
    assert numbers == [*range(1, len(frames)), len(frames) + 1]
    coder.close()
    with pytest.raises(EncoderError, match="closed"):
        coder.encode(pictures(240, 320, 1)[0])


def test_a_codec_that_goes_on_with_another_size() -> None:
    coder = PictureCoder(240, 320, frame_rate=30, bit_rate=1_000_000, halved_after=3)
    coded = [coder.encode(picture) for picture in pictures(240, 320, 6)]
    assert [IDR_SLICE in data for data in coded] == [True, False, False, True, False, False]
    sizes = [(frame.width, frame.height) for frame in decode(b"".join(coded))]
    assert sizes == [(240, 320)] * 3 + [(120, 160)] * 3


@pytest.mark.parametrize("b_frames", [False, True])
def test_what_no_codec_takes(b_frames: bool) -> None:
    with pytest.raises(EncoderError, match="241"):
        PictureCoder(241, 320, frame_rate=30, bit_rate=1_000_000, b_frames=b_frames)


def test_one_picture_can_be_fitted_by_several_threads_at_once() -> None:
    """Two recorders of one phone do: the frame's own scaler would be in both at the same time."""
    screen = Screen(360, 640)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(30):
            frame = screen.draw(0.0)
            tasks = [pool.submit(fit_picture, frame, *size) for size in [(640, 360), (180, 320)] * 4]
            fitted = [task.result() for task in tasks]
            assert [(each.width, each.height) for each in fitted] == [(640, 360), (180, 320)] * 4

"""What sources that code their pictures here have in common, with frames that are made here."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import av
import numpy as np
import pytest

from capture.encoded_source import EncodedSource, Encoding, FrameEncoder
from capture.errors import DeviceOffline, SourceEnded
from capture.input_events import VideoSize
from capture.raw_frames import SCREENCAP_FORMATS, PixelFormat, RawFrame
from capture.source import Source, SourceFacts
from encoders.access_unit import AccessUnit
from encoders.errors import EncoderError
from encoders.h264 import NalUnitType, nal_unit_type
from encoders.h264_encoder import H264Encoder
from encoders.pool import EncoderPool
from encoders.video_encoder import VideoCoding, VideoEncoder
from tests.capture.demo_phone.pictures import luma
from tests.capture.source_contract import TIMEOUT, SourceContract, decode
from tests.waiting import until

SIZE = VideoSize(64, 48)
ENCODING = Encoding(bit_rate=1_000_000, frame_rate=30, preset="ultrafast")
FAST = Encoding(bit_rate=50_000_000, frame_rate=240, preset="ultrafast")

RED, GREY = (255, 0, 0), (128, 128, 128)


def frame(
    shade: int | tuple[int, int, int], at: float, *, size: VideoSize = SIZE, pixel_format: PixelFormat | None = None
) -> RawFrame:
    """A picture of one colour."""
    colour = (shade,) * 3 if isinstance(shade, int) else shade
    pixels = np.empty((size.height, size.width, 3), np.uint8)
    pixels[:] = colour
    pixel_format = pixel_format or SCREENCAP_FORMATS[3]
    return RawFrame(size, pixel_format, bytearray(b"head" + packed(pixels, pixel_format.name)), 4, at)


def packed(pixels: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]], name: str) -> bytes:
    """RGB as pixels of another format, by FFmpeg."""
    converted = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format=name)
    plane = converted.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    bits = converted.format.padded_bits_per_pixel
    return lines[:, : converted.width * bits // 8].tobytes()


def brightness(access_units: list[AccessUnit]) -> list[int]:
    """The luma in the middle of each picture."""
    return [int(luma(picture)[picture.height // 2, picture.width // 2]) for picture in decode(access_units)]


def shows(access_units: list[AccessUnit], shades: list[int]) -> bool:
    """Whether the pictures are those of the frames of these shades."""
    expected = [16 + shade * 219 // 255 for shade in shades]
    return all(abs(seen - luma) <= 2 for seen, luma in zip(brightness(access_units), expected, strict=True))


class Painted(EncodedSource):
    """Shows what a test paints."""

    def __init__(self, encoding: Encoding = ENCODING) -> None:
        super().__init__(SourceFacts("painted", "a test", keyframe_on_demand=True), encoding)
        self.failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def paint(self, shade: int | tuple[int, int, int], *, size: VideoSize = SIZE) -> None:
        self.offer(frame(shade, asyncio.get_running_loop().time(), size=size))

    async def capture(self) -> None:
        await asyncio.shield(self.failure)


class Blinking(Painted):
    """Shows another shade all the time."""

    async def capture(self) -> None:
        shade = 0
        while True:
            shade = (shade + 3) % 256
            self.paint(shade)
            await asyncio.sleep(0.005)


@pytest.fixture
async def painted() -> AsyncIterator[Painted]:
    source = Painted(FAST)
    source.start()
    async with asyncio.timeout(TIMEOUT):
        yield source
    await source.aclose()


class TestContract(SourceContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[Source]:
        source = Blinking()
        source.start()
        yield source
        await source.aclose()


# The newest frame


async def test_every_change_is_a_picture(painted: Painted) -> None:
    pictures = aiter(painted)
    access_units = []
    shades = [20, 90, 200, 50]
    for shade in shades:
        painted.paint(shade)
        access_units.append(await anext(pictures))
    assert [
        abs(seen - (16 + shade * 219 // 255)) <= 2 for seen, shade in zip(brightness(access_units), shades, strict=True)
    ]
    assert [access_unit.is_keyframe for access_unit in access_units] == [True, False, False, False]
    assert painted.dropped == {"overtaken": 0}


async def test_the_newest_frame_wins_and_nothing_breaks(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(10)
    access_units = [await anext(pictures)]
    for shade in range(100, 200):
        painted.paint(shade)
    access_units.append(await anext(pictures))
    assert brightness(access_units)[-1] > 180
    assert painted.dropped == {"overtaken": 99}
    assert painted.pictures == 2


async def test_frames_are_not_taken_faster_than_the_frame_rate() -> None:
    source = Painted(Encoding(bit_rate=1_000_000, frame_rate=10, preset="ultrafast"))
    source.start()
    loop = asyncio.get_running_loop()
    taken_at = []
    pictures = aiter(source)
    async with asyncio.timeout(TIMEOUT):
        for number in range(6):
            source.paint(10 * number)
            await anext(pictures)
            taken_at.append(loop.time())
    assert taken_at[-1] - taken_at[0] >= 0.4
    await source.aclose()


async def test_a_frame_comes_with_the_time_of_its_capture(painted: Painted) -> None:
    captured_at = asyncio.get_running_loop().time() - 0.25
    painted.offer(frame(9, captured_at))
    assert (await anext(aiter(painted))).captured_at == captured_at


# A still screen


async def test_equal_frames_are_neither_coded_nor_given_out(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(10)
    await anext(pictures)
    following = asyncio.get_running_loop().create_task(anext(pictures))
    for _ in range(20):
        before = painted.still_frames
        painted.paint(10)
        while painted.still_frames == before:
            await asyncio.sleep(0.001)
    assert painted.still_frames == 20
    assert not following.done()
    assert (painted.pictures, painted.changes) == (1, 1)
    painted.paint(200)
    assert not (await following).is_keyframe
    assert (painted.pictures, painted.changes) == (2, 2)


async def test_one_pixel_is_a_change(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(10)
    await anext(pictures)
    changed = frame(10, asyncio.get_running_loop().time())
    changed.data[-1] += 1
    painted.offer(changed)
    await anext(pictures)
    assert painted.changes == 2


async def test_a_keyframe_of_a_still_screen_comes_at_once(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(200)
    access_units = [await anext(pictures)]
    for _ in range(3):
        painted.request_keyframe()
        painted.request_keyframe()
        access_units.append(await anext(pictures))
    assert all(access_unit.is_keyframe for access_unit in access_units)
    assert access_units[0].captured_at < access_units[1].captured_at < access_units[2].captured_at
    assert shows(access_units, [200] * 4)
    assert (painted.pictures, painted.changes) == (4, 1)


async def test_a_keyframe_that_is_wanted_before_any_picture_is_the_first_one(painted: Painted) -> None:
    painted.request_keyframe()
    waiting = asyncio.get_running_loop().create_task(anext(aiter(painted)))
    await asyncio.sleep(0)
    painted.paint(3)
    assert (await waiting).is_keyframe
    assert painted.pictures == 1


async def test_a_second_reader_sees_a_still_screen_at_once(painted: Painted) -> None:
    painted.paint(77)
    first = await anext(aiter(painted))
    again = await anext(aiter(painted))
    assert again.is_keyframe
    assert brightness([first]) == brightness([again])


async def test_a_reader_that_gives_up_loses_no_picture(painted: Painted) -> None:
    large = VideoSize(1280, 720)  # Its coding takes longer than a turn of the event loop.
    pictures = aiter(painted)
    painted.paint(30, size=large)
    access_units = [await anext(pictures)]
    shades = [30]
    for shade in range(50, 250, 50):
        painted.paint(shade, size=large)
        waiting = asyncio.get_running_loop().create_task(anext(pictures))
        await painted.until_wanted()
        waiting.cancel()
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        access_units.append(await anext(pictures))
        shades.append(shade)
    assert all(access_unit.is_keyframe for access_unit in access_units)
    assert shows(access_units, shades)


async def test_a_reader_that_gives_up_before_anything_is_coded_loses_nothing(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(30)
    access_units = [await anext(pictures)]
    waiting = asyncio.get_running_loop().create_task(anext(pictures))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    painted.paint(90)
    access_units.append(await anext(pictures))
    assert [access_unit.is_keyframe for access_unit in access_units] == [True, False]
    assert shows(access_units, [30, 90])


# Size


@pytest.mark.parametrize(
    ("size", "coded"), [((48, 64), (48, 64)), ((65, 33), (64, 32)), ((9, 200), (16, 200)), ((640, 4), (640, 16))]
)
async def test_a_frame_of_another_size_begins_a_new_video(
    painted: Painted, size: tuple[int, int], coded: tuple[int, int]
) -> None:
    pictures = aiter(painted)
    painted.paint(10)
    access_units = [await anext(pictures)]
    painted.paint(10, size=VideoSize(*size))
    access_units.append(await anext(pictures))
    assert access_units[1].is_keyframe
    assert NalUnitType.SPS in map(nal_unit_type, access_units[1].nal_units)
    assert [(seen.width, seen.height) for seen in decode(access_units)] == [(64, 48), coded]


@pytest.mark.parametrize(
    ("size", "coded"), [((1080, 2400), (72, 160)), ((2400, 1080), (160, 72)), ((90, 160), (90, 160))]
)
def test_frames_are_fitted_into_a_box(size: tuple[int, int], coded: tuple[int, int]) -> None:
    encoder = FrameEncoder(ENCODING, VideoSize(90, 160))
    access_unit = encoder.encode(frame(100, 0.0, size=VideoSize(*size)))
    assert access_unit is not None
    (seen,) = decode([access_unit])
    assert (seen.width, seen.height) == coded
    encoder.close()
    encoder.close()


# Colour


@pytest.mark.parametrize("number", SCREENCAP_FORMATS)
def test_colours_are_right_in_every_format(number: int) -> None:
    encoder = FrameEncoder(Encoding(bit_rate=50_000_000, frame_rate=30, preset="ultrafast"))
    access_unit = encoder.encode(frame(RED, 0.0, size=VideoSize(66, 34), pixel_format=SCREENCAP_FORMATS[number]))
    assert access_unit is not None
    (seen,) = decode([access_unit])
    planes = [int(np.frombuffer(memoryview(plane), np.uint8)[5 * plane.line_size + 7]) for plane in seen.planes]
    assert all(abs(sample - expected) <= 3 for sample, expected in zip(planes, (81, 90, 240), strict=True))
    encoder.close()


# Encoders that fail, and the pool


class Faulty:
    """libx264, of which the first ones do not code the pictures whose numbers are given."""

    def __init__(self, *failing: int, stuck: threading.Event | None = None) -> None:
        self.opened: list[VideoCoding] = []
        self.encoders: list[FaultyEncoder] = []
        self.pictures = 0
        self._failing = failing
        self._stuck = stuck

    def open(self, coding: VideoCoding) -> VideoEncoder:
        self.opened.append(coding)
        self.encoders.append(FaultyEncoder(self, H264Encoder.of(coding)))
        return self.encoders[-1]

    def meet_picture(self) -> None:
        self.pictures += 1
        if self.pictures in self._failing:
            if self._stuck is None:
                raise EncoderError(f"picture {self.pictures} failed")
            self._stuck.wait()


class FaultyEncoder:
    def __init__(self, faulty: Faulty, encoder: H264Encoder) -> None:
        self.name = "faulty"
        self.coding = encoder.coding
        self._faulty = faulty
        self._encoder = encoder

    def encode(self, frame: av.VideoFrame, captured_at: float, *, force_keyframe: bool = False) -> AccessUnit:
        self._faulty.meet_picture()
        return self._encoder.encode(frame, captured_at, force_keyframe=force_keyframe)

    def set_bit_rate(self, bit_rate: int) -> None:
        self._encoder.set_bit_rate(bit_rate)
        self.coding = self._encoder.coding

    def close(self) -> None:
        self._encoder.close()


@asynccontextmanager
async def painting(faulty: Faulty, pool: EncoderPool) -> AsyncIterator[Painted]:
    source = Painted(replace(FAST, open_encoder=faulty.open, pool=pool))
    source.start()
    async with asyncio.timeout(TIMEOUT):
        yield source
        await source.aclose()
        await pool.aclose()
    assert pool.lanes == ()


async def test_a_frame_that_an_encoder_failed_with_is_shown_by_the_next_one() -> None:
    faulty = Faulty(2, 4, 5)
    async with painting(faulty, EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)) as source:
        pictures = aiter(source)
        access_units = []
        for shade in (20, 90, 200):
            source.paint(shade)
            access_units.append(await anext(pictures))
        assert shows(access_units, [20, 90, 200])
        assert [access_unit.is_keyframe for access_unit in access_units] == [True] * 3
        assert len(faulty.opened) == 4
        assert (source.pictures, source.changes, source.dropped) == (3, 3, {"overtaken": 0})


async def test_a_keyframe_of_a_still_screen_comes_although_the_encoder_fails() -> None:
    async with painting(Faulty(2), EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)) as source:
        pictures = aiter(source)
        source.paint(90)
        access_units = [await anext(pictures)]
        source.request_keyframe()
        access_units.append(await anext(pictures))
        assert shows(access_units, [90, 90])
        assert access_units[1].is_keyframe


async def test_an_encoder_that_fails_again_and_again_ends_the_source() -> None:
    async with painting(Faulty(2, 3, 4), EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)) as source:
        pictures = aiter(source)
        source.paint(20)
        await anext(pictures)
        source.paint(90)
        with pytest.raises(SourceEnded, match="painted: picture 4 failed"):
            await anext(pictures)
        with pytest.raises(SourceEnded, match="painted: picture 4 failed"):
            await anext(aiter(source))


async def test_a_stuck_encoder_is_replaced_and_the_newest_frame_shown() -> None:
    gate = threading.Event()
    pool = EncoderPool(workers=1, input_limit=2, timeout=0.2)
    faulty = Faulty(2, stuck=gate)
    async with painting(faulty, pool) as source:
        pictures = aiter(source)
        source.paint(20)
        access_units = [await anext(pictures)]
        source.paint(90)
        following = asyncio.get_running_loop().create_task(anext(pictures))
        await until(lambda: faulty.pictures == 2)
        source.paint(200)
        access_units.append(await following)
        assert shows(access_units, [20, 200])
        assert access_units[1].is_keyframe
        assert source.dropped == {"overtaken": 0, "timed_out": 1}
        gate.set()
        await until(lambda: pool.abandoned == 0)


async def test_the_end_does_not_wait_for_a_stuck_encoder() -> None:
    gate = threading.Event()
    pool = EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)
    faulty = Faulty(1, stuck=gate)
    source = Painted(replace(FAST, open_encoder=faulty.open, pool=pool))
    source.start()
    source.paint(20)
    following = asyncio.get_running_loop().create_task(anext(aiter(source), None))
    await until(lambda: faulty.pictures == 1)
    await source.aclose()
    assert await following is None
    gate.set()
    await pool.aclose()


async def test_a_closed_pool_ends_the_source() -> None:
    pool = EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)
    await pool.aclose()
    source = Painted(replace(FAST, pool=pool))
    source.start()
    source.paint(1)
    with pytest.raises(SourceEnded, match="painted: the encoder pool is closed"):
        await anext(aiter(source))
    await source.aclose()


async def test_the_bit_rate_is_changed_without_a_new_encoder() -> None:
    faulty = Faulty()
    async with painting(faulty, EncoderPool(workers=1, input_limit=2, timeout=TIMEOUT)) as source:
        pictures = aiter(source)
        for shade, bit_rate in ((20, 50_000_000), (90, 1_000_000), (200, 2_000_000)):
            source.set_bit_rate(bit_rate)
            source.paint(shade)
            access_unit = await anext(pictures)
            assert access_unit.is_keyframe == (shade == 20)
            assert [encoder.coding.bit_rate for encoder in faulty.encoders] == [bit_rate]


def test_an_encoder_that_is_opened_later_has_the_new_bit_rate() -> None:
    faulty = Faulty()
    encoder = FrameEncoder(replace(ENCODING, open_encoder=faulty.open))
    encoder.set_bit_rate(300_000)
    encoder.encode(frame(1, 0.0))
    encoder.set_bit_rate(400_000)
    encoder.encode(frame(1, 0.0, size=VideoSize(48, 64)))
    assert [coding.bit_rate for coding in faulty.opened] == [300_000, 400_000]
    encoder.close()


# The end


async def test_what_ends_the_capture_comes_after_the_last_picture(painted: Painted) -> None:
    pictures = aiter(painted)
    painted.paint(10)
    painted.failure.set_exception(DeviceOffline("gone"))
    await asyncio.sleep(0)
    assert (await anext(pictures)).is_keyframe
    with pytest.raises(DeviceOffline, match="gone"):
        await anext(pictures)
    with pytest.raises(DeviceOffline, match="gone"):
        await anext(aiter(painted))


async def test_a_reader_that_waits_is_told_of_the_end(painted: Painted) -> None:
    waiting = asyncio.get_running_loop().create_task(anext(aiter(painted)))
    await asyncio.sleep(0)
    painted.failure.set_exception(DeviceOffline("gone"))
    with pytest.raises(DeviceOffline, match="gone"):
        await waiting


async def test_a_preset_that_libx264_does_not_know() -> None:
    source = Painted(Encoding(bit_rate=1_000_000, frame_rate=30, preset="warp"))
    source.start()
    source.paint(1)
    with pytest.raises(SourceEnded, match="painted: preset is 'warp'"):
        await anext(aiter(source))
    await source.aclose()


def test_a_bit_rate_that_no_encoder_takes() -> None:
    with pytest.raises(EncoderError, match="bit_rate is 5"):
        FrameEncoder(Encoding(bit_rate=5, frame_rate=30, preset="ultrafast")).encode(frame(1, 0.0))


def test_a_frame_rate_that_is_none() -> None:
    with pytest.raises(ValueError, match="frame_rate is 0: it must be 1 or more"):
        Encoding(bit_rate=1_000_000, frame_rate=0, preset="ultrafast")

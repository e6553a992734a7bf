"""The rawvideo source, against a phone whose every byte is decided here, and against the demo phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.strip import Strip, read_strip
from capture.encoded_source import Encoding
from capture.errors import AdbError, AdbTimeout, DeviceOffline, SourceEnded
from capture.input_events import Touch, TouchAction, VideoSize
from capture.rawvideo import ATTEMPTS, RawvideoSource, RawvideoTimes, open_rawvideo, raw_frames_command
from capture.shell_controller import ShellController
from capture.source import Source
from encoders.access_unit import AccessUnit
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.capture.adb.fake_recorder import FakePhone
from tests.capture.adb.fake_server import FakeAdbServer, fail, until_closed
from tests.capture.demo_phone.pictures import luma
from tests.capture.demo_phone_contract import DemoPhoneContract
from tests.capture.source_contract import TIMEOUT, decode, take
from tests.waiting import until

SERIAL = "127.0.0.1:5555"
TINY = VideoSize(32, 16)
TURNED = VideoSize(16, 32)
FRAME = TINY.width * TINY.height * 3

ENCODING = Encoding(bit_rate=2_000_000, frame_rate=60, preset="ultrafast")
FAST = Encoding(bit_rate=2_000_000, frame_rate=240, preset="ultrafast")
PATIENT = RawvideoTimes(short_life=0.0, first_delay=0.001)
MOST_MISSING = 5
"""Pictures that a phone may leave out because the machine has other things to do; none as a rule."""


def bare(shade: int) -> bytes:
    """A raw frame of one grey."""
    return bytes([shade]) * FRAME


def shades(access_units: list[AccessUnit]) -> list[int]:
    """The greys of pictures, each rounded to tens."""
    frames = decode(access_units)
    assert len(frames) == len(access_units)
    return [round((int(luma(frame)[8, 8]) - 16) * 255 / 219 / 10) * 10 for frame in frames]


def strips(access_units: list[AccessUnit]) -> list[Strip]:
    """What the demo phone's pictures say, every one decoded without an error."""
    frames = decode(access_units)
    assert len(frames) == len(access_units)
    return [read_strip(luma(frame)) for frame in frames]


def steps(access_units: list[AccessUnit]) -> list[int]:
    """From each picture's number to the next one's: 1 where none is missing."""
    return [after.frame_number - before.frame_number for before, after in pairwise(strips(access_units))]


@asynccontextmanager
async def recording(
    client: AdbClient,
    serial: str,
    times: RawvideoTimes = PATIENT,
    *,
    size: VideoSize = TINY,
    encoding: Encoding = FAST,
    is_raw: bool = False,
) -> AsyncIterator[RawvideoSource]:
    source = RawvideoSource(client, serial, size=size, encoding=encoding, is_raw=is_raw, times=times)
    source.start()
    try:
        async with asyncio.timeout(TIMEOUT):
            yield source
    finally:
        await source.aclose()


@pytest.fixture
def phone(fake_adb: FakeAdbServer) -> FakePhone:
    return FakePhone(fake_adb)


@pytest.fixture
def client(fake_adb: FakeAdbServer) -> AdbClient:
    return AdbClient(port=fake_adb.port, command_timeout=5.0)


# Frames out of a pipe


@pytest.mark.parametrize("is_raw", [False, True])
async def test_each_frame_is_a_picture_as_soon_as_it_is_whole(
    phone: FakePhone, client: AdbClient, is_raw: bool
) -> None:
    async with recording(client, SERIAL, is_raw=is_raw) as source:
        recorder = await phone.recorder(1)
        assert recorder.is_raw == is_raw
        recorder.send(bare(50))
        access_units = [await anext(source)]
        recorder.send(bare(100)[:100])
        recorder.send(bare(100)[100:])
        access_units.append(await anext(source))
        recorder.send(bare(150) + bare(200))
        while shades(access_units)[-1] != 200:
            access_units.append(await anext(source))
        assert shades(access_units)[:2] == [50, 100]
        assert [access_unit.is_keyframe for access_unit in access_units][:2] == [True, False]
        assert phone.adb.asked[-1].endswith("screenrecord --output-format=raw-frames --size 32x16 -")


async def test_a_frame_that_is_cut_off_is_not_seen(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        access_units = []
        for number in range(1, 6):
            recorder = await phone.recorder(number)
            recorder.send(bare(10 * number))
            access_units.append(await anext(source))
            recorder.send(bare(250)[: 100 * number])
            recorder.end()
        assert shades(access_units) == [10, 20, 30, 40, 50]
        assert [access_unit.is_keyframe for access_unit in access_units] == [True, False, False, False, False]


@pytest.mark.parametrize(("is_raw", "exit_code"), [(False, 2), (True, 0)])
async def test_a_recorder_that_does_not_know_raw_frames(
    phone: FakePhone, client: AdbClient, is_raw: bool, exit_code: int
) -> None:
    async with recording(client, SERIAL, is_raw=is_raw) as source:
        for number in range(1, ATTEMPTS + 1):
            recorder = await phone.recorder(number)
            recorder.complain(b"Unknown format 'raw-frames'\n")
            recorder.end(exit_code)
        with pytest.raises(SourceEnded, match=rf"{ATTEMPTS} times in a row: Unknown format 'raw-frames'"):
            await anext(source)


async def test_a_recorder_that_ends_without_a_word(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        for number in range(1, ATTEMPTS + 1):
            recorder = await phone.recorder(number)
            recorder.send(b"\xff" * 40)
            recorder.end(134)
        with pytest.raises(SourceEnded, match="exit code 134"):
            await anext(source)


async def test_bytes_that_are_not_the_shell_protocol(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        for number in range(1, ATTEMPTS + 1):
            (await phone.recorder(number)).writer.write(b"\x63what is this")
        with pytest.raises(SourceEnded, match="a shell packet has the id 99"):
            await anext(source)


async def test_a_warning_beside_the_frames_does_no_harm(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        recorder = await phone.recorder(1)
        recorder.complain(b"WARNING: something\n")
        recorder.send(bare(70))
        assert shades([await anext(source)]) == [70]


# One stream out of many recorders


async def test_the_next_recorder_begins_before_the_old_one_ends(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL, RawvideoTimes(renew_after=0.01)) as source:
        old = await phone.recorder(1)
        old.send(bare(10))
        access_units = [await anext(source)]
        new = await phone.recorder(2)
        old.send(bare(20))
        access_units.append(await anext(source))
        assert not old.closed.is_set()
        new.send(bare(30))
        access_units.append(await anext(source))
        async with asyncio.timeout(TIMEOUT):
            await old.closed.wait()
        assert shades(access_units) == [10, 20, 30]
        assert [access_unit.is_keyframe for access_unit in access_units] == [True, False, False]


async def test_a_renewed_recorder_of_a_still_screen_costs_no_picture(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL, RawvideoTimes(renew_after=0.001)) as source:
        following = asyncio.get_running_loop().create_task(take(source, 2))
        for number in range(1, 6):
            (await phone.recorder(number)).send(bare(10))
        (await phone.recorder(6)).send(bare(90))
        assert shades(await following) == [10, 90]
        assert source.pictures == 2


async def test_a_silent_recorder_is_replaced(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL, RawvideoTimes(longest_silence=0.02)) as source:
        (await phone.recorder(1)).send(bare(10))
        access_units = [await anext(source)]
        (await phone.recorder(2)).send(bare(20))
        access_units.append(await anext(source))
        assert shades(access_units) == [10, 20]


async def test_a_replacement_that_has_nothing_to_show_changes_nothing(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL, RawvideoTimes(longest_silence=0.02, first_frame=0.02)) as source:
        live = await phone.recorder(1)
        live.send(bare(10))
        access_units = [await anext(source)]
        for number in range(2, ATTEMPTS + 4):
            async with asyncio.timeout(TIMEOUT):
                await (await phone.recorder(number)).closed.wait()
        assert not live.closed.is_set()
        live.send(bare(20))
        access_units.append(await anext(source))
        assert shades(access_units) == [10, 20]


async def test_recorders_without_a_frame(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL, RawvideoTimes(first_frame=0.02, first_delay=0.001)) as source:
        with pytest.raises(SourceEnded, match=r"no frame within 0\.02 s"):
            await anext(source)
        assert source.recorders == ATTEMPTS


async def test_a_phone_with_room_for_one_recorder_only(phone: FakePhone, client: AdbClient) -> None:
    times = RawvideoTimes(renew_after=0.01, first_delay=0.001, longest_delay=0.001)
    async with recording(client, SERIAL, times) as source:
        live = await phone.recorder(1)
        live.send(bare(10))
        access_units = [await anext(source)]
        for number in range(2, ATTEMPTS + 4):
            refused = await phone.recorder(number)
            refused.complain(b"no room\n")
            refused.end(1)
        live.send(bare(20))
        access_units.append(await anext(source))
        assert shades(access_units) == [10, 20]


# Rotation


async def test_another_size_is_another_video(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        old = await phone.recorder(1)
        old.send(bare(10))
        access_units = [await anext(source)]
        source.use_size(TURNED)
        new = await phone.recorder(2)
        assert "--size 16x32" in phone.adb.asked[-1]
        old.send(bare(20))
        access_units.append(await anext(source))
        new.send(bare(30))
        access_units.append(await anext(source))
        assert [access_unit.is_keyframe for access_unit in access_units] == [True, False, True]
        assert [(frame.width, frame.height) for frame in decode(access_units)] == [(32, 16), (32, 16), (16, 32)]


async def test_a_screen_that_is_turned_while_a_recorder_starts(phone: FakePhone, client: AdbClient) -> None:
    async with recording(client, SERIAL) as source:
        first = await phone.recorder(1)
        source.use_size(TURNED)
        second = await phone.recorder(2)
        async with asyncio.timeout(TIMEOUT):
            await first.closed.wait()
        source.use_size(TINY)
        (await phone.recorder(3)).send(bare(30))
        (frame,) = decode([await anext(source)])
        assert (frame.width, frame.height) == (32, 16)
        async with asyncio.timeout(TIMEOUT):
            await second.closed.wait()


@pytest.mark.parametrize("size", [VideoSize(0, 16), VideoSize(16, -2)])
async def test_a_size_that_is_none(client: AdbClient, size: VideoSize) -> None:
    with pytest.raises(ValueError, match=f"a video of {size.width}x{size.height} is impossible"):
        RawvideoSource(client, SERIAL, size=size, encoding=ENCODING)
    source = RawvideoSource(client, SERIAL, size=TINY, encoding=ENCODING)
    with pytest.raises(ValueError, match="is impossible"):
        source.use_size(size)
    await source.aclose()


def test_the_command_line() -> None:
    assert raw_frames_command(VideoSize(720, 1280)) == "screenrecord --output-format=raw-frames --size 720x1280 -"


# A device that is gone, or hangs


async def test_a_device_that_is_offline(phone: FakePhone, client: AdbClient) -> None:
    phone.adb.on("shell,v2,raw:exec screenrecord", fail(b"device offline"))
    async with recording(client, SERIAL) as source:
        with pytest.raises(DeviceOffline, match="offline"):
            await anext(source)


async def test_a_device_that_does_not_answer_any_more(phone: FakePhone, fake_adb: FakeAdbServer) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await until_closed(reader)

    client = AdbClient(port=fake_adb.port, command_timeout=0.1)
    async with recording(client, SERIAL, RawvideoTimes(longest_silence=0.05)) as source:
        (await phone.recorder(1)).send(bare(10))
        await anext(source)
        phone.adb.on("shell,v2,raw:exec screenrecord", hang)
        with pytest.raises(AdbTimeout, match=SERIAL):
            await anext(source)


async def test_closing_while_the_device_does_not_answer(phone: FakePhone, client: AdbClient) -> None:
    asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await until_closed(reader)

    phone.adb.on("shell,v2,raw:exec screenrecord", hang)
    async with recording(client, SERIAL) as source:
        await asked.wait()
        await source.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(source)


# The demo phone, through the real adb

SCREEN = VideoSize(SMALL.width, SMALL.height)


async def until_no_recorder_is_left(phone: DemoPhone) -> None:
    await until(lambda: not phone.recorders)


@pytest.mark.adb
class TestContract(DemoPhoneContract):
    @pytest.fixture
    async def source(self, adb_client: AdbClient) -> AsyncIterator[Source]:
        async with connected_phone(adb_client) as phone:
            source = await open_rawvideo(
                adb_client, phone.address, size=VideoSize(180, 320), encoding=ENCODING, has_limit=True
            )
            yield source
            await source.aclose()
            await until_no_recorder_is_left(phone)


@pytest.mark.adb
@pytest.mark.parametrize("is_raw", [False, True], ids=["shell-v2", "exec"])
async def test_every_picture_of_a_phone_without_an_encoder(adb_client: AdbClient, is_raw: bool) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.no_encoder = True
        async with recording(adb_client, phone.address, size=SCREEN, is_raw=is_raw) as source:
            access_units = await take(source, 30)
            assert sum(step - 1 for step in steps(access_units)) <= source.dropped["overtaken"] + MOST_MISSING
            assert all(step > 0 for step in steps(access_units))
            assert phone.recorders == 1
        await until_no_recorder_is_left(phone)


@pytest.mark.adb
async def test_recorders_are_replaced_without_a_gap(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        times = RawvideoTimes(renew_after=0.3)
        async with recording(adb_client, phone.address, times, size=SCREEN, encoding=ENCODING) as source:
            access_units = []
            async for access_unit in source:
                access_units.append(access_unit)
                if source.recorders > 4:
                    break
            assert all(0 < step <= 1 + MOST_MISSING + source.dropped["overtaken"] for step in steps(access_units))
            assert sum(access_unit.is_keyframe for access_unit in access_units) == 1


@pytest.mark.adb
async def test_recorders_that_end_or_are_killed_are_followed_by_others(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.time_limit = 0.3  # Some vendors' recorders have one for raw frames too.
        times = RawvideoTimes(short_life=0.05)
        async with recording(adb_client, phone.address, times, size=SCREEN, encoding=ENCODING) as source:
            access_units = []
            async for access_unit in source:
                access_units.append(access_unit)
                if source.recorders == 3:
                    phone.faults.time_limit = None
                    await adb_client.shell(phone.address, command_line(["pkill", "-SIGKILL", "screenrecord"]))
                elif source.recorders > 3:
                    break
            access_units += [await anext(source) for _ in range(3)]
            assert all(step > 0 for step in steps(access_units))
            assert sum(access_unit.is_keyframe for access_unit in access_units) == 1


@pytest.mark.adb
async def test_a_still_screen_costs_nothing_and_every_change_is_seen(adb_client: AdbClient) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=True)
    times = RawvideoTimes(renew_after=0.1)
    async with (
        connected_phone(adb_client, spec) as phone,
        recording(adb_client, phone.address, times, size=SCREEN) as source,
    ):
        pictures = aiter(source)
        access_units = [await anext(pictures)]
        following = asyncio.get_running_loop().create_task(anext(pictures))
        await until(lambda: source.still_frames >= 3)
        assert source.pictures == 1
        assert not following.done()
        controller = ShellController(adb_client, phone.address)
        await controller.inject(Touch(TouchAction.TAP, 90, 160, VideoSize(180, 320)))
        access_units.append(await following)
        for touches in (1, 2):
            while strips(access_units)[-1].touches < touches:
                access_units.append(await anext(pictures))
            await controller.inject(Touch(TouchAction.TAP, 90, 160, VideoSize(180, 320)))
        await controller.aclose()


@pytest.mark.adb
async def test_a_turned_screen(adb_client: AdbClient) -> None:
    async with (
        connected_phone(adb_client) as phone,
        recording(adb_client, phone.address, size=SCREEN, encoding=ENCODING) as source,
    ):
        access_units = await take(source, 5)
        phone.rotate(1)
        source.use_size(VideoSize(SMALL.height, SMALL.width))
        seen = []
        async for access_unit in source:
            seen.append(access_unit)
            if sum(each.is_keyframe for each in seen) == 2:  # The first one is the new iteration's.
                break
        turned = decode(seen)[-1]
        assert (turned.width, turned.height) == (SMALL.height, SMALL.width)
        assert read_strip(luma(turned)).frame_number > strips(access_units)[-1].frame_number


@pytest.mark.adb
async def test_a_phone_that_hangs(adb_client: AdbClient) -> None:
    hasty = AdbClient(port=adb_client.port, command_timeout=0.3)
    async with connected_phone(adb_client) as phone:
        async with recording(hasty, phone.address, RawvideoTimes(longest_silence=0.2), size=SCREEN) as source:
            await anext(source)
            phone.faults.hangs = True
            with pytest.raises(AdbTimeout, match=phone.address):
                await take(source, 1000)
        phone.faults.hangs = False
        await until_no_recorder_is_left(phone)


@pytest.mark.adb
async def test_a_phone_that_is_gone(adb_client: AdbClient) -> None:
    async with (
        connected_phone(adb_client) as phone,
        recording(adb_client, phone.address, size=SCREEN) as source,
    ):
        await anext(source)
        await phone.go_offline()
        with pytest.raises(AdbError, match=phone.address):
            await take(source, 1000)


@pytest.mark.adb
@pytest.mark.parametrize("still", [False, True])
async def test_closing_leaves_no_recorder_on_the_phone(adb_client: AdbClient, still: bool) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=still, sdk=34)
    async with connected_phone(adb_client, spec) as phone:
        source = await open_rawvideo(
            adb_client, phone.address, size=VideoSize(180, 320), encoding=ENCODING, has_limit=False
        )
        async with asyncio.timeout(TIMEOUT):
            (frame,) = decode([await anext(source)])
        assert (frame.width, frame.height) == (180, 320)
        assert phone.recorders == 1
        await source.aclose()
        await until_no_recorder_is_left(phone)

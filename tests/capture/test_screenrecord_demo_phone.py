"""The screenrecord source on the demo phone, through the real adb."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest
from av.video.frame import PictureType

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import MotionEvent
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.strip import Strip, read_strip
from capture.errors import DeviceNotFound, DeviceOffline, SourceEnded
from capture.input_events import Touch, TouchAction, VideoSize
from capture.recording_schedule import RecordingTimes
from capture.screenrecord import ScreenrecordSource, open_screenrecord
from capture.shell_controller import ShellController
from capture.source import Source
from encoders.access_unit import AccessUnit
from encoders.annexb import picture_nal_units
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.capture.adb.tee import Tee
from tests.capture.demo_phone_contract import DemoPhoneContract
from tests.capture.source_contract import TIMEOUT, decode, take
from tests.fixtures.adb import RunningAdb
from tests.waiting import until

pytestmark = pytest.mark.adb

BIT_RATE = 1_000_000
MOST_MISSING, MOST_TWICE = 15, 3
"""Pictures, where two recorders meet, on a machine that has other things to do; one or two as a rule."""


def strips(access_units: list[AccessUnit]) -> list[Strip]:
    """What the pictures say, every one decoded without an error."""
    frames = decode(access_units)
    assert len(frames) == len(access_units)
    return [read_strip(frame.to_ndarray(format="gray").astype(np.uint8)) for frame in frames]


def is_one_stream(access_units: list[AccessUnit]) -> bool:
    """Whether the pictures go on where two recorders meet: some may be missing, or shown by both."""
    numbers = [strip.frame_number for strip in strips(access_units)]
    return all(-MOST_TWICE < after - before <= MOST_MISSING + 1 for before, after in pairwise(numbers))


async def until_no_recorder_is_left(phone: DemoPhone) -> None:
    await until(lambda: not phone.recorders)


@asynccontextmanager
async def recording(
    client: AdbClient,
    phone: DemoPhone,
    times: RecordingTimes,
    *,
    is_raw: bool = False,
    size: VideoSize | None = None,
) -> AsyncIterator[ScreenrecordSource]:
    """A source with times of its own; the phone must have no recorder left after it."""
    source = ScreenrecordSource(
        client, phone.address, size=size, bit_rate=BIT_RATE, reason="a test", is_raw=is_raw, times=times
    )
    source.start()
    try:
        async with asyncio.timeout(TIMEOUT):
            yield source
    finally:
        await source.aclose()
    await until_no_recorder_is_left(phone)


async def take_while_recorders(source: ScreenrecordSource, most: int, pictures: int) -> list[AccessUnit]:
    """Pictures until so many have come after the start of the recorder number `most`."""
    taken = []
    left = pictures
    async for access_unit in source:
        taken.append(access_unit)
        if source.recorders >= most:
            left -= 1
        if not left:
            break
    return taken


class TestContract(DemoPhoneContract):
    @pytest.fixture
    async def source(self, adb_client: AdbClient) -> AsyncIterator[Source]:
        async with (
            connected_phone(adb_client) as phone,
            recording(adb_client, phone, RecordingTimes(keyframe_interval=0.1, short_life=0.0)) as source,
        ):
            yield source


@pytest.mark.parametrize("is_raw", [False, True], ids=["shell-v2", "exec"])
async def test_a_recorder_that_ends_at_its_limit_is_followed_without_a_fault(
    adb_client: AdbClient, is_raw: bool
) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.time_limit = 0.6
        async with recording(adb_client, phone, RecordingTimes(short_life=0.3), is_raw=is_raw) as source:
            access_units = await take_while_recorders(source, 4, 5)
            assert sum(access_unit.is_keyframe for access_unit in access_units) == 4
            assert is_one_stream(access_units)
            assert source.dropped == {"slow_reader": 0}


async def test_a_recorder_is_replaced_before_its_limit(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        most = 0
        async with recording(adb_client, phone, RecordingTimes(renew_after=0.4)) as source:
            access_units = []
            async for access_unit in source:
                access_units.append(access_unit)
                most = max(most, phone.recorders)
                if sum(access_unit.is_keyframe for access_unit in access_units) == 4:
                    break
            assert is_one_stream(access_units)
            assert most == 2


async def test_a_killed_recorder_is_followed_by_another(adb_client: AdbClient) -> None:
    async with (
        connected_phone(adb_client) as phone,
        recording(adb_client, phone, RecordingTimes(short_life=0.1)) as source,
    ):
        access_units = await take_while_recorders(source, 1, 10)
        for signal in ("-SIGINT", "-SIGKILL"):
            await adb_client.shell(phone.address, command_line(["pkill", signal, "screenrecord"]), check=True)
            access_units += await take_while_recorders(source, source.recorders + 1, 10)
    assert sum(access_unit.is_keyframe for access_unit in access_units) == 3
    assert is_one_stream(access_units)


async def test_an_encoder_that_crashes_is_started_again(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.crash_after = 12
        async with recording(adb_client, phone, RecordingTimes(short_life=0.1)) as source:
            assert is_one_stream(await take_while_recorders(source, 4, 5))


async def test_a_keyframe_request_brings_one(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        times = RecordingTimes(keyframe_interval=0.1)
        async with recording(adb_client, phone, times) as source:
            pictures = aiter(source)
            access_units = [await anext(pictures) for _ in range(5)]
            source.request_keyframe()
            while sum(access_unit.is_keyframe for access_unit in access_units) < 2:
                access_units.append(await anext(pictures))
            assert is_one_stream(access_units)


async def test_the_last_picture_before_a_still_screen_is_seen(adb_client: AdbClient) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=True)
    async with connected_phone(adb_client, spec) as phone, recording(adb_client, phone, RecordingTimes()) as source:
        controller = ShellController(adb_client, phone.address)
        pictures = aiter(source)
        access_units = [await anext(pictures)]
        for touches in range(1, 4):
            await controller.inject(Touch(TouchAction.TAP, 90, 160, VideoSize(180, 320)))
            while strips(access_units)[-1].touches < touches:
                access_units.append(await anext(pictures))
        await controller.aclose()
        assert {(event.x, event.y) for event in phone.input_log if isinstance(event, MotionEvent)} == {(180.0, 320.0)}


@pytest.mark.parametrize("still", [False, True])
@pytest.mark.parametrize("sdk", [33, 34])
async def test_closing_leaves_no_recorder_on_the_phone(adb_client: AdbClient, still: bool, sdk: int) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=still, sdk=sdk)
    async with connected_phone(adb_client, spec) as phone:
        source = await open_screenrecord(adb_client, phone.address, size=VideoSize(180, 320), bit_rate=BIT_RATE)
        async with asyncio.timeout(TIMEOUT):
            (frame,) = decode([await anext(source)])
        assert (frame.width, frame.height) == (180, 320)
        assert phone.recorders == 1
        assert str(sdk) in source.facts.reason
        await source.aclose()
        await until_no_recorder_is_left(phone)


async def test_a_phone_whose_encoder_fails(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.encoder_fails = True
        async with recording(adb_client, phone, RecordingTimes(first_delay=0.001)) as source:
            with pytest.raises(SourceEnded, match="ERROR: unable to configure video/avc codec"):
                await anext(source)


async def test_a_phone_that_is_gone(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone, recording(adb_client, phone, RecordingTimes()) as source:
        await anext(source)
        await phone.go_offline()
        with pytest.raises((DeviceOffline, DeviceNotFound), match=phone.address):
            await take(source, 1000)


async def test_nothing_is_lost_and_nothing_is_cut(adb_server: RunningAdb) -> None:
    async with Tee.run(adb_server.port) as tee:
        client = AdbClient(port=tee.port)
        async with connected_phone(client) as phone:
            phone.faults.time_limit = 1.5
            async with recording(client, phone, RecordingTimes()) as source:
                access_units = await take_while_recorders(source, 2, 1)
                (first, *_) = tee.asking(b"exec screenrecord")
                await until(lambda: first.is_over)
                output = first.shell_output()
    of_first = access_units[:-1]
    assert [nal for unit in of_first for nal in unit.nal_units] == list(picture_nal_units(output))
    assert len(decode(of_first)) == len(decode_stream(output)) == len(of_first) >= 10


def decode_stream(data: bytes) -> list[av.VideoFrame]:
    """The pictures of a byte stream, cut by FFmpeg's own parser."""
    with av.open(io.BytesIO(data), "r", format="h264") as container:
        return list(container.decode(video=0))


async def test_a_planned_renewal_shows_at_most_one_picture_twice(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        async with recording(adb_client, phone, RecordingTimes(renew_after=0.3)) as source:
            access_units = await take_while_recorders(source, 5, 3)
        numbers = [strip.frame_number for strip in strips(access_units)]
        assert sum(after <= before for before, after in pairwise(numbers)) <= source.recorders - 1
        assert is_one_stream(access_units)


async def test_a_turned_phone(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        async with recording(adb_client, phone, RecordingTimes(), size=VideoSize(360, 640)) as source:
            pictures = aiter(source)
            access_units = [await anext(pictures) for _ in range(5)]
            phone.rotate(1)
            source.use_size(VideoSize(640, 360))
            while source.recorders < 2 or not access_units[-1].is_keyframe:
                access_units.append(await anext(pictures))
            access_units += [await anext(pictures) for _ in range(5)]
        frames = decode(access_units)
        assert len(frames) == len(access_units)
        assert {(frame.width, frame.height) for frame in frames[:5]} == {(360, 640)}
        assert {(frame.width, frame.height) for frame in frames[-6:]} == {(640, 360)}
        numbers = [read_strip(frame.to_ndarray(format="gray").astype(np.uint8)).frame_number for frame in frames[-6:]]
        assert numbers == sorted(numbers)


async def test_an_encoder_that_takes_small_videos_only(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client, PhoneSpec()) as phone:
        phone.faults.largest_video = 1000
        async with recording(adb_client, phone, RecordingTimes(), size=VideoSize(720, 1280)) as source:
            (frame,) = decode([await anext(source)])
            assert (frame.width, frame.height) == (450, 800)
            assert source.facts.reason == "a test; 450x800 because the encoder refuses 720x1280"


async def test_a_phone_without_an_encoder(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.no_encoder = True
        async with recording(adb_client, phone, RecordingTimes(first_delay=0.001)) as source:
            with pytest.raises(SourceEnded, match="unable to create video/avc codec instance"):
                await anext(source)


@pytest.mark.parametrize("is_raw", [False, True], ids=["shell-v2", "exec"])
async def test_words_among_the_pictures(adb_client: AdbClient, is_raw: bool) -> None:
    async with connected_phone(adb_client, replace(SMALL, frame_rate=60)) as phone:
        phone.faults.prints_text = "W/libc: deprecated\n"
        async with recording(adb_client, phone, RecordingTimes(), is_raw=is_raw) as source:
            access_units = await take(source, 65)
            assert is_one_stream(access_units)
            assert source.recorders == 1
            assert source.facts.reason == "a test; it prints into its pictures: 'W/libc: deprecated'"


async def test_another_video_format_in_the_middle(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.sps_changes_after = 6
        async with recording(adb_client, phone, RecordingTimes()) as source:
            access_units = await take(source, 12)
            frames = decode(access_units)
            assert [frame.width for frame in frames] == 6 * [360] + 6 * [180]
            assert [number for number, unit in enumerate(access_units) if unit.is_keyframe] == [0, 6]
            assert source.recorders == 1


async def test_reordered_pictures_are_passed_on_as_they_are(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.b_frames = True
        async with recording(adb_client, phone, RecordingTimes()) as source:
            access_units = await take(source, 20)
            frames = decode(access_units)
            assert len(frames) == 20
            assert any(frame.pict_type == PictureType.B for frame in frames)
            assert source.recorders == 1


async def test_recorders_that_hang_are_healed(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.hang_after = 8
        times = RecordingTimes(silence=0.3, short_life=0.1)
        async with recording(adb_client, phone, times) as source:
            access_units = await take(source, 24)
            assert len(decode(access_units)) == 24
            assert source.recorders == 3
            assert phone.recorders <= 2


async def test_a_still_screen_is_not_taken_for_a_failure(adb_client: AdbClient) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=True)
    async with (
        connected_phone(adb_client, spec) as phone,
        recording(adb_client, phone, RecordingTimes(silence=0.05)) as source,
    ):
        access_units = await take(source, 4)
        assert all(access_unit.is_keyframe for access_unit in access_units)
        assert source.recorders >= 4

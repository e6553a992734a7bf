"""The scrcpy source against the demo phone's server, over the real adb."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import MotionEvent
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.scrcpy.jar import make_jar
from capture.errors import DeviceNotFound, DeviceOffline, SourceEnded
from capture.input_events import Touch, TouchAction, VideoSize
from capture.scrcpy import ScrcpyServer, ScrcpySource, open_scrcpy, parse_version
from capture.source import Source
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket
from encoders.h264 import NalUnitType, nal_unit_type, parse_sps
from encoders.opus import packet_duration
from encoders.sound_format import SoundFormat
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.source_contract import TIMEOUT, SourceContract, decode, take
from tests.waiting import until

pytestmark = pytest.mark.adb

VERSIONS = ["3.3.4", "4.1"]
SMALL_SIZE = VideoSize(360, 640)
BOTH = pytest.mark.parametrize("version", VERSIONS)


def make_server(folder: Path, version: str, *, jar_version: str = "") -> ScrcpyServer:
    path = folder / f"scrcpy-server-v{version}"
    path.write_bytes(make_jar(jar_version or version))
    return ScrcpyServer(path, parse_version(version))


async def open_source(
    client: AdbClient, phone: DemoPhone, server: ScrcpyServer, *, audio: bool = False
) -> ScrcpySource:
    return await open_scrcpy(
        client,
        phone.address,
        server,
        max_size=0,
        bit_rate=1_000_000,
        frame_rate=30,
        sound=SoundFormat() if audio else None,
    )


@asynccontextmanager
async def capturing(
    client: AdbClient, phone: DemoPhone, server: ScrcpyServer, *, audio: bool = False
) -> AsyncIterator[ScrcpySource]:
    """A source for the duration of the block; nothing may be left on the phone after it."""
    source = await open_source(client, phone, server, audio=audio)
    try:
        yield source
    finally:
        await source.aclose()
        await until(lambda: is_clean(phone))


def is_clean(phone: DemoPhone) -> bool:
    """Whether no server is left, and no socket of one."""
    return not list(phone.processes) and not phone.sockets


@pytest.fixture
async def phone(adb_client: AdbClient) -> AsyncIterator[DemoPhone]:
    async with connected_phone(adb_client) as connected:
        yield connected


def video_size(access_unit: AccessUnit) -> VideoSize:
    sps = next(parse_sps(nal) for nal in access_unit.nal_units if nal_unit_type(nal) is NalUnitType.SPS)
    return VideoSize(sps.width, sps.height)


async def until_end(source: Source) -> list[AccessUnit]:
    async with asyncio.timeout(TIMEOUT):
        return [access_unit async for access_unit in source]


class _Contract(SourceContract):
    version: ClassVar[str]

    @pytest.fixture
    async def source(self, adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> AsyncIterator[Source]:
        async with capturing(adb_client, phone, make_server(tmp_path, self.version), audio=True) as source:
            yield source


class TestVersion3(_Contract):
    version = "3.3.4"


class TestVersion4(_Contract):
    version = "4.1"


@BOTH
async def test_what_it_says_of_itself(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        assert source.facts.kind == "scrcpy"
        assert f"scrcpy's server {version}" in source.facts.reason
        assert source.facts.keyframe_on_demand
        assert not source.facts.has_audio
        assert source.device_name == phone.spec.model
        assert source.controller is not None


@BOTH
async def test_a_turned_phone_goes_on_in_the_same_stream(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        access_units = await take(source, 3)
        assert video_size(access_units[0]) == SMALL_SIZE
        phone.rotate(1)
        async with asyncio.timeout(TIMEOUT):
            async for access_unit in source:
                access_units.append(access_unit)
                if access_unit.is_keyframe and video_size(access_unit) == VideoSize(640, 360):
                    break
            controller = source.controller
            assert controller is not None
            await controller.inject(Touch(TouchAction.TAP, 639, 0, VideoSize(640, 360)))
            await until(lambda: len(phone.input_log) >= 2)
        assert [(touch.x, touch.y) for touch in phone.input_log if isinstance(touch, MotionEvent)] == [(639, 0)] * 2
    times = [access_unit.captured_at for access_unit in access_units]
    assert times == sorted(times)
    assert {(frame.width, frame.height) for frame in decode(access_units)} == {(360, 640), (640, 360)}


@BOTH
async def test_sound_comes_in_time_with_the_pictures(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    packets: list[AudioPacket] = []
    async with capturing(adb_client, phone, make_server(tmp_path, version), audio=True) as source:
        assert source.facts.has_audio
        source.on_audio = packets.append
        pictures = await take(source, 30)
    assert len(packets) >= 10
    assert all(packet.duration == packet_duration(packet.data) for packet in packets)
    times = [packet.captured_at for packet in packets]
    assert times == sorted(times)
    # Sound and pictures of the same second have the times of the same second.
    assert abs(times[-1] - pictures[-1].captured_at) < 0.5
    assert source.dropped == {"slow_reader": 0, "no_keyframe": 0}


@BOTH
async def test_a_phone_without_an_opus_encoder_gives_raw_sound(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    phone.faults.no_opus = True
    packets: list[AudioPacket] = []
    async with capturing(adb_client, phone, make_server(tmp_path, version), audio=True) as source:
        assert source.facts.has_audio
        source.on_audio = packets.append
        await take(source, 1)
        await until(lambda: len(packets) >= 10)
    assert {packet.duration for packet in packets} == {0.02}


@BOTH
async def test_a_phone_too_old_for_sound_is_shown_without(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    async with (
        connected_phone(adb_client, PhoneSpec(width=360, height=640, sdk=29)) as phone,
        capturing(adb_client, phone, make_server(tmp_path, version), audio=True) as source,
    ):
        assert not source.facts.has_audio
        assert len(decode(await take(source, 5))) == 5


@BOTH
async def test_the_times_are_the_phones_own(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    """The reader was away for a while: what it gets then has the distances at which it was captured."""
    async with (
        connected_phone(adb_client) as phone,
        capturing(adb_client, phone, make_server(tmp_path, version)) as source,
    ):
        await take(source, 2)
        async with asyncio.timeout(TIMEOUT):
            while True:
                access_units = await take(source, 10)
                steps = [b.captured_at - a.captured_at for a, b in itertools.pairwise(access_units)]
                if all(0.02 < step < 0.05 for step in steps[1:]):  # 30 pictures per second
                    break


@BOTH
async def test_the_first_keyframe_is_not_asked_for(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        assert [access_unit.is_keyframe for access_unit in await take(source, 8)] == [True] + [False] * 7


@BOTH
async def test_a_still_screen_gives_a_keyframe_on_demand(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    still = PhoneSpec(width=360, height=640, still=True)
    async with (
        connected_phone(adb_client, still) as phone,
        capturing(adb_client, phone, make_server(tmp_path, version)) as source,
    ):
        for _ in range(3):
            first, *_ = await take(source, 1)
            assert len(decode([first])) == 1


@BOTH
async def test_many_keyframes_asked_for_at_once_reset_the_encoder_once(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        await take(source, 3)
        for _ in range(50):
            source.request_keyframe()
        keyframes = sum(access_unit.is_keyframe for access_unit in await take(source, 12))
        assert keyframes == 1


@BOTH
async def test_a_slow_reader_gets_a_keyframe_and_then_live_pictures(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        pictures = aiter(source)
        async with asyncio.timeout(TIMEOUT):
            first = await anext(pictures)
            await until(lambda: source.dropped["slow_reader"] >= 3, timeout=TIMEOUT)
            received = [first]
            while not (received[-1].is_keyframe and len(received) > 10):
                received.append(await anext(pictures))
        assert len(decode(received)) == len(received)


@BOTH
async def test_a_killed_server_ends_the_source(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    async with capturing(adb_client, phone, make_server(tmp_path, version), audio=True) as source:
        await take(source, 3)
        await adb_client.shell(phone.address, command_line(["pkill", "-9", "app_process"]))
        with pytest.raises(SourceEnded, match=rf"scrcpy's server {version} on '.*' ended: .*exit code 137"):
            await until_end(source)
        with pytest.raises(SourceEnded, match="exit code 137"):
            await until_end(source)


@BOTH
@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("scrcpy_dies_after", "Failed to allocate a 8294416 byte allocation"),
        ("scrcpy_truncates_after", "in the middle of a packet"),
        ("scrcpy_oversizes_after", "announced a picture of 2147483647 bytes: 1 to 8388608 are allowed"),
    ],
)
async def test_a_broken_stream_ends_the_source(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str, fault: str, complaint: str
) -> None:
    setattr(phone.faults, fault, 5)
    async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
        with pytest.raises(SourceEnded, match=complaint):
            await until_end(source)


@pytest.mark.parametrize(("version", "other"), [("3.3.4", "4.1"), ("4.1", "3.3.4")])
async def test_a_jar_of_another_version_is_told_in_the_servers_words(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str, other: str
) -> None:
    words = rf"The server version \({other}\) does not match the client \({version}\)"
    with pytest.raises(SourceEnded, match=words):
        await open_source(adb_client, phone, make_server(tmp_path, version, jar_version=other))
    await until(lambda: is_clean(phone))


async def test_a_jar_that_is_none_is_told(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    path = tmp_path / "jar"
    with pytest.raises(SourceEnded, match="cannot be read: No such file or directory"):
        await open_source(adb_client, phone, ScrcpyServer(path, parse_version("4.1")))
    path.write_bytes(b"")
    with pytest.raises(SourceEnded, match="its size must be 1 to"):
        await open_source(adb_client, phone, ScrcpyServer(path, parse_version("4.1")))
    path.write_bytes(b"no jar at all")
    with pytest.raises(SourceEnded, match=r"scrcpy's server 4\.1 on '.*' ended: "):
        await open_source(adb_client, phone, ScrcpyServer(path, parse_version("4.1")))
    await until(lambda: is_clean(phone))


async def test_a_phone_without_space_is_told_in_its_own_words(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path
) -> None:
    phone.faults.no_space = True
    with pytest.raises(SourceEnded, match=r"cannot be put on the device: .*No space left on device"):
        await open_source(adb_client, phone, make_server(tmp_path, "4.1"))
    assert is_clean(phone)


@BOTH
async def test_a_phone_without_an_encoder_is_told(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, version: str
) -> None:
    phone.faults.no_encoder = True
    with pytest.raises(SourceEnded, match="Could not create default video encoder for h264"):
        await open_source(adb_client, phone, make_server(tmp_path, version))
    await until(lambda: is_clean(phone))


@BOTH
async def test_a_size_that_the_encoder_refuses_is_made_smaller_by_the_server(
    adb_client: AdbClient, tmp_path: Path, version: str
) -> None:
    async with connected_phone(adb_client, PhoneSpec(width=720, height=1280)) as phone:
        phone.faults.largest_video = 1100
        async with capturing(adb_client, phone, make_server(tmp_path, version)) as source:
            keyframe, *_ = await take(source, 1)
            size = video_size(keyframe)
            assert max(size.width, size.height) == 1024
            controller = source.controller
            assert controller is not None
            await controller.inject(Touch(TouchAction.TAP, size.width - 1, 0, size))
            await until(lambda: len(phone.input_log) >= 2)


@BOTH
async def test_a_lost_phone_is_told_as_such(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    async with connected_phone(adb_client) as phone:
        source = await open_source(adb_client, phone, make_server(tmp_path, version), audio=True)
        await take(source, 3)
        await phone.go_offline()
        with pytest.raises((DeviceOffline, DeviceNotFound)):
            await until_end(source)
        await source.aclose()
        with pytest.raises((DeviceOffline, DeviceNotFound)):
            await open_source(adb_client, phone, make_server(tmp_path, version))


async def test_two_sessions_on_one_phone_do_not_meet(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    server = make_server(tmp_path, "4.1")
    async with capturing(adb_client, phone, server) as first:
        second = await open_source(adb_client, phone, server)
        assert len(decode(await take(first, 5))) == len(decode(await take(second, 5))) == 5
        await second.aclose()
        assert len(decode(await take(first, 5))) == 5


async def test_impossible_numbers_are_refused(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="max_size is -1: it must be 0 to 2147483647"):
        await open_scrcpy(
            adb_client,
            phone.address,
            make_server(tmp_path, "4.1"),
            max_size=-1,
            bit_rate=1,
            frame_rate=30,
            sound=SoundFormat(),
        )

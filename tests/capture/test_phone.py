"""A phone is opened in the best way that works: the demo phone, through the real adb."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from capture.adb.client import AdbClient
from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adbd import Service
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.scrcpy.jar import make_jar
from capture.errors import AdbError, SourceEnded
from capture.input_events import VideoSize
from capture.ladder import CaptureMode
from capture.phone import CaptureWishes, excluded_modes, open_phone
from capture.phone_source import PhoneSource
from capture.probe import PhoneFacts, RecorderFacts
from capture.scrcpy import ScrcpyServer, parse_version
from capture.source import Source
from encoders.access_unit import AccessUnit
from encoders.h264 import NalUnitType, nal_unit_type, parse_sps
from encoders.sound_format import SoundFormat
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.capture.source_contract import SourceContract, decode, take
from tests.waiting import until

SCRCPY, SCREENRECORD, RAWVIDEO, SCREENCAP = CaptureMode
SERVER = ScrcpyServer(Path("scrcpy-server"), parse_version("4.1"))


def wishes_for(folder: Path, *, mode: CaptureMode | None = None, with_scrcpy: bool = True) -> CaptureWishes:
    jar = folder / "scrcpy-server-v4.1"
    jar.write_bytes(make_jar("4.1"))
    return CaptureWishes(
        box=VideoSize(1280, 720),
        bit_rate=1_000_000,
        frame_rate=30,
        preset="ultrafast",
        mode=mode,
        scrcpy=ScrcpyServer(jar, parse_version("4.1")) if with_scrcpy else None,
        sound=SoundFormat(),
    )


@asynccontextmanager
async def opened(client: AdbClient, phone: DemoPhone, wishes: CaptureWishes) -> AsyncIterator[PhoneSource]:
    """The phone's source for the duration of the block; nothing may be left on the phone after it."""
    source = await open_phone(client, phone.address, wishes)
    try:
        yield source
    finally:
        await source.aclose()
        await until(lambda: not list(phone.processes) and not phone.sockets)


@pytest.fixture
async def phone(adb_client: AdbClient, request: pytest.FixtureRequest) -> AsyncIterator[DemoPhone]:
    async with connected_phone(adb_client, getattr(request, "param", SMALL)) as connected:
        yield connected


def size_of(access_unit: AccessUnit) -> VideoSize:
    sps = next(parse_sps(nal) for nal in access_unit.nal_units if nal_unit_type(nal) is NalUnitType.SPS)
    return VideoSize(sps.width, sps.height)


async def keyframe_of_size(source: Source, size: VideoSize) -> list[AccessUnit]:
    """The pictures up to the first keyframe that has this size."""
    access_units: list[AccessUnit] = []
    async with asyncio.timeout(20):
        async for access_unit in source:
            access_units.append(access_unit)
            if access_unit.is_keyframe and size_of(access_unit) == size:
                return access_units
    raise AssertionError("the pictures ended")


@pytest.mark.adb
class TestContract(SourceContract):
    @pytest.fixture
    async def source(self, adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> AsyncIterator[Source]:
        async with opened(adb_client, phone, wishes_for(tmp_path)) as source:
            yield source


@pytest.mark.adb
async def test_scrcpy_is_the_best(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    async with opened(adb_client, phone, wishes_for(tmp_path)) as source:
        assert (source.facts.kind, source.facts.has_audio, source.facts.keyframe_on_demand) == ("scrcpy", True, True)
        assert source.controller is not None
        assert len(decode(await take(source, 5))) == 5


@pytest.mark.adb
async def test_without_its_server_it_is_screenrecord(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    async with opened(adb_client, phone, wishes_for(tmp_path, with_scrcpy=False)) as source:
        assert len(decode(await take(source, 5))) == 5
        assert source.facts.kind == "screenrecord"
        assert source.facts.reason.endswith("not scrcpy: SCRCPY_SERVER_PATH is not set")
        assert source.controller is None


@pytest.mark.adb
async def test_a_phone_without_an_encoder(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    phone.faults.no_encoder = True
    async with opened(adb_client, phone, wishes_for(tmp_path)) as source:
        assert len(decode(await take(source, 5))) == 5
        assert source.facts.kind == "rawvideo"
        assert "not screenrecord: the phone has no H.264 encoder" in source.facts.reason


@pytest.mark.adb
async def test_a_server_of_another_version_is_stepped_over(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path
) -> None:
    wishes = wishes_for(tmp_path)
    (tmp_path / "scrcpy-server-v4.1").write_bytes(make_jar("3.3.4"))
    async with opened(adb_client, phone, wishes) as source:
        await take(source, 1)
        assert source.facts.kind == "screenrecord"
        assert "does not match" in source.facts.reason


@pytest.mark.adb
@pytest.mark.parametrize("mode", CaptureMode)
async def test_one_way_can_be_insisted_on(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, mode: CaptureMode
) -> None:
    async with opened(adb_client, phone, wishes_for(tmp_path, mode=mode)) as source:
        assert len(decode(await take(source, 3))) == 3
        assert source.facts.kind == mode.value
        assert "not " not in source.facts.reason.partition(";")[2]


@pytest.mark.adb
async def test_what_is_insisted_on_and_impossible_is_an_error(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path
) -> None:
    with pytest.raises(SourceEnded, match="scrcpy: SCRCPY_SERVER_PATH is not set"):
        await open_phone(adb_client, phone.address, wishes_for(tmp_path, mode=SCRCPY, with_scrcpy=False))
    phone.faults.no_encoder = True
    with pytest.raises(SourceEnded, match="screenrecord"):
        await take(await open_phone(adb_client, phone.address, wishes_for(tmp_path, mode=SCREENRECORD)), 1)


@pytest.mark.adb
@pytest.mark.parametrize("mode", CaptureMode)
async def test_a_turned_phone_is_shown_turned(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path, mode: CaptureMode
) -> None:
    upright, turned = VideoSize(phone.size[0], phone.size[1]), VideoSize(phone.size[1], phone.size[0])
    async with opened(adb_client, phone, wishes_for(tmp_path, mode=mode)) as source:
        first = await take(source, 1)
        assert size_of(first[0]) == upright
        phone.rotate(1)
        rest = await keyframe_of_size(source, turned)
        assert len(decode(first + rest)) >= len(rest)
        await until(lambda: source.facts.rotation == 90)


@pytest.mark.adb
async def test_it_falls_and_climbs_back_in_one_decodable_stream(
    adb_client: AdbClient, phone: DemoPhone, tmp_path: Path
) -> None:
    async with opened(adb_client, phone, wishes_for(tmp_path)) as source:
        pictures = aiter(source)
        access_units = [await anext(pictures) for _ in range(5)]
        phone.faults.scrcpy_dies_after = 0
        async with asyncio.timeout(30):
            while source.facts.kind != "screenrecord":
                access_units.append(await anext(pictures))
            phone.faults.scrcpy_dies_after = None
            while source.facts.kind != "scrcpy":
                access_units.append(await anext(pictures))
        access_units += [await anext(pictures) for _ in range(5)]
        times = [access_unit.captured_at for access_unit in access_units]
        assert times == sorted(times)
        assert len(decode(access_units)) == len(access_units)
        assert "not scrcpy" not in source.facts.reason


class PhoneWithoutSync(DemoPhone):
    """Its adbd hangs up on who wants to write a file."""

    def find_service(self, name: str) -> Service | None:
        return hang_up if name.startswith("sync:") else super().find_service(name)


async def hang_up(_: AdbStream) -> None:
    pass


@pytest.mark.adb
async def test_a_way_that_loses_the_phone_is_stepped_over_when_it_is_there(
    adb_client: AdbClient, tmp_path: Path
) -> None:
    async with PhoneWithoutSync(SMALL) as phone:
        await adb_client.connect(phone.address)
        async with opened(adb_client, phone, wishes_for(tmp_path)) as source:
            await take(source, 1)
            assert source.facts.kind == "screenrecord"
            assert "not scrcpy: device" in source.facts.reason
        await adb_client.disconnect(phone.address)


@pytest.mark.adb
async def test_a_phone_that_goes_is_an_adb_error(adb_client: AdbClient, phone: DemoPhone, tmp_path: Path) -> None:
    source = await open_phone(adb_client, phone.address, wishes_for(tmp_path))
    try:
        await take(source, 3)
        await phone.go_offline()
        with pytest.raises(AdbError):
            await take(source, 100_000)
    finally:
        await source.aclose()
        await phone.come_online()


ABLE = PhoneFacts(sdk=33, recorder=RecorderFacts(exists=True, has_raw_frames=True))


@pytest.mark.parametrize(
    ("phone_facts", "excluded"),
    [
        (ABLE, {}),
        (replace(ABLE, h264_encoders=None), {}),
        (replace(ABLE, sdk=0), {}),
        (replace(ABLE, sdk=19), {SCRCPY: "the phone's Android is too old (API level 19)"}),
        (
            replace(ABLE, h264_encoders=()),
            {SCRCPY: "the phone has no H.264 encoder", SCREENRECORD: "the phone has no H.264 encoder"},
        ),
        (
            replace(ABLE, recorder=RecorderFacts(exists=False)),
            {SCREENRECORD: "the phone has no screenrecord", RAWVIDEO: "the phone has no screenrecord"},
        ),
        (
            replace(ABLE, recorder=RecorderFacts(exists=True, has_raw_frames=False)),
            {RAWVIDEO: "the phone's screenrecord gives no raw frames"},
        ),
        (replace(ABLE, recorder=RecorderFacts(exists=None)), {}),
    ],
)
def test_what_need_not_be_tried(phone_facts: PhoneFacts, excluded: dict[CaptureMode, str]) -> None:
    wishes = CaptureWishes(VideoSize(1280, 720), 1_000_000, 30, "faster", scrcpy=SERVER)
    assert excluded_modes(phone_facts, wishes) == excluded

"""The screencap source, against a phone whose every byte is decided here, and against the demo phone."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from capture.adb.client import AdbClient
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.strip import read_strip
from capture.encoded_source import Encoding
from capture.errors import AdbError, AdbTimeout, DeviceOffline, SourceEnded
from capture.input_events import Touch, TouchAction, VideoSize
from capture.screencap import ATTEMPTS, ScreencapSource, ScreencapTimes, open_screencap
from capture.shell_controller import ShellController
from capture.source import Source
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.capture.adb.fake_server import FakeAdbServer, fail, okay, packet, until_closed
from tests.capture.demo_phone.pictures import luma
from tests.capture.demo_phone_contract import DemoPhoneContract
from tests.capture.source_contract import TIMEOUT, decode, take
from tests.waiting import until

SERIAL = "127.0.0.1:5555"
BOX = VideoSize(720, 1280)
ENCODING = Encoding(bit_rate=2_000_000, frame_rate=240, preset="ultrafast")
SMALL_SCREEN = VideoSize(SMALL.width, SMALL.height)

HASTY = ScreencapTimes(first_delay=0.001)

RGBA = 1


def screenshot(
    shade: int, *, width: int = 32, height: int = 16, number: int = RGBA, colour_space: bool = True
) -> bytes:
    """What the tool writes of a grey screen."""
    header = struct.pack("<3I", width, height, number) + (struct.pack("<I", 1) if colour_space else b"")
    return header + bytes([shade, shade, shade, 255]) * width * height


class FakePhone:
    """Answers each `screencap` with what `shown` gives at that moment."""

    def __init__(self, adb: FakeAdbServer, *, features: bytes = b"shell_v2,cmd") -> None:
        self.adb = adb
        self.screenshots = 0
        self.shown: Callable[[], bytes] = lambda: screenshot(0)
        self.complaint = b""
        self.exit_code = 0
        adb.on("host-serial:", okay(features))
        adb.on("shell,v2,raw:exec screencap", self._answer_framed)
        adb.on("exec:screencap", self._answer_raw)

    async def _answer_framed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.screenshots += 1
        writer.write(b"OKAY" + packet(STDERR, self.complaint))
        writer.write(packet(STDOUT, self.shown()) + packet(EXIT, bytes([self.exit_code])))

    async def _answer_raw(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.screenshots += 1
        writer.write(b"OKAY" + self.complaint + self.shown())


@pytest.fixture
def phone(fake_adb: FakeAdbServer) -> FakePhone:
    return FakePhone(fake_adb)


@asynccontextmanager
async def watching(
    port: int,
    serial: str = SERIAL,
    times: ScreencapTimes = HASTY,
    *,
    box: VideoSize = BOX,
    is_raw: bool = False,
) -> AsyncIterator[ScreencapSource]:
    client = AdbClient(port=port, command_timeout=5.0)
    source = ScreencapSource(client, serial, box=box, encoding=ENCODING, is_raw=is_raw, times=times)
    source.start()
    try:
        async with asyncio.timeout(TIMEOUT):
            yield source
    finally:
        await source.aclose()


# One screenshot after the other


@pytest.mark.parametrize("colour_space", [True, False])
@pytest.mark.parametrize("is_raw", [False, True])
async def test_every_change_is_a_picture(phone: FakePhone, is_raw: bool, colour_space: bool) -> None:
    async with watching(phone.adb.port, is_raw=is_raw) as source:
        access_units = []
        for shade in (10, 100, 200):
            phone.shown = lambda shade=shade: screenshot(shade, colour_space=colour_space)  # type: ignore[misc]
            access_units.append(await anext(source))
        pictures = decode(access_units)
        assert [(frame.width, frame.height) for frame in pictures] == [(32, 16)] * 3
        assert [int(luma(frame)[8, 8]) for frame in pictures] == pytest.approx([25, 102, 188], abs=2)
        assert phone.adb.asked[-1].startswith("exec:" if is_raw else "shell,v2,raw:exec ")


async def test_one_screenshot_at_a_time(fake_adb: FakeAdbServer) -> None:
    running = most = 0
    taken: list[None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        writer.write(b"OKAY")
        await asyncio.sleep(0.005)
        taken.append(None)
        writer.write(packet(STDOUT, screenshot(len(taken))) + packet(EXIT, b"\0"))
        running -= 1

    FakePhone(fake_adb)
    fake_adb.on("shell,v2,raw:exec screencap", answer)
    async with watching(fake_adb.port) as source:
        await take(source, 10)
    assert most == 1


async def test_nothing_is_taken_while_nobody_reads(phone: FakePhone) -> None:
    async with watching(phone.adb.port) as source:
        phone.shown = lambda: screenshot(phone.screenshots)
        await take(source, 3)
        await until(lambda: source.screenshots == phone.screenshots)
        before = phone.screenshots
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert phone.screenshots <= before + 1
        await take(source, 3)
        assert phone.screenshots > before + 1


async def test_a_turned_screen_is_followed(phone: FakePhone) -> None:
    async with watching(phone.adb.port, box=VideoSize(32, 64)) as source:
        phone.shown = lambda: screenshot(10, width=64, height=128)
        access_units = [await anext(source)]
        phone.shown = lambda: screenshot(10, width=128, height=64)
        access_units.append(await anext(source))
        assert [(frame.width, frame.height) for frame in decode(access_units)] == [(32, 64), (64, 32)]
        assert [access_unit.is_keyframe for access_unit in access_units] == [True, True]


# A still screen


async def test_a_still_screen_is_looked_at_rarely_until_somebody_wakes_it(phone: FakePhone) -> None:
    async with watching(phone.adb.port, times=ScreencapTimes(still_after=0.0, still_period=3600.0)) as source:
        access_units = [await anext(source)]
        following = asyncio.get_running_loop().create_task(anext(source))
        await until(lambda: source.still_frames)  # The change from nothing made it look once more.
        phone.shown = lambda: screenshot(200)
        for _ in range(50):
            await asyncio.sleep(0.001)
        assert not following.done()
        assert phone.screenshots == 2
        source.wake()
        access_units.append(await following)
        assert [access_unit.is_keyframe for access_unit in access_units] == [True, False]


async def test_a_keyframe_of_a_still_screen_comes_at_once_and_wakes_it(phone: FakePhone) -> None:
    async with watching(phone.adb.port, times=ScreencapTimes(still_after=0.0, still_period=3600.0)) as source:
        pictures = aiter(source)
        first = await anext(pictures)
        source.request_keyframe()
        second = await anext(pictures)
        assert first.is_keyframe
        assert second.is_keyframe
        assert source.changes == 1


async def test_a_still_screen_is_seen_to_change(phone: FakePhone) -> None:
    async with watching(phone.adb.port, times=ScreencapTimes(still_after=0.0, still_period=0.02)) as source:
        access_units = [await anext(source)]
        following = asyncio.get_running_loop().create_task(anext(source))
        await until(lambda: source.still_frames >= 2)
        phone.shown = lambda: screenshot(200)
        access_units.append(await following)
        assert len(decode(access_units)) == 2
        assert source.pictures == 2


# What goes wrong


async def test_a_phone_that_takes_no_screenshots(phone: FakePhone) -> None:
    phone.shown = lambda: b""
    phone.complaint, phone.exit_code = b"Capturing failed.\n", 1
    async with watching(phone.adb.port) as source:
        with pytest.raises(SourceEnded, match=rf"{ATTEMPTS} times in a row: Capturing failed\.$"):
            await anext(source)
        assert phone.screenshots == ATTEMPTS


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"/system/bin/sh: screencap: inaccessible or not found\n", "screencap: inaccessible or not found"),
        (screenshot(1, number=22), "format 22: only 1, 2, 3, 4, 5, 43 are understood"),
        (screenshot(1)[:-1], "wrote 2063 bytes"),
        (screenshot(1) + b"?", "more than the 2064 bytes"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "no frame"),
    ],
    ids=["words", "format", "short", "long", "png"],
)
@pytest.mark.parametrize("is_raw", [False, True])
async def test_what_is_no_screenshot(phone: FakePhone, answer: bytes, words: str, is_raw: bool) -> None:
    phone.shown = lambda: answer
    async with watching(phone.adb.port, is_raw=is_raw) as source:
        with pytest.raises(SourceEnded, match=words):
            await anext(source)


async def test_one_failure_is_forgiven(phone: FakePhone) -> None:
    phone.shown = lambda: screenshot(phone.screenshots) if phone.screenshots % 2 else b"busy"
    async with watching(phone.adb.port) as source:
        assert len(decode(await take(source, 5))) == 5
        assert phone.screenshots >= 2 * 5 - 1


async def test_a_warning_beside_a_screenshot_does_no_harm(phone: FakePhone) -> None:
    phone.complaint = b"[Warning] Multiple displays were found, but no display id was specified!\n"
    async with watching(phone.adb.port) as source:
        assert (await anext(source)).is_keyframe


async def test_a_device_that_is_offline(phone: FakePhone) -> None:
    phone.adb.on("shell,v2,raw:exec screencap", fail(b"device offline"))
    async with watching(phone.adb.port) as source:
        with pytest.raises(DeviceOffline, match="offline"):
            await anext(source)


async def test_a_screenshot_that_never_ends(phone: FakePhone) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY" + packet(STDOUT, screenshot(1)[:100]))
        await until_closed(reader)

    phone.adb.on("shell,v2,raw:exec screencap", hang)
    async with watching(phone.adb.port, times=ScreencapTimes(answer=0.05)) as source:
        with pytest.raises(AdbTimeout, match=r"no answer to 'screencap' on device '127.0.0.1:5555' within 0\.05 s"):
            await anext(source)


# The demo phone, through the real adb


async def until_no_screenshot_is_taken(phone: DemoPhone) -> None:
    await until(lambda: not phone.processes.named("screencap"))


@pytest.mark.adb
class TestContract(DemoPhoneContract):
    @pytest.fixture
    async def source(self, adb_client: AdbClient) -> AsyncIterator[Source]:
        async with connected_phone(adb_client) as phone:
            source = await open_screencap(adb_client, phone.address, box=VideoSize(180, 320), encoding=ENCODING)
            yield source
            await source.aclose()
            await until_no_screenshot_is_taken(phone)


@pytest.mark.adb
@pytest.mark.parametrize("is_raw", [False, True], ids=["shell-v2", "exec"])
async def test_the_demo_phones_pictures(adb_client: AdbClient, is_raw: bool) -> None:
    async with connected_phone(adb_client) as phone:
        phone.faults.no_encoder = True
        async with watching(adb_client.port, phone.address, is_raw=is_raw) as source:
            frames = decode(await take(source, 10))
            assert {(frame.width, frame.height) for frame in frames} == {(SMALL.width, SMALL.height)}
            numbers = [read_strip(luma(frame)).frame_number for frame in frames]
            assert all(after > before for before, after in pairwise(numbers))


@pytest.mark.adb
async def test_a_still_phone_that_is_touched(adb_client: AdbClient) -> None:
    spec = PhoneSpec(width=SMALL.width, height=SMALL.height, still=True)
    times = ScreencapTimes(still_after=0.05, still_period=0.05)
    async with (
        connected_phone(adb_client, spec) as phone,
        watching(adb_client.port, phone.address, times) as source,
    ):
        access_units = [await anext(source)]
        following = asyncio.get_running_loop().create_task(anext(source))
        await until(lambda: source.still_frames >= 3)
        assert source.pictures == 1
        controller = ShellController(adb_client, phone.address)
        await controller.inject(Touch(TouchAction.TAP, 90, 160, VideoSize(180, 320)))
        access_units.append(await following)
        while read_strip(luma(decode(access_units)[-1])).touches < 1:
            access_units.append(await anext(source))
        await controller.aclose()


@pytest.mark.adb
async def test_a_turned_phone(adb_client: AdbClient) -> None:
    async with (
        connected_phone(adb_client) as phone,
        watching(adb_client.port, phone.address, box=VideoSize(180, 320)) as source,
    ):
        assert {(frame.width, frame.height) for frame in decode(await take(source, 2))} == {(180, 320)}
        phone.rotate(1)
        access_units = []
        async for access_unit in source:
            access_units.append(access_unit)
            if sum(each.is_keyframe for each in access_units) == 2:  # The first one is the new iteration's.
                break
        turned = decode(access_units)[-1]
        assert (turned.width, turned.height) == (320, 180)


@pytest.mark.adb
async def test_a_phone_that_hangs(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        async with watching(adb_client.port, phone.address, ScreencapTimes(answer=0.3)) as source:
            await anext(source)
            phone.faults.hangs = True
            with pytest.raises(AdbTimeout, match=phone.address):
                await take(source, 1000)
        phone.faults.hangs = False
        await until_no_screenshot_is_taken(phone)


@pytest.mark.adb
async def test_a_phone_that_is_gone(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone, watching(adb_client.port, phone.address) as source:
        await anext(source)
        await phone.go_offline()
        with pytest.raises(AdbError, match=phone.address):
            await take(source, 1000)

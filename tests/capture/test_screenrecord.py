"""The screenrecord source, against a phone whose every byte is decided here, and against the demo phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from capture.adb.client import AdbClient
from capture.adb.recorder import MORE_TO_COME, PIPE_CHUNK
from capture.errors import AdbTimeout, DeviceNotFound, DeviceOffline, SourceEnded
from capture.input_events import VideoSize
from capture.recording_schedule import ATTEMPTS, SILENT_ATTEMPTS, RecordingTimes
from capture.screenrecord import QUEUE_LIMIT, ScreenrecordSource, open_screenrecord
from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from tests.capture.adb.fake_recorder import PPS, SPS, FakePhone, idr, slice_
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, fail, until_closed
from tests.waiting import until

SERIAL = "127.0.0.1:5555"

PATIENT = RecordingTimes(quiet=0.02, keyframe_interval=0.0, short_life=0.0, first_delay=0.001)
"""Times that let a test go on at once, and that a busy machine does not get confused by."""


def mark(access_unit: AccessUnit) -> int:
    """What tells a picture of a fake recorder from others."""
    return access_unit.nal_units[-1][2]


@asynccontextmanager
async def recording(
    adb: FakeAdbServer, times: RecordingTimes = PATIENT, *, is_raw: bool = False, size: VideoSize | None = None
) -> AsyncIterator[ScreenrecordSource]:
    client = AdbClient(port=adb.port, command_timeout=5.0)
    source = ScreenrecordSource(
        client, SERIAL, size=size, bit_rate=1_000_000, reason="a test", is_raw=is_raw, times=times
    )
    source.start()
    try:
        async with asyncio.timeout(TIMEOUT):
            yield source
    finally:
        await source.aclose()


@pytest.fixture
def phone(fake_adb: FakeAdbServer) -> FakePhone:
    return FakePhone(fake_adb)


# Pictures out of a pipe


@pytest.mark.parametrize("is_raw", [False, True])
async def test_a_picture_comes_without_the_one_after_it(phone: FakePhone, is_raw: bool) -> None:
    async with recording(phone.adb, is_raw=is_raw) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1))
        first = await anext(source)
        assert first.nal_units == (SPS, PPS, b"\x65\x88" + 40 * b"\x01")
        assert first.is_keyframe
        recorder.send(slice_(2))
        second = await anext(source)
        assert mark(second) == 2
        assert not second.is_keyframe
        assert first.captured_at <= second.captured_at
        assert source.dropped == {"slow_reader": 0}


async def test_pictures_that_come_together(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        (await phone.recorder(1)).send(idr(1) + slice_(2) + slice_(3))
        assert [mark(await anext(source)) for _ in range(3)] == [1, 2, 3]


async def test_a_picture_in_many_pieces_is_one(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(quiet=0.2)) as source:
        recorder = await phone.recorder(1)
        data = idr(1, size=20_000)
        for start in range(0, len(data), 3_000):
            recorder.send(data[start : start + 3_000])
            await recorder.writer.drain()
            await asyncio.sleep(0)
        assert len((await anext(source)).nal_units[-1]) == 20_002
        assert source.dropped == {"slow_reader": 0}


async def test_a_torn_picture_makes_it_wait_longer_and_begin_anew(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(quiet=0.001, longest_quiet=1.0, keyframe_interval=0.0)) as source:
        recorder = await phone.recorder(1)
        data = idr(1, size=2_001)
        recorder.send(data[:1_001])
        assert (await anext(source)).is_keyframe
        recorder.send(data[1_001:] + slice_(2))
        replacement = await phone.recorder(2)
        replacement.send(idr(3))
        assert mark(await anext(source)) == 3
        assert source.dropped == {"torn": 1, "slow_reader": 0}


async def test_after_a_chunk_that_a_pipe_has_cut_it_waits_longer(phone: FakePhone) -> None:
    loop = asyncio.get_running_loop()
    async with recording(phone.adb) as source:
        recorder = await phone.recorder(1)
        sent_at = loop.time()
        recorder.send(idr(1).ljust(2 * PIPE_CHUNK, b"\x01"))
        await anext(source)
        assert loop.time() - sent_at >= MORE_TO_COME * PATIENT.quiet


# One stream out of many recorders


async def test_the_next_recorder_begins_before_the_old_one_ends(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(quiet=0.02, renew_after=0.01)) as source:
        old = await phone.recorder(1)
        old.send(idr(1))
        assert mark(await anext(source)) == 1
        new = await phone.recorder(2)
        old.send(slice_(2))
        assert mark(await anext(source)) == 2
        assert not old.closed.is_set()
        new.send(idr(3))
        assert mark(await anext(source)) == 3
        async with asyncio.timeout(TIMEOUT):
            await old.closed.wait()


async def test_a_recorder_that_ends_is_followed_by_another(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        for number in range(1, 9):
            recorder = await phone.recorder(number)
            recorder.send(idr(number))
            assert mark(await anext(source)) == number
            recorder.send(slice_(99)[:20])  # Cut off in the middle: nobody may see it.
            recorder.end(137)
        assert source.dropped == {"slow_reader": 0}


async def test_a_keyframe_request_begins_a_recorder_and_only_one(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        (await phone.recorder(1)).send(idr(1))
        await anext(source)
        for _ in range(100):
            source.request_keyframe()
        second = await phone.recorder(2)
        source.request_keyframe()
        second.send(idr(2))
        assert mark(await anext(source)) == 2
        second.send(slice_(3))
        assert mark(await anext(source)) == 3
        assert source.recorders == 2


async def test_keyframe_requests_do_not_start_recorders_too_often(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(keyframe_interval=3600.0, quiet=0.02)) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1))
        await anext(source)
        source.request_keyframe()
        for number in range(2, 12):
            recorder.send(slice_(number))
            await anext(source)
        assert source.recorders == 1


async def test_a_phone_with_room_for_one_recorder_only(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        old = await phone.recorder(1)
        old.send(idr(1))
        await anext(source)
        source.request_keyframe()
        refused = await phone.recorder(2)
        refused.complain(b"Unable to get video encoder\n")
        refused.end(1)
        (await phone.recorder(3)).send(idr(3))
        assert mark(await anext(source)) == 3
        await old.closed.wait()


async def test_a_keyframe_without_its_parameter_sets_gets_them(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1))
        await anext(source)
        recorder.send(b"\0\0\0\1\x65\x88" + 30 * b"\x02")
        assert (await anext(source)).nal_units == (SPS, PPS, b"\x65\x88" + 30 * b"\x02")


async def test_a_second_reader_begins_with_a_keyframe(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        old = await phone.recorder(1)
        old.send(idr(1) + slice_(2))
        assert mark(await anext(aiter(source))) == 1
        again = aiter(source)
        old.send(slice_(3))
        (await phone.recorder(2)).send(idr(4))
        assert mark(await anext(again)) == 4


async def test_a_slow_reader_loses_pictures_up_to_a_keyframe(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1) + b"".join(slice_(2) for _ in range(QUEUE_LIMIT + 8)))
        await until(lambda: source.dropped["slow_reader"] == 9)
        got = [await anext(source) for _ in range(QUEUE_LIMIT)]
        assert got[0].is_keyframe
        (await phone.recorder(2)).send(idr(3))
        assert mark(await anext(source)) == 3


async def test_the_last_picture_of_a_recorder_that_ends_by_itself_is_whole(phone: FakePhone) -> None:
    async with recording(phone.adb, replace(PATIENT, quiet=5.0)) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1) + slice_(2))
        recorder.end(0)
        assert [mark(await anext(source)) for _ in range(2)] == [1, 2]


async def test_a_still_screen_is_looked_at_again_ever_more_rarely(phone: FakePhone) -> None:
    async with recording(phone.adb, replace(PATIENT, silence=0.05, longest_silence=0.3)) as source:
        starts = []
        for number in range(1, 6):
            recorder = await phone.recorder(number)
            starts.append(asyncio.get_running_loop().time())
            recorder.send(idr(number))
            assert mark(await anext(source)) == number
        gaps = [after - before for before, after in pairwise(starts)]
        assert all(gap >= least for gap, least in zip(gaps, [0.05, 0.1, 0.2, 0.3], strict=True))
        (await phone.recorder(5)).send(slice_(7))
        assert mark(await anext(source)) == 7
        moved_at = asyncio.get_running_loop().time()
        await phone.recorder(6)
        assert asyncio.get_running_loop().time() - moved_at < gaps[-1]


async def test_a_recorder_that_hangs_is_replaced(phone: FakePhone) -> None:
    async with recording(phone.adb, replace(PATIENT, silence=0.05)) as source:
        hanging = await phone.recorder(1)
        hanging.send(idr(1) + slice_(2))
        assert [mark(await anext(source)) for _ in range(2)] == [1, 2]
        (await phone.recorder(2)).send(idr(3))
        assert mark(await anext(source)) == 3
        await hanging.closed.wait()


async def test_a_phone_whose_recorders_all_hang(phone: FakePhone) -> None:
    times = replace(PATIENT, silence=0.05, first_picture=0.05)
    async with recording(phone.adb, times) as source:
        (await phone.recorder(1)).send(idr(1))
        assert mark(await anext(source)) == 1
        with pytest.raises(SourceEnded, match=r"failed 2 times in a row: no picture within 0\.05 s"):
            await anext(source)
        assert source.recorders == 1 + SILENT_ATTEMPTS


async def test_an_adb_that_hangs_behind_a_silent_recorder_ends_the_source(fake_adb: FakeAdbServer) -> None:
    phone = FakePhone(fake_adb)
    source = ScreenrecordSource(
        AdbClient(port=fake_adb.port, command_timeout=0.2),
        SERIAL,
        bit_rate=1_000_000,
        reason="a test",
        times=replace(PATIENT, silence=0.05),
    )
    source.start()
    async with asyncio.timeout(TIMEOUT):
        (await phone.recorder(1)).send(idr(1))
        assert mark(await anext(source)) == 1
        fake_adb.on("shell,v2,raw:exec screenrecord", _say_nothing)
        with pytest.raises(AdbTimeout, match="screenrecord"):
            await anext(source)
        await source.aclose()


async def _say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await until_closed(reader)


# Sizes


def sizes(phone: FakePhone) -> list[str]:
    """The `--size` of each recorder so far."""
    asked = [words.split() for words in phone.adb.asked if "exec screenrecord" in words]
    return [words[words.index("--size") + 1] if "--size" in words else "" for words in asked]


async def test_a_turned_screen_is_recorded_in_its_new_size_at_once(phone: FakePhone) -> None:
    times = replace(PATIENT, keyframe_interval=3600.0)
    async with recording(phone.adb, times, size=VideoSize(720, 1280)) as source:
        old = await phone.recorder(1)
        old.send(idr(1))
        assert mark(await anext(source)) == 1
        source.use_size(VideoSize(1280, 720))
        new = await phone.recorder(2)
        old.send(slice_(2))
        assert mark(await anext(source)) == 2
        new.send(idr(3))
        assert mark(await anext(source)) == 3
        await old.closed.wait()
        source.use_size(VideoSize(1280, 720))
        new.send(slice_(4))
        assert mark(await anext(source)) == 4
        assert sizes(phone) == ["720x1280", "1280x720"]
        with pytest.raises(ValueError, match="1281x720 is impossible"):
            source.use_size(VideoSize(1281, 720))


async def test_a_recorder_that_is_starting_in_the_old_size_is_not_waited_for(phone: FakePhone) -> None:
    async with recording(phone.adb, size=VideoSize(720, 1280)) as source:
        first = await phone.recorder(1)
        first.send(idr(1))
        await anext(source)
        source.use_size(VideoSize(1280, 720))
        outdated = await phone.recorder(2)
        source.use_size(VideoSize(720, 1280))  # It is turned back: the first one is good again.
        await outdated.closed.wait()
        first.send(slice_(2))
        assert mark(await anext(source)) == 2
        source.use_size(VideoSize(1280, 720))
        (await phone.recorder(3)).send(idr(3))
        assert mark(await anext(source)) == 3
        assert sizes(phone) == ["720x1280", "1280x720", "1280x720"]


REFUSED = b"ERROR: unable to configure video/avc codec at %b (err=-38)\n"


async def test_an_encoder_that_refuses_large_videos_gets_smaller_ones(phone: FakePhone) -> None:
    async with recording(phone.adb, size=VideoSize(1440, 2880)) as source:
        for number, size in enumerate([b"1440x2880", b"1280x2560", b"960x1920"], 1):
            recorder = await phone.recorder(number)
            recorder.complain(REFUSED % size)
            recorder.end(218)
        before = source.facts
        (await phone.recorder(4)).send(idr(4))
        assert mark(await anext(source)) == 4
        assert source.facts.reason == "a test; 640x1280 because the encoder refuses 1440x2880"
        source.use_size(VideoSize(2880, 1440))
        turned = await phone.recorder(5)
        turned.send(idr(5))
        assert mark(await anext(source)) == 5
        assert sizes(phone) == ["1440x2880", "1280x2560", "960x1920", "640x1280", "1280x640"]
        assert source.facts is not before
        assert source.facts.reason.endswith("1280x640 because the encoder refuses 2880x1440")


async def test_an_encoder_that_takes_no_size_is_not_called_picky(phone: FakePhone) -> None:
    async with recording(phone.adb, size=VideoSize(720, 1280)) as source:
        for number in range(1, ATTEMPTS + 2):
            recorder = await phone.recorder(number)
            recorder.complain(REFUSED % sizes(phone)[-1].encode())
            recorder.end(218)
        with pytest.raises(SourceEnded, match="unable to configure"):
            await anext(source)
        assert sizes(phone) == ["720x1280", "450x800", *["720x1280"] * (ATTEMPTS - 1)]
        assert source.facts.reason == "a test"


async def test_another_video_in_the_middle_is_spliced_at_its_keyframe(phone: FakePhone) -> None:
    other_sps = b"\x67\x42\xc0\x1e\xda\x02"
    async with recording(phone.adb) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1) + slice_(2))
        recorder.send(to_annexb([other_sps, PPS, b"\x65\x88" + 40 * b"\x03"]) + slice_(4))
        got = [await anext(source) for _ in range(4)]
        assert [mark(unit) for unit in got] == [1, 2, 3, 4]
        assert [unit.is_keyframe for unit in got] == [True, False, True, False]
        assert got[2].nal_units[:2] == (other_sps, PPS)
        recorder.send(b"\0\0\0\1\x65\x88" + 40 * b"\x05")
        assert (await anext(source)).nal_units[:2] == (other_sps, PPS)


# Words among the pictures


@pytest.mark.parametrize("is_raw", [False, True])
async def test_words_in_the_pipe_cost_no_picture(phone: FakePhone, is_raw: bool) -> None:
    words = b"W/libc: something is deprecated\n"
    async with recording(phone.adb, is_raw=is_raw) as source:
        recorder = await phone.recorder(1)
        recorder.send(words + idr(1))
        got = [await anext(source)]
        for number in range(2, 12):
            if number % 2:
                recorder.send(words + slice_(number))
            else:
                recorder.send(slice_(number) + words)
            got.append(await anext(source))
        assert [unit.nal_units[-1] for unit in got[1:]] == [b"\x41\x9a" + 40 * bytes([mark]) for mark in range(2, 12)]
        assert source.recorders == 1
        assert source.dropped == {"slow_reader": 0}
        assert source.facts.reason == "a test; it prints into its pictures: 'W/libc: something is deprecated'"


# Trouble


async def test_a_recorder_that_only_complains(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        for number in range(1, ATTEMPTS + 1):
            recorder = await phone.recorder(number)
            recorder.complain(b"ERROR: unable to create video/avc codec instance\n")
            recorder.end(1)
        with pytest.raises(SourceEnded, match=f"'{SERIAL}' failed {ATTEMPTS} times in a row: ERROR: unable to create"):
            await anext(source)
        with pytest.raises(SourceEnded):
            await anext(source)


async def test_complaints_in_a_raw_pipe_are_told_apart_from_pictures(phone: FakePhone) -> None:
    async with recording(phone.adb, is_raw=True) as source:
        recorder = await phone.recorder(1)
        recorder.send(b"WARNING: linker: unused DT entry\n" + idr(1))
        assert (await anext(source)).nal_units[0] == SPS
        recorder.end()
        for number in range(2, ATTEMPTS + 2):
            recorder = await phone.recorder(number)
            recorder.complain(b"/system/bin/sh: screenrecord: inaccessible or not found\n")
            recorder.end()
        with pytest.raises(SourceEnded, match="inaccessible or not found"):
            await anext(source)


async def test_a_recorder_that_ends_without_a_word(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        for number in range(1, ATTEMPTS + 1):
            (await phone.recorder(number)).end(134)
        with pytest.raises(SourceEnded, match="exit code 134"):
            await anext(source)


async def test_recorders_that_live_too_short_count_as_failed(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(quiet=0.02, first_delay=0.001)) as source:
        for number in range(1, ATTEMPTS + 1):
            recorder = await phone.recorder(number)
            recorder.send(idr(number))
            assert mark(await anext(source)) == number
            recorder.end(0)
        with pytest.raises(SourceEnded, match=f"failed {ATTEMPTS} times"):
            await anext(source)


async def test_a_recorder_that_never_has_a_picture(phone: FakePhone) -> None:
    async with recording(phone.adb, RecordingTimes(first_picture=0.01, first_delay=0.001)) as source:
        with pytest.raises(SourceEnded, match=r"no picture within 0\.01 s"):
            await anext(source)
        for recorder in phone.recorders:
            await recorder.closed.wait()


@pytest.mark.parametrize("noise", [b"\x04garbage", b"\x03\x05\0\0\0"])
async def test_bytes_that_are_not_of_a_shell(phone: FakePhone, noise: bytes) -> None:
    async with recording(phone.adb) as source:
        for number in range(1, ATTEMPTS + 1):
            (await phone.recorder(number)).writer.write(noise)
        with pytest.raises(SourceEnded, match="a shell"):
            await anext(source)


async def test_endless_bytes_that_are_no_video(phone: FakePhone) -> None:
    async with recording(phone.adb, is_raw=True) as source:
        for number in range(1, ATTEMPTS + 1):
            recorder = await phone.recorder(number)
            for _ in range(9):
                recorder.send(b"no video " * (1 << 17))
        with pytest.raises(SourceEnded, match="no video no video"):
            await anext(source)


async def test_a_device_that_is_gone(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1))
        await anext(source)
        phone.adb.on("host:transport:", fail(f"device '{SERIAL}' not found".encode()))
        recorder.end()
        with pytest.raises(DeviceNotFound, match=SERIAL):
            await anext(source)


async def test_a_device_that_takes_no_second_service_keeps_its_first(phone: FakePhone) -> None:
    async with recording(phone.adb, replace(PATIENT, first_delay=0.03)) as source:
        recorder = await phone.recorder(1)
        recorder.send(idr(1))
        await anext(source)
        phone.adb.on("shell,v2,raw:exec screenrecord", fail(b"device offline"))
        source.request_keyframe()
        recorder.send(slice_(2))
        assert mark(await anext(source)) == 2
        with pytest.raises(SourceEnded, match="device offline"):
            await anext(source)


# Opening and closing


@pytest.mark.parametrize(
    ("sdk", "limit"), [("33", ""), ("34", " --time-limit 0"), ("", ""), ("what?", "")], ids=["13", "14", "none", "odd"]
)
async def test_the_recorder_runs_without_a_limit_where_the_phone_allows_it(
    fake_adb: FakeAdbServer, sdk: str, limit: str
) -> None:
    phone = FakePhone(fake_adb, sdk=sdk)
    source = await open_screenrecord(
        AdbClient(port=fake_adb.port), SERIAL, size=VideoSize(720, 1280), bit_rate=2_000_000
    )
    await phone.recorder(1)
    assert fake_adb.asked[-1] == (
        f"shell,v2,raw:exec screenrecord --output-format=h264 --bit-rate 2000000 --size 720x1280{limit} -"
    )
    assert source.facts.kind == "screenrecord"
    assert not source.facts.keyframe_on_demand
    assert sdk.isdecimal() == (sdk in source.facts.reason and sdk != "")
    await source.aclose()


async def test_a_device_without_shell_v2_records_by_exec(fake_adb: FakeAdbServer) -> None:
    phone = FakePhone(fake_adb, sdk="23", features=b"cmd")
    source = await open_screenrecord(AdbClient(port=fake_adb.port), SERIAL, bit_rate=1_000_000)
    (await phone.recorder(1)).send(idr(1))
    assert mark(await anext(source)) == 1
    assert fake_adb.asked[-1] == "exec:screenrecord --output-format=h264 --bit-rate 1000000 -"
    await source.aclose()


async def test_a_device_that_nobody_knows_cannot_be_opened(fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host-serial:", fail(b"device 'x' not found"))
    with pytest.raises(DeviceNotFound):
        await open_screenrecord(AdbClient(port=fake_adb.port), "x", bit_rate=1_000_000)
    fake_adb.on("host-serial:", fail(b"device offline"))
    with pytest.raises(DeviceOffline):
        await open_screenrecord(AdbClient(port=fake_adb.port), "x", bit_rate=1_000_000)


async def test_closing_ends_the_recorders_and_the_iteration(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        old = await phone.recorder(1)
        old.send(idr(1))
        await anext(source)
        source.request_keyframe()
        new = await phone.recorder(2)
        await source.aclose()
        await old.closed.wait()
        await new.closed.wait()
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    await phone.adb.until_running(0)


async def test_closing_before_the_recorder_has_started(phone: FakePhone) -> None:
    async with recording(phone.adb) as source:
        await source.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    await phone.adb.until_running(0)

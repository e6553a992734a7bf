"""The demo phone and the real adb."""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from capture.demo_phone.adb_stream import AdbStream
from capture.demo_phone.adb_wire import Command
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import MotionEvent
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.strip import Strip
from capture.demo_phone.touches import Motion
from tests.capture.demo_phone.host import host
from tests.capture.demo_phone.pictures import decode, read_strips
from tests.fixtures.adb import RunningAdb
from tests.fixtures.demo_phone import DemoPhoneProcess

pytestmark = pytest.mark.adb

TIMEOUT = 30.0
P_SLICE = b"\0\0\0\x01\x41"
RECORD = "screenrecord --output-format=h264"

small = pytest.mark.parametrize("demo_phone", [PhoneSpec(width=240, height=320)], indirect=True)


@dataclass(frozen=True, slots=True)
class Done:
    """How an adb command ended."""

    exit_code: int
    output: bytes
    errors: str


class Adb:
    """The adb command line, talking to the tests' server."""

    def __init__(self, server: RunningAdb) -> None:
        self._command = (str(server.binary), "-P", str(server.port))

    async def __call__(self, *arguments: str) -> Done:
        async with self.started(*arguments) as process:
            output, errors = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, output, errors.decode())

    @asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A running command, which is killed when the block ends before it."""
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, *arguments, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            async with asyncio.timeout(TIMEOUT):
                yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@pytest.fixture
async def adb(adb_server: RunningAdb) -> Adb:
    return Adb(adb_server)


@pytest.fixture
async def serial(adb: Adb, demo_phone: DemoPhone) -> AsyncIterator[str]:
    """The serial of the phone, which adb is connected to."""
    assert (await adb("connect", demo_phone.address)).output.decode().startswith("connected to")
    yield demo_phone.address
    await adb("disconnect", demo_phone.address)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0.002)


async def until_adb(adb: Adb, serial: str, state: str) -> None:
    """Wait until `adb devices` lists the phone in this state, "" for not at all."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            match = re.search(rf"^{re.escape(serial)}\s+(\S+)", (await adb("devices")).output.decode(), re.MULTILINE)
            if (match[1] if match else "") == state:
                return
            await asyncio.sleep(0.01)


async def echo(stream: AdbStream) -> None:
    while data := await stream.read():
        await stream.write(data)


def steps(strips: list[Strip]) -> list[int]:
    return [later.frame_number - earlier.frame_number for earlier, later in pairwise(strips)]


@small
async def test_it_is_a_device(adb: Adb, serial: str) -> None:
    devices = (await adb("devices", "-l")).output.decode()
    assert re.search(
        rf"^{re.escape(serial)} +device product:demo_phone model:Demo_Phone device:demo ", devices, re.MULTILINE
    )
    assert (await adb("-s", serial, "get-state")).output == b"device\n"
    assert (await adb("-s", serial, "features")).output.split() == [b"shell_v2", b"cmd", b"stat_v2"]


@small
async def test_shell(adb: Adb, serial: str) -> None:
    assert await adb("-s", serial, "shell", "wm size") == Done(0, b"Physical size: 240x320\n", "")
    assert await adb("-s", serial, "shell", "echo out; echo err >&2; exit 7") == Done(7, b"out\n", "err\n")
    unknown = await adb("-s", serial, "shell", "nosuch", "a b")
    assert unknown == Done(127, b"", "/system/bin/sh: nosuch: inaccessible or not found\n")
    old = await adb("-s", serial, "shell", "-x", "echo out; exit 7")
    assert old == Done(0, b"out\n", "")


@small
async def test_shell_reads_standard_input(adb: Adb, serial: str) -> None:
    for arguments, sent in ((("shell", "cat"), b"x" * 100_000), (("shell",), b"echo one\nexit 3\n")):
        async with adb.started("-s", serial, *arguments) as process:
            output, _ = await process.communicate(sent)
        expected = (0, sent) if arguments[-1] == "cat" else (3, b"one\n")
        assert (process.returncode, output) == expected


@small
async def test_exec_out_screencap(adb: Adb, serial: str) -> None:
    shot = await adb("-s", serial, "exec-out", "screencap", "-p")
    assert shot.output.startswith(b"\x89PNG\r\n")
    assert shot.output.endswith(b"IEND\xaeB`\x82")
    raw = await adb("-s", serial, "exec-out", "screencap")
    assert len(raw.output) == 16 + 240 * 320 * 4


@small
@pytest.mark.parametrize("size", [0, 1, 65_536, 1 << 20, 3_000_001])
async def test_push_and_pull(adb: Adb, serial: str, demo_phone: DemoPhone, tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    (tmp_path / "sent").write_bytes(content)
    (tmp_path / "sent").chmod(0o640)
    pushed = await adb("-s", serial, "push", str(tmp_path / "sent"), "/data/local/tmp/new/file")
    assert pushed.exit_code == 0, pushed
    assert demo_phone.files.read("/data/local/tmp/new/file") == content
    pulled = await adb("-s", serial, "pull", "/data/local/tmp/new/file", str(tmp_path / "got"))
    assert pulled.exit_code == 0, pulled
    assert (tmp_path / "got").read_bytes() == content


@small
async def test_a_folder_is_pulled_and_what_is_not_there_is_not(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    assert (await adb("-s", serial, "pull", "/none", "/dev/null")).exit_code == 1
    demo_phone.files.write("/sdcard/deep/er", b"x", 0o644, 0)
    listed = (await adb("-s", serial, "ls", "/sdcard/deep")).output
    assert listed.split() == [b"000081a4", b"00000001", b"00000000", b"er"]


@small
async def test_forward_to_a_socket_of_the_phone(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    demo_phone.sockets["localabstract:echo"] = echo
    port = int((await adb("-s", serial, "forward", "tcp:0", "localabstract:echo")).output)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = os.urandom(300_000)
        writer.write(sent)
        async with asyncio.timeout(TIMEOUT):
            assert await reader.readexactly(len(sent)) == sent
        writer.close()
        await writer.wait_closed()
    finally:
        await adb("-s", serial, "forward", "--remove", f"tcp:{port}")


async def test_screenrecord_streams_what_the_screen_shows(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    demo_phone.faults.time_limit = 1.0
    recorded = await adb("-s", serial, "exec-out", *RECORD.split(), "--bit-rate", "4M", "-")
    assert recorded.exit_code == 0
    frames = decode(recorded.output)
    assert {(frame.width, frame.height) for frame in frames} == {(720, 1280)}
    assert [frame.key_frame for frame in frames] == [1] + [0] * (len(frames) - 1)
    strips = read_strips(recorded.output)
    assert len(strips) > 5
    assert all(step >= 1 for step in steps(strips))
    assert 500 < (strips[-1].drawn_at - strips[0].drawn_at) % 2**32 < 5000
    assert demo_phone.recorders == 0


async def test_screenrecord_keeps_the_aspect_of_another_size(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    demo_phone.faults.time_limit = 0.3
    for size, box in (("360x640", (360, 640)), ("480x640", (480, 640))):
        recorded = await adb("-s", serial, "exec-out", *RECORD.split(), "--size", size, "-")
        frames = decode(recorded.output)
        assert {(frame.width, frame.height) for frame in frames} == {box}
        luma = frames[0].to_ndarray(format="gray")
        # 720x1280 in 480x640 is 360 wide, with 60 black columns on either side.
        assert (luma[:600, :50].max() < 30) == (size == "480x640")
        assert luma[:600, 70:400].mean() > 30


@small
async def test_a_running_recorder_keeps_its_size_when_the_phone_is_turned(
    adb: Adb, serial: str, demo_phone: DemoPhone
) -> None:
    async with adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as process:
        assert process.stdout is not None
        data = await process.stdout.readexactly(1)
        assert (await adb("-s", serial, "shell", "settings put system user_rotation 1")).exit_code == 0
        count = data.count(P_SLICE)
        while data.count(P_SLICE) < count + 5:
            data += await process.stdout.read(1 << 16)
    frames = decode(data[: data.rindex(P_SLICE)])
    assert {(frame.width, frame.height) for frame in frames} == {(240, 320)}
    first, last = (frame.to_ndarray(format="gray") for frame in (frames[0], frames[-1]))
    assert first[4:60].mean() > 30
    # 320x240 in 240x320 is 180 tall, with 70 black rows above and below.
    assert last[4:60].max() < 30
    assert last[80:240].mean() > 30


@small
async def test_a_recorder_of_a_phone_that_sleeps_begins_when_it_wakes(
    adb: Adb, serial: str, demo_phone: DemoPhone
) -> None:
    await adb("-s", serial, "shell", "input keyevent SLEEP")
    async with adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as process:
        assert process.stdout is not None
        await until(lambda: demo_phone.recorders == 1)
        await adb("-s", serial, "shell", "input keyevent WAKEUP")
        data = await process.stdout.readexactly(1000)
    assert data.startswith(b"\0\0\0\x01\x67")


@small
async def test_the_time_limit_of_older_phones(adb: Adb, serial: str) -> None:
    refused = await adb("-s", serial, "shell", f"{RECORD} --time-limit 181 -")
    assert refused == Done(2, b"", "Time limit 181s outside acceptable range [1,180]\n")
    began = asyncio.get_running_loop().time()
    recorded = await adb("-s", serial, "shell", "-T", f"{RECORD} --time-limit 1 -")
    assert recorded.exit_code == 0
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert read_strips(recorded.output)


@small
async def test_a_tap_is_seen_in_the_next_pictures(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    demo_phone.screen.animate = False
    async with adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as process:
        assert process.stdout is not None
        data = await process.stdout.readexactly(1)
        assert (await adb("-s", serial, "shell", "input tap 100 200")).exit_code == 0
        while data.count(P_SLICE) < 3:
            data += await process.stdout.read(1 << 16)
    whole = data[: data.rindex(P_SLICE)]
    assert [strip.touches for strip in read_strips(whole)][:3] == [0, 1, 1]
    first, second = demo_phone.input_log
    assert isinstance(first, MotionEvent)
    assert isinstance(second, MotionEvent)
    assert (first.motion, first.x, first.y, second.motion) == (Motion.DOWN, 100, 200, Motion.UP)


@small
async def test_a_still_screen_records_one_picture(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    demo_phone.screen.animate = False
    demo_phone.faults.time_limit = 0.5
    recorded = await adb("-s", serial, "exec-out", *RECORD.split(), "-")
    assert len(decode(recorded.output)) == 1


@small
async def test_the_recorder_ends_with_its_client(adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
    async with (
        adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as first,
        adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as second,
    ):
        for process in (first, second):
            assert process.stdout is not None
            await process.stdout.readexactly(1000)
        assert demo_phone.recorders == 2
        first.kill()
        await until(lambda: demo_phone.recorders == 1)
        second.kill()
        await until(lambda: demo_phone.recorders == 0)


@small
@pytest.mark.parametrize(("kill", "code"), [("pkill -SIGINT screenrecord", 0), ("pkill screenrecord", 143)])
async def test_the_recorder_ends_when_others_want_it(
    adb: Adb, serial: str, demo_phone: DemoPhone, kill: str, code: int
) -> None:
    async with adb.started("-s", serial, "shell", "-T", f"{RECORD} -") as process:
        await until(lambda: demo_phone.recorders == 1)
        assert (await adb("-s", serial, "shell", kill)).exit_code == 0
        await process.communicate()
    assert process.returncode == code
    assert demo_phone.recorders == 0


@small
class TestFaults:
    async def test_no_encoder(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.encoder_fails = True
        failed = await adb("-s", serial, "shell", f"{RECORD} -")
        assert failed.exit_code == 218
        assert failed.errors.splitlines() == [
            "ERROR: unable to configure video/avc codec at 240x320 (err=-38)",
            "WARNING: failed at 240x320, retrying at 720x1280",
            "ERROR: unable to configure video/avc codec at 720x1280 (err=-38)",
        ]

    async def test_no_encoder_at_all(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.no_encoder = True
        for line in (f"{RECORD} --size 240x320 -", "screenrecord --size 240x320 /sdcard/a.mp4"):
            failed = await adb("-s", serial, "shell", line)
            # As screenrecord does: its error number's lowest byte is 0.
            assert failed == Done(0, b"", "ERROR: unable to create video/avc codec instance\n")
        demo_phone.faults.time_limit = 0.2
        frames = await adb("-s", serial, "exec-out", "screenrecord --output-format=raw-frames -")
        assert len(frames.output) % (240 * 320 * 3) == 0
        assert frames.output

    async def test_a_size_that_is_too_large(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.largest_video = 300
        demo_phone.faults.time_limit = 0.2
        failed = await adb("-s", serial, "shell", f"{RECORD} --size 240x320 -")
        assert failed.errors == "ERROR: unable to configure video/avc codec at 240x320 (err=-38)\n"
        recorded = await adb("-s", serial, "exec-out", *RECORD.split(), "--size", "216x288", "-")
        assert {(frame.width, frame.height) for frame in decode(recorded.output)} == {(216, 288)}

    async def test_text_between_the_pictures(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.prints_text = "WARNING: linker: unused DT entry\n"
        demo_phone.faults.crash_after = 32
        recorded = await adb("-s", serial, "shell", "-T", f"{RECORD} -")
        text = demo_phone.faults.prints_text.encode()
        assert recorded.output.startswith(text)
        first, second = recorded.output.split(text)[1:]
        assert [len(decode(part)) for part in (first, first + second)] == [30, 32]

    async def test_a_size_that_the_codec_does_not_take(self, adb: Adb, serial: str) -> None:
        failed = await adb("-s", serial, "shell", f"{RECORD} --size 241x320 -")
        assert failed.errors == "ERROR: unable to configure video/avc codec at 241x320 (err=-38)\n"

    async def test_a_codec_that_dies(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.crash_after = 3
        failed = await adb("-s", serial, "shell", "-T", f"{RECORD} -")
        assert (failed.exit_code, failed.errors) == (224, "Encoder failed (err=-32)\n")
        assert len(decode(failed.output)) == 3

    async def test_a_recorder_that_hangs(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        demo_phone.faults.hang_after = 2
        demo_phone.faults.time_limit = 0.5
        hung = await adb("-s", serial, "exec-out", *RECORD.split(), "-")
        assert len(decode(hung.output)) == 2

    async def test_an_adbd_that_hangs(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        async with adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as recorder:
            assert recorder.stdout is not None
            await recorder.stdout.readexactly(1000)
            demo_phone.faults.hangs = True
            async with (
                adb.started("-s", serial, "shell", "echo late") as late,
                host(demo_phone.port) as other,
                asyncio.TaskGroup() as tasks,
            ):
                connected = tasks.create_task(other.connect())
                await until_adb(adb, serial, "device")
                assert demo_phone.recorders == 1
                assert not demo_phone.processes.named("echo")
                assert not connected.done()
                demo_phone.faults.hangs = False
                assert (await late.communicate())[0] == b"late\n"
                assert (await connected).command is Command.CNXN
            await recorder.stdout.readexactly(1000)

    async def test_a_phone_without_space(self, adb: Adb, serial: str, demo_phone: DemoPhone, tmp_path: Path) -> None:
        demo_phone.faults.no_space = True
        (tmp_path / "sent").write_bytes(b"x" * 100_000)
        failed = await adb("-s", serial, "push", str(tmp_path / "sent"), "/data/local/tmp/sent")
        assert failed.exit_code == 1
        assert "No space left on device" in failed.output.decode() + failed.errors

    async def test_offline_and_back(self, adb: Adb, serial: str, demo_phone: DemoPhone) -> None:
        async with adb.started("-s", serial, "exec-out", *RECORD.split(), "-") as process:
            assert process.stdout is not None
            await process.stdout.readexactly(1000)
            await demo_phone.go_offline()
            await process.communicate()
        assert process.returncode == 0  # exec-out does not tell that the device was lost
        assert demo_phone.recorders == 0
        assert (await adb("-s", serial, "shell", "true")).exit_code == 1
        await demo_phone.come_online()
        await until_adb(adb, serial, "device")
        assert (await adb("-s", serial, "shell", "true")).exit_code == 0

    async def test_a_host_is_let_in(self, adb: Adb, demo_phone: DemoPhone) -> None:
        demo_phone.faults.unauthorized = True
        connected = (await adb("connect", demo_phone.address)).output.decode()
        assert "failed to authenticate" in connected
        await until_adb(adb, demo_phone.address, "unauthorized")
        demo_phone.authorize()
        await until_adb(adb, demo_phone.address, "device")
        assert (await adb("-s", demo_phone.address, "shell", "echo in")).output == b"in\n"
        await adb("disconnect", demo_phone.address)


async def test_a_phone_in_a_process_of_its_own(adb: Adb, demo_phone_process: DemoPhoneProcess) -> None:
    serial = demo_phone_process.serial
    await adb("connect", serial)
    recorded = await adb("-s", serial, "exec-out", *RECORD.split(), "--time-limit", "1", "-")
    assert all(step >= 1 for step in steps(read_strips(recorded.output)))
    await adb("disconnect", serial)

"""The watch over a phone's screen: what it sees, how often it asks, and when it gives up."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from capture.adb.client import AdbClient
from capture.errors import AdbProtocolError, AdbTimeout, DeviceOffline
from capture.input_events import VideoSize
from capture.screen_watch import POLLS_PER_WINDOW, ScreenState, ScreenWatch, split_sections
from capture.source import ScreenCondition
from tests.capture.adb.connected_phone import SMALL, connected_phone
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, fail, okay, packet, until_closed
from tests.capture.android_dumps import ANDROID_11, ANDROID_14

SERIAL = "127.0.0.1:5555"


@given(st.text(max_size=100) | st.lists(st.sampled_from(["=== ", "grep", "\n", "\r\n", "x"]), max_size=20).map("".join))
def test_any_output_has_sections(text: str) -> None:
    assert all("\n" not in name for name in split_sections(text))


class Phone:
    """Answers the watch's commands, filtered by a shell of this machine that has `grep`, or by none."""

    def __init__(self, adb: FakeAdbServer, directory: Path, *, has_grep: bool = True) -> None:
        self.dumps = ANDROID_14
        self.displays = ANDROID_14.displays
        self.windows = ANDROID_14.windows
        self.power = ANDROID_14.power
        self.boot = ("1", "stopped")
        self.calls: list[str] = []
        self.answered_bytes = 0
        self.hangs: tuple[str, ...] = ()
        self.is_slow = False
        """Whether looks are not answered before somebody has wondered about it."""
        self.was_asked_for_nothing = asyncio.Event()
        self._directory = directory
        self._has_grep = has_grep
        self._adb = adb
        self.port = adb.port
        adb.on("host-serial:", okay(b"shell_v2"))
        adb.on("shell,v2,raw:", self._answer)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        command = self._adb.asked[-1].partition(":")[2]
        self.calls.append(command)
        writer.write(b"OKAY")
        if any(word in command for word in self.hangs):
            await until_closed(reader)
            return
        if command == "true":
            self.was_asked_for_nothing.set()
        elif self.is_slow:
            await self.was_asked_for_nothing.wait()
        output = await asyncio.to_thread(self._run, command)
        self.answered_bytes += len(output)
        writer.write(packet(1, output) + packet(3, b"\0"))
        await writer.drain()

    def _run(self, command: str) -> bytes:
        """Run the command by this machine's shell, with Android's commands replaced."""
        programs = self._directory / "bin"
        programs.mkdir(exist_ok=True)
        for name, text in {"displays": self.displays, "windows": self.windows, "power": self.power}.items():
            (self._directory / name).write_text(text)
        scripts = {
            "dumpsys": f'for last; do :; done; cat "{self._directory}/$last"',
            "getprop": f'test "$1" = sys.boot_completed && echo "{self.boot[0]}" || echo "{self.boot[1]}"',
        }
        if not self._has_grep:
            scripts["grep"] = "echo 'grep: not found' >&2; exit 127"
        for name, script in scripts.items():
            (programs / name).write_text(f"#!/bin/sh\n{script}\n")
            (programs / name).chmod(0o755)
        run = subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": f"{programs}:/usr/bin:/bin"}, capture_output=True, check=False
        )
        return run.stdout


@pytest.fixture(params=[True, False], ids=["grep", "no-grep"])
def phone(request: pytest.FixtureRequest, fake_adb: FakeAdbServer, tmp_path: Path) -> Phone:
    return Phone(fake_adb, tmp_path, has_grep=request.param)


@pytest.fixture
def watch(fake_adb: FakeAdbServer) -> ScreenWatch:
    return ScreenWatch(AdbClient(port=fake_adb.port), SERIAL, interval=0.001, timeout=5.0)


UPRIGHT, TURNED = VideoSize(1080, 2400), VideoSize(2400, 1080)


async def test_a_look_at_a_phone(phone: Phone, watch: ScreenWatch) -> None:
    assert await watch.poll() == ScreenState(UPRIGHT, 0, ScreenCondition.SHOWN, is_interactive=True)
    phone.displays = ANDROID_14.turned
    assert await watch.poll() == ScreenState(TURNED, 1, ScreenCondition.SHOWN, is_interactive=True)
    phone.displays = ANDROID_14.displays
    phone.windows = ANDROID_14.secure_windows
    assert (await watch.poll()).condition is ScreenCondition.SECURE
    phone.power = ANDROID_14.sleeping
    assert await watch.poll() == ScreenState(UPRIGHT, 0, ScreenCondition.OFF, is_interactive=False)
    phone.boot = ("", "running")
    assert (await watch.poll()).condition is ScreenCondition.BOOTING
    phone.boot, phone.power, phone.windows = ("1", "stopped"), ANDROID_14.power, ANDROID_14.windows
    states = [await watch.poll() for _ in range(POLLS_PER_WINDOW)]
    assert states[-1].condition is ScreenCondition.SHOWN


async def test_what_is_not_told_stays(phone: Phone, watch: ScreenWatch) -> None:
    phone.displays = ANDROID_14.turned
    before = await watch.poll()
    phone.displays = "Can't find service: window\n"
    assert await watch.poll() == before
    with pytest.raises(AdbProtocolError, match="tells no screen size"):
        await ScreenWatch(AdbClient(port=phone.port), SERIAL).poll()


@pytest.mark.parametrize("phone", [True], indirect=True)
async def test_a_look_costs_one_call_and_few_bytes(phone: Phone, watch: ScreenWatch) -> None:
    phone.displays += 2000 * "      WindowState of no interest to anybody, one of very many\n"
    await watch.poll()
    assert len(phone.calls) == 2
    for _ in range(2 * POLLS_PER_WINDOW):
        await watch.poll()
    assert len(phone.calls) == 2 + 2 * POLLS_PER_WINDOW + 2
    assert phone.answered_bytes < 1000 * len(phone.calls)


async def test_another_window_is_looked_at_at_once(phone: Phone, watch: ScreenWatch) -> None:
    phone.displays, phone.windows = ANDROID_11.displays, ANDROID_11.windows
    assert (await watch.poll()).condition is ScreenCondition.SHOWN
    phone.displays = ANDROID_11.displays.replace("f0e1d2", "aa00bb")
    assert (await watch.poll()).condition is ScreenCondition.SECURE


@asynccontextmanager
async def watching(watch: ScreenWatch) -> AsyncIterator["asyncio.Queue[ScreenState]"]:
    """What a running watch tells."""
    states: asyncio.Queue[ScreenState] = asyncio.Queue()
    task = asyncio.get_running_loop().create_task(watch.run(states.put_nowait))
    try:
        async with asyncio.timeout(TIMEOUT):
            yield states
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_only_changes_are_told(phone: Phone, watch: ScreenWatch) -> None:
    async with watching(watch) as states:
        assert (await states.get()).size == UPRIGHT
        looks = len(phone.calls)
        while len(phone.calls) < looks + 5:
            await asyncio.sleep(0.001)
        assert states.empty()
        phone.displays = ANDROID_14.turned
        assert (await states.get()).size == TURNED
        assert states.empty()


@pytest.mark.parametrize("hurry", ["interval", "look_now"])
async def test_a_watch_can_be_hurried(phone: Phone, watch: ScreenWatch, hurry: str) -> None:
    watch.interval = 3600.0
    async with watching(watch) as states:
        await states.get()
        phone.displays = ANDROID_14.turned
        if hurry == "interval":
            watch.interval = 0.001
        else:
            watch.look_now()
        assert (await states.get()).size == TURNED


@pytest.mark.parametrize("known", [None, ScreenState(UPRIGHT)], ids=["at first", "later"])
@pytest.mark.parametrize("phone", [True], indirect=True)
async def test_a_phone_that_answers_nothing_ends_the_watch(
    phone: Phone, fake_adb: FakeAdbServer, known: ScreenState | None
) -> None:
    watch = ScreenWatch(AdbClient(port=fake_adb.port), SERIAL, interval=0.001, timeout=0.2)
    watch.state = known
    phone.hangs = ("sh -c", "dumpsys", "true")
    with pytest.raises(AdbTimeout, match="'true' on device"):
        await watch.run(lambda _: None)


@pytest.mark.parametrize("phone", [True], indirect=True)
async def test_a_phone_whose_services_hang_is_not_gone(phone: Phone, fake_adb: FakeAdbServer) -> None:
    watch = ScreenWatch(AdbClient(port=fake_adb.port), SERIAL, timeout=1.0)
    state = await watch.poll()
    phone.hangs = ("dumpsys",)
    with structlog.testing.capture_logs() as logs:
        assert [await watch.poll() for _ in range(2)] == [state, state]
    assert [entry["event"] for entry in logs] == ["the phone's services do not answer"], "once for the same trouble"


@pytest.mark.parametrize("phone", [True], indirect=True)
async def test_a_slow_look_is_waited_for_while_the_phone_answers(phone: Phone, fake_adb: FakeAdbServer) -> None:
    watch = ScreenWatch(AdbClient(port=fake_adb.port), SERIAL, timeout=1.0)
    phone.is_slow = True
    assert (await watch.poll()).size == UPRIGHT
    assert "true" in phone.calls


async def test_a_phone_that_is_gone_ends_the_watch(phone: Phone, fake_adb: FakeAdbServer, watch: ScreenWatch) -> None:
    fake_adb.on("host:transport:", fail(b"device offline"))
    with pytest.raises(DeviceOffline):
        await watch.run(lambda _: None)


@pytest.mark.adb
@pytest.mark.parametrize("sdk", [24, 28, 30, 33, 34])
async def test_the_demo_phone_is_understood(adb_client: AdbClient, sdk: int) -> None:
    upright, turned = VideoSize(SMALL.width, SMALL.height), VideoSize(SMALL.height, SMALL.width)
    async with connected_phone(adb_client, replace(SMALL, sdk=sdk)) as phone:
        watch = ScreenWatch(adb_client, phone.address)
        assert await watch.poll() == ScreenState(upright)
        for rotation in (1, 2, 3, 0):
            phone.rotate(rotation)
            assert await watch.poll() == ScreenState(turned if rotation % 2 else upright, rotation)
        phone.is_secure = True
        while (state := await watch.poll()).condition is not ScreenCondition.SECURE:
            pass
        phone.turn_screen(False)
        assert await watch.poll() == ScreenState(upright, 0, ScreenCondition.OFF, is_interactive=False)
        phone.turn_screen(True)
        phone.is_secure = False
        assert await watch.poll() == ScreenState(upright)
        phone.is_booting = True
        state = await watch.poll()
        assert (state.size, state.condition) == (upright, ScreenCondition.BOOTING)


@pytest.mark.adb
async def test_a_demo_phone_that_boots_has_a_size(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        phone.is_booting = True
        state = await ScreenWatch(adb_client, phone.address).poll()
        assert (state.size, state.condition) == (VideoSize(SMALL.width, SMALL.height), ScreenCondition.BOOTING)


@pytest.mark.adb
async def test_a_demo_phone_that_hangs_is_noticed(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        watch = ScreenWatch(adb_client, phone.address, interval=0.001, timeout=1.0)
        await watch.poll()
        watch = ScreenWatch(adb_client, phone.address, interval=0.001, timeout=0.1)
        phone.faults.hangs = True
        with pytest.raises(AdbTimeout):
            await watch.run(lambda _: None)
        phone.faults.hangs = False

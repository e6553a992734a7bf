"""Input by the phone's shell, against a phone that takes what it is told and tells when."""

import asyncio
import math
import shlex
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.adb.client import AdbClient
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.demo_phone.input_log import KeyPress, MotionEvent, TypedText
from capture.errors import AdbTimeout, CommandFailed, DeviceNotFound, InputRejected
from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, TouchAction, VideoSize
from capture.input_queue import QUEUE_LIMIT
from capture.shell_controller import TEXT_LIMIT, ShellController, input_commands
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, fail, okay, packet, until_closed

SERIAL = "127.0.0.1:5555"
SCREEN = VideoSize(720, 1280)


def commands(event: InputEvent) -> list[str]:
    return [shlex.join(command) for command in input_commands(event, SCREEN)]


# What an event is as a command


def test_touches() -> None:
    video = VideoSize(360, 640)
    assert commands(Touch(TouchAction.TAP, 10, 20.9)) == ["input tap 10 20"]
    assert commands(Touch(TouchAction.DOWN, 10, 20, video)) == ["input motionevent DOWN 20 40"]
    assert commands(Touch(TouchAction.MOVE, 180, 320, video)) == ["input motionevent MOVE 360 640"]
    assert commands(Touch(TouchAction.UP, 9999, -1, video)) == ["input motionevent UP 719 0"]


def test_keys() -> None:
    assert commands(Key(4)) == ["input keyevent 4"]
    assert commands(Key(26, KeyAction.LONG_PRESS)) == ["input keyevent --longpress 26"]


def test_text_is_quoted_and_its_spaces_are_what_input_wants() -> None:
    assert commands(Text("hello")) == ["input text hello"]
    assert commands(Text("a b;$(reboot) 'x' \"y\"")) == ["input text 'a%sb;$(reboot)%s'\"'\"'x'\"'\"'%s\"y\"'"]
    assert commands(Text("50% of%so 100%")) == ["input text 50%%sof%", "input text so%s100%"]
    assert commands(Text("one\ntwo\tthree\n")) == [
        "input text one",
        "input keyevent 66",
        "input text two",
        "input keyevent 61",
        "input text three",
        "input keyevent 66",
    ]
    assert commands(Text("")) == []


def typed_by_android(words: list[str]) -> str:
    """What the phone types: InputShellCommand.sendText of Android, and the two keys."""
    match words:
        case ["input", "keyevent", code]:
            return {"66": "\n", "61": "\t"}[code]
        case ["input", "text", text]:
            characters = list(text)
            escaped = False
            index = 0
            while index < len(characters):
                if escaped:
                    escaped = False
                    if characters[index] == "s":
                        characters[index] = " "
                        index -= 1
                        del characters[index]
                if characters[index] == "%":
                    escaped = True
                index += 1
            return "".join(characters)
    raise AssertionError(words)


@given(st.text(st.sampled_from("\n\t%s '\"$;`\\aZ~") | st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
def test_android_types_the_very_text(text: str) -> None:
    assert "".join(typed_by_android(words) for words in input_commands(Text(text), SCREEN)) == text


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (Touch(TouchAction.DOWN, 1, 1, pointer_id=1), "pointerId 1.*one finger only"),
        (Touch(TouchAction.TAP, math.nan, 1), "finite"),
        (Touch(TouchAction.TAP, 1, math.inf), "finite"),
        (Touch(TouchAction.TAP, 1, 1, VideoSize(-1, 5)), "-1x5 is not the size of a video"),
        (Key(-1), "keyCode -1 is out of range: 0 to 9999"),
        (Key(10_000), "keyCode 10000"),
        (Key(4, KeyAction.DOWN), "key action 'down'.*'press' and 'longpress'"),
        (Key(4, KeyAction.UP), "key action 'up'"),
        (Text("naïve"), "character 3 of the text cannot be typed.*ASCII"),
        (Text("a\x1bb"), "character 2"),
        (Text("x" * (TEXT_LIMIT + 1)), f"2001 characters is too long: at most {TEXT_LIMIT}"),
    ],
)
def test_what_a_shell_cannot_do_is_said(event: InputEvent, why: str) -> None:
    with pytest.raises(InputRejected, match=why) as raised:
        commands(event)
    assert "ï" not in str(raised.value)


# The controller


class FakeScreen:
    """A phone's shell: it remembers the lines it ran, and holds each `input` line until it is allowed to end."""

    def __init__(self, adb: FakeAdbServer) -> None:
        self.lines: list[str] = []
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.answer = packet(EXIT, b"\0")
        self._adb = adb
        self._arrived = asyncio.Condition()
        adb.on("host-serial:", okay(b"shell_v2"))
        self.resize(720, 1280)
        adb.on("shell,v2,raw:input", self._input)

    def resize(self, width: int, height: int) -> None:
        size = f"Physical size: {width}x{height}\n".encode()
        self._adb.on("shell,v2,raw:wm size", b"OKAY" + packet(STDOUT, size) + packet(EXIT, b"\0"))

    async def until_lines(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT), self._arrived:
            await self._arrived.wait_for(lambda: len(self.lines) >= count)

    async def _input(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = self._adb.asked[-1].removeprefix("shell,v2,raw:")
        writer.write(b"OKAY")
        async with self._arrived:
            self.lines.append(line)
            self._arrived.notify_all()
        await self.may_end.wait()
        writer.write(self.answer)
        await until_closed(reader)


@pytest.fixture
def screen(fake_adb: FakeAdbServer) -> FakeScreen:
    return FakeScreen(fake_adb)


@pytest.fixture
async def controller(fake_adb: FakeAdbServer, screen: FakeScreen) -> AsyncIterator[ShellController]:
    controller = ShellController(AdbClient(port=fake_adb.port, command_timeout=5.0), SERIAL)
    yield controller
    screen.may_end.set()
    await controller.aclose()


def move(x: int) -> Touch:
    return Touch(TouchAction.MOVE, x, 0)


async def test_events_are_injected_in_order(controller: ShellController, screen: FakeScreen) -> None:
    before = asyncio.get_running_loop().time()
    first = await controller.inject(Touch(TouchAction.DOWN, 1, 2))
    second = await controller.inject(move(3))
    third = await controller.inject(Touch(TouchAction.UP, 5, 6))
    assert before <= first <= second <= third
    assert screen.lines == ["input motionevent DOWN 1 2", "input motionevent MOVE 3 0", "input motionevent UP 5 6"]


async def test_the_screen_s_size_is_read_once(
    controller: ShellController, screen: FakeScreen, fake_adb: FakeAdbServer
) -> None:
    screen.resize(1080, 2400)
    for _ in range(3):
        await controller.inject(Touch(TouchAction.TAP, 180, 400, VideoSize(360, 800)))
    assert screen.lines == 3 * ["input tap 540 1200"]
    assert fake_adb.asked.count("shell,v2,raw:wm size") == 1


async def test_what_waits_goes_into_one_call(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Key(1)))
        await screen.until_lines(1)
        waiting = [tasks.create_task(controller.inject(event)) for event in (Key(2), Touch(TouchAction.TAP, 1, 2))]
        waiting += [tasks.create_task(controller.inject(event)) for event in (Text("a;b"), Key(3), Key(4))]
        await asyncio.sleep(0)
        screen.may_end.set()
    assert screen.lines == [
        "input keyevent 1",
        "input keyevent 2; input tap 1 2",
        "input text 'a;b'",
        "input keyevent 3; input keyevent 4",
    ]
    assert [task.result() for task in waiting] == sorted(task.result() for task in waiting)


async def test_a_waiting_move_is_replaced_by_the_next_one(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Touch(TouchAction.DOWN, 0, 0)))
        await screen.until_lines(1)
        events = [*map(move, range(1, 200)), Touch(TouchAction.UP, 200, 0), move(201), move(202)]
        injected = [tasks.create_task(controller.inject(event)) for event in events]
        await asyncio.sleep(0)
        screen.may_end.set()
    assert screen.lines[1:] == [
        "input motionevent MOVE 199 0; input motionevent UP 200 0; input motionevent MOVE 202 0"
    ]
    assert len({task.result() for task in injected}) == 1
    assert controller.dropped == {"replaced_move": 199}


async def test_more_than_can_wait_is_refused(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Key(0)))
        await screen.until_lines(1)
        for number in range(QUEUE_LIMIT):
            tasks.create_task(controller.inject(Key(number)))
        await asyncio.sleep(0)
        with pytest.raises(InputRejected, match=f"too slow: {QUEUE_LIMIT} events wait"):
            await controller.inject(Key(1))
        screen.may_end.set()
    assert controller.dropped == {"queue_full": 1}
    assert "; ".join(screen.lines).count("keyevent") == QUEUE_LIMIT + 1


async def test_what_can_never_be_injected_does_not_wait(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Key(1)))
        await screen.until_lines(1)
        with pytest.raises(InputRejected, match="pointerId 3"):
            await controller.inject(Touch(TouchAction.TAP, 1, 1, pointer_id=3))
        screen.may_end.set()


async def test_empty_text_is_injected_without_a_call(controller: ShellController, screen: FakeScreen) -> None:
    await controller.inject(Text(""))
    assert screen.lines == []


async def test_a_failure_is_told_without_the_text(controller: ShellController, screen: FakeScreen) -> None:
    screen.answer = packet(STDERR, b"input: killed") + packet(EXIT, b"\x89")
    with pytest.raises(CommandFailed, match="'input' ended with exit code 137: input: killed") as raised:
        await controller.inject(Text("secret"))
    assert "secret" not in str(raised.value) + raised.value.command
    screen.answer = packet(EXIT, b"\0")
    await controller.inject(Key(1))


async def test_an_android_that_is_too_old_says_so(controller: ShellController, screen: FakeScreen) -> None:
    screen.answer = packet(STDOUT, b"Error: Unknown command: motionevent\n") + packet(EXIT, b"\0")
    with pytest.raises(InputRejected, match="cannot do that: Unknown command: motionevent"):
        await controller.inject(move(1))


async def test_a_phone_that_hangs_is_told_without_the_text(fake_adb: FakeAdbServer, screen: FakeScreen) -> None:
    controller = ShellController(AdbClient(port=fake_adb.port, command_timeout=0.1), SERIAL)
    screen.may_end.clear()
    with pytest.raises(AdbTimeout) as raised:
        await controller.inject(Text("secret"))
    assert "secret" not in str(raised.value)
    screen.may_end.set()
    await controller.aclose()


async def test_a_device_that_is_gone(controller: ShellController, fake_adb: FakeAdbServer, screen: FakeScreen) -> None:
    fake_adb.on("host:transport:", fail(f"device '{SERIAL}' not found".encode()))
    with pytest.raises(DeviceNotFound):
        await controller.inject(Key(1))
    fake_adb.on("host:transport:", fail(b"device offline"))


async def test_closing_refuses_what_waits_and_what_comes(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    loop = asyncio.get_running_loop()
    running = loop.create_task(controller.inject(Key(1)))
    await screen.until_lines(1)
    waiting = loop.create_task(controller.inject(Key(2)))
    await asyncio.sleep(0)
    await controller.aclose()
    for task in (running, waiting):
        with pytest.raises(InputRejected, match="no longer controlled"):
            await task
    with pytest.raises(InputRejected, match="no longer controlled"):
        await controller.inject(Key(3))
    await controller.aclose()


async def test_a_caller_that_gives_up_does_not_stop_the_others(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    loop = asyncio.get_running_loop()
    running = loop.create_task(controller.inject(Key(1)))
    await screen.until_lines(1)
    first, second = loop.create_task(controller.inject(move(1))), loop.create_task(controller.inject(move(2)))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    screen.may_end.set()
    async with asyncio.timeout(TIMEOUT):
        await running
        await second
    assert screen.lines == ["input keyevent 1", "input motionevent MOVE 2 0"]


# The demo phone


@pytest.mark.adb
async def test_the_demo_phone_gets_what_was_injected(adb_client: AdbClient) -> None:
    text = 'it\'s 50% of%so; $(reboot) `x` "y" \\n &|<>*?~#'
    async with connected_phone(adb_client) as phone:
        controller = ShellController(adb_client, phone.address)
        video = VideoSize(180, 320)  # Half the screen's size.
        await controller.inject(Touch(TouchAction.DOWN, 10, 20, video))
        await controller.inject(Touch(TouchAction.MOVE, 30, 40, video))
        await controller.inject(Touch(TouchAction.UP, 5000, 50, video))
        await controller.inject(Touch(TouchAction.TAP, 7, 8))
        await controller.inject(Key(3))
        await controller.inject(Key(26, KeyAction.LONG_PRESS))
        await controller.inject(Text(text))
        await controller.aclose()
        events = list(phone.input_log)
    moves = [(event.motion.value, event.x, event.y) for event in events if isinstance(event, MotionEvent)]
    assert moves == [
        ("DOWN", 20, 40),
        ("MOVE", 60, 80),
        ("UP", 359, 100),
        ("DOWN", 7, 8),
        ("UP", 7, 8),
    ]
    assert [(event.code, event.long) for event in events if isinstance(event, KeyPress)] == [(3, False), (26, True)]
    assert "".join(event.text for event in events if isinstance(event, TypedText)) == text

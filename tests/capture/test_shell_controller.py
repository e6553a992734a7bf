"""Input by the phone's shell, against a phone that takes what it is told and tells when."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from capture.adb.client import AdbClient
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.demo_phone.input_log import KeyPress, MotionEvent, TypedText
from capture.demo_phone.touches import Motion
from capture.errors import AdbTimeout, CommandFailed, DeviceNotFound, InputRejected
from capture.input_events import Key, KeyAction, Rotate, Scroll, Swipe, Text, Touch, TouchAction, VideoSize
from capture.input_queue import QUEUE_LIMIT
from capture.shell_controller import ShellController
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, fail, okay, packet, until_closed

SERIAL = "127.0.0.1:5555"


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


async def test_turns_of_a_wheel_that_wait_add_up(controller: ShellController, screen: FakeScreen) -> None:
    screen.may_end.clear()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Key(1)))
        await screen.until_lines(1)
        for right, down in ((0, 1), (0, 1), (0, -0.5)):
            tasks.create_task(controller.inject(Scroll(360, 640, right, down)))
        tasks.create_task(controller.inject(Swipe(1, 2, 3, 4, 0.1)))
        tasks.create_task(controller.inject(Key(2)))
        await asyncio.sleep(0)
        screen.may_end.set()
    assert screen.lines == [
        "input keyevent 1",
        "input swipe 360 640 360 448 250",
        "input swipe 1 2 3 4 100",
        "input keyevent 2",
    ]


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


@pytest.mark.adb
async def test_the_demo_phone_is_swiped_and_turned(adb_client: AdbClient) -> None:
    async with connected_phone(adb_client) as phone:
        controller = ShellController(adb_client, phone.address)
        await controller.inject(Swipe(10, 20, 110, 220, 0.1))
        moves = [event for event in phone.input_log if isinstance(event, MotionEvent)]
        phone.input_log.clear()
        await controller.inject(Scroll(180, 320, 0, 1))
        wheel = [event for event in phone.input_log if isinstance(event, MotionEvent)]
        rotations = [phone.rotation]
        for _ in range(2):
            await controller.inject(Rotate())
            rotations.append(phone.rotation)
        await controller.aclose()
    assert (moves[0].motion, moves[0].x, moves[0].y) == (Motion.DOWN, 10, 20)
    assert (moves[-1].motion, moves[-1].x, moves[-1].y) == (Motion.UP, 110, 220)
    assert len(moves) > 3
    assert [(event.x, event.y) for event in (wheel[0], wheel[-1])] == [(180, 320), (180, 256)]
    assert rotations == [0, 1, 0]

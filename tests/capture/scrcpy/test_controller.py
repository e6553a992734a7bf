"""The controller: alone on a connection that a test plays, and on the demo phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from capture.adb.client import AdbClient
from capture.controller import Controller
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import KeyPress, MotionEvent, Scrolled, TypedText
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.touches import Motion
from capture.errors import AdbUnavailable, InputRejected
from capture.input_events import (
    InputEvent,
    Key,
    KeyAction,
    ReadClipboard,
    Rotate,
    Scroll,
    Swipe,
    Text,
    Touch,
    TouchAction,
    VideoSize,
    WriteClipboard,
)
from capture.input_queue import QUEUE_LIMIT
from capture.scrcpy.control_message import (
    KeyMotion,
    MotionAction,
    get_clipboard,
    inject_keycode,
    inject_text,
    inject_touch,
    rotate_device,
    set_clipboard,
)
from capture.scrcpy.controller import ScrcpyController
from capture.scrcpy.swipes import SWIPE_POINTERS
from capture.scrcpy.version import parse_version
from capture.scrcpy.wire import Clipboard, ClipboardSet
from tests.capture.adb.connected_phone import connected_phone
from tests.capture.scrcpy.test_source import BOTH, capturing, make_server
from tests.capture.source_contract import TIMEOUT, take
from tests.fixtures.adb import free_port
from tests.waiting import until

VIDEO = VideoSize(360, 640)


class Connection:
    """What a server got, and whether it takes more."""

    def __init__(self) -> None:
        self.is_over = False
        self.is_full = False
        self.sent: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.sent.append(message)


def make_controller(connection: Connection, version: str = "4.1") -> ScrcpyController:
    """A controller of a device that no adb server knows: it is asked only for touches in device pixels."""
    controller = ScrcpyController(AdbClient(port=free_port()), "nobody", connection, parse_version(version))
    controller.video_size = VIDEO
    return controller


def move(x: int, pointer_id: int = 0) -> Touch:
    return Touch(TouchAction.MOVE, x, 0, VIDEO, pointer_id)


async def test_events_are_sent_at_once_and_in_order() -> None:
    connection = Connection()
    controller = make_controller(connection)
    await controller.inject(Touch(TouchAction.DOWN, 1, 2, VIDEO))
    await controller.inject(Text("hi"))
    await controller.inject(Key(4))
    assert connection.sent == [
        inject_touch(MotionAction.DOWN, 0, 1, 2, VIDEO),
        inject_text("hi"),
        inject_keycode(KeyMotion.DOWN, 4) + inject_keycode(KeyMotion.UP, 4),
    ]
    await controller.aclose()
    assert connection.sent[3:] == [inject_touch(MotionAction.UP, 0, 1, 2, VIDEO, pressure=0.0)]


async def test_while_the_device_is_slow_a_move_is_replaced_by_the_next_of_its_finger() -> None:
    connection = Connection()
    controller = make_controller(connection)
    connection.is_full = True
    async with asyncio.TaskGroup() as tasks:
        events = (move(1), move(2, 1), move(3), move(4, 1), Touch(TouchAction.UP, 5, 0, VIDEO), move(6))
        injected = [tasks.create_task(controller.inject(event)) for event in events]
        await until(lambda: controller.dropped["replaced_move"] == 2)
        await asyncio.sleep(0)
        assert not connection.sent
        connection.is_full = False
        controller.writable()
    assert connection.sent == [
        inject_touch(MotionAction.MOVE, 0, 3, 0, VIDEO),
        inject_touch(MotionAction.MOVE, 1, 4, 0, VIDEO),
        inject_touch(MotionAction.UP, 0, 5, 0, VIDEO, pressure=0.0),
        inject_touch(MotionAction.MOVE, 0, 6, 0, VIDEO),
    ]
    moments = [task.result() for task in injected]
    assert moments[0] == moments[2]
    assert moments[1] == moments[3]
    await controller.aclose()


async def test_what_waits_is_bounded_and_texts_go_together() -> None:
    connection = Connection()
    controller = make_controller(connection)
    connection.is_full = True
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(controller.inject(Key(number))) for number in range(QUEUE_LIMIT - 1)]
        waiting += [tasks.create_task(controller.inject(Text(letter))) for letter in "abc"]
        await asyncio.sleep(0)
        with pytest.raises(InputRejected, match="64 events wait for it already"):
            await controller.inject(Key(4))
        assert controller.dropped["queue_full"] == 1
        connection.is_full = False
        controller.writable()
    assert connection.sent[-1] == inject_text("abc")
    await controller.aclose()


async def test_other_text_is_pasted_and_the_clipboard_gets_back_what_it_held() -> None:
    connection = Connection()
    controller = make_controller(connection)
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(controller.inject(Text("日")))
        await until(lambda: connection.sent)
        assert connection.sent == [get_clipboard() + set_clipboard("日", sequence=1, paste=True)]
        controller.message(Clipboard("before"))
        assert not first.done()
        second = tasks.create_task(controller.inject(Text("本")))
        controller.message(ClipboardSet(1))
        await first
        # The app has to read the first text before the second is put there.
        await until(lambda: len(connection.sent) == 2)
        assert connection.sent[1] == set_clipboard("本", sequence=2, paste=True)
        controller.message(ClipboardSet(2))
        await second
        await until(lambda: len(connection.sent) == 3)
    assert connection.sent[2] == set_clipboard("before")
    await controller.aclose()
    assert connection.sent[3:] == [b""]


async def test_closing_puts_the_clipboard_back_at_once() -> None:
    connection = Connection()
    controller = make_controller(connection)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Text("é")))
        await until(lambda: connection.sent)
        controller.message(ClipboardSet(1))  # It held nothing, so it told nothing.
    await controller.aclose()
    assert connection.sent[-1] == set_clipboard("")


async def test_the_clipboard_is_written_and_read() -> None:
    connection = Connection()
    controller = make_controller(connection)
    told: list[str] = []
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(controller.inject(WriteClipboard("mine")))
        reading = tasks.create_task(controller.inject(ReadClipboard(told.append)))
        key = tasks.create_task(controller.inject(Key(4)))
        await until(lambda: connection.sent)
        assert connection.sent == [set_clipboard("mine", sequence=1)]
        controller.message(ClipboardSet(1))
        await writing
        await until(lambda: len(connection.sent) == 3)
        assert connection.sent[1] == get_clipboard()
        assert not reading.done()
        controller.message(Clipboard("yours"))
        await reading
        await key
    assert told == ["yours"]
    controller.message(Clipboard("nobody asked"))
    assert told == ["yours"]
    await controller.aclose()
    assert connection.sent[3:] == [b""]


async def test_what_is_pasted_is_not_what_the_clipboard_holds() -> None:
    connection = Connection()
    controller = make_controller(connection)
    told: list[str] = []
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(Text("pässword")))
        tasks.create_task(controller.inject(ReadClipboard(told.append)))
        await until(lambda: connection.sent)
        controller.message(Clipboard("before"))
        controller.message(ClipboardSet(1))
    assert told == ["before"]
    assert len(connection.sent) == 1
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        tasks.create_task(controller.inject(WriteClipboard("new")))
        await until(lambda: len(connection.sent) == 2)
        controller.message(ClipboardSet(2))
    await controller.aclose()
    # What was there before the paste is not put back over what was written since.
    assert connection.sent[1:] == [set_clipboard("new", sequence=2), b""]


async def test_a_clipboard_that_is_not_told_holds_nothing() -> None:
    controller = make_controller(Connection())
    told: list[str] = []
    await controller.inject(ReadClipboard(told.append))
    assert told == [""]
    await controller.aclose()


async def test_a_swipe_goes_its_way_beside_other_fingers() -> None:
    connection = Connection()
    controller = make_controller(connection)
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        swiping = tasks.create_task(controller.inject(Swipe(0, 0, 200, 400, 0.05, VIDEO)))
        await until(lambda: connection.sent)
        await controller.inject(move(7))
        assert not swiping.done()
    finger = SWIPE_POINTERS[0]
    assert connection.sent[0] == inject_touch(MotionAction.DOWN, finger, 0, 0, VIDEO)
    assert inject_touch(MotionAction.MOVE, 0, 7, 0, VIDEO) in connection.sent
    assert connection.sent[-2:] == [
        inject_touch(MotionAction.MOVE, finger, 200, 400, VIDEO),
        inject_touch(MotionAction.UP, finger, 200, 400, VIDEO, pressure=0.0),
    ]
    await controller.aclose()


async def test_a_swipe_over_a_screen_that_is_turned_ends() -> None:
    connection = Connection()
    controller = make_controller(connection)
    async with asyncio.timeout(TIMEOUT):
        swiping = asyncio.get_running_loop().create_task(controller.inject(Swipe(0, 0, 200, 400, 5.0, VIDEO)))
        await until(lambda: len(connection.sent) > 1)
        controller.video_size = turned = VideoSize(640, 360)
        with pytest.raises(InputRejected, match="the device was turned"):
            await swiping
    last = connection.sent[-1]
    assert last[:2] == inject_touch(MotionAction.UP, SWIPE_POINTERS[0], 0, 0, turned)[:2]
    await controller.aclose()
    assert connection.sent[-1] == b""  # No finger is down.


async def test_closing_ends_a_swipe_and_lifts_its_finger() -> None:
    connection = Connection()
    controller = make_controller(connection)
    swiping = asyncio.get_running_loop().create_task(controller.inject(Swipe(5, 6, 200, 400, 5.0, VIDEO)))
    await until(lambda: connection.sent)
    await controller.aclose()
    with pytest.raises(InputRejected, match="no longer controlled"):
        await swiping
    assert connection.sent[-1][:10] == inject_touch(MotionAction.UP, SWIPE_POINTERS[0], 0, 0, VIDEO)[:10]


async def test_what_is_no_swipe_is_refused() -> None:
    connection = Connection()
    controller = make_controller(connection)
    for swipe, why in (
        (Swipe(0, 0, 1, 1, 11.0, VIDEO), "a swipe of 11 s: more than 0 and at most 10 s"),
        (Swipe(0, 0, float("nan"), 1, 1.0, VIDEO), "all four numbers must be finite"),
        (Swipe(0, 0, 1, 1, 1.0, VideoSize(640, 360)), "the device was turned"),
    ):
        with pytest.raises(InputRejected, match=why):
            await controller.inject(swipe)
    assert connection.sent == []
    loop = asyncio.get_running_loop()
    swiping = [loop.create_task(controller.inject(Swipe(0, 0, 1, 1, 9.0, VIDEO))) for _ in SWIPE_POINTERS]
    await until(lambda: len(connection.sent) >= len(SWIPE_POINTERS))
    with pytest.raises(InputRejected, match="8 swipes are under way already"):
        await controller.inject(Swipe(0, 0, 1, 1, 1.0, VIDEO))
    await controller.aclose()
    assert all(isinstance(end, InputRejected) for end in await asyncio.gather(*swiping, return_exceptions=True))


async def test_the_device_is_turned() -> None:
    connection = Connection()
    controller = make_controller(connection)
    await controller.inject(Rotate())
    assert connection.sent == [rotate_device()]
    await controller.aclose()


async def test_touches_need_a_video_and_device_pixels_the_device() -> None:
    connection = Connection()
    controller = make_controller(connection)
    with pytest.raises(AdbUnavailable):
        await controller.inject(Touch(TouchAction.TAP, 1, 1))
    controller.video_size = None
    with pytest.raises(InputRejected, match="sends no video yet"):
        await controller.inject(Touch(TouchAction.TAP, 1, 1, VIDEO))
    await controller.aclose()


async def test_when_the_server_is_gone_nobody_waits_for_it() -> None:
    connection = Connection()
    controller = make_controller(connection)
    events: list[InputEvent] = [Text("日"), Key(26, KeyAction.LONG_PRESS), Key(4)]
    tasks = [asyncio.get_running_loop().create_task(controller.inject(event)) for event in events[:2]]
    await until(lambda: len(connection.sent) == 2)
    connection.is_full = True
    tasks.append(asyncio.get_running_loop().create_task(controller.inject(events[2])))
    await asyncio.sleep(0)
    controller.disconnected()
    for task in tasks:
        with pytest.raises(InputRejected, match="no longer controlled"):
            await task
    with pytest.raises(InputRejected, match="no longer controlled"):
        await controller.inject(Key(4))
    await controller.aclose()
    await controller.aclose()


@asynccontextmanager
async def controlled(
    client: AdbClient, folder: Path, version: str, spec: PhoneSpec
) -> AsyncIterator[tuple[DemoPhone, Controller]]:
    """A phone whose pictures are watched."""
    async with connected_phone(client, spec) as phone, capturing(client, phone, make_server(folder, version)) as source:
        await take(source, 1)
        assert source.controller is not None
        yield phone, source.controller


SPEC = PhoneSpec(width=360, height=640)


@pytest.mark.adb
@BOTH
async def test_two_fingers_on_the_phone(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    async with controlled(adb_client, tmp_path, version, SPEC) as (phone, controller):
        for action, x, pointer_id in (
            (TouchAction.DOWN, 100, 0),
            (TouchAction.DOWN, 200, 1),
            (TouchAction.MOVE, 110, 0),
            (TouchAction.UP, 200, 1),
            (TouchAction.UP, 110, 0),
        ):
            await controller.inject(Touch(action, x, 300, VIDEO, pointer_id))
        await until(lambda: len(phone.input_log) == 5)
        events = [
            (event.motion, event.x, event.pointer_id) for event in phone.input_log if isinstance(event, MotionEvent)
        ]
    assert events == [
        (Motion.DOWN, 100, 0),
        (Motion.DOWN, 200, 1),
        (Motion.MOVE, 110, 0),
        (Motion.UP, 200, 1),
        (Motion.UP, 110, 0),
    ]


@pytest.mark.adb
@BOTH
async def test_keys_and_text_on_the_phone(adb_client: AdbClient, tmp_path: Path, version: str) -> None:
    async with controlled(adb_client, tmp_path, version, SPEC) as (phone, controller):
        phone.clipboard.set("mine")
        await controller.inject(Text("user@example.com"))
        await controller.inject(Text("Grüße, 世界 🎉"))
        assert phone.clipboard.text == "Grüße, 世界 🎉"
        await controller.inject(Key(24, KeyAction.LONG_PRESS))
        await controller.inject(Touch(TouchAction.TAP, 359, 639))  # in device pixels
        await until(lambda: phone.clipboard.text == "mine")
        log = list(phone.input_log)
    assert [event.text for event in log if isinstance(event, TypedText)] == ["user@example.com"]
    assert [(event.code, event.long) for event in log if isinstance(event, KeyPress)] == [
        (279, False),  # PASTE
        (24, False),
        (24, True),
    ]
    assert [(event.x, event.y) for event in log if isinstance(event, MotionEvent)] == [(359, 639)] * 2


@pytest.mark.adb
async def test_what_is_held_is_let_go_with_the_source(adb_client: AdbClient, tmp_path: Path) -> None:
    async with connected_phone(adb_client, SPEC) as phone:
        async with capturing(adb_client, phone, make_server(tmp_path, "4.1")) as source:
            await take(source, 1)
            assert source.controller is not None
            await source.controller.inject(Touch(TouchAction.DOWN, 5, 6, VIDEO))
            await until(lambda: len(phone.input_log) == 1)
        events = [event.motion for event in phone.input_log if isinstance(event, MotionEvent)]
    assert events == [Motion.DOWN, Motion.UP]


@pytest.mark.adb
@BOTH
async def test_wheel_swipe_clipboard_and_rotation_on_the_phone(
    adb_client: AdbClient, tmp_path: Path, version: str
) -> None:
    told: list[str] = []
    async with controlled(adb_client, tmp_path, version, SPEC) as (phone, controller):
        await controller.inject(ReadClipboard(told.append))
        await controller.inject(WriteClipboard("Grüße 🎉"))
        assert phone.clipboard.text == "Grüße 🎉"
        phone.clipboard.set("copied on the phone")
        await controller.inject(ReadClipboard(told.append))
        await controller.inject(Scroll(100, 200, right=-1, down=2, relative_to=VIDEO))
        await until(lambda: len(phone.input_log))
        (wheel,) = phone.input_log
        await controller.inject(Swipe(10, 20, 110, 220, 0.1, VIDEO))
        await until(lambda: Motion.UP in [event.motion for event in phone.input_log if isinstance(event, MotionEvent)])
        moves = [event for event in phone.input_log if isinstance(event, MotionEvent)]
        await controller.inject(Rotate())
        await until(lambda: phone.rotation == 1)
    assert told == ["", "copied on the phone"]
    assert isinstance(wheel, Scrolled)
    assert (wheel.x, wheel.y) == (100, 200)
    assert (wheel.horizontal, wheel.vertical) == pytest.approx((-1, -2), abs=0.01)
    assert [(event.motion, event.x, event.y) for event in (moves[0], moves[-1])] == [
        (Motion.DOWN, 10, 20),
        (Motion.UP, 110, 220),
    ]
    assert len(moves) > 3

"""The controller: alone on a connection that a test plays, and on the demo phone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from capture.adb.client import AdbClient
from capture.controller import Controller
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import KeyPress, MotionEvent, TypedText
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.touches import Motion
from capture.errors import AdbUnavailable, InputRejected
from capture.input_events import InputEvent, Key, KeyAction, Text, Touch, TouchAction, VideoSize
from capture.input_queue import QUEUE_LIMIT
from capture.scrcpy.control_message import (
    KeyMotion,
    MotionAction,
    get_clipboard,
    inject_keycode,
    inject_text,
    inject_touch,
    set_clipboard,
)
from capture.scrcpy.controller import ScrcpyController
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


def make_controller(connection: Connection) -> ScrcpyController:
    """A controller of a device that no adb server knows: it is asked only for touches in device pixels."""
    controller = ScrcpyController(AdbClient(port=free_port()), "nobody", connection)
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

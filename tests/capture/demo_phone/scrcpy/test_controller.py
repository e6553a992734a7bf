"""What the phone does for a client of scrcpy's server."""

import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.demo_phone.input_log import InputRecord, KeyPress, MotionEvent, Scrolled, TypedText
from capture.demo_phone.key_codes import key_code
from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.touches import Motion
from tests.capture.demo_phone.scrcpy.client import Connection, Server, Session, server
from tests.waiting import until

ONLY_CONTROL = "video=false audio=false log_level=debug"
ROTATE, RESET, BACK_OR_SCREEN_ON = b"\x0b", b"\x11", b"\x04"


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Phone:
    return Phone(getattr(request, "param", PhoneSpec(width=240, height=320)))


async def control(running: Server) -> Connection:
    (connection,) = await running.connect(1)
    return connection


def touch(
    action: int, x: int, y: int, *, pointer: int = 7, size: tuple[int, int] = (240, 320), buttons: int = 0
) -> bytes:
    return struct.pack(">BBqiiHHHii", 2, action, pointer, x, y, *size, 0xFFFF, buttons, buttons)


def key(action: int, code: int, repeat: int = 0) -> bytes:
    return struct.pack(">BBiii", 0, action, code, repeat, 0)


def text(words: str) -> bytes:
    return struct.pack(">BI", 1, len(words.encode())) + words.encode()


def set_clipboard(words: str, *, sequence: int = 0, paste: bool = False) -> bytes:
    return struct.pack(">Bq?I", 9, sequence, paste, len(words.encode())) + words.encode()


def done(phone: Phone) -> list[tuple[object, ...]]:
    """What was done to the phone, without the times."""

    def shown(record: InputRecord) -> tuple[object, ...]:
        match record:
            case MotionEvent():
                return record.motion, record.x, record.y, record.pointer_id
            case KeyPress():
                return record.code, record.long
            case TypedText():
                return (record.text,)
            case Scrolled():
                return record.x, record.y, record.horizontal, record.vertical

    return [shown(record) for record in phone.input_log]


async def test_two_fingers(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(touch(0, 10, 20) + touch(0, 100, 200, pointer=-2) + touch(2, 15, 25))
        await connection.write(touch(1, 15, 25) + touch(1, 100, 200, pointer=-2) + touch(0, 1, 2, pointer=-2))
        await until(lambda: len(phone.input_log) == 6)
    assert done(phone) == [
        (Motion.DOWN, 10, 20, 0),
        (Motion.DOWN, 100, 200, 1),
        (Motion.MOVE, 15, 25, 0),
        (Motion.UP, 15, 25, 0),
        (Motion.UP, 100, 200, 1),
        (Motion.DOWN, 1, 2, 0),
    ]
    assert phone.screen.touch_count == 3


async def test_an_eleventh_finger_is_one_too_many(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        for pointer in range(11):
            await connection.write(touch(0, pointer, 0, pointer=pointer))
        await until(lambda: running.run.errors == b"[server] WARN: Too many pointers for touch event\n")
    assert len(phone.input_log) == 10


async def test_a_mouse_is_a_finger_but_for_its_other_buttons_and_where_it_only_hovers(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(touch(7, 5, 5, pointer=-1) + touch(0, 5, 5, pointer=-1, buttons=2))
        await connection.write(touch(1, 5, 5, pointer=-1) + touch(0, 6, 6, pointer=-1, buttons=1))
        await until(lambda: len(phone.input_log) == 2)
    assert done(phone) == [(Motion.UP, 5, 5, 0), (Motion.DOWN, 6, 6, 0)]


@pytest.mark.parametrize("phone", [PhoneSpec(width=480, height=640)], indirect=True)
async def test_places_are_those_of_the_video_and_others_are_passed_over(phone: Phone) -> None:
    async with server(phone, "4.1", "audio=false max_size=320") as running:
        _, connection = await running.connect(2)
        await (await running.video()).picture()
        await connection.write(touch(0, 10, 20, size=(480, 640)) + touch(0, 10, 20, size=(240, 320)))
        await until(lambda: len(phone.input_log))
        assert done(phone) == [(Motion.DOWN, 20, 40, 0)]


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
async def test_a_turned_phone_wants_places_in_its_turned_video(phone: Phone, version: str) -> None:
    async with server(phone, version, "audio=false") as running:
        _, connection = await running.connect(2)
        stream = await running.video()
        await stream.picture()
        await connection.write(ROTATE)
        while True:
            packet = await stream.packet()
            if isinstance(packet, Session) and packet == Session(320, 240):
                break
            if version == "3.3.4" and not isinstance(packet, Session) and packet.is_config:
                break
        await stream.picture()
        await connection.write(touch(0, 300, 10) + touch(0, 300, 10, size=(320, 240)))
        await until(lambda: len(phone.input_log))
        await connection.write(ROTATE)
        await until(lambda: phone.rotation == 0)
    assert done(phone) == [(Motion.DOWN, 300, 10, 0)]
    assert b"[server] INFO: Device rotation requested: landscape\n" in running.run.output
    assert b"[server] INFO: Device rotation requested: portrait\n" in running.run.output


async def test_keys(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(key(0, 3) + key(1, 3) + key(0, 67) + key(0, 67, repeat=1) + key(1, 67))
        await until(lambda: len(phone.input_log) == 3)
    assert done(phone) == [(3, False), (67, False), (67, True)]


async def test_text_as_far_as_the_keyboard_has_it(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        await (await control(running)).write(text("Café €5\nok\t!"))
        await until(lambda: len(phone.input_log) == 5)
    assert done(phone) == [("Café 5",), (key_code("ENTER"), False), ("ok",), (key_code("TAB"), False), ("!",)]
    assert running.run.errors.decode() == "[server] WARN: Could not inject char u+20ac\n"


@pytest.mark.parametrize(("version", "notches"), [("3.0", 0.0625), ("3.3.4", 1.0)])
async def test_a_wheel(phone: Phone, version: str, notches: float) -> None:
    async with server(phone, version, ONLY_CONTROL) as running:
        await (await control(running)).write(struct.pack(">BiiHHhhi", 3, 10, 20, 240, 320, 0, 0x800, 0))
        await until(lambda: len(phone.input_log))
    assert done(phone) == [(10, 20, 0.0, notches)]


async def test_back_or_screen_on(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(BACK_OR_SCREEN_ON + b"\0" + BACK_OR_SCREEN_ON + b"\1")
        await until(lambda: len(phone.input_log) == 1)
        phone.turn_screen(False)
        await connection.write(BACK_OR_SCREEN_ON + b"\0" + BACK_OR_SCREEN_ON + b"\1")
        await until(lambda: phone.is_on)
    assert done(phone) == [(key_code("BACK"), False), (key_code("POWER"), False)]


@pytest.mark.parametrize("wakes", [True, False])
async def test_it_wakes_the_phone_when_it_begins(phone: Phone, wakes: bool) -> None:
    phone.turn_screen(False)
    async with server(phone, "3.3.4", ONLY_CONTROL, f"power_on={str(wakes).lower()}") as running:
        connection = await control(running)
        await connection.write(key(0, key_code("CAMERA")))
        await until(lambda: (key_code("CAMERA"), False) in done(phone))
        assert phone.is_on == wakes


async def test_the_clipboard_is_set_pasted_and_acknowledged(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(set_clipboard("größer", sequence=0x0102030405060708, paste=True))
        assert await connection.read(9) == bytes.fromhex("01 0102030405060708")
        await connection.write(set_clipboard("again") + key(0, 3))
        await until(lambda: phone.clipboard.text == "again")
    assert done(phone)[0] == (key_code("PASTE"), False)
    assert running.run.output.count(b"[server] INFO: Device clipboard set\n") == 2


async def test_the_clipboard_is_told_when_asked_for(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL, "clipboard_autosync=false") as running:
        connection = await control(running)
        await connection.write(b"\x08\x00")  # nobody has set it yet: no answer
        await connection.write(set_clipboard("hé", sequence=1) + b"\x08\x01")
        assert await connection.read(9 + 8) == bytes.fromhex("01 0000000000000001 00 00000003") + "hé".encode()
    assert done(phone) == [(key_code("COPY"), False)]


async def test_a_clipboard_that_others_change_is_told_at_once(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(set_clipboard("mine", sequence=1))
        assert await connection.read(9) == bytes.fromhex("01 0000000000000001")
        phone.clipboard.set("theirs")
        assert await connection.read(11) == bytes.fromhex("00 00000006") + b"theirs"


async def test_what_the_demo_phone_has_nothing_for_is_read_and_passed_over(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_CONTROL) as running:
        connection = await control(running)
        await connection.write(b"\x05\x06\x07\x0f" + b"\x0a\x00" + b"\x10\x05a.b.c" + RESET)
        await connection.write(bytes.fromhex("0c 0001 0000 0000 0141 0002 0102  0d 0001 0001 00  0e 0001") + key(0, 4))
        await until(lambda: len(phone.input_log))
    assert done(phone) == [(4, False)]
    assert b"[server] INFO: Device display turned off\n" in running.run.output
    assert running.run.errors == b'[server] WARN: No app found for package "a.b.c"\n'


@pytest.mark.parametrize(("version", "words"), [("3.3.4", b""), ("4.1", b"[server] ERROR: Control protocol error\n")])
async def test_an_unknown_message_ends_it(phone: Phone, version: str, words: bytes) -> None:
    async with server(phone, version, "audio=false") as running:
        video, connection = await running.connect(2)
        await connection.write(key(0, 4) + b"\xff")
        assert await running.ended() == 0
        await until(lambda: video.is_closed and connection.is_closed)
    assert done(phone) == [(4, False)]
    assert running.run.errors.startswith(words)
    assert bool(running.run.errors) == bool(words)


@pytest.mark.parametrize(
    ("message", "java_class"),
    [
        (b"\x12\x01", "java.lang.AssertionError: Unexpected message type: 18"),
        (b"\x15\x00\x10\x00\x10", "java.lang.ClassCastException"),
        (b"\x01\xff\xff\xff\xff", "java.lang.NegativeArraySizeException"),
    ],
)
async def test_messages_that_kill_it(phone: Phone, message: bytes, java_class: str) -> None:
    async with server(phone, "4.1", ONLY_CONTROL) as running:
        await (await control(running)).write(message)
        assert await running.ended() == 137
    assert (
        f"[server] ERROR: Exception on thread Thread[control-recv,5,main]\n{java_class}" in running.run.errors.decode()
    )


@given(st.binary(max_size=64), st.sampled_from(["3.0", "3.3.4", "4.1"]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_is_sent_it_goes_on_or_ends_in_order(phone: Phone, data: bytes, version: str) -> None:
    async with server(phone, version, ONLY_CONTROL, "power_on=false") as running:
        connection = await control(running)
        await connection.write(data or b"\x05")
        await connection.close()
        assert await running.ended() in (0, 137)

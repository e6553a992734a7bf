"""The phone's states: which way it is turned, how large its screen is, whether it is on, secure, booting."""

import asyncio

import numpy as np
import pytest

from capture.demo_phone.input_log import KeyPress, MotionEvent
from capture.demo_phone.key_codes import key_code
from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.strip import read_strip
from capture.demo_phone.touches import Motion
from tests.capture.demo_phone.pictures import luma

TIMEOUT = 20.0
UPRIGHT, TURNED = (240, 320), (320, 240)


@pytest.fixture
async def phone() -> Phone:
    return Phone(PhoneSpec(width=240, height=320, still=True))


def shown_size(phone: Phone) -> tuple[int, int]:
    frame = phone.display.snapshot().frame
    assert (frame.width, frame.height) == (phone.display.width, phone.display.height)
    return frame.width, frame.height


def is_black(phone: Phone) -> bool:
    return bool((luma(phone.display.snapshot().frame) == 16).all())


@pytest.mark.parametrize(("rotation", "size"), [(0, UPRIGHT), (1, TURNED), (2, UPRIGHT), (3, TURNED)])
async def test_a_turned_phone_has_a_turned_screen(phone: Phone, rotation: int, size: tuple[int, int]) -> None:
    phone.rotate(rotation)
    assert phone.rotation == rotation
    assert (phone.screen.width, phone.screen.height) == shown_size(phone) == size
    assert phone.size == UPRIGHT
    assert phone.settings["system", "user_rotation"] == str(rotation)


async def test_a_phone_can_be_turned_from_the_beginning() -> None:
    phone = Phone(PhoneSpec(width=320, height=240, rotation=3))
    assert shown_size(phone) == (240, 320)


async def test_the_screen_goes_on_where_it_was(phone: Phone) -> None:
    phone.touch(Motion.DOWN, 10, 10)
    phone.type_text("abc")
    before = read_strip(luma(phone.display.snapshot().frame))
    phone.rotate(1)
    after = read_strip(luma(phone.display.snapshot().frame))
    assert (after.frame_number, after.touches) == (before.frame_number + 1, before.touches)
    assert phone.screen.animate is False
    typed = phone.screen.draw(0.0).to_ndarray()
    phone.type_text("d")
    assert (phone.screen.draw(0.0).to_ndarray() != typed).any()


async def test_touches_are_in_pixels_of_the_turned_screen(phone: Phone) -> None:
    phone.rotate(1)
    before = luma(phone.display.snapshot().frame).astype(int)[:230, 250:]  # where no clock runs
    phone.touch(Motion.DOWN, 300, 120)
    after = luma(phone.display.snapshot().frame).astype(int)[:230, 250:]
    y, x = np.argwhere(np.abs(after - before) > 30).mean(axis=0)
    assert (x + 250, y) == (pytest.approx(300, abs=5), pytest.approx(120, abs=5))
    (event,) = phone.input_log
    assert isinstance(event, MotionEvent)
    assert (event.x, event.y, event.pointer_id) == (300, 120, 0)


async def test_the_sensor_says_upright(phone: Phone) -> None:
    phone.rotate(1)
    phone.put_setting("system", "accelerometer_rotation", "1")
    assert (phone.rotation, phone.is_rotation_locked, shown_size(phone)) == (0, False, UPRIGHT)
    phone.put_setting("system", "accelerometer_rotation", "0")
    assert (phone.rotation, shown_size(phone)) == (1, TURNED)
    assert phone.delete_setting("system", "user_rotation")
    assert (phone.rotation, shown_size(phone)) == (0, UPRIGHT)
    assert not phone.delete_setting("system", "user_rotation")


@pytest.mark.parametrize("rotation", [-1, 4])
async def test_there_are_four_rotations(phone: Phone, rotation: int) -> None:
    with pytest.raises(ValueError, match=f"rotation {rotation}: it must be 0 to 3"):
        phone.rotate(rotation)
    with pytest.raises(ValueError, match=f"Invalid value: {rotation} for setting: user_rotation"):
        phone.put_setting("system", "user_rotation", str(rotation))


@pytest.mark.parametrize("sdk", [23, 37])
def test_androids_that_are_not_known(sdk: int) -> None:
    with pytest.raises(ValueError, match=rf"API level {sdk}: it must be 24 \(Android 7\) to 36 \(Android 16\)"):
        Phone(PhoneSpec(width=120, height=120, sdk=sdk))


@pytest.mark.parametrize(
    ("asked", "size"), [((300, 400), (300, 400)), ((1, 9999), (200, 640)), ((301, 401), (300, 400))]
)
async def test_the_size_can_be_overridden(phone: Phone, asked: tuple[int, int], size: tuple[int, int]) -> None:
    phone.rotate(1)
    phone.resize(*asked)
    assert (phone.override_size, phone.size, shown_size(phone)) == (size, size, size[::-1])
    phone.reset_size()
    assert (phone.size, shown_size(phone)) == (UPRIGHT, TURNED)
    assert phone.override_size is None


async def test_the_power_keys(phone: Phone) -> None:
    states = []
    for name in ("POWER", "POWER", "SLEEP", "SLEEP", "WAKEUP", "WAKEUP"):
        phone.press_key(key_code(name))
        states.append(phone.is_on)
    assert states == [False, True, False, False, True, True]
    phone.press_key(key_code("POWER"), long=True)
    assert phone.is_on
    phone.turn_screen(False)
    phone.press_key(key_code("POWER"), long=True)
    assert phone.is_on
    assert len(phone.input_log) == 8
    assert all(isinstance(record, KeyPress) for record in phone.input_log)


async def test_a_phone_that_sleeps_feels_nothing(phone: Phone) -> None:
    phone.turn_screen(False)
    assert is_black(phone)
    phone.touch(Motion.DOWN, 10, 10)
    phone.press_key(key_code("HOME"))
    phone.type_text("x")
    phone.rotate(1)
    assert is_black(phone)
    assert shown_size(phone) == TURNED
    assert len(phone.input_log) == 3
    phone.turn_screen(True)
    assert not is_black(phone)
    assert phone.screen.touch_count == 0


async def test_who_watches_a_phone_fall_asleep_gets_one_black_picture_and_then_no_more(phone: Phone) -> None:
    async with asyncio.timeout(TIMEOUT):
        with phone.display.watch() as watching:
            await anext(watching)
            phone.turn_screen(False)
            assert (luma((await anext(watching)).frame) == 16).all()
            phone.screen.animate = True
            with phone.display.watch() as later:
                # Whoever comes to a phone that sleeps sees nothing before it wakes, so both wait for the same picture.
                both = [asyncio.ensure_future(anext(pictures)) for pictures in (watching, later)]  # noqa: TID251
                await asyncio.sleep(0)
                phone.display.snapshot()
                assert not any(waiting.done() for waiting in both)
                phone.turn_screen(True)
                first, second = await asyncio.gather(*both)
    assert first is second
    assert read_strip(luma(first.frame)).frame_number == 2


async def test_a_secure_window_is_not_captured(phone: Phone) -> None:
    phone.is_secure = True
    assert is_black(phone)
    phone.rotate(1)
    assert is_black(phone)
    assert shown_size(phone) == TURNED
    phone.press_key(key_code("HOME"))
    assert not phone.is_secure
    assert not is_black(phone)


async def test_booting(phone: Phone) -> None:
    phone.rotate(1)
    number = read_strip(luma(phone.display.snapshot().frame)).frame_number
    phone.is_booting = True
    assert (phone.rotation, shown_size(phone)) == (0, UPRIGHT)
    assert [phone.properties[name] for name in ("sys.boot_completed", "init.svc.bootanim")] == ["", "running"]
    picture = luma(phone.display.snapshot().frame)
    assert read_strip(picture).frame_number > number
    assert picture[:100].max() == 16
    assert picture[120:200].max() > 30
    assert not phone.display.screen.is_still()
    phone.is_booting = False
    assert (phone.rotation, shown_size(phone)) == (1, TURNED)
    assert [phone.properties[name] for name in ("sys.boot_completed", "init.svc.bootanim")] == ["1", "stopped"]
    assert luma(phone.display.snapshot().frame)[:100].max() > 100


async def test_a_boot_takes_its_time(phone: Phone) -> None:
    phone.turn_screen(False)
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        booting = tasks.create_task(phone.boot(0.02))
        await asyncio.sleep(0)
        assert (phone.is_booting, phone.is_on) == (True, True)
        await booting
    assert not phone.is_booting

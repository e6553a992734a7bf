"""The shell and its commands, without adb between."""

import asyncio
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from capture.demo_phone.input_log import KeyPress, MotionEvent, TypedText
from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.touches import Motion
from tests.capture.demo_phone.pictures import luma
from tests.capture.demo_phone.shell_run import Run, run

TIMEOUT = 20.0


@pytest.fixture
async def phone() -> Phone:
    return Phone(PhoneSpec(name="test-1", width=240, height=320))


async def output(phone: Phone, line: str) -> str:
    ended = await run(phone, line)
    assert (ended.exit_code, ended.errors) == (0, b"")
    return ended.output.decode()


async def until_running(phone: Phone, name: str) -> int:
    async with asyncio.timeout(TIMEOUT):
        while not (found := phone.processes.named(name)):
            await asyncio.sleep(0.001)
    return found[0].pid


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("echo a  b; echo 'c  d'", "a b\nc  d\n"),
        ("echo -n x", "x"),
        ("false || echo or; true && echo and; false && echo no", "or\nand\n"),
        ("false; echo $?; true; echo $?", "1\n0\n"),
        ("A=b; echo $A${A}c", "bbc\n"),
        ("sh -c 'exit 3'; echo $?", "3\n"),
        ("/system/bin/echo path", "path\n"),
        ("nosuch 2>/dev/null; echo $?", "127\n"),
        ("nosuch 2>&1", "/system/bin/sh: nosuch: inaccessible or not found\n"),
        ("echo one > /sdcard/f; echo two >> /sdcard/f; cat /sdcard/f; cat < /sdcard/f", "one\ntwo\none\ntwo\n"),
        ("exec echo last; echo never", "last\n"),
    ],
)
async def test_command_lines(phone: Phone, line: str, expected: str) -> None:
    assert (await run(phone, line)).output.decode() == expected


@pytest.mark.parametrize(
    ("line", "code", "errors"),
    [
        ("nosuch -x", 127, "/system/bin/sh: nosuch: inaccessible or not found\n"),
        ("echo a | cat", 1, "/system/bin/sh: syntax error: unexpected '|'\n"),
        ("cat < /none", 1, "/system/bin/sh: can't open /none: No such file or directory\n"),
        ("cat /none", 1, "cat: /none: No such file or directory\n"),
        ("rm /none", 1, "rm: /none: No such file or directory\n"),
        ("exit 7; echo never", 7, ""),
        ("false; exit", 1, ""),
        ("kill 99999", 1, "kill: 99999: No such process\n"),
        ("kill -NOPE 1", 1, "kill: bad signal 'NOPE'\n"),
        ("pkill nothing-like-that", 1, ""),
        ("sleep forever", 1, "sleep: Bad number 'forever'\n"),
        ("echo x > /sdcard", 1, "/system/bin/sh: can't create /sdcard: Is a directory\n"),
        ("dumpsys nosuch", 0, "Can't find service: nosuch\n"),
    ],
)
async def test_what_goes_wrong_is_said_and_counted(phone: Phone, line: str, code: int, errors: str) -> None:
    ended = await run(phone, line)
    assert (ended.exit_code, ended.errors.decode()) == (code, errors)


async def test_standard_input(phone: Phone) -> None:
    assert (await run(phone, "cat", input=b"\0\xff")).output == b"\0\xff"
    ended = await run(phone, "sh", input=b"echo in\nexit 4\necho never\n")
    assert (ended.output, ended.exit_code) == (b"in\n", 4)


async def test_what_the_phone_says_of_itself(phone: Phone) -> None:
    assert await output(phone, "getprop ro.build.version.sdk") == "33\n"
    assert await output(phone, "getprop ro.serialno") == "test-1\n"
    assert await output(phone, "getprop none; getprop none other") == "\nother\n"
    assert "[ro.product.model]: [Demo Phone]\n" in await output(phone, "getprop")
    assert await output(phone, "setprop debug.x 5; getprop debug.x") == "5\n"
    assert (await run(phone, "setprop ro.serialno x")).exit_code == 1
    assert await output(phone, "wm size; wm density") == "Physical size: 240x320\nPhysical density: 120\n"
    assert await output(phone, "settings put system a b; settings get system a") == "b\n"
    assert await output(phone, "settings delete system a; settings get system a") == "Deleted 1 rows\nnull\n"
    assert "show_touches=1\n" in await output(phone, "settings list system")
    assert (await run(phone, "settings get nowhere a")).exit_code == 255
    assert (await output(phone, "id")).startswith("uid=2000(shell)")
    assert await output(phone, "pm list packages") == "package:com.demo.launcher\npackage:com.demo.vault\n"
    assert (await run(phone, "pm path com.nothing")).exit_code == 1
    assert "Intent { -n a/.B }" in await output(phone, "am start -n a/.B")


@pytest.mark.parametrize(
    ("service", "line"),
    [
        ("display", "real 240 x 320"),
        ("window", "cur=240x320"),
        ("SurfaceFlinger", "240x320"),
        ("SurfaceFlinger --display-id", "port=0"),
        ("media.player", "video/avc"),
        ("window windows", "mAttrs="),
        ("input", "orientation=0, logicalFrame=[0, 0, 240, 320]"),
        ("battery", "level: 80"),
        ("power", "mWakefulness=Awake"),
        ("-l", "media.player"),
    ],
)
async def test_dumpsys(phone: Phone, service: str, line: str) -> None:
    assert line in await output(phone, f"dumpsys {service}")


@pytest.mark.parametrize(("sdk", "name"), [(30, "set-user-rotation"), (31, "user-rotation")])
async def test_the_phone_is_turned_by_commands(sdk: int, name: str) -> None:
    phone = Phone(PhoneSpec(width=240, height=320, sdk=sdk))

    async def shown(line: str) -> tuple[int, str]:
        assert await output(phone, line) == ""
        header = (await run(phone, "screencap")).output[:8]
        return phone.rotation, f"{int.from_bytes(header[:4], 'little')}x{int.from_bytes(header[4:], 'little')}"

    assert await shown(f"wm {name} lock 1") == (1, "320x240")
    assert await shown("settings put system user_rotation 2") == (2, "240x320")
    assert await shown(f"wm {name} free") == (0, "240x320")
    assert await shown("settings put system user_rotation 3") == (0, "240x320")
    assert await shown("settings put system accelerometer_rotation 0") == (3, "320x240")
    assert await shown(f"wm {name} lock") == (3, "320x240")
    assert await output(phone, "wm size") == "Physical size: 240x320\n"
    assert ("      SurfaceOrientation: 3\n" in await output(phone, "dumpsys input")) == (sdk < 33)
    assert "orientation=3, logicalFrame=[0, 0, 320, 240]" in await output(phone, "dumpsys input")
    assert "rotation 3, state ON" in await output(phone, "dumpsys display")
    refused = await run(phone, f"wm {name} lock 4")
    assert (refused.exit_code, refused.errors) == (
        255,
        b"Error: rotation argument needs to be an integer between 0-3.\n",
    )
    refused = await run(phone, "settings put system user_rotation 4")
    assert refused.exit_code == 255
    assert b"IllegalArgumentException: Invalid value: 4 for setting: user_rotation\n" in refused.errors


async def test_the_rotation_is_told_from_android_12_on(phone: Phone) -> None:
    assert await output(phone, "wm user-rotation; wm user-rotation lock 3; wm user-rotation") == "lock 0\nlock 3\n"
    assert await output(phone, "wm user-rotation free; wm user-rotation") == "free\n"
    assert (await run(phone, "wm set-user-rotation free")).errors == b"Unknown command: set-user-rotation\n"


async def test_the_size_is_overridden(phone: Phone) -> None:
    told = await output(phone, "wm size 300x400; wm size")
    assert told == "Physical size: 240x320\nOverride size: 300x400\n"
    assert await output(phone, "wm size reset; wm size") == "Physical size: 240x320\n"
    for wrong, said in (("size 300", "Error: bad size 300"), ("fly", "Unknown command: fly"), ("", "Window manager")):
        refused = await run(phone, f"wm {wrong}")
        assert refused.exit_code == 255
        assert said in (refused.output + refused.errors).decode()


async def test_a_phone_that_sleeps(phone: Phone) -> None:
    await output(phone, "input keyevent SLEEP")
    assert "mWakefulness=Asleep\n" in await output(phone, "dumpsys power")
    assert "Display Power: state=OFF\n" in await output(phone, "dumpsys power")
    assert "state OFF" in await output(phone, "dumpsys display")
    assert set((await run(phone, "screencap")).output[16:]) == {0, 255}  # black, and opaque
    await output(phone, "input keyevent POWER")
    assert "mWakefulness=Awake\n" in await output(phone, "dumpsys power")


async def test_an_app_that_may_not_be_captured(phone: Phone) -> None:
    for line, is_secure in (
        ("am start -n com.demo.vault/.Vault", True),
        ("am force-stop com.demo.launcher", True),
        ("am force-stop com.demo.vault", False),
        ("am start -n com.demo.vault/.Vault", True),
        ("input keyevent HOME", False),
    ):
        assert (await run(phone, line)).exit_code == 0
        assert phone.is_secure == is_secure
        assert (" SECURE " in await output(phone, "dumpsys window")) == is_secure
        assert (set((await run(phone, "screencap")).output[16:]) == {0, 255}) == is_secure


async def test_a_phone_that_boots_has_no_services_yet(phone: Phone) -> None:
    phone.is_booting = True
    for line, service in (
        ("wm size", "window"),
        ("input tap 1 1", "input"),
        ("settings list system", "settings"),
        ("pm list packages", "package"),
        ("am start -n a/.B", "activity"),
    ):
        refused = await run(phone, line)
        assert (refused.exit_code, refused.errors.decode()) == (20, f"cmd: Can't find service: {service}\n")
    for service in ("window", "window displays", "power", "display", "input", "battery"):
        refused = await run(phone, f"dumpsys {service}")
        assert (refused.exit_code, refused.output) == (0, b"")
        assert refused.errors.decode() == f"Can't find service: {service.split()[0]}\n"
    assert await output(phone, "getprop sys.boot_completed; getprop init.svc.bootanim") == "\nrunning\n"
    assert "sys.boot_completed" not in await output(phone, "getprop")
    assert "video/avc" in await output(phone, "dumpsys media.player")
    assert (await run(phone, "screencap -p")).output.startswith(b"\x89PNG")
    phone.is_booting = False
    assert await output(phone, "getprop sys.boot_completed; getprop init.svc.bootanim") == "1\nstopped\n"
    assert await output(phone, "wm size") == "Physical size: 240x320\n"


async def test_a_phone_without_space(phone: Phone) -> None:
    phone.faults.no_space = True
    for line, code, said in (
        ("screencap /sdcard/a.png", 1, "Error opening file: /sdcard/a.png (No space left on device)"),
        ("echo x > /sdcard/a", 1, "/system/bin/sh: can't create /sdcard/a: No space left on device"),
        ("screenrecord --output-format=h264 /sdcard/a", 255, "fopen raw failed: No space left on device"),
    ):
        failed = await run(phone, line)
        assert (failed.exit_code, failed.errors.decode()) == (code, f"{said}\n")
    assert phone.files.find("/sdcard/a") is None
    phone.faults.no_space = False
    assert await output(phone, "echo x > /sdcard/a; cat /sdcard/a") == "x\n"


async def test_files(phone: Phone) -> None:
    await run(phone, "echo text > /sdcard/f; echo -n > /sdcard/d/g")
    assert await output(phone, "ls /sdcard") == "Download\nMovies\nPictures\nd\nf\n"
    assert "          5 " in await output(phone, "ls -l /sdcard/f")
    assert await output(phone, "rm /sdcard/f; rm -rf /sdcard/d /none; ls /sdcard") == "Download\nMovies\nPictures\n"


async def test_screencap_as_png_and_raw_is_the_screen(phone: Phone) -> None:
    phone.screen.animate = False
    shown = luma(phone.display.snapshot().frame).astype(int)
    png = Image.open(BytesIO((await run(phone, "screencap -p")).output))
    raw = (await run(phone, "screencap")).output
    assert raw[:16] == b"".join(number.to_bytes(4, "little") for number in (240, 320, 1, 1))
    pixels = np.frombuffer(raw[16:], np.uint8).reshape(320, 240, 4)
    assert (pixels[..., 3] == 255).all()
    assert np.array_equal(pixels[..., :3], np.asarray(png))
    # Video luma 16..235 is full-range grey 0..255.
    assert np.abs(np.asarray(png.convert("L"), int) - (shown - 16) * 255 / 219).mean() < 4
    await run(phone, "screencap /sdcard/shot.png")
    assert phone.files.read("/sdcard/shot.png").startswith(b"\x89PNG")
    assert (await run(phone, "screencap -x")).exit_code == 1


async def test_input_is_logged_and_shown(phone: Phone) -> None:
    before = time.monotonic()
    lines = [
        "input tap 10 20.5",
        "input touchscreen tap 1 2",
        "input keyevent 3 KEYCODE_BACK; input keyevent --longpress POWER",
        "input text 'hello%sworld'; input text 'a;b $HOME'",
        "input motionevent DOWN 5 6; input motionevent move 7 8; input motionevent CANCEL",
        "input mouse -d 0 swipe 0 0 100 50 30",
    ]
    assert [await output(phone, line) for line in lines] == [""] * len(lines)
    log = list(phone.input_log)
    times = [record.at for record in log]
    assert times == sorted(times)
    assert before <= times[0]
    motions = [(record.motion, record.x, record.y) for record in log if isinstance(record, MotionEvent)]
    assert motions[:4] == [
        (Motion.DOWN, 10, 20.5),
        (Motion.UP, 10, 20.5),
        (Motion.DOWN, 1, 2),
        (Motion.UP, 1, 2),
    ]
    assert motions[4:7] == [(Motion.DOWN, 5, 6), (Motion.MOVE, 7, 8), (Motion.CANCEL, 0, 0)]
    swipe = motions[7:]
    assert (swipe[0], swipe[-1]) == ((Motion.DOWN, 0, 0), (Motion.UP, 100, 50))
    assert len(swipe) > 2
    assert all(y == pytest.approx(x / 2) for _, x, y in swipe)
    keys = [(record.code, record.long) for record in log if isinstance(record, KeyPress)]
    assert keys == [(3, False), (4, False), (26, True)]
    assert [record.text for record in log if isinstance(record, TypedText)] == ["hello world", "a;b $HOME"]
    assert phone.screen.touch_count == 4
    assert f"  Events: {len(log)}\n" in await output(phone, "dumpsys input")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ("tap 1", 255, 'java.lang.IllegalArgumentException: Argument expected after "1"'),
        ("tap x y", 255, "IllegalArgumentException: Error: Invalid arguments for command: tap"),
        ("swipe 1 2 3 4 fast", 255, "Error: Invalid arguments for command: swipe"),
        ("motionevent SIDEWAYS 1 2", 255, "Unknown action: SIDEWAYS"),
        ("keyevent", 255, 'Argument expected after "keyevent"'),
        ("keycombination HOME", 255, "requires at least 2 keycodes"),
        ("keycombination HOME NOWHERE", 255, "Unknown keycode: NOWHERE"),
        ("text", 255, 'Argument expected after "text"'),
        ("text 'é'", 255, "java.lang.NullPointerException"),
        ("touchscreen -d", 255, 'Argument expected after "-d"'),
        ("fly", 0, "Unknown command: fly"),
        ("help", 0, "Usage: input"),
        ("", 255, "Usage: input"),
    ],
)
async def test_wrong_input_ends_as_on_android(phone: Phone, arguments: str, code: int, said: str) -> None:
    ended = await run(phone, f"input {arguments}")
    assert ended.exit_code == code
    assert said in (ended.output + ended.errors).decode()
    assert list(phone.input_log) == []


async def test_an_unknown_key_is_pressed_as_unknown(phone: Phone) -> None:
    await output(phone, "input keyevent KEYCODE_NOWHERE")
    assert [record.code for record in phone.input_log if isinstance(record, KeyPress)] == [0]


@pytest.mark.parametrize(("end", "code"), [("kill {}", 143), ("kill -9 {}", 137), ("pkill -SIGINT slee", 130)])
async def test_signals_end_processes(phone: Phone, end: str, code: int) -> None:
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
        sleeper = tasks.create_task(run(phone, "sleep 1000"))
        pid = await until_running(phone, "sleep")
        assert await output(phone, f"pidof sleep; kill -0 {pid}") == f"{pid}\n"
        assert f"{pid}  1199" in await output(phone, "ps -A")
        await output(phone, end.format(pid))
    assert sleeper.result().exit_code == code
    assert list(phone.processes) == []


async def test_a_recording_into_a_file(phone: Phone) -> None:
    phone.faults.time_limit = 0.2
    ended: Run = await run(phone, "screenrecord --output-format=h264 /sdcard/a.h264")
    assert (ended.exit_code, ended.output) == (0, b"")
    assert phone.files.read("/sdcard/a.h264").startswith(b"\0\0\0\x01\x67")


async def test_only_h264_is_recorded(phone: Phone) -> None:
    ended = await run(phone, "screenrecord /sdcard/a.mp4")
    assert (ended.exit_code, b"not mp4" in ended.errors) == (1, True)

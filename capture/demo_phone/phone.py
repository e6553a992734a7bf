"""The demo phone's state: what it is, what it holds, what runs on it, how it misbehaves."""

import asyncio
import random
import time
from dataclasses import dataclass

from capture.demo_phone.adbd import Service
from capture.demo_phone.boot_screen import BootScreen
from capture.demo_phone.clipboard import Clipboard
from capture.demo_phone.display import Display
from capture.demo_phone.faults import Faults
from capture.demo_phone.files import Files
from capture.demo_phone.input_log import InputLog, KeyPress, MotionEvent, Scrolled, TypedText
from capture.demo_phone.key_codes import key_code, key_name
from capture.demo_phone.layout import even
from capture.demo_phone.processes import Processes
from capture.demo_phone.properties import BOOTED, BOOTING, initial_properties
from capture.demo_phone.screen import Screen
from capture.demo_phone.touches import Motion

_HOME, _POWER, _SLEEP, _WAKEUP = (key_code(name) for name in ("HOME", "POWER", "SLEEP", "WAKEUP"))
_PASTE = key_code("PASTE")

_UPTIME = (100_000.0, 1_000_000.0)
"""Seconds that the phone has been up: its clock tells nothing of the host's."""

_LEAST_SIDE, _LARGEST_SIDE, _LARGEST_SCALE = 200, 4096, 2  # of an overridden size; the outer two are Android's


@dataclass(frozen=True, slots=True)
class PhoneSpec:
    """What one demo phone is like."""

    name: str = "demo"
    """Its serial number (`ro.serialno`), also shown on its screen; adb calls it by its address."""
    host: str = "127.0.0.1"
    port: int = 0
    """TCP port of its adbd; 0 takes a free one."""
    width: int = 720
    height: int = 1280
    """Pixels, both even."""
    frame_rate: int = 30
    """Pictures per second."""
    model: str = "Demo Phone"
    sdk: int = 33
    """Android's API level: 33 is Android 13, the last one whose screenrecord stops after 180 seconds."""
    still: bool = False
    """Whether the screen changes only when it is touched."""
    rotation: int = 0
    """How it is turned at the beginning, in quarter turns."""
    boot_time: float = 4.0
    """Seconds from `adb reboot` to the home screen; a quarter of them it cannot be reached."""


class Phone:
    """One phone, and everything that its commands work on."""

    def __init__(self, spec: PhoneSpec) -> None:
        """Raises ValueError for a size, a rotation, a frame rate or an API level that a phone cannot have."""
        if not 1 <= spec.frame_rate <= 120:
            raise ValueError(f"frame rate {spec.frame_rate}: it must be 1 to 120 pictures per second")
        self.spec = spec
        self.faults = Faults()
        self.screen = Screen(spec.width, spec.height, name=f"{spec.model} · {spec.name}")
        """What apps draw on, in the size that it has now that the phone is turned as it is."""
        self.screen.animate = not spec.still
        self.display = Display(self.screen, spec.frame_rate)
        self.processes = Processes()
        self.files = Files(is_full=lambda: self.faults.no_space)
        self.input_log = InputLog()
        self.properties = initial_properties(spec.name, spec.model, spec.sdk)
        """Android's system properties."""
        self.settings = {
            ("system", "accelerometer_rotation"): "0",
            ("system", "user_rotation"): "0",
            ("system", "show_touches"): "1",
            ("system", "screen_off_timeout"): "60000",
        }
        """Android's settings, by namespace and key; written by `put_setting`."""
        self.booted_at = time.monotonic() - random.uniform(*_UPTIME)
        """The zero of the phone's own clock (CLOCK_MONOTONIC), in seconds of `time.monotonic()`."""
        self.clipboard = Clipboard()
        self.sockets: dict[str, Service] = {}
        """Who listens on the phone, as `localabstract:scrcpy` or `tcp:8080`, for `adb forward`."""
        self._let_in = asyncio.Event()
        self._is_booting = False
        self._override: tuple[int, int] | None = None
        self.rotate(spec.rotation)

    # The screen: its size, which way it is turned, whether it is on.

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright screen in pixels: the overridden ones where there are such."""
        return self._override or (self.spec.width, self.spec.height)

    @property
    def override_size(self) -> tuple[int, int] | None:
        """The upright size that `resize` gave the screen."""
        return self._override

    def resize(self, width: int, height: int) -> None:
        """Have another upright size than the panel's: at least 200 pixels a side, at most twice the panel's, even."""
        sides = (
            even(max(_LEAST_SIDE, min(side, own * _LARGEST_SCALE, _LARGEST_SIDE)))
            for side, own in ((width, self.spec.width), (height, self.spec.height))
        )
        self._override = (next(sides), next(sides))
        self._fit_screen()

    def reset_size(self) -> None:
        """Have the panel's size again."""
        self._override = None
        self._fit_screen()

    @property
    def rotation(self) -> int:
        """How far the picture is turned on the panel, in quarter turns, as android.view.Surface counts them.

        Settings say it: `user_rotation`, unless the sensor is asked, and the demo phone always lies upright.
        """
        if self._is_booting or not self.is_rotation_locked:
            return 0
        return int(self.settings.get(("system", "user_rotation"), "0"))

    @property
    def is_rotation_locked(self) -> bool:
        """Whether a setting says how the phone is turned, and not the sensor."""
        return self.settings.get(("system", "accelerometer_rotation"), "0") == "0"

    def rotate(self, rotation: int) -> None:
        """Turn the phone and hold it so: 0 upright, 1 and 3 on its sides, 2 upside down. Raises ValueError else."""
        if rotation not in range(4):
            raise ValueError(f"rotation {rotation}: it must be 0 to 3 quarter turns")
        self.put_setting("system", "user_rotation", str(rotation))
        self.put_setting("system", "accelerometer_rotation", "0")

    def put_setting(self, namespace: str, key: str, value: str) -> None:
        """Change a setting, and do what it says. Raises ValueError for a value that Android refuses."""
        if (namespace, key) == ("system", "user_rotation") and value not in ("0", "1", "2", "3"):
            raise ValueError(f"Invalid value: {value} for setting: {key}")
        self.settings[namespace, key] = value
        self._fit_screen()

    def delete_setting(self, namespace: str, key: str) -> bool:
        """Forget a setting; whether there was one."""
        deleted = self.settings.pop((namespace, key), None) is not None
        self._fit_screen()
        return deleted

    @property
    def is_on(self) -> bool:
        """Whether the phone is awake and its screen lit."""
        return self.display.is_on

    def turn_screen(self, on: bool) -> None:
        """Wake the phone or put it to sleep. Whoever records the screen gets one black picture, and then no more."""
        self.display.is_on = on

    @property
    def is_secure(self) -> bool:
        """Whether the window in front has FLAG_SECURE: all captured pictures are black."""
        return self.display.is_secure

    @is_secure.setter
    def is_secure(self, is_secure: bool) -> None:
        self.display.is_secure = is_secure

    @property
    def is_booting(self) -> bool:
        """Whether the phone is up as far as adbd and the boot animation, but without Android's services."""
        return self._is_booting

    @is_booting.setter
    def is_booting(self, is_booting: bool) -> None:
        if is_booting == self._is_booting:
            return
        self._is_booting = is_booting
        self._fit_screen()
        self.display.show(BootScreen(self.screen) if is_booting else self.screen)
        for name, value in (BOOTING if is_booting else BOOTED).items():
            self.properties[name] = value

    async def boot(self, seconds: float) -> None:
        """Go through a boot that takes so long, from the boot animation to the home screen."""
        self.turn_screen(True)
        self.is_booting = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self.is_booting = False

    def _fit_screen(self) -> None:
        """Have a screen of the size that the phone's state asks for."""
        width, height = self.size if self.rotation % 2 == 0 else self.size[::-1]
        if (self.screen.width, self.screen.height) == (width, height):
            return
        self.screen = self.screen.turned(width, height)
        self.display.show(BootScreen(self.screen) if self._is_booting else self.screen)

    # What is done to it.

    def touch(self, motion: Motion, x: float, y: float, pointer_id: int = 0) -> None:
        """Move a finger, in pixels of the screen as it is turned. A phone that sleeps does not feel it."""
        now = time.monotonic()
        self.input_log.add(MotionEvent(now, motion, x, y, pointer_id))
        if self.is_on:
            self.screen.touch(motion, x, y, now, pointer_id)

    def press_key(self, code: int, *, long: bool = False) -> None:
        """Press a key of Android's.

        The power key wakes the phone or puts it to sleep; held for long it only wakes. The home key leaves an app.
        """
        self.input_log.add(KeyPress(time.monotonic(), code, long))
        if code in (_POWER, _SLEEP, _WAKEUP):
            self.turn_screen(code == _WAKEUP or (code == _POWER and (long or not self.is_on)))
        if code == _HOME and self.is_on:
            self.is_secure = False
        if self.is_on:
            self.screen.press_key(key_name(code))
            if code == _PASTE and self.clipboard.text:
                self.screen.type_text(self.clipboard.text)

    def type_text(self, text: str) -> None:
        """Type text."""
        self.input_log.add(TypedText(time.monotonic(), text))
        if self.is_on:
            self.screen.type_text(text)

    def scroll(self, x: float, y: float, horizontal: float, vertical: float) -> None:
        """Turn a wheel by so many notches. Nothing on the screen scrolls."""
        self.input_log.add(Scrolled(time.monotonic(), x, y, horizontal, vertical))

    # How it misbehaves for a while.

    def lose_network(self, seconds: float) -> None:
        """Drop all connections and refuse new ones for so long. Without adbd there is none to lose."""

    def hang(self, seconds: float) -> None:
        """Keep the connections and answer nothing for so long. Without adbd nobody asks."""

    # The rest.

    @property
    def recorders(self) -> int:
        """How many `screenrecord` are running."""
        return len(self.processes.named("screenrecord"))

    @property
    def density(self) -> int:
        """Dots per inch, as Android rounds them: a screen is about 360 dots of 1/160 inch wide."""
        return max(120, round(min(self.spec.width, self.spec.height) / 360 * 160 / 40) * 40)

    def wall_time(self) -> int:
        """The phone's clock, in seconds since the epoch."""
        return int(time.time())

    def authorize(self) -> None:
        """Let in the hosts that wait for it, and all later ones."""
        self._let_in.set()

    def asks_for_authorization(self) -> bool:
        """Whether hosts have to show a key and wait."""
        return self.faults.unauthorized and not self._let_in.is_set()

    async def authorized(self) -> None:
        """Return when hosts are let in."""
        await self._let_in.wait()

    async def answers(self) -> None:
        """Return when adbd may do something."""
        await self.faults.answering.wait()

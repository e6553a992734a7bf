"""The demo phone's state: what it is, what it holds, what runs on it, how it misbehaves."""

import asyncio
import time
from dataclasses import dataclass

from capture.demo_phone.adbd import Service
from capture.demo_phone.display import Display
from capture.demo_phone.files import Files
from capture.demo_phone.input_log import InputLog
from capture.demo_phone.processes import Processes
from capture.demo_phone.screen import Screen


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


@dataclass(slots=True)
class Faults:
    """How the phone misbehaves; takes effect with the next recorder, picture or connection."""

    time_limit: float | None = None
    """Seconds after which screenrecord ends, whatever it was asked for."""
    encoder_fails: bool = False
    """screenrecord cannot configure its encoder."""
    crash_after: int | None = None
    """screenrecord dies when it has written so many pictures."""
    hang_after: int | None = None
    """screenrecord writes nothing more after so many pictures, but does not end."""
    single_idr: bool = False
    """No IDR picture after the first."""
    no_encoder: bool = False
    """There is no H.264 encoder at all, as on 64-bit-only Redroid images: only raw frames can be had."""
    largest_video: int | None = None
    """The encoder refuses videos whose longer side has more pixels than this."""
    prints_text: str = ""
    """screenrecord prints this into its output, before the first picture and again after every 30."""
    b_frames: bool = False
    """The encoder reorders pictures."""
    sps_changes_after: int | None = None
    """After so many pictures the encoder goes on with another SPS: the video is half as wide and high."""
    hangs: bool = False
    """adbd keeps its connections but answers nothing more, as one that was stopped."""
    no_space: bool = False
    """Nothing can be written to the phone's storage."""
    unauthorized: bool = False
    """Hosts have to show a key, and none is let in before `Phone.authorize`."""


class Phone:
    """One phone, and everything that its commands work on."""

    def __init__(self, spec: PhoneSpec) -> None:
        """Raises ValueError for a size or a frame rate that the screen cannot have."""
        if not 1 <= spec.frame_rate <= 120:
            raise ValueError(f"frame rate {spec.frame_rate}: it must be 1 to 120 pictures per second")
        self.spec = spec
        self.faults = Faults()
        self.screen = Screen(spec.width, spec.height, name=f"{spec.model} · {spec.name}")
        self.screen.animate = not spec.still
        self.display = Display(self.screen, spec.frame_rate)
        self.processes = Processes()
        self.files = Files()
        self.input_log = InputLog()
        self.properties = _properties(spec)
        """Android's system properties."""
        self.settings = {
            ("system", "accelerometer_rotation"): "0",
            ("system", "user_rotation"): "0",
            ("system", "show_touches"): "1",
            ("system", "screen_off_timeout"): "60000",
        }
        """Android's settings, by namespace and key."""
        self.sockets: dict[str, Service] = {}
        """Who listens on the phone, as `localabstract:scrcpy` or `tcp:8080`, for `adb forward`."""
        self._let_in = asyncio.Event()

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


def _properties(spec: PhoneSpec) -> dict[str, str]:
    release = str(spec.sdk - 20)  # API level 33 is Android 13
    return {
        "dev.bootcomplete": "1",
        "init.svc.adbd": "running",
        "persist.sys.timezone": "UTC",
        "ro.build.characteristics": "default",
        "ro.build.fingerprint": f"demo/demo_phone/demo:{release}/DEMO/1:userdebug/test-keys",
        "ro.build.type": "userdebug",
        "ro.build.version.release": release,
        "ro.build.version.sdk": str(spec.sdk),
        "ro.debuggable": "1",
        "ro.hardware": "demo",
        "ro.product.brand": "Demo",
        "ro.product.cpu.abi": "x86_64",
        "ro.product.cpu.abilist": "x86_64,arm64-v8a",
        "ro.product.device": "demo",
        "ro.product.manufacturer": "Demo",
        "ro.product.model": spec.model,
        "ro.product.name": "demo_phone",
        "ro.serialno": spec.name,
        "sys.boot_completed": "1",
    }

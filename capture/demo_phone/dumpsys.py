"""`dumpsys`: the lines that tools look for, in Android's words."""

from collections.abc import Callable

from capture.demo_phone.codec_list import dump_codecs
from capture.demo_phone.input_log import InputRecord, KeyPress, MotionEvent, Scrolled, TypedText
from capture.demo_phone.phone import Phone
from capture.demo_phone.shell import Invocation
from capture.demo_phone.window_dump import dump_displays, dump_windows

_DISPLAY_ID = 4619827259835644672
"""The physical display's id, as `screenrecord --display-id` takes it."""

_RECENT_INPUT = 10
_ANDROID_13 = 33


async def dumpsys(invocation: Invocation) -> int:
    """`dumpsys [-l | SERVICE [ARGUMENT…]]`."""
    phone = invocation.phone
    services = _NATIVE_SERVICES if phone.is_booting else _NATIVE_SERVICES | _SYSTEM_SERVICES
    match invocation.arguments:
        case () | ("-l",):
            await invocation.print("Currently running services:\n  " + "\n  ".join(sorted(services)))
        case ("SurfaceFlinger", "--display-id"):
            await invocation.print(f'Display {_DISPLAY_ID} (HWC display 0): port=0 pnpId=DMO displayName="demo phone"')
        case ("window", "displays" | "d") if "window" in services:
            await invocation.print(dump_displays(phone))
        case ("window", "windows" | "w") if "window" in services:
            await invocation.print(dump_windows(phone))
        case (service, *_) if service in services:
            await invocation.print(services[service](phone))
        case (service, *_):
            await invocation.complain(f"Can't find service: {service}")
    return 0


def _display(phone: Phone) -> str:
    state = "ON" if phone.is_on else "OFF"
    density = f"density {phone.density}"
    real = f"{phone.screen.width} x {phone.screen.height}"
    info = f"""\
DisplayInfo{{"Built-in Screen", displayId 0, real {real}, app {real}, rotation {phone.rotation}, state {state}, \
{density}, {float(phone.spec.frame_rate)} fps}}"""
    return f"""\
DISPLAY MANAGER (dumpsys display)
Display Devices: size=1
  DisplayDeviceInfo{{"Built-in Screen": uniqueId="local:{_DISPLAY_ID}", {phone.spec.width} x {phone.spec.height}, \
modeId 1, {density}, {phone.density} x {phone.density} dpi, touch INTERNAL, rotation 0, type INTERNAL, state {state}}}
    mCurrentOrientation={phone.rotation}
Logical Displays: size=1
  Display 0:
    mDisplayId=0
    mBaseDisplayInfo={info}
    mOverrideDisplayInfo={info}"""


def _window(phone: Phone) -> str:
    return f"{dump_displays(phone)}\n\n{dump_windows(phone)}"


def _surface_flinger(phone: Phone) -> str:
    width, height, rate = phone.spec.width, phone.spec.height, phone.spec.frame_rate
    return f"""\
Display {_DISPLAY_ID} ({"active" if phone.is_on else "inactive"}) HWC layers:
  {width}x{height} orientation=ROTATION_{90 * phone.rotation}
  powerMode={"On" if phone.is_on else "Off"}
  activeMode={{id=0, resolution={width}x{height}, refreshRate={float(rate):.2f} Hz}}
  recorders={phone.recorders}"""


def _input(phone: Phone) -> str:
    recent = [f"    {_described(record)}" for record in list(phone.input_log)[-_RECENT_INPUT:]]
    width, height = phone.screen.width, phone.screen.height
    viewport = f"""\
    Viewport INTERNAL: displayId=0, uniqueId=local:{_DISPLAY_ID}, port=0, orientation={phone.rotation}, \
logicalFrame=[0, 0, {width}, {height}], physicalFrame=[0, 0, {width}, {height}], deviceSize=[{width}, {height}], \
isActive=[1]"""
    return "\n".join(
        [
            "INPUT MANAGER (dumpsys input)",
            viewport,
            # Android 13 has another word there, for something else.
            *([f"      SurfaceOrientation: {phone.rotation}"] if phone.spec.sdk < _ANDROID_13 else []),
            f"  Events: {len(phone.input_log)}",
            f"  RecentQueue: length={len(recent)}",
            *recent,
        ]
    )


def _described(record: InputRecord) -> str:
    match record:
        case MotionEvent():
            return f"MotionEvent(action={record.motion}, pointers=[0: ({record.x:.1f}, {record.y:.1f})])"
        case KeyPress():
            return f"KeyEvent(keyCode={record.code}, longPress={str(record.long).lower()})"
        case TypedText():
            return f"Text(length={len(record.text)})"
        case Scrolled():
            return f"MotionEvent(action=SCROLL, pointers=[0: ({record.x:.1f}, {record.y:.1f})])"


def _battery(_: Phone) -> str:
    return "Current Battery Service state:\n  AC powered: true\n  status: 2\n  level: 80\n  scale: 100"


def _power(phone: Phone) -> str:
    wakefulness, state = ("Awake", "ON") if phone.is_on else ("Asleep", "OFF")
    return f"""\
POWER MANAGER (dumpsys power)

Power Manager State:
  mWakefulness={wakefulness}
  mWakefulnessChanging=false
  mIsPowered=true
  mHoldingDisplaySuspendBlocker={str(phone.is_on).lower()}

Display Power: state={state}"""


_NATIVE_SERVICES: dict[str, Callable[[Phone], str]] = {
    "SurfaceFlinger": _surface_flinger,
    "media.player": dump_codecs,
}
"""Those that run as soon as adbd does."""

_SYSTEM_SERVICES: dict[str, Callable[[Phone], str]] = {
    "battery": _battery,
    "display": _display,
    "input": _input,
    "power": _power,
    "window": _window,
}
"""Those of Android's system server, which the boot animation waits for."""

"""`dumpsys`: the lines that tools look for, in the words of Android 13."""

from collections.abc import Callable

from capture.demo_phone.input_log import KeyPress, MotionEvent, TypedText
from capture.demo_phone.phone import Phone
from capture.demo_phone.shell import Invocation

_DISPLAY_ID = 4619827259835644672
"""The physical display's id, as `screenrecord --display-id` takes it."""

_RECENT_INPUT = 10


async def dumpsys(invocation: Invocation) -> int:
    """`dumpsys [-l | SERVICE [ARGUMENT…]]`."""
    match invocation.arguments:
        case () | ("-l",):
            await invocation.print("Currently running services:\n  " + "\n  ".join(sorted(_SERVICES)))
        case ("SurfaceFlinger", "--display-id"):
            await invocation.print(f'Display {_DISPLAY_ID} (HWC display 0): port=0 pnpId=DMO displayName="demo phone"')
        case (service, *_) if service in _SERVICES:
            await invocation.print(_SERVICES[service](invocation.phone))
        case (service, *_):
            await invocation.complain(f"Can't find service: {service}")
    return 0


def _display(phone: Phone) -> str:
    width, height, rate = phone.spec.width, phone.spec.height, phone.spec.frame_rate
    return f"""\
DISPLAY MANAGER (dumpsys display)
Display Devices: size=1
  DisplayDeviceInfo{{"Built-in Screen": uniqueId="local:{_DISPLAY_ID}", {width} x {height}, modeId 1, \
density {phone.density}, {phone.density} x {phone.density} dpi, touch INTERNAL, rotation 0, type INTERNAL, state ON}}
Logical Displays: size=1
  Display 0:
    mDisplayId=0
    mBaseDisplayInfo=DisplayInfo{{"Built-in Screen", displayId 0, real {width} x {height}, app {width} x {height}, \
rotation 0, state ON, density {phone.density}, {float(rate)} fps}}
    mOverrideDisplayInfo=DisplayInfo{{"Built-in Screen", displayId 0, real {width} x {height}, app {width} x {height}, \
rotation 0, state ON, density {phone.density}, {float(rate)} fps}}"""


def _window(phone: Phone) -> str:
    size = f"{phone.spec.width}x{phone.spec.height}"
    return f"""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init={size} {phone.density}dpi cur={size} app={size} rng={size}-{size}
    mCurrentRotation=ROTATION_0
  mCurrentFocus=Window{{1 u0 com.demo.launcher/com.demo.launcher.Home}}
  mFocusedApp=ActivityRecord{{1 u0 com.demo.launcher/.Home t1}}"""


def _surface_flinger(phone: Phone) -> str:
    width, height, rate = phone.spec.width, phone.spec.height, phone.spec.frame_rate
    return f"""\
Display {_DISPLAY_ID} (active) HWC layers:
  {width}x{height} orientation=ROTATION_0
  activeMode={{id=0, resolution={width}x{height}, refreshRate={float(rate):.2f} Hz}}
  recorders={phone.recorders}"""


def _media_player(phone: Phone) -> str:
    return f"""\
Media type 'video/avc':
  Encoder "c2.demo.avc.encoder" supports
    aliases: [
      "OMX.demo.h264.encoder" ]
    attributes: 0xb: [
      encoder: 1 ]
    profile/levels: [
      1/512 (Baseline/3.1) ]
    max size: {phone.spec.width}x{phone.spec.height}"""


def _input(phone: Phone) -> str:
    recent = [f"    {_described(record)}" for record in list(phone.input_log)[-_RECENT_INPUT:]]
    return "\n".join(
        [
            "INPUT MANAGER (dumpsys input)",
            "  SurfaceOrientation: 0",
            f"  Events: {len(phone.input_log)}",
            f"  RecentQueue: length={len(recent)}",
            *recent,
        ]
    )


def _described(record: MotionEvent | KeyPress | TypedText) -> str:
    match record:
        case MotionEvent():
            return f"MotionEvent(action={record.motion}, pointers=[0: ({record.x:.1f}, {record.y:.1f})])"
        case KeyPress():
            return f"KeyEvent(keyCode={record.code}, longPress={str(record.long).lower()})"
        case TypedText():
            return f"Text(length={len(record.text)})"


def _battery(_: Phone) -> str:
    return "Current Battery Service state:\n  AC powered: true\n  status: 2\n  level: 80\n  scale: 100"


def _power(_: Phone) -> str:
    return "POWER MANAGER (dumpsys power)\n  mWakefulness=Awake\n  mIsPowered=true\nDisplay Power: state=ON"


_SERVICES: dict[str, Callable[[Phone], str]] = {
    "SurfaceFlinger": _surface_flinger,
    "battery": _battery,
    "display": _display,
    "input": _input,
    "media.player": _media_player,
    "power": _power,
    "window": _window,
}

"""What `dumpsys window` prints of a display and of the windows on it (AOSP com.android.server.wm).

The words changed over the years. Flags have names since Android 9 and are one hexadecimal number before. Focus and
rotation are told with the displays since Android 10 and with the windows before. The rotation itself is a number;
the orientation listener's `mCurrentRotation`, here always the same, has a name since Android 11.
"""

from dataclasses import dataclass

from capture.demo_phone.phone import Phone

_ANDROID_9, _ANDROID_10, _ANDROID_11 = 28, 29, 30
_FLAGS = {
    "LAYOUT_IN_SCREEN": 0x100,
    "SECURE": 0x2000,
    "LAYOUT_INSET_DECOR": 0x10000,
    "SHOW_WALLPAPER": 0x100000,
    "SPLIT_TOUCH": 0x800000,
    "HARDWARE_ACCELERATED": 0x1000000,
    "DRAWS_SYSTEM_BAR_BACKGROUNDS": 0x80000000,
}
"""android.view.WindowManager.LayoutParams, in the order in which Android names them."""

_APP_FLAGS = ["LAYOUT_IN_SCREEN", "LAYOUT_INSET_DECOR", "SPLIT_TOUCH", "HARDWARE_ACCELERATED"]


@dataclass(frozen=True, slots=True)
class _Window:
    identity: str
    package: str
    activity: str
    flags: frozenset[str]

    @property
    def title(self) -> str:
        return f"Window{{{self.identity} u0 {self.package}/{self.package}.{self.activity}}}"

    @property
    def record(self) -> str:
        return f"ActivityRecord{{{self.identity} u0 {self.package}/.{self.activity} t1}}"


LAUNCHER, VAULT = "com.demo.launcher", "com.demo.vault"
"""The packages of the apps that there are: the second one's window is secure."""

_HOME = _Window("5cb5743", LAUNCHER, "Home", frozenset([*_APP_FLAGS, "SHOW_WALLPAPER"]))
_VAULT = _Window("8d0e1f2", VAULT, "Vault", frozenset([*_APP_FLAGS, "SECURE"]))


def dump_displays(phone: Phone) -> str:
    """`dumpsys window displays`: sizes, and from Android 10 on rotation and focus."""
    width, height = phone.size
    current = f"{phone.screen.width}x{phone.screen.height}"
    base = "" if phone.override_size is None else f" base={width}x{height} {phone.density}dpi"
    smaller, larger = sorted((width, height))
    sections = [
        f"""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init={phone.spec.width}x{phone.spec.height} {phone.density}dpi{base} cur={current} app={current} \
rng={smaller}x{smaller}-{larger}x{larger}
    deferred=false mLayoutNeeded=false"""
    ]
    if phone.spec.sdk >= _ANDROID_10:
        sections += [_focus(phone), _policy(phone), _rotation(phone)]
    return "\n".join(sections)


def dump_windows(phone: Phone) -> str:
    """`dumpsys window windows`: the windows, the one in front first; before Android 10 rotation and focus, too."""
    sections = ["WINDOW MANAGER WINDOWS (dumpsys window windows)"]
    sections += [_block(phone, number, window) for number, window in enumerate(_windows(phone))]
    if phone.spec.sdk < _ANDROID_10:
        frozen = "mDisplayFrozen=false windows=0 client=false apps=0"
        sections += [_focus(phone), f"  {frozen}  mRotation={phone.rotation} mAltOrientation=false"]
    return "\n".join(sections)


def _policy(phone: Phone) -> str:
    awake = str(phone.is_on).lower()
    return f"""
  DisplayFrames w={phone.screen.width} h={phone.screen.height} r={phone.rotation}

  DisplayPolicy
    mAwake={awake} mScreenOnEarly={awake} mScreenOnFully={awake}
"""


def _rotation(phone: Phone) -> str:
    rotation = phone.rotation
    user = int(phone.settings.get(("system", "user_rotation"), "0"))
    return f"""\
  DisplayRotation
    mRotation={rotation} mDeferredRotationPauseCount=0
    mLandscapeRotation=ROTATION_90 mSeascapeRotation=ROTATION_270
    mPortraitRotation=ROTATION_0 mUpsideDownRotation=ROTATION_180
    WindowOrientationListener
      mEnabled={str(not phone.is_rotation_locked).lower()}
      mCurrentRotation={_named(rotation) if phone.spec.sdk >= _ANDROID_11 else rotation}
    mUserRotationMode=USER_ROTATION_{"LOCKED" if phone.is_rotation_locked else "FREE"} mUserRotation={_named(user)}"""


def _windows(phone: Phone) -> list[_Window]:
    return [_VAULT, _HOME] if phone.is_secure else [_HOME]


def _focus(phone: Phone) -> str:
    front = _windows(phone)[0]
    if not phone.is_on:
        return f"  mCurrentFocus=null\n  mFocusedApp={front.record}"
    return f"  mCurrentFocus={front.title}\n  mFocusedApp={front.record}"


def _block(phone: Phone, number: int, window: _Window) -> str:
    flags = [name for name in _FLAGS if name in window.flags]
    if phone.spec.sdk >= _ANDROID_9:
        attributes = f"""\
{{(0,0)(fillxfill) sim={{adjust=resize}} ty=BASE_APPLICATION fmt=TRANSPARENT
      fl={" ".join(flags)}
      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND}}"""
    else:
        bits = sum(_FLAGS[name] for name in flags)
        attributes = f"WM.LayoutParams{{(0,0)(fillxfill) sim=#10 ty=1 fl=#{bits:x} fmt=-2}}"
    is_visible = str(phone.is_on and number == 0).lower()
    return f"""\
  Window #{number} {window.title}:
    mDisplayId=0 mSession=Session{{6fdbba 684:u0a10144}}
    mOwnerUid=10137 package={window.package} appop=NONE
    mAttrs={attributes}
    Requested w={phone.screen.width} h={phone.screen.height} mLayoutSeq=67
    mHasSurface={is_visible} isReadyForDisplay()={is_visible}
    isOnScreen={is_visible}
    isVisible={is_visible}"""


def _named(rotation: int) -> str:
    return f"ROTATION_{90 * rotation}"

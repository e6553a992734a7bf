"""What phones of several Android versions print, in the words of AOSP: the lines that matter, and a few around them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Dumps:
    """One phone's answers while its screen is upright, lit, and shows an app that may be captured."""

    displays: str
    turned: str
    """The displays when the phone lies on its left side, at rotation 1."""
    windows: str
    secure_windows: str
    power: str
    sleeping: str
    """The power when it sleeps."""


_POWER = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  mDirty=0x0
  mWakefulness={wakefulness}
  mWakefulnessChanging=false
  mIsPowered=true
  mUserActivityTimeoutOverrideFromWindowManager=-1

Wake Locks: size=1
  PARTIAL_WAKE_LOCK              'AudioMix' ACQ=-1s0ms LONG (uid=1041)

Display Power: state={state}
"""

_NEW_POWER = """\
POWER MANAGER (dumpsys power)

Power Manager State:
  Settings power_manager_constants:
    no_cached_wake_locks=true
  mDirty=0x0
  mWakefulness={wakefulness}
  mWakefulnessChanging=false
  mIsPowered=true

Display Power: state={state}

PowerGroup: groupId=0 supportsSandman=true
"""

ANDROID_7 = Dumps(
    displays="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init=1080x1920 420dpi cur=1080x1920 app=1080x1794 rng=1080x1017-1794x1731
    deferred=false layoutNeeded=false

    mStackId=1
""",
    turned="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init=1080x1920 420dpi cur=1920x1080 app=1794x1080 rng=1080x1017-1794x1731
    deferred=false layoutNeeded=false
""",
    windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #5 Window{88a2bf2 u0 com.example/com.example.Main}:
    mDisplayId=0 stackId=1 mSession=Session{1db2a4f 3021:u0a10087} mClient=android.os.BinderProxy@7a2
    mAttrs=WM.LayoutParams{(0,0)(fillxfill) sim=#120 ty=1 fl=#81810100 pfl=0x20000 wanim=0x103046a vsysui=0x500}
    mConfiguration={1.0 310mcc260mnc en_US ldltr sw411dp w411dp h659dp 420dpi nrml port finger -keyb/v/h -nav/h s.7}
  Window #4 Window{1f00ab7 u0 com.bank/com.bank.Login}:
    mAttrs=WM.LayoutParams{(0,0)(fillxfill) ty=1 fl=#81812100 wanim=0x103046a}

  mCurConfiguration={1.0 310mcc260mnc en_US ldltr sw411dp w411dp h659dp 420dpi nrml port}
  mCurrentFocus=Window{88a2bf2 u0 com.example/com.example.Main}
  mFocusedApp=AppWindowToken{9d09d5c token=Token{d6c7fcf ActivityRecord{81b072e u0 com.example/.Main t21}}}
  mDisplayFrozen=false windows=0 client=false apps=0 waitingForConfig=false
  mRotation=0 mAltOrientation=false
""",
    secure_windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #5 Window{88a2bf2 u0 com.bank/com.bank.Login}:
    mAttrs=WM.LayoutParams{(0,0)(fillxfill) sim=#120 ty=1 fl=#81812100 pfl=0x20000 wanim=0x103046a vsysui=0x500}
  mCurrentFocus=Window{88a2bf2 u0 com.bank/com.bank.Login}
""",
    power=_POWER.format(wakefulness="Awake", state="ON"),
    sleeping=_POWER.format(wakefulness="Asleep", state="OFF"),
)

ANDROID_9 = Dumps(
    displays="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init=1080x2160 480dpi base=720x1440 320dpi cur=720x1440 app=720x1368 rng=720x648-1368x1296
    deferred=false mLayoutNeeded=false mTouchExcludeRegion=SkRegion()

  mLayoutSeq=2310
  Application tokens in top down Z order:
""",
    turned="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init=1080x2160 480dpi base=720x1440 320dpi cur=1440x720 app=1368x720 rng=720x648-1368x1296
    deferred=false mLayoutNeeded=false mTouchExcludeRegion=SkRegion()
""",
    windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #3 Window{a1f2c3 u0 com.example/com.example.Main}:
    mDisplayId=0 stackId=4 mSession=Session{5a0bd4c 4211:u0a10066} mClient=android.os.BinderProxy@fe9cb2e
    mAttrs={(0,0)(fillxfill) sim={adjust=pan} ty=BASE_APPLICATION wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED DRAWS_SYSTEM_BAR_BACKGROUNDS
      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND
      vsysui=LAYOUT_STABLE LAYOUT_FULLSCREEN}
  mCurrentFocus=Window{a1f2c3 u0 com.example/com.example.Main}
  mDisplayFrozen=false windows=0 client=false apps=0  mRotation=0 mAltOrientation=false
""",
    secure_windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #3 Window{a1f2c3 u0 com.bank/com.bank.Login}:
    mAttrs={(0,0)(fillxfill) sim={adjust=pan} ty=BASE_APPLICATION wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED DRAWS_SYSTEM_BAR_BACKGROUNDS
      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND}
  mCurrentFocus=Window{a1f2c3 u0 com.bank/com.bank.Login}
""",
    power=_POWER.format(wakefulness="Awake", state="ON"),
    sleeping=_POWER.format(wakefulness="Dozing", state="DOZE_SUSPEND"),
)

_ROTATION_11 = """\
  mDisplayFrozen=false windows=0 client=false apps=0  mRotation={rotation}  mLastOrientation=-1
    DisplayRotation
      mCurrentAppOrientation=SCREEN_ORIENTATION_UNSPECIFIED
      mLastOrientation=-1
      mRotation={rotation} mDeferredRotationPauseCount=0
      mLandscapeRotation=ROTATION_90 mSeascapeRotation=ROTATION_270
      mUserRotationMode=USER_ROTATION_FREE mUserRotation=ROTATION_0 mAllowAllRotations=unknown
      WindowOrientationListener
        mEnabled=true
        mCurrentRotation=ROTATION_{degrees}
"""

ANDROID_11 = Dumps(
    displays="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=2
    init=1280x720 160dpi cur=1280x720 app=1280x720 rng=720x720-1280x1280
      mRotation=3 mDeferredRotationPauseCount=0
  Display: mDisplayId=0
    init=1080x2280 440dpi cur=1080x2280 app=1080x2148 rng=1080x1017-2148x2115
    deferred=false mLayoutNeeded=false mTouchExcludeRegion=SkRegion((0,0,1080,2280))
  mCurrentFocus=Window{f0e1d2 u0 com.example/com.example.Main}
    Task id #34 winConfig={ mBounds=Rect(0, 0 - 1080, 2280) mWindowingMode=fullscreen mRotation=ROTATION_270}
"""
    + _ROTATION_11.format(rotation=0, degrees=0),
    turned="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0
    init=1080x2280 440dpi cur=2280x1080 app=2148x1080 rng=1080x1017-2148x2115
  mCurrentFocus=Window{f0e1d2 u0 com.example/com.example.Main}
"""
    + _ROTATION_11.format(rotation=1, degrees=90),
    windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #7 Window{aa00bb u0 com.bank/com.bank.Login}:
    mAttrs={(0,0)(fillxfill) ty=BASE_APPLICATION fmt=TRANSLUCENT wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR SPLIT_TOUCH
      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND}
  Window #6 Window{f0e1d2 u0 com.example/com.example.Main}:
    mDisplayId=0 rootTaskId=34 mSession=Session{cc1 9032:u0a10127} mClient=android.os.BinderProxy@ddc8d03
    mAttrs={(0,0)(fillxfill) sim={adjust=resize} ty=BASE_APPLICATION wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED DRAWS_SYSTEM_BAR_BACKGROUNDS
      pfl=SECURE_IS_NO_FLAG_HERE FORCE_DRAW_STATUS_BAR_BACKGROUND FIT_INSETS_CONTROLLED}
""",
    secure_windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #6 Window{f0e1d2 u0 com.bank/com.bank.Login}:
    mAttrs={(0,0)(fillxfill) ty=BASE_APPLICATION fl=LAYOUT_IN_SCREEN SECURE HARDWARE_ACCELERATED
      pfl=FORCE_DRAW_STATUS_BAR_BACKGROUND}
""",
    power=_POWER.format(wakefulness="Dreaming", state="ON"),
    sleeping=_POWER.format(wakefulness="Asleep", state="OFF"),
)

_ROTATION_14 = """\
    DisplayRotation
      mCurrentAppOrientation=SCREEN_ORIENTATION_UNSPECIFIED
      mLastOrientation=-1
      mRotation={rotation} mDeferredRotationPauseCount=0
      mLandscapeRotation=ROTATION_90 mSeascapeRotation=ROTATION_270
      RotationLockHistory
        mCurrentRotation=ROTATION_{degrees}
"""

ANDROID_14 = Dumps(
    displays="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0 (organized)
    init=1080x2400 420dpi mMinSizeOfResizeableTaskDp=220 cur=1080x2400 app=1080x2337 rng=1080x1017-2337x2337
    deferred=false mLayoutNeeded=false
  mCurrentFocus=Window{c0ffee u0 com.example/com.example.Main}
  mFocusedApp=ActivityRecord{1b7d0f4 u0 com.example/.Main t12}
"""
    + _ROTATION_14.format(rotation=0, degrees=0),
    turned="""\
WINDOW MANAGER DISPLAY CONTENTS (dumpsys window displays)
  Display: mDisplayId=0 (organized)
    init=1080x2400 420dpi mMinSizeOfResizeableTaskDp=220 cur=2400x1080 app=2337x1080 rng=1080x1017-2337x2337
  mCurrentFocus=null
"""
    + _ROTATION_14.format(rotation=1, degrees=90),
    windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #4 Window{c0ffee u0 com.example/com.example.Main}:
    mDisplayId=0 mSession=Session{4a1 2231:u0a10143} mClient=android.os.BinderProxy@90c
    mAttrs={(0,0)(fillxfill) sim={adjust=resize} layoutInDisplayCutoutMode=always ty=BASE_APPLICATION wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED DRAWS_SYSTEM_BAR_BACKGROUNDS
      pfl=NO_MOVE_ANIMATION FIT_INSETS_CONTROLLED
      bhv=DEFAULT}
""",
    secure_windows="""\
WINDOW MANAGER WINDOWS (dumpsys window windows)
  Window #4 Window{c0ffee u0 com.bank/com.bank.Login}:
    mAttrs={(0,0)(fillxfill) sim={adjust=resize} layoutInDisplayCutoutMode=always ty=BASE_APPLICATION wanim=0x10302fe
      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED
      pfl=NO_MOVE_ANIMATION FIT_INSETS_CONTROLLED}
""",
    power=_NEW_POWER.format(wakefulness="Awake", state="ON"),
    sleeping=_NEW_POWER.format(wakefulness="Dozing", state="DOZE"),
)

ALL = {"7": ANDROID_7, "9": ANDROID_9, "11": ANDROID_11, "14": ANDROID_14}

"""`dumpsys window` of several Androids."""

import re

import pytest

from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.window_dump import dump_displays, dump_windows


def turned_phone(sdk: int) -> Phone:
    return Phone(PhoneSpec(width=240, height=320, sdk=sdk, rotation=1))


@pytest.mark.parametrize(
    ("sdk", "in_displays", "in_windows"),
    [
        (28, [], ["mRotation=1"]),
        (29, ["mRotation=1", "mCurrentRotation=1"], []),
        (30, ["mRotation=1", "mCurrentRotation=ROTATION_90"], []),
        (34, ["mRotation=1", "mCurrentRotation=ROTATION_90"], []),
    ],
)
def test_the_rotation(sdk: int, in_displays: list[str], in_windows: list[str]) -> None:
    phone = turned_phone(sdk)
    found = [re.findall(r"\bm(?:Current)?Rotation=\w+", dump(phone)) for dump in (dump_displays, dump_windows)]
    assert found == [in_displays, in_windows]
    assert "init=240x320 120dpi cur=320x240 " in dump_displays(phone)


@pytest.mark.parametrize("sdk", [28, 33])
def test_the_focus(sdk: int) -> None:
    phone = turned_phone(sdk)
    home, vault = "com.demo.launcher/com.demo.launcher.Home}", "com.demo.vault/com.demo.vault.Vault}"

    def focus() -> list[str]:
        dumps = (dump_displays(phone), dump_windows(phone))
        assert ["mCurrentFocus" in dump for dump in dumps] == [sdk >= 29, sdk < 29]
        return re.findall(r"mCurrentFocus=(?:Window\{\w+ u0 )?(\S+)", "".join(dumps))

    assert focus() == [home]
    phone.is_secure = True
    assert focus() == [vault]
    phone.turn_screen(False)
    assert focus() == ["null"]


def test_a_secure_window_has_a_flag_by_name() -> None:
    phone = turned_phone(33)
    assert "SECURE" not in dump_windows(phone)
    phone.is_secure = True
    vault, home = dump_windows(phone).split("Window #")[1:]
    assert "      fl=LAYOUT_IN_SCREEN SECURE LAYOUT_INSET_DECOR SPLIT_TOUCH HARDWARE_ACCELERATED\n" in vault
    assert "SECURE" not in home


def test_before_android_9_flags_are_a_number() -> None:
    phone = turned_phone(27)
    phone.is_secure = True
    flags = [int(number, 16) for number in re.findall(r"fl=#(\w+)", dump_windows(phone))]
    assert [bool(number & 0x2000) for number in flags] == [True, False]


def test_an_overridden_size() -> None:
    phone = turned_phone(33)
    phone.resize(300, 400)
    assert "init=240x320 120dpi base=300x400 120dpi cur=400x300 " in dump_displays(phone)

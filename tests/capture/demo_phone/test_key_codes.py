"""Key codes, spot-checked against android.view.KeyEvent."""

import pytest

from capture.demo_phone.key_codes import key_code, key_name


@pytest.mark.parametrize(
    ("code", "name"),
    [
        *[(3, "HOME"), (4, "BACK"), (7, "0"), (26, "POWER"), (66, "ENTER"), (67, "DEL"), (111, "ESCAPE")],
        *[(164, "VOLUME_MUTE"), (187, "APP_SWITCH"), (224, "WAKEUP"), (288, "PROFILE_SWITCH")],
    ],
)
def test_names_and_numbers(code: int, name: str) -> None:
    assert key_name(code) == f"KEYCODE_{name}"
    assert key_code(f"KEYCODE_{name}") == code
    assert key_code(str(code)) == code


def test_a_number_wins_over_a_name() -> None:
    assert key_code("7") == 7
    assert key_code("HOME") == 3


@pytest.mark.parametrize("text", ["", "home", "KEYCODE_NOTHING", "-1", "999999999999", "３"])
def test_anything_else_is_unknown(text: str) -> None:
    assert key_code(text) == 0


def test_a_number_without_a_name() -> None:
    assert key_name(9999) == "9999"

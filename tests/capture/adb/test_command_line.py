"""Nothing that a viewer sends is anything but a word to a device's shell."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.adb.command_line import command_line


def test_words_are_quoted_and_commands_follow_one_another() -> None:
    assert command_line(["input", "tap", "1", "2"]) == "input tap 1 2"
    assert command_line(["echo", "a b"], ["echo", "$(reboot)", "`reboot`", "x;reboot"]) == (
        "echo 'a b'; echo '$(reboot)' '`reboot`' 'x;reboot'"
    )


def test_a_nul_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        command_line(["input", "text", "a\0b"])


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@settings(max_examples=25)
@given(st.lists(TEXT, min_size=1, max_size=5))
def test_a_real_shell_sees_the_very_words(words: list[str]) -> None:
    line = command_line(["printf", "%s\\0", *words])
    output = subprocess.run(["/bin/sh", "-c", line], capture_output=True, check=True).stdout
    assert output.split(b"\0")[:-1] == [word.encode() for word in words]

"""What a device's shell is given to run."""

import shlex
from collections.abc import Sequence
from typing import NewType

CommandLine = NewType("CommandLine", str)
"""A line for a device's shell in which every word is quoted; only `command_line` makes one."""


def command_line(*commands: Sequence[str]) -> CommandLine:
    """The line that runs the commands, each a list of words, one after the other; its exit code is the last one's.

    Every word is quoted, so that none can be anything but a word. Raises `ValueError` for a NUL byte.
    """
    line = "; ".join(shlex.join(command) for command in commands)
    if "\0" in line:
        raise ValueError(f"a shell command must not hold a NUL byte: {line[:80]!r}")
    return CommandLine(line)

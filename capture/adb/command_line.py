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


def service_of(command: CommandLine, *, is_raw: bool) -> str:
    """The service that runs one `command` until it ends or is closed; with `is_raw` on devices without shell v2.

    Behind the shell's `exec` the command is the process that adbd sends SIGHUP when the service is closed: it ends at
    once. Otherwise it ends when it next writes, which on a still screen may be never. And `exec:` mixes what the
    command complains about into its output.
    """
    return f"exec:{command}" if is_raw else f"shell,v2,raw:exec {command}"

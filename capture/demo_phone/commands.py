"""The programs of the phone, by the names that its shell finds them under."""

from collections.abc import Mapping

from capture.demo_phone import file_commands, process_commands, system_commands
from capture.demo_phone.dumpsys import dumpsys
from capture.demo_phone.input_command import input_command
from capture.demo_phone.recorder import screenrecord
from capture.demo_phone.shell import Command, Invocation


async def _true(_: Invocation) -> int:
    return 0


async def _false(_: Invocation) -> int:
    return 1


COMMANDS: Mapping[str, Command] = {
    "am": system_commands.am,
    "cat": file_commands.cat,
    "dumpsys": dumpsys,
    "echo": file_commands.echo,
    "false": _false,
    "getprop": system_commands.getprop,
    "id": system_commands.whoami,
    "input": input_command,
    "kill": process_commands.kill,
    "ls": file_commands.ls,
    "pidof": process_commands.pidof,
    "pkill": process_commands.pkill,
    "pm": system_commands.pm,
    "ps": process_commands.ps,
    "rm": file_commands.rm,
    "screencap": system_commands.screencap,
    "screenrecord": screenrecord,
    "setprop": system_commands.setprop,
    "settings": system_commands.settings,
    "sleep": process_commands.sleep,
    "true": _true,
    "wm": system_commands.wm,
}

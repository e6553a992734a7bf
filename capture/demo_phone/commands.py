"""The programs of the phone, by the names that its shell finds them under."""

from collections.abc import Mapping

from capture.demo_phone import file_commands, process_commands, system_commands
from capture.demo_phone.app_process import app_process
from capture.demo_phone.dumpsys import dumpsys
from capture.demo_phone.input_command import input_command
from capture.demo_phone.recorder import screenrecord
from capture.demo_phone.shell import Command, Invocation

_NO_SERVICE = 20


def _asks(service: str, command: Command) -> Command:
    """A command that a service of Android answers, which is not there before the phone has booted."""

    async def ask(invocation: Invocation) -> int:
        if not invocation.phone.is_booting:
            return await command(invocation)
        await invocation.complain(f"cmd: Can't find service: {service}")
        return _NO_SERVICE

    return ask


async def _true(_: Invocation) -> int:
    return 0


async def _false(_: Invocation) -> int:
    return 1


COMMANDS: Mapping[str, Command] = {
    "am": _asks("activity", system_commands.am),
    "app_process": app_process,
    "cat": file_commands.cat,
    "dumpsys": dumpsys,
    "echo": file_commands.echo,
    "false": _false,
    "getprop": system_commands.getprop,
    "id": system_commands.whoami,
    "input": _asks("input", input_command),
    "kill": process_commands.kill,
    "ls": file_commands.ls,
    "pidof": process_commands.pidof,
    "pkill": process_commands.pkill,
    "pm": _asks("package", system_commands.pm),
    "ps": process_commands.ps,
    "rm": file_commands.rm,
    "screencap": system_commands.screencap,
    "screenrecord": screenrecord,
    "setprop": system_commands.setprop,
    "settings": _asks("settings", system_commands.settings),
    "sha256sum": file_commands.sha256sum,
    "sleep": process_commands.sleep,
    "true": _true,
    "wm": _asks("window", system_commands.wm),
}

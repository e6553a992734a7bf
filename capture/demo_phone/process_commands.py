"""Commands about processes: `ps`, `pidof`, `pkill`, `kill`, `sleep`."""

import asyncio
import math
import signal

from capture.demo_phone.shell import Invocation

_FAILED = 1


async def ps(invocation: Invocation) -> int:
    """`ps`, `ps -A`, `ps -ef`: all running commands, in toybox's columns."""
    await invocation.print("USER           PID  PPID     VSZ    RSS WCHAN            ADDR S NAME")
    for process in invocation.phone.processes:
        await invocation.print(f"shell {process.pid:12}  1199   10000   2000 0                   0 S {process.name}")
    return 0


async def pidof(invocation: Invocation) -> int:
    """`pidof [-s] NAME…`."""
    names = [argument for argument in invocation.arguments if not argument.startswith("-")]
    found = [str(process.pid) for name in names for process in reversed(invocation.phone.processes.named(name))]
    if "-s" in invocation.arguments:
        found = found[:1]
    if found:
        await invocation.print(" ".join(found))
    return 0 if found else _FAILED


async def pkill(invocation: Invocation) -> int:
    """`pkill [-SIGNAL | -l SIGNAL] NAME`: a signal, SIGTERM by default, to all processes whose name contains NAME."""
    number: int = signal.SIGTERM
    pattern = ""
    arguments = list(invocation.arguments)
    while arguments:
        argument = arguments.pop(0)
        if argument in ("-f", "-x"):
            continue
        if argument.startswith("-"):
            name = arguments.pop(0) if argument == "-l" and arguments else argument[1:]
            if (known := _signal(name)) is None:
                await invocation.complain(f"pkill: bad -l '{name}'")
                return _FAILED
            number = known
        else:
            pattern = argument
    if not pattern:
        await invocation.complain("pkill: Needs 1 argument")
        return _FAILED
    others = [process for process in invocation.phone.processes if process is not invocation.process]
    matching = [process for process in others if pattern in process.name]
    for process in matching:
        process.send_signal(number)
    return 0 if matching else _FAILED


async def kill(invocation: Invocation) -> int:
    """`kill [-SIGNAL | -s SIGNAL] PID…`."""
    arguments = list(invocation.arguments)
    name = "TERM"
    if arguments and arguments[0].startswith("-"):
        name = arguments.pop(0)[1:]
        if name == "s" and arguments:
            name = arguments.pop(0)
    number = _signal(name)
    if number is None:
        await invocation.complain(f"kill: bad signal '{name}'")
        return _FAILED
    if not arguments:
        await invocation.complain("kill: Needs 1 argument")
        return _FAILED
    code = 0
    for argument in arguments:
        process = invocation.phone.processes.find(int(argument)) if argument.isdecimal() else None
        if process is not None:
            process.send_signal(number)
        else:
            await invocation.complain(f"kill: {argument}: No such process")
            code = _FAILED
    return code


async def sleep(invocation: Invocation) -> int:
    """`sleep SECONDS`."""
    try:
        seconds = float(invocation.arguments[0])
    except (IndexError, ValueError):
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        await invocation.complain(f"sleep: Bad number '{' '.join(invocation.arguments)}'")
        return _FAILED
    await asyncio.sleep(seconds)
    return 0


def _signal(name: str) -> int | None:
    """A signal by number or name, with or without SIG; 0 asks only whether the process is there."""
    if name.isdecimal():
        return int(name) if int(name) == 0 or int(name) in set(signal.Signals) else None
    name = name.upper().removeprefix("SIG")
    return signal.Signals[f"SIG{name}"] if f"SIG{name}" in signal.Signals.__members__ else None

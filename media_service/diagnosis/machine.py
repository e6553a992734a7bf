"""What the machine gives a process: the right time, open files, and room for the log."""

import asyncio
import ctypes
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from media_service.diagnosis.finding import Finding, info, ok, problem, warning
from media_service.diagnosis.reason import reason
from media_service.settings import Settings

AREA = "Machine"

WANTED_FILES: Final = 65_536
"""Open files: an ICE-TCP connection, a WebSocket or a phone's stream takes one each."""

_TIME_ERROR: Final = 5
_STA_UNSYNC: Final = 0x40
_BUILT_AFTER: Final = 1_735_689_600
"""2025: no clock that is right can show an earlier time."""
_TIMEX_SIZE: Final = 256
_TIMEX_STATUS: Final = 40 if ctypes.sizeof(ctypes.c_long) == 8 else 20
"""Where `status` is in `struct timex`, behind `modes` and four longs (adjtimex(2))."""


async def check(settings: Settings) -> Sequence[Finding]:
    """Look at each."""
    return [
        clock(time.time(), _kernel_status()),
        open_files(*resource.getrlimit(resource.RLIMIT_NOFILE)),
        await asyncio.to_thread(_log_file, settings),
    ]


def clock(now: float, status: tuple[int, int] | None) -> Finding:
    """What to say of a clock that shows `now`, with the state and status of adjtimex(2); None: it cannot be asked."""
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    matters = "the times in tokens and in TURN credentials depend on it"
    remedy = "timedatectl set-ntp true, or install chrony"
    if now < _BUILT_AFTER:
        return problem(AREA, f"the clock shows {shown}, which is wrong; {matters}", remedy)
    if status is None:
        return info(AREA, f"the clock shows {shown}; whether it is synchronised cannot be asked here")
    state, flags = status
    if state == _TIME_ERROR or flags & _STA_UNSYNC:
        return warning(AREA, f"the clock shows {shown} and is not synchronised; {matters}", remedy)
    return ok(AREA, f"the clock shows {shown} and is synchronised")


def open_files(soft: int, hard: int) -> Finding:
    """What to say of the limit of open files."""
    if soft == resource.RLIM_INFINITY or soft >= WANTED_FILES:
        return ok(AREA, f"{'any number of' if soft == resource.RLIM_INFINITY else soft} files may be open")
    return warning(
        AREA,
        f"{soft} files may be open, {WANTED_FILES} are recommended for many viewers",
        f"LimitNOFILE={WANTED_FILES} in the systemd unit (ours has it), or ulimit -n {WANTED_FILES}"
        + (
            ""
            if hard == resource.RLIM_INFINITY or hard >= WANTED_FILES
            else " once /etc/security/limits.conf allows it"
        ),
    )


def _kernel_status() -> tuple[int, int] | None:
    """What adjtimex(2) returns, and the status that it fills in; nothing is adjusted."""
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return state, ctypes.c_int.from_buffer(timex, _TIMEX_STATUS).value


def _log_file(settings: Settings) -> Finding:
    path = settings.log_file
    if not settings.enable_file_logging or path is None:
        return info(AREA, "the log is not written to a file (ENABLE_FILE_LOGGING)")
    try:
        _try_to_write(path)
        room = shutil.disk_usage(path.parent).free
    except OSError as error:
        return problem(
            AREA,
            f"LOG_FILE={path} cannot be written: {reason(error)}",
            f"let the user that runs the service write there: chown {_user()} {path.parent}",
        )
    needed = settings.log_file_max_bytes * (settings.log_file_backups + 1) or 1 << 30
    if room < needed:
        return warning(
            AREA,
            f"{path} can be written, but its disk has {room >> 20} MiB left, and the logs may take {needed >> 20}",
            "make room, or set LOG_FILE_MAX_BYTES and LOG_FILE_BACKUPS lower",
        )
    return ok(AREA, f"{path} can be written, {room >> 20} MiB are free")


def _try_to_write(path: Path) -> None:
    """Raises OSError where `path` cannot be opened for writing; leaves no file behind."""
    if path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
    else:
        with tempfile.TemporaryFile(dir=path.parent) as file:
            file.write(b"\n")


def _user() -> str:
    return str(os.geteuid())

"""Word to systemd, which started us: `sd_notify(3)`, and the watchdog of `sd_watchdog_enabled(3)`.

Everywhere else, without `NOTIFY_SOCKET`, nothing is said to anybody.
"""

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sdnotify  # type: ignore[import-untyped]  # it has no annotations
import structlog

_log = structlog.get_logger(__name__)

_LONGEST_STATUS = 200


class ServiceManager:
    """What waits for word from us."""

    def __init__(self) -> None:
        """Opened by `service_manager`."""
        self._watchdog_interval = watchdog_interval(os.environ, os.getpid())
        self._notifier = sdnotify.SystemdNotifier() if os.environ.get("NOTIFY_SOCKET") else None
        if self._notifier is None:
            return
        if self._notifier.socket is None:
            _log.warning("systemd cannot be told anything: NOTIFY_SOCKET cannot be reached")
        else:
            # A manager that does not read must not stop the streams.
            self._notifier.socket.setblocking(False)

    def ready(self, status: str) -> None:
        """We serve now; `status` is shown by `systemctl status`."""
        self._say("READY=1", _status(status))

    def status(self, text: str) -> None:
        """What `systemctl status` shows from now on."""
        self._say(_status(text))

    def stopping(self, status: str, within: float) -> None:
        """We end now, which may take `within` seconds, even where that is more than the unit's `TimeoutStopSec`."""
        self._say("STOPPING=1", _status(status), f"EXTEND_TIMEOUT_USEC={round(within * 1_000_000)}")

    async def keep_alive(self) -> None:
        """Tell, as often as is asked, that the event loop turns; one that is stuck is ended and started anew.

        Never ends, but returns at once where nobody watches.
        """
        while self._watchdog_interval is not None:
            self._say("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_interval)

    def close(self) -> None:
        """Say no more."""
        if self._notifier is not None and self._notifier.socket is not None:
            self._notifier.socket.close()
        self._notifier = None

    def _say(self, *assignments: str) -> None:
        if self._notifier is not None:
            self._notifier.notify("\n".join(assignments))


@contextmanager
def service_manager() -> Iterator[ServiceManager]:
    """What waits for word from us, for the duration of the block."""
    manager = ServiceManager()
    try:
        yield manager
    finally:
        manager.close()


def watchdog_interval(environment: Mapping[str, str], process_id: int) -> float | None:
    """Seconds between signs of life: half of what systemd waits for. None where it does not wait for ours."""
    wanted, whose = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not _is_number(wanted) or int(wanted) == 0:
        return None
    if whose and not (_is_number(whose) and int(whose) == process_id):
        return None
    return int(wanted) / 2_000_000


def _is_number(text: str) -> bool:
    # The range of usec_t; sd_watchdog_enabled(3) takes no more either.
    return text.isascii() and text.isdecimal() and len(text) < 20


def _status(text: str) -> str:
    # One line, and ASCII: the library encodes Latin-1 and drops the whole message where that fails, and systemd takes
    # UTF-8 only.
    line = " ".join(text.split()).encode("ascii", "replace").decode()
    return f"STATUS={line[:_LONGEST_STATUS]}"

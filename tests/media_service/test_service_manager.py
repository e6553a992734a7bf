"""What systemd is told, over a real socket."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_service.service_manager import ServiceManager, service_manager, watchdog_interval


class Systemd:
    """The reading end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def heard(self) -> list[str]:
        """The assignments of the next message."""
        return self.socket.recv(4096).decode().split("\n")

    def drain(self) -> int:
        """Forget what waits; how many messages it was."""
        count = 0
        self.socket.setblocking(False)
        with suppress(BlockingIOError):
            while self.socket.recv(4096):
                count += 1
        self.socket.settimeout(10)
        return count


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    yield systemd
    systemd.socket.close()


@pytest.fixture
def manager(systemd: Systemd) -> Iterator[ServiceManager]:
    with service_manager() as manager:
        yield manager


def test_a_life(manager: ServiceManager, systemd: Systemd) -> None:
    manager.ready("serving http://127.0.0.1:30006/")
    assert systemd.heard() == ["READY=1", "STATUS=serving http://127.0.0.1:30006/"]
    manager.status("2 sessions")
    assert systemd.heard() == ["STATUS=2 sessions"]
    manager.stopping("2 sessions may stay", 32.5)
    assert systemd.heard() == ["STOPPING=1", "STATUS=2 sessions may stay", "EXTEND_TIMEOUT_USEC=32500000"]


def test_an_abstract_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"media-service-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0{name}")
        abstract.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
        with service_manager() as manager:
            manager.ready("there")
        assert abstract.recv(100) == b"READY=1\nSTATUS=there"


async def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    with service_manager() as manager:
        manager.ready("nobody hears this")
        manager.stopping("nor this", 1)
        await asyncio.wait_for(manager.keep_alive(), 10)


# The library leaves the socket that it could not connect to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_socket_that_is_gone_is_survived(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    with service_manager() as manager:
        manager.ready("nobody hears this")


def test_a_systemd_that_goes_away_is_survived(manager: ServiceManager, systemd: Systemd) -> None:
    systemd.socket.close()
    manager.status("nobody hears this")


def test_a_systemd_that_does_not_read_stops_nothing(manager: ServiceManager, systemd: Systemd) -> None:
    for _ in range(10_000):
        manager.status("still here")
    assert 0 < systemd.drain() < 10_000


def test_nothing_is_said_after_the_end(systemd: Systemd) -> None:
    with service_manager() as manager:
        pass
    manager.status("late")
    assert systemd.drain() == 0


@given(text=st.text())
def test_any_text_is_one_status(text: str) -> None:
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTIFY_SOCKET", "@unused")
        patch.setattr("sdnotify.SystemdNotifier.__init__", lambda self: setattr(self, "socket", here))
        patch.setattr("sdnotify.SystemdNotifier.debug", True, raising=False)
        with service_manager() as manager:
            manager.ready(text)
            ready, status = there.recv(4096).decode("ascii").split("\n")
    assert ready == "READY=1"
    assert status.startswith("STATUS=")
    assert len(status) <= 207


async def test_a_loop_that_turns_is_told_and_one_that_is_stuck_is_not(
    monkeypatch: pytest.MonkeyPatch, systemd: Systemd
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    with service_manager() as manager:
        async with asyncio.TaskGroup() as group:
            watched = group.create_task(manager.keep_alive())
            for _ in range(3):
                assert await asyncio.to_thread(systemd.heard) == ["WATCHDOG=1"]
            systemd.drain()
            # This is what is to be found: it blocks the event loop for twenty intervals.
            time.sleep(0.1)  # noqa: ASYNC251
            assert systemd.drain() == 0
            assert await asyncio.to_thread(systemd.heard) == ["WATCHDOG=1"]
            watched.cancel()


@pytest.mark.parametrize(
    ("usec", "pid", "interval"),
    [
        ("30000000", "7", 15.0),
        ("30000000", "", 15.0),
        ("1", "7", 5e-07),
        ("30000000", "8", None),  # inherited from somebody else whom it was meant for
        ("", "7", None),
        ("0", "7", None),
        ("-5", "7", None),
        ("30s", "7", None),
        ("٣٠", "7", None),
        ("9" * 20, "7", None),
        ("30000000", "seven", None),
    ],
)
def test_the_interval_is_half_of_what_systemd_waits(usec: str, pid: str, interval: float | None) -> None:
    assert watchdog_interval({"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}, 7) == interval


@given(usec=st.text(), pid=st.text())
def test_any_environment_is_survived(usec: str, pid: str) -> None:
    interval = watchdog_interval({"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}, os.getpid())
    assert interval is None or interval > 0

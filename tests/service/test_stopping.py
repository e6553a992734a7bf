"""How the service ends: told to, with viewers, in the middle of a join, and beside another one on the same ports."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp
import psutil
import pytest
from structlog.testing import capture_logs

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.scrcpy.jar import make_jar
from media_service.app import serve
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.service import RunningService, online
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.processes import is_alive
from tests.rtc.receivers import free_ports
from tests.service.outside import PICTURES, Answer, ask, exit_code, join, reply_to, service_process, settings
from tests.waiting import until

pytestmark = pytest.mark.adb


@asynccontextmanager
async def running(adb: RunningAdb, folder: Path, *arguments: str, **environment: str) -> AsyncIterator[RunningService]:
    """A service with a picture to watch, whose temporary files go to `folder/tmp`."""
    (folder / "tmp").mkdir()
    around = {"ANDROID_ADB_SERVER_PORT": str(adb.port), "TMPDIR": str(folder / "tmp"), **environment}
    async with service_process(["--source", f"a={PICTURES}", *arguments], around, folder) as service:
        yield service


@asynccontextmanager
async def watched(
    adb: RunningAdb, folder: Path, **environment: str
) -> AsyncIterator[tuple[RunningService, AiortcViewer, aiohttp.ClientWebSocketResponse]]:
    """Such a service, somebody who watches, and a socket that is open."""
    async with (
        running(adb, folder, **environment) as service,
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{service.address}api/media/ws") as wire,
    ):
        viewer = AiortcViewer(service.address, "a")
        await viewer.watch()
        await viewer.watched(1)
        yield service, viewer, wire


def stop(service: RunningService) -> None:
    os.kill(service.process_id, signal.SIGTERM)


def events(service: RunningService) -> list[dict[str, Any]]:
    """What it has logged."""
    return [json.loads(line) for line in service.log if line.startswith("{")]


def assert_in_order(service: RunningService, *expected: str) -> None:
    """Nothing that it wrote tells of trouble, beside lines of the `expected` levels."""
    strange = [line for line in service.log if not line.startswith(("{", "Open "))]
    strange += [str(entry) for entry in events(service) if entry["level"] not in ("info", *expected)]
    assert strange == []


def everything_in(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*")]


async def until_draining(address: str) -> Answer:
    """Wait until it takes nobody else; what it says then."""
    async with asyncio.timeout(10):
        while (answer := await ask(address, "readyz")).status == 200:
            pass
    return answer


async def test_who_watches_may_go_on_and_nobody_else_comes(adb_server: RunningAdb, tmp_path: Path) -> None:
    async with watched(adb_server, tmp_path, DRAIN_TIMEOUT="60s") as (service, viewer, wire):
        await wire.send_json({"type": "join", "id": 1, "deviceId": "a"})
        session_id = (await reply_to(wire, 1))["sessionId"]

        stop(service)
        answer = await until_draining(service.address)
        assert (answer.status, answer.json) == (503, {"status": "draining"})
        assert (await ask(service.address, "health")).json["draining"] is True
        assert (await ask(service.address, "livez")).status == 200

        refusal = await join(service.address, "a")
        assert (refusal.status, refusal.code) == (503, "draining")
        assert int(refusal.headers["Retry-After"]) > 0
        late = AiortcViewer(service.address, "a")
        with pytest.raises(RuntimeError, match='"draining"'):
            await late.watch()
        await late.leave()

        told = json.loads(await viewer.heard('"draining"'))
        assert (told["type"], told["code"]) == ("error", "draining")
        async with asyncio.timeout(10):
            while (message := await wire.receive_json())["type"] != "error":
                pass
        assert message["code"] == "draining"
        await wire.send_json({"type": "join", "id": 2, "deviceId": "a"})
        assert (await reply_to(wire, 2))["code"] == "draining"

        await viewer.watched(5)
        await viewer.leave()
        await wire.send_json({"type": "leave", "id": 3, "sessionId": session_id})
        # The last one has left: it waits no longer, and not for a socket that nobody watches by.
        assert await exit_code(service, 20) == 0
    assert_in_order(service)


async def test_who_stays_is_said_goodbye_to(adb_server: RunningAdb, tmp_path: Path) -> None:
    async with watched(adb_server, tmp_path, DRAIN_TIMEOUT="1s") as (service, viewer, wire):
        stopped_at = time.monotonic()
        stop(service)
        await viewer.heard('"draining"')
        async with asyncio.timeout(20):
            async for _ in wire:
                pass
        assert wire.close_code == aiohttp.WSCloseCode.GOING_AWAY
        assert await exit_code(service, 20) == 0
        assert time.monotonic() - stopped_at >= 1
        await until(lambda: viewer.connection.connectionState == "closed")
        await viewer.leave()
    assert_in_order(service)
    assert [entry["reason"] for entry in events(service) if entry["event"] == "viewer left"] == ["the service stops"]


@pytest.fixture
async def slow_phone(adb_client: AdbClient) -> AsyncIterator[DemoPhone]:
    """A phone whose answers tests hold back."""
    async with DemoPhone(PhoneSpec(name="slow", width=240, height=320)) as phone:
        yield phone
        await adb_client.disconnect(phone.address)


@asynccontextmanager
async def joining(adb: RunningAdb, folder: Path, phone: DemoPhone) -> AsyncIterator[list[asyncio.Task[Answer | None]]]:
    """Three who join while the phone says nothing and the service is told to stop; they end with the block."""
    async with running(adb, folder, ADB_DEVICES=phone.address, DRAIN_TIMEOUT="30s") as service:
        await online(service.address, phone.address)
        phone.faults.hangs = True
        async with asyncio.TaskGroup() as group:
            joins = [group.create_task(_joined(service.address, phone.address)) for _ in range(3)]
            async with asyncio.timeout(10):
                while (await ask(service.address, "api/media/stats")).json["streams"] == 0:
                    pass
            stop(service)
            await until(lambda: any(entry["event"] == "stopping" for entry in events(service)))
            yield joins
            assert await exit_code(service, 20) == 0
    assert_in_order(service, "warning")


async def _joined(address: str, device: str) -> Answer | None:
    """What is answered, if anything is."""
    with suppress(aiohttp.ClientConnectionError):
        return await join(address, device)
    return None


async def test_in_the_middle_of_a_join(adb_server: RunningAdb, tmp_path: Path, slow_phone: DemoPhone) -> None:
    async with joining(adb_server, tmp_path, slow_phone) as joins:
        slow_phone.faults.hangs = False
    answers = [each.result() for each in joins]
    assert [(each.status, each.code, each.headers["Retry-After"]) for each in answers if each] == [
        (503, "draining", "5")
    ] * 3


async def test_in_the_middle_of_a_join_that_takes_longer(
    adb_server: RunningAdb, tmp_path: Path, slow_phone: DemoPhone
) -> None:
    async with joining(adb_server, tmp_path, slow_phone) as joins:
        pass
    slow_phone.faults.hangs = False
    assert {answer.status for each in joins if (answer := each.result())} <= {503}


class Systemd:
    """The reading end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        """The assignments, in order."""

    @classmethod
    @contextmanager
    def listening(cls, path: Path) -> Iterator[Self]:
        """It listens at `path` during the block."""
        systemd, loop = cls(path), asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as reader:
            reader.bind(str(path))
            reader.setblocking(False)
            loop.add_reader(reader, lambda: systemd.heard.extend(reader.recv(4096).decode().split("\n")))
            try:
                yield systemd
            finally:
                loop.remove_reader(reader)


async def test_systemd_is_told_and_a_second_signal_ends_the_wait(adb_server: RunningAdb, tmp_path: Path) -> None:
    watched = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "100000", "DRAIN_TIMEOUT": "300s"}
    with Systemd.listening(tmp_path / "notify") as systemd:
        async with running(adb_server, tmp_path, **watched) as service:
            await until(lambda: systemd.heard.count("WATCHDOG=1") >= 3)
            ready = systemd.heard.index("READY=1")
            assert systemd.heard[ready + 1] == f"STATUS=Serving {service.address}"
            viewer = AiortcViewer(service.address, "a")
            await viewer.watch()
            await viewer.watched(1)
            stop(service)
            await until(lambda: "STOPPING=1" in systemd.heard)
            assert "STATUS=1 sessions go on for 300 s at most" in systemd.heard
            assert "EXTEND_TIMEOUT_USEC=315000000" in systemd.heard
            # It is alive as long as somebody watches.
            before = systemd.heard.count("WATCHDOG=1")
            await until(lambda: systemd.heard.count("WATCHDOG=1") > before + 2)
            await viewer.watched(1)
            stop(service)
            assert await exit_code(service, 20) == 0
            await viewer.leave()
    assert_in_order(service)


async def test_nothing_is_left(adb_server: RunningAdb, adb_client: AdbClient, tmp_path: Path) -> None:
    own_adb = str(free_port())
    async with running(adb_server, tmp_path, "--demo", ANDROID_ADB_SERVER_PORT=own_adb) as service:
        async with asyncio.timeout(20):
            while not (phones := await _phones(service.address)):
                pass
        async with AiortcViewer(service.address, phones[0]) as viewer:
            await viewer.watched(3)
            assert {path.name.partition("-")[0] for path in (tmp_path / "tmp").iterdir()} == {"media"}
            below = psutil.Process(service.process_id).children(recursive=True)
            assert {"adb", "python"} <= {re.sub("[0-9.]", "", each.name()) for each in below}
            stop(service)
            assert await exit_code(service, 20) == 0
    assert not [each for each in below if is_alive(each)]
    assert everything_in(tmp_path) == ["tmp"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", int(own_adb))
    assert_in_order(service)


async def test_nothing_is_left_with_others_adb(adb_server: RunningAdb, tmp_path: Path, slow_phone: DemoPhone) -> None:
    server = tmp_path / "scrcpy-server-v4.1"
    server.write_bytes(make_jar("4.1"))
    captured = {"ADB_DEVICES": slow_phone.address, "SCRCPY_SERVER_PATH": str(server)}
    async with running(adb_server, tmp_path, **captured) as service:
        await online(service.address, slow_phone.address)
        async with AiortcViewer(service.address, slow_phone.address) as viewer:
            await viewer.watched(3)
            assert slow_phone.processes.named("app_process")
            stop(service)
            assert await exit_code(service, 20) == 0
    assert await _forwards(adb_server) == ""
    await until(lambda: not list(slow_phone.processes))
    assert_in_order(service)


async def _phones(address: str) -> list[str]:
    """Those that can be watched."""
    devices = (await ask(address, "api/media/devices")).json["devices"]
    return [each["deviceId"] for each in devices if each["serial"] and each["state"] == "online"]


async def _forwards(adb: RunningAdb) -> str:
    """What the adb server forwards."""
    command = [str(adb.binary), "-P", str(adb.port), "forward", "--list"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()


async def test_a_second_instance(adb_server: RunningAdb, tmp_path: Path) -> None:
    first_port = free_ports()[0]
    ports = {"ice_port_min": first_port, "ice_port_max": first_port + 20}
    sources = {"a": PICTURES}
    async with serve(settings(adb_server, **ports), sources=sources, demo=False) as first:
        taken = first.address.rstrip("/").rpartition(":")[2]
        refused = await asyncio.to_thread(_started_in_vain, tmp_path, PORT=taken)
        assert (refused.returncode, refused.stdout) == (1, "")
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"media-service: cannot listen on 127.0.0.1:{taken}: Address already in use; ")

        with capture_logs() as log:
            async with serve(settings(adb_server, **ports), sources=sources, demo=False) as second:
                (media_port,) = [entry["media_port"] for entry in log if entry["event"] == "serving"]
                assert first_port < media_port <= first_port + 20
                async with AiortcViewer(first.address, "a") as one, AiortcViewer(second.address, "a") as other:
                    await one.watched(2)
                    await other.watched(2)


def _started_in_vain(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "media_service", "run"]
    around = {**os.environ, "PYTHONPATH": os.getcwd(), **environment}
    return subprocess.run(command, env=around, cwd=folder, capture_output=True, text=True, timeout=60, check=False)

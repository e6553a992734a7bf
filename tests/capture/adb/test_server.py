"""Finding, starting and ending a real adb server."""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest

from capture.adb.client import AdbClient
from capture.adb.server import AdbServer, find_adb, server_command, server_environment
from capture.errors import AdbUnavailable
from tests.capture.adb.fake_server import FakeAdbServer
from tests.fixtures.adb import RunningAdb, free_port


def client_on_free_port() -> AdbClient:
    return AdbClient(port=free_port(), connect_timeout=10.0, command_timeout=10.0)


async def answers(client: AdbClient) -> bool:
    try:
        await client.version()
    except AdbUnavailable:
        return False
    return True


def program(path: Path, script: str) -> str:
    """A program of that name that runs `script`."""
    path.write_text(f"#!{sys.executable}\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_the_binary_that_was_named_is_taken(tmp_path: Path) -> None:
    mine = program(tmp_path / "my-adb", "")
    assert find_adb(mine).path == Path(mine)
    assert find_adb(mine).origin == "ADB_PATH"


def test_otherwise_the_bundled_one() -> None:
    found = find_adb()
    assert found.origin == "the adbutils package"
    assert os.access(found.path, os.X_OK)


def test_a_binary_that_is_not_there_or_cannot_be_run(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a program")
    for path in (str(tmp_path / "nothing"), str(text), str(tmp_path)):
        with pytest.raises(AdbUnavailable, match=f"ADB_PATH='{path}' is not a program that can be run"):
            find_adb(path)


def test_the_server_is_started_without_mdns_and_another_client_s_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    monkeypatch.setenv("ADB_SERVER_SOCKET", "tcp:1")
    environment = server_environment(usb=True)
    assert environment["ADB_MDNS"] == "0"
    assert not environment.keys() & {"ADB_USB", "ANDROID_ADB_SERVER_PORT", "ADB_SERVER_SOCKET"}
    assert server_environment(usb=False)["ADB_USB"] == "0"
    assert server_command(Path("/adb"), 5038) == ["/adb", "-P", "5038", "nodaemon", "server"]


@pytest.mark.adb
async def test_a_running_server_is_used_and_left_running(adb_server: RunningAdb, adb_client: AdbClient) -> None:
    async with AdbServer.ensure(adb_client, adb_path="/nowhere/adb") as server:
        assert server.binary is None
        assert await server.client.version() >= 40
    assert await adb_client.version() >= 40


@pytest.mark.adb
async def test_a_server_of_our_own_is_started_and_ended() -> None:
    client = client_on_free_port()
    async with AdbServer.ensure(client, usb=False) as server:
        assert server.binary == find_adb()
        assert await client.version() >= 40
        assert await client.devices() == ()
        assert server.pid is not None
        process = psutil.Process(server.pid)
    with pytest.raises(AdbUnavailable, match="Connection refused"):
        await client.version()
    assert not process.is_running()


@pytest.mark.adb
async def test_a_server_of_our_own_is_restarted_when_it_dies() -> None:
    client = client_on_free_port()
    async with AdbServer.ensure(client, usb=False) as server:
        first = server.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            while server.pid in (first, None) or not await answers(client):
                await asyncio.sleep(0.01)
        assert server.binary == find_adb()


@pytest.mark.adb
async def test_another_program_s_server_is_replaced_by_our_own_when_it_ends() -> None:
    client = client_on_free_port()
    async with AsyncExitStack() as theirs:
        await theirs.enter_async_context(AdbServer.ensure(client, usb=False))
        async with AdbServer.ensure(client, usb=False) as server:
            assert server.binary is None
            await theirs.aclose()
            async with asyncio.timeout(20):
                while server.pid is None or not await answers(client):
                    await asyncio.sleep(0.01)


async def test_a_program_that_ends_at_once(tmp_path: Path) -> None:
    path = program(tmp_path / "adb", "import sys; sys.exit('cannot bind listener')")
    with pytest.raises(
        AdbUnavailable, match=r"\(from ADB_PATH\) ended with 1 instead of serving .*cannot bind listener"
    ):
        async with AdbServer.ensure(client_on_free_port(), adb_path=path):
            pass


async def test_a_program_that_no_kernel_runs(tmp_path: Path) -> None:
    path = tmp_path / "adb"
    path.write_bytes(b"\x7fELF garbage")
    path.chmod(0o755)
    with pytest.raises(AdbUnavailable, match="cannot be run: Exec format error"):
        async with AdbServer.ensure(client_on_free_port(), adb_path=str(path)):
            pass


async def test_a_program_that_serves_nobody(tmp_path: Path) -> None:
    path = program(tmp_path / "adb", "import time; time.sleep(60)")
    with pytest.raises(AdbUnavailable, match=r"does not come up: no answer to .* within 0\.3 s"):
        async with AdbServer.ensure(client_on_free_port(), adb_path=path, start_timeout=0.3):
            pass


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OKAYzzzz"])
async def test_a_port_that_something_else_has(fake_adb: FakeAdbServer, answer: bytes) -> None:
    fake_adb.on("host:version", answer)
    with pytest.raises(AdbUnavailable, match=f"what listens at 127.0.0.1:{fake_adb.port} is not an adb server"):
        async with AdbServer.ensure(AdbClient(port=fake_adb.port)):
            pass


async def test_a_server_on_another_host_is_not_started_here() -> None:
    with pytest.raises(AdbUnavailable, match=r"no adb server at nowhere\.invalid:5037"):
        async with AdbServer.ensure(AdbClient("nowhere.invalid")):
            pass


@pytest.mark.adb
async def test_an_error_in_the_block_is_passed_on_and_the_server_ended() -> None:
    client = client_on_free_port()
    with pytest.raises(KeyError, match="mine"):
        async with AdbServer.ensure(client, usb=False):
            raise KeyError("mine")
    with pytest.raises(AdbUnavailable):
        await client.version()

"""What is said of adb and of phones."""

import asyncio
import socket
from pathlib import Path

import pytest

from media_service.diagnosis.finding import Finding, Status
from media_service.diagnosis.phones import check
from media_service.settings import Settings
from tests.capture.adb.fake_server import FakeAdbServer, okay
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.demo_phone import DemoPhoneProcess


async def look(**settings: object) -> list[Finding]:
    return [*await check(Settings.model_validate(settings))]


@pytest.mark.adb
async def test_a_real_server_and_a_phone_that_is_not_connected_yet(
    adb_server: RunningAdb, demo_phone_process: DemoPhoneProcess
) -> None:
    away = f"127.0.0.1:{free_port()}"
    found = await look(android_adb_server_port=adb_server.port, adb_devices=f"{demo_phone_process.serial},{away}")
    program, server, *phones = found
    assert program.status is Status.OK
    assert "adb (from the adbutils package), version " in program.text
    assert server.text.startswith(f"an adb server at 127.0.0.1:{adb_server.port}, protocol ")
    by_serial = {finding.text.split()[0]: finding for finding in phones}
    # Other tests may have connected it.
    assert by_serial[demo_phone_process.serial].status is Status.OK
    assert by_serial[away].status is Status.WARNING
    assert by_serial[away].text == f"{away} of ADB_DEVICES cannot be reached (Connection refused)"


async def test_without_a_server_one_will_be_started() -> None:
    port = free_port()
    _, server = await look(android_adb_server_port=port)
    assert server == Finding(
        "adb and phones", Status.INFO, f"no adb server at 127.0.0.1:{port}; the service starts one"
    )


async def test_every_state_has_its_remedy(fake_adb: FakeAdbServer) -> None:
    listing = (
        b"R58M1 device product:x model:Pixel_7 transport_id:1\nR58M2 unauthorized usb:1-1 transport_id:2\n"
        b"R58M3 offline transport_id:3\nR58M4 no permissions (user in plugdev group; see [http://x]) usb:1-2\n"
        b"R58M5 something new\n"
    )
    fake_adb.on("host:version", okay(b"0029"))
    fake_adb.on("host:devices-l", okay(listing))
    _, server, *phones = await look(android_adb_server_port=fake_adb.port)
    assert server.status is Status.OK
    assert [(phone.status, phone.text.partition("(user")[0]) for phone in phones] == [
        (Status.OK, "R58M1 (Pixel_7) is online"),
        (Status.WARNING, "R58M2 is unauthorized"),
        (Status.WARNING, "R58M3 is offline"),
        (Status.WARNING, "R58M4 is no permissions "),
        (Status.WARNING, "R58M5 is something new"),
    ]
    assert phones[2].remedy == "plug it in anew, or restart its adbd: adb -s R58M3 reconnect"
    assert all(phone.remedy for phone in phones[1:])


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"OKAYzzzz", b"OKAY0004", b""])
async def test_something_else_listens_there(fake_adb: FakeAdbServer, answer: bytes) -> None:
    fake_adb.on("host:version", answer)
    *_, server = await look(android_adb_server_port=fake_adb.port)
    assert (server.status, bool(server.remedy)) in ((Status.PROBLEM, True), (Status.INFO, False))
    assert str(fake_adb.port) in server.text


async def test_what_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media_service.diagnosis.phones._TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        *_, server = await look(android_adb_server_port=silent.getsockname()[1])
    assert server.status is Status.PROBLEM
    assert server.remedy == "stop it, or set ANDROID_ADB_SERVER_PORT to another port"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\nexit 3\n", "exit status 3"),
        ("#!/bin/sh\necho a calculator\n", "is no adb: it says 'a calculator"),
        ("\0\0", "Exec format error"),
    ],
)
@pytest.mark.parametrize(("phones", "status"), [("", Status.WARNING), ("127.0.0.1:1", Status.PROBLEM)])
async def test_a_program_that_is_no_adb(tmp_path: Path, script: str, said: str, phones: str, status: Status) -> None:
    program = tmp_path / "adb"
    program.write_text(script)
    program.chmod(0o755)
    found, *_ = await look(adb_path=str(program), adb_devices=phones, android_adb_server_port=free_port())
    assert found.status is status
    assert said in found.text
    assert found.remedy.startswith("set ADB_PATH")


async def test_a_program_that_is_gone(tmp_path: Path) -> None:
    program = tmp_path / "adb"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    settings = Settings(adb_path=str(program), android_adb_server_port=free_port())
    program.unlink()
    found, *_ = await asyncio.wait_for(check(settings), 20)
    assert found.status is Status.WARNING
    assert "is not a program that can be run" in found.text

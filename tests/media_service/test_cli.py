"""The command line as an operator meets it: what it prints, and how it exits."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line
from media_service.cli import program
from media_service.settings import Settings
from tests.capture.adb.fake_server import FakeAdbServer
from tests.fixtures.adb import RunningAdb, free_port
from tests.signaling.memory_service import MemoryService, served


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs `media-service` in a folder and an environment of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields
        }

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("media-service")), *arguments],
            cwd=self.folder,
            env=self.environment | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, **settings: str) -> Ended:
        process = self.start(*arguments, **settings)
        try:
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
        return Ended(process.returncode, stdout, stderr)


@pytest.fixture
def media_service(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_version(media_service: CommandLine) -> None:
    done = media_service("--version")
    assert (done.returncode, done.stdout) == (0, f"media-service {version('media-service')}\n")


def test_is_a_module_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "media_service", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"media-service {version('media-service')}\n"


def test_help_names_every_command(media_service: CommandLine) -> None:
    done = media_service("--help")
    assert done.returncode == 0
    assert set(re.findall(r"^  ([a-z-]+)  ", done.stdout.partition("Commands:")[2], re.MULTILINE)) == {
        "run",
        "demo-phone",
        "config",
        "devices",
        "doctor",
        "token",
    }


def test_demo_phone_s_help_tells_what_can_be_done_to_it(media_service: CommandLine) -> None:
    lines = media_service("demo-phone", "--help").stdout.splitlines()
    assert any(re.fullmatch(r" +offline +SECONDS", line) for line in lines)
    assert any("settings put system user_rotation" in line and "turn it" in line for line in lines)


def test_config_shows_values_and_sources(media_service: CommandLine) -> None:
    (media_service.folder / ".env").write_text("VIDEO_WIDTH=640\nTURN_CREDENTIAL=hush\n")
    done = media_service("config", PORT="4000")
    assert done.returncode == 0
    assert re.search(r"^PORT +4000 +environment$", done.stdout, re.MULTILINE)
    assert re.search(r"^VIDEO_WIDTH +640 +\.env$", done.stdout, re.MULTILINE)
    assert re.search(r"^HOST +127\.0\.0\.1 +default$", done.stdout, re.MULTILINE)
    assert "hush" not in done.stdout


def test_config_as_json(media_service: CommandLine) -> None:
    done = media_service("config", "--json", ADB_DEVICES="192.0.2.5,192.0.2.6:5556")
    assert json.loads(done.stdout)["ADB_DEVICES"] == {
        "value": ["192.0.2.5:5555", "192.0.2.6:5556"],
        "source": "environment",
    }


def test_config_points_out_what_may_be_misspelt(media_service: CommandLine) -> None:
    done = media_service("config", STUN_SERVER="stun:a")
    assert done.returncode == 0
    assert done.stderr == "media-service: STUN_SERVER (environment) is not a setting: is STUN_SERVERS meant?\n"


@pytest.mark.parametrize("command", ["run", "devices"])
def test_bad_settings_stop_every_command_with_one_message(media_service: CommandLine, command: str) -> None:
    done = media_service(command, PORT="http", HOST="here", TURN_URLS="turn:a", TURN_CREDENTIAL="hush")
    assert (done.returncode, done.stdout) == (1, "")
    first, *lines = done.stderr.splitlines()
    assert first == "media-service: 3 settings are wrong:"
    assert [line.split()[0] for line in lines] == ["HOST", "PORT", "TURN_CREDENTIAL"]
    assert "hush" not in done.stderr


def test_run_takes_a_port_from_the_command_line(media_service: CommandLine) -> None:
    done = media_service("run", "--port", "65536", PORT="4000")
    assert done.returncode == 1
    assert "PORT = 65536 (command line)" in done.stderr


@pytest.mark.parametrize("sources", [["phone"], ["=test:"], ["phone="], ["a/b=test:"], ["a=test:", "a=test:"]])
def test_run_refuses_sources_that_have_no_proper_name(sources: list[str]) -> None:
    done = CliRunner().invoke(program, ["run", *[f"--source={source}" for source in sources]])
    assert done.exit_code == 2
    assert "Invalid value" in done.output


def test_devices_without_a_service_and_an_adb_server_is_two_clear_lines(media_service: CommandLine) -> None:
    here, adb = free_port(), free_port()
    done = media_service("devices", PORT=str(here), ANDROID_ADB_SERVER_PORT=str(adb))
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first == (f"media-service: no service answers at http://127.0.0.1:{here} (Connection refused); asking adb")
    assert second.startswith(f"media-service: no adb server at 127.0.0.1:{adb}")


@pytest.mark.adb
def test_devices_of_adb_and_configured_ones_that_are_not_connected(
    media_service: CommandLine, adb_server: RunningAdb
) -> None:
    settings = {
        "PORT": str(free_port()),
        "ANDROID_ADB_SERVER_PORT": str(adb_server.port),
        "ADB_DEVICES": "192.0.2.5",
    }
    done = media_service("devices", **settings)
    # Phones of other tests may be there too.
    assert done.returncode == 0
    why = "adb does not list it"
    assert ["192.0.2.5:5555", "offline", "ADB_DEVICES", *why.split()] in [it.split() for it in done.stdout.splitlines()]
    listed = json.loads(media_service("devices", "--json", **settings).stdout)
    (device,) = [each for each in listed if each["deviceId"] == "192.0.2.5:5555"]
    assert (device["state"], device["reason"], device["captureMode"]) == ("offline", why, None)


async def test_devices_says_that_there_are_none(media_service: CommandLine, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host:devices-l", b"OKAY0000")
    settings = {"PORT": str(free_port()), "ANDROID_ADB_SERVER_PORT": str(fake_adb.port)}
    none = await asyncio.to_thread(media_service, "devices", **settings)
    assert (none.returncode, none.stdout, none.stderr.splitlines()[1:]) == (0, "", ["no phones"])


async def test_devices_of_the_running_service(media_service: CommandLine) -> None:
    async with served(MemoryService()) as client:
        port = str(client.port)
        table = await asyncio.to_thread(media_service, "devices", PORT=port)
        as_json = await asyncio.to_thread(media_service, "devices", "--json", "--url", f"http://127.0.0.1:{port}/")
    assert (table.returncode, table.stderr) == (0, "")
    head, row = table.stdout.splitlines()
    assert head.split() == "DEVICE SERIAL STATE MODEL SIZE CAPTURE VIEWERS FROM WHY".split()
    assert row.split() == "demo 192.0.2.5:5555 online Demo phone 720x1280 screenrecord 2 ADB_DEVICES no scrcpy".split()
    (device,) = json.loads(as_json.stdout)
    assert (device["deviceId"], device["rotation"], device["screen"]) == ("demo", 90, "shown")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("file:///etc/passwd", "'file:///etc/passwd' is not the address of a service"),
        ("http://127.0.0.1:1", "no service answers at http://127.0.0.1:1 (Connection refused)"),
    ],
)
def test_devices_of_a_service_that_is_not_there(media_service: CommandLine, url: str, said: str) -> None:
    done = media_service("devices", "--url", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"media-service: {said}")
    assert done.stderr.count("\n") == 1


@pytest.mark.adb
async def test_demo_phones_are_phones_to_adb(
    media_service: CommandLine, adb_server: RunningAdb, adb_client: AdbClient
) -> None:
    process = media_service.start("demo-phone", "--port", "0", "--count", "2", "--size", "240x320")
    try:
        assert process.stdout is not None
        addresses = [process.stdout.readline().split()[-1] for _ in range(2)]
        for address in addresses:
            await adb_client.connect(address)
        size = await adb_client.shell(addresses[1], command_line(["wm", "size"]), check=True)
        assert "240x320" in size.stdout
        settings = {"PORT": str(free_port()), "ANDROID_ADB_SERVER_PORT": str(adb_server.port)}
        shown = media_service("devices", **settings).stdout
        for address in addresses:
            assert re.search(rf"^{re.escape(address)} +online +\S", shown, re.MULTILINE)
            await adb_client.disconnect(address)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 130
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("options", "exit_code", "said"),
    [
        (["--size", "720"], 2, "'720' is not WIDTHxHEIGHT"),
        (["--port", "65535", "--count", "2"], 2, "2 phones from port 65535"),
        (["--size", "720x7"], 1, "media-service: height 7"),
    ],
)
def test_demo_phone_says_what_cannot_be(
    media_service: CommandLine, options: list[str], exit_code: int, said: str
) -> None:
    done = media_service("demo-phone", *options)
    assert (done.returncode, done.stdout) == (exit_code, "")
    assert said in done.stderr


@pytest.mark.adb
@pytest.mark.parametrize(("stop", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_run_prints_its_address_and_ends_quietly(
    media_service: CommandLine, adb_server: RunningAdb, stop: signal.Signals, exit_code: int
) -> None:
    settings = {"PORT": "0", "ANDROID_ADB_SERVER_PORT": str(adb_server.port)}
    process = media_service.start("run", "--source", "picture=test:", **settings)
    try:
        assert process.stdout is not None
        address = process.stdout.readline()
        assert re.fullmatch(r"Open http://127\.0\.0\.1:\d+/\n", address), process.communicate()
        process.send_signal(stop)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, stdout) == (exit_code, "")
    assert {json.loads(line)["level"] for line in stderr.splitlines()} == {"info"}


@pytest.mark.adb
def test_run_says_in_one_line_that_its_port_is_taken(media_service: CommandLine, adb_server: RunningAdb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = media_service("run", PORT=port, ANDROID_ADB_SERVER_PORT=str(adb_server.port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(f"media-service: cannot listen on 127.0.0.1:{port}: ")


@pytest.mark.adb
def test_run_says_in_one_line_that_no_media_port_is_free(media_service: CommandLine, adb_server: RunningAdb) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("", 0))
        port = str(taken.getsockname()[1])
        settings = {"PORT": "0", "ICE_PORT_MIN": port, "ICE_PORT_MAX": port}
        done = media_service("run", **settings, ANDROID_ADB_SERVER_PORT=str(adb_server.port))
    assert (done.returncode, done.stdout) == (1, "")
    assert port in done.stderr.splitlines()[-1]
    assert done.stderr.splitlines()[-1].startswith("media-service: ")


def test_run_says_in_one_line_that_adb_cannot_be_used(media_service: CommandLine) -> None:
    settings = {"PORT": "0", "ADB_PATH": "false", "ADB_DEVICES": "192.0.2.5"}
    done = media_service("run", **settings, ANDROID_ADB_SERVER_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.match(r"media-service: adb at \S*false \(from ADB_PATH\) ended with 1 ", done.stderr.splitlines()[-1])

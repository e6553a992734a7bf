"""`deploy/docker/`, as far as can be seen without fetching images: no registry is asked."""

import asyncio
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from media_service.settings import Settings
from signaling.turn_credentials import turn_credentials
from tests.fixtures.adb import free_port
from tests.fixtures.coturn import allocation

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"
DOCKERFILE = FOLDER / "Dockerfile"
SECRET = "0123456789" * 4


@pytest.fixture(scope="module")
def compose() -> Any:
    """The services as they are written."""
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


@pytest.fixture
def environment_file(tmp_path: Path) -> Path:
    """The example with its secrets filled in."""
    path = tmp_path / "env"
    text = re.sub(
        r"^(\w*(?:SECRET|PASSWORD))=$", rf"\1={SECRET}", (FOLDER / "example.env").read_text(), flags=re.MULTILINE
    )
    path.write_text(text)
    return path


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile's, with their arguments on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


def is_sent_to_the_builder(path: str) -> bool:
    """What .dockerignore lets pass; the last pattern that fits decides."""
    passes = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!").removeprefix("**/")
            if any(fnmatch(part, pattern) for part in ("/".join(path.split("/")[: n + 1]) for n in range(9))):
                passes = line.startswith("!")
            elif line.startswith("**/") and any(fnmatch(part, pattern) for part in path.split("/")):
                passes = False
    return passes


def test_what_the_image_is_made_of_is_there() -> None:
    copied = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    sources = [source for line in copied for source in line]
    assert {"encoders", "capture", "signaling", "media_service", "pyproject.toml", "uv.lock"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert is_sent_to_the_builder(source), source


def test_nothing_else_is_sent_to_the_builder() -> None:
    for path in (".git/config", ".env", "tests/conftest.py", "deploy/docker/.env", "media_service/__pycache__/a.pyc"):
        assert not is_sent_to_the_builder(path), path
    assert is_sent_to_the_builder("media_service/web/index.html")


def test_the_image_runs_without_root_and_is_watched() -> None:
    last_stage: list[tuple[str, str]] = []
    for instruction in instructions():
        last_stage = [instruction] if instruction[0] == "FROM" else [*last_stage, instruction]
    named = dict(last_stage)
    assert named["USER"] == "cloudphone"
    assert named["STOPSIGNAL"] == "SIGTERM"
    assert "/livez" in named["HEALTHCHECK"]
    assert named["EXPOSE"].split() == ["30006/tcp", "50000/udp", "50000/tcp"]
    defaults = {name: Settings.model_fields[name].default for name in ("port", "ice_port_min")}
    assert defaults == {"port": 30006, "ice_port_min": 50000}
    (packages,) = [rest for name, rest in last_stage if name == "RUN"]
    assert {"ffmpeg", "mesa-va-drivers", "intel-media-va-driver"} <= set(packages.split())


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
async def test_the_health_check_asks_whether_it_lives(status: int, code: int) -> None:
    (text,) = [rest for name, rest in instructions() if name == "HEALTHCHECK"]
    command = yaml.safe_load(text[text.index("[") :])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        is_right = asked.startswith(b"GET /livez ")
        writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (status if is_right else 404))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        process = await asyncio.create_subprocess_exec(
            *command, env={**os.environ, "PORT": str(port)}, stderr=asyncio.subprocess.DEVNULL
        )
        assert await asyncio.wait_for(process.wait(), 20) == code


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
@pytest.mark.parametrize("profile", [[], ["--profile", "phone"]], ids=["alone", "with a phone"])
def test_compose_understands_it(environment_file: Path, profile: list[str], tmp_path: Path) -> None:
    command = ["docker-compose", *profile, "--env-file", str(environment_file), "-f", str(FOLDER / "compose.yaml")]
    done = subprocess.run([*command, "config"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    services = yaml.safe_load(done.stdout)["services"]
    expected = {"media-service", "redis", "rabbitmq", "consul", "coturn", "prometheus", "grafana"}
    assert services.keys() >= expected
    assert services["media-service"]["environment"]["JWT_SECRET"] == SECRET


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose here")
def test_without_secrets_it_does_not_start() -> None:
    command = [
        "docker-compose",
        "--env-file",
        str(FOLDER / "example.env"),
        "-f",
        str(FOLDER / "compose.yaml"),
        "config",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "put it into .env" in done.stderr


def test_its_environment_are_settings(compose: Any) -> None:
    environment = compose["media-service"]["environment"]
    assert {name.lower() for name in environment} <= Settings.model_fields.keys()
    for service in compose.values():
        for name, value in service.get("environment", {}).items():
            # Those of .env that it takes; compose would take an unknown one for empty.
            asked = set(re.findall(r"(?<!\$)\$\{(\w+)", str(value)))
            assert asked <= set(re.findall(r"^(\w+)=", (FOLDER / "example.env").read_text(), re.MULTILINE)), name


def test_with_the_example_the_settings_are_taken(compose: Any) -> None:
    values = {
        name.lower(): re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)?\}", lambda found: found[1] or "", text)
        for name, text in compose["media-service"]["environment"].items()
    }
    values |= {"jwt_secret": SECRET, "turn_secret": SECRET, "redis_password": SECRET}
    settings = Settings.model_validate({name: value for name, value in values.items() if value})
    assert settings.has_authentication
    assert not settings.is_reachable_from_elsewhere


def test_only_media_and_turn_are_open_to_others(compose: Any) -> None:
    for name, service in compose.items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), name
    for name in ("prometheus", "consul", "grafana", "media-service"):
        assert "127.0.0.1" in str((compose[name].get("command"), compose[name].get("environment"))), name


def test_what_is_mounted_is_there(compose: Any) -> None:
    for service in compose.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (FOLDER / source).is_dir(), source
    mounted = [volume.split(":") for volume in compose["grafana"]["volumes"]]
    (provider,) = yaml.safe_load((FOLDER / "grafana/dashboards/media-service.yaml").read_text())["providers"]
    assert ["../grafana", provider["options"]["path"], "ro"] in mounted
    assert (ROOT / "deploy/prometheus/prometheus.yml").is_file()


@pytest.mark.skipif(shutil.which("turnserver") is None, reason="no coturn here")
@pytest.mark.parametrize(("public", "relayed"), [("", "127.0.0.1"), ("198.51.100.7", "198.51.100.7")])
async def test_its_coturn_relays(compose: Any, public: str, relayed: str, tmp_path: Path) -> None:
    port = free_port()
    (line,) = compose["coturn"]["command"]
    line = line.replace("$$", "$").replace("--listening-port=3478", f"--listening-port={port}")
    line += f" --listening-ip=127.0.0.1 --relay-ip=127.0.0.1 --userdb={tmp_path / 'db'} --pidfile={tmp_path / 'pid'}"
    process = await asyncio.create_subprocess_exec(
        *compose["coturn"]["entrypoint"],
        line,
        env={"PATH": os.environ["PATH"], "TURN_SECRET": SECRET, "PUBLIC_ADDRESS": public},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        made = turn_credentials(SECRET, "ann", 60, time.time())
        async with asyncio.timeout(20):
            while not await is_listening(port):
                await asyncio.sleep(0.02)
        async with allocation(port, made.username, made.credential, "tcp") as transport:
            assert transport.get_extra_info("sockname")[0] == relayed
    finally:
        process.terminate()
        await process.wait()


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True

"""A Docker engine of our own, and containers on it that are phones to adb: for benchmarks and tests."""

import asyncio
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.sender import free_port

REDROID_IMAGE = "redroid/redroid:test"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 60.0

_ROOT = Path(__file__).parents[1]
_PORT_LABEL = "media-service.adb-port"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("docker", timeout=STOP_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class NoDocker(BenchmarkError):
    """No Docker engine can be run here; the text says why."""


@dataclass(frozen=True, slots=True)
class RunningDocker:
    """A Docker engine that answers."""

    socket_path: Path

    @property
    def docker_host(self) -> str:
        return f"unix://{self.socket_path}"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The engine's JSON answer; bytes go as a tar file, anything else as JSON. Raises RuntimeError."""
        connection = _UnixConnection(self.socket_path)
        is_tar = isinstance(body, bytes)
        sent = body if isinstance(body, bytes) else json.dumps(body) if body is not None else None
        try:
            connection.request(
                method, path, sent, {"Content-Type": "application/x-tar" if is_tar else "application/json"}
            )
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {answer.decode(errors='replace').strip()}")
        return json.loads(answer) if answer.startswith((b"{", b"[")) else answer

    def import_image(self, name: str, *, marker: str = "") -> None:
        """Make an image with nothing in it but a file called `marker`; another one of that name loses the name."""
        archive = BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            if marker:
                tar.addfile(tarfile.TarInfo(marker))
        repository, _, tag = name.partition(":")
        self.ask("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}", archive.getvalue())


class PhoneContainer:
    """A container on the host's network whose process is a demo phone: when it restarts, the phone does."""

    def __init__(self, engine: RunningDocker, container_id: str, name: str, port: int) -> None:
        self.container_id = container_id
        self.name = name
        self.port = port
        self._engine = engine

    @property
    def address(self) -> str:
        """What adb connects to."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it; returns when adb can connect."""
        await self._ask("start")
        await self._listening()

    async def stop(self) -> None:
        """Have its process end; returns when it has."""
        await self._ask("stop?t=10")

    async def restart(self) -> None:
        """Stop and start it; returns when adb can connect again."""
        await self._ask("restart?t=10")
        await self._listening()

    async def kill(self) -> None:
        """End its process without notice."""
        await self._ask("kill")

    async def pause(self) -> None:
        """Freeze its process."""
        await self._ask("pause")

    async def unpause(self) -> None:
        """Have its process go on."""
        await self._ask("unpause")

    async def rename(self, name: str) -> None:
        """Call it something else."""
        await self._ask(f"rename?name={name}")
        self.name = name

    async def remove(self) -> None:
        """End it, and leave nothing of it."""
        await asyncio.to_thread(self._engine.ask, "DELETE", f"/containers/{self.container_id}?force=1&v=1")

    async def _ask(self, what: str) -> None:
        await asyncio.to_thread(self._engine.ask, "POST", f"/containers/{self.container_id}/{what}")

    async def _listening(self) -> None:
        async with asyncio.timeout(START_TIMEOUT):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return


@asynccontextmanager
async def phone_container(
    engine: RunningDocker,
    name: str,
    *,
    image: str = REDROID_IMAGE,
    labels: Mapping[str, str] | None = None,
    arguments: Sequence[str] = ("--size", "240x320"),
    is_started: bool = True,
) -> AsyncIterator[PhoneContainer]:
    """A container called `name` for the duration of the block; `arguments` are for `python -m capture.demo_phone`."""
    port = free_port()
    command = [sys.executable, "-m", "capture.demo_phone", "--port", str(port), "--name", name, *arguments]
    specification = {
        "Image": image,
        "Cmd": command,
        "WorkingDir": str(_ROOT),
        "Env": ["PYTHONDONTWRITEBYTECODE=1"],
        "Labels": {_PORT_LABEL: str(port), **(labels or {})},
        "HostConfig": {"NetworkMode": "host", "Binds": [f"{folder}:{folder}:ro" for folder in _python_folders()]},
    }
    created = await asyncio.to_thread(engine.ask, "POST", f"/containers/create?name={name}", specification)
    container = PhoneContainer(engine, created["Id"], name, port)
    try:
        if is_started:
            await container.start()
        yield container
    finally:
        await container.remove()


def find_dockerd() -> str | None:
    """The engine's program, which some systems have where only root's shells look."""
    return shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def running_docker() -> Iterator[RunningDocker]:
    """A real engine with a socket and a data folder of its own and an empty `redroid/redroid:test` image.

    It touches no network of the machine. Raises `NoDocker`.
    """
    dockerd = find_dockerd()
    if os.geteuid() != 0:
        raise NoDocker("only root can run a Docker engine")
    if dockerd is None:
        raise NoDocker("no dockerd here: install what Debian calls docker.io")
    # Not in a folder of the tests: a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="media-service-docker-") as folder:
        engine = RunningDocker(Path(folder) / "docker.sock")
        command = [
            dockerd,
            f"--host={engine.docker_host}",
            f"--data-root={folder}/data",
            f"--exec-root={folder}/exec",
            f"--pidfile={folder}/pid",
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--storage-driver=vfs",
        ]
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _wait_until_answering(engine, process, log)
            engine.import_image(REDROID_IMAGE)
            yield engine
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            finally:
                process.kill()
                process.wait()
                _unmount(folder)


def _unmount(folder: str) -> None:
    """Undo the mounts that an engine leaves behind, as that of the host's network namespace."""
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mounted_at in mounts:
        if mounted_at.startswith(f"{folder}/"):
            subprocess.run(["umount", mounted_at], check=False)


def _python_folders() -> list[str]:
    """The top folders that hold this Python, its libraries and the sources."""
    paths = [Path(text) for text in (sys.prefix, sys.base_prefix, "/usr", "/bin", "/lib", "/lib64")]
    folders = {Path("/", each.parts[1]) for path in [*paths, _ROOT] for each in (path, path.resolve())}
    return sorted(str(folder) for folder in folders if folder.is_dir())


def _wait_until_answering(engine: RunningDocker, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            engine.ask("GET", "/_ping")
        except OSError:
            time.sleep(0.05)
        else:
            return
    reason = log.read_text(errors="replace").strip().rpartition("\n")[2]
    raise NoDocker(f"no Docker engine can be run here: {reason}")

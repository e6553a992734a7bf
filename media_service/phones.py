"""The phones of this process: the adb server, who is expected and kept connected, containers, and the demo phone."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import structlog

from capture.adb.client import AdbClient
from capture.adb.presence import KeptPhones
from capture.adb.server import AdbServer
from capture.demo_phone.scrcpy.jar import make_jar
from capture.errors import AdbError, AdbTimeout
from capture.phone import CaptureWishes, open_phone
from capture.redroid import RedroidContainer, RedroidContainers
from capture.scrcpy import ScrcpyServer, parse_version
from capture.source import Source
from media_service.dependency import Dependency
from media_service.devices import Devices
from media_service.errors import CannotStart
from media_service.monitoring.followed_dependency import FollowedDependency
from media_service.settings import Settings
from media_service.tasks import Tasks

_log = structlog.get_logger(__name__)

_DOCKER_SOCKET = "/var/run/docker.sock"
_DEMO_SCRCPY = "4.1"


@dataclass(frozen=True, slots=True)
class _DemoPhone:
    serial: str
    server: ScrcpyServer
    """What stands for scrcpy's server on it."""


class Phones:
    """What is known of phones, and who is to be there."""

    def __init__(self, adb: AdbClient, devices: Devices, containers: RedroidContainers | None) -> None:
        self.adb = adb
        self.devices = devices
        self.containers = containers
        """Who asks the container engine; None where there is none to ask."""
        self._kept = KeptPhones(adb)
        self._demo: _DemoPhone | None = None
        self._dependencies: list[Dependency] = [FollowedDependency("adb", lambda: devices.adb_trouble)]
        if containers is not None:
            self._dependencies.append(FollowedDependency("docker", lambda: containers.trouble))
        devices.why_away = self._kept.trouble

    @classmethod
    @asynccontextmanager
    async def prepared(cls, settings: Settings, sources: Mapping[str, str], *, demo: bool) -> AsyncIterator[Self]:
        """With an adb server for the duration of the block, `sources` beside the phones, and with `demo` one more.

        Raises an `AdbError` when phones are asked for and adb cannot be used, and `CannotStart`.
        """
        adb = AdbClient(
            port=settings.android_adb_server_port,
            connect_timeout=settings.adb_connect_timeout,
            command_timeout=settings.adb_command_timeout,
        )
        docker_host = _docker_host(settings)
        containers = RedroidContainers(docker_host, settings.redroid_label) if docker_host is not None else None
        phones = cls(adb, Devices(sources), containers)
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(AdbServer.ensure(adb, adb_path=settings.adb_path))
            except AdbError as error:
                if demo or settings.adb_devices:
                    raise
                phones.devices.adb_trouble = str(error)
                _log.warning("no phones: adb cannot be used", reason=str(error))
            for entry in settings.adb_devices:
                phones.expect(entry.serial, "ADB_DEVICES", entry.name)
            if demo:
                phones._demo = await stack.enter_async_context(_demo_phone())
                phones.expect(phones._demo.serial, "--demo")
            yield phones

    @property
    def dependencies(self) -> Sequence[Dependency]:
        """The adb server, and the container engine where there is one to ask."""
        return self._dependencies

    def follow(self, tasks: Tasks) -> None:
        """Begin to connect phones and to hear of them."""
        tasks.keep(self._kept.run, "connected phones")
        tasks.keep(partial(self.devices.follow, self.adb), "devices")
        if self.containers is not None:
            tasks.keep(partial(self.containers.run, self._appeared, self._vanished), "Redroid containers")

    def expect(self, address: str, origin: str, name: str | None = None) -> None:
        """Keep the phone at `address` connected; `origin` says on whose word."""
        self.devices.expect(address, origin, name)
        self._kept.add(address)

    def forget(self, address: str, origin: str) -> None:
        """Take back that word."""
        self.devices.forget(address, origin)
        self._kept.remove(address)

    async def open(self, serial: str, wishes: CaptureWishes) -> Source:
        """A source of the phone's pictures. Raises a `CaptureError`."""
        if self._demo is not None and serial == self._demo.serial:
            wishes = replace(wishes, scrcpy=self._demo.server)
        try:
            return await open_phone(self.adb, serial, wishes)
        except AdbTimeout:
            self._kept.doubt(serial)
            raise

    def _appeared(self, container: RedroidContainer) -> None:
        self.expect(container.address, f"container {container.name}", container.name)

    def _vanished(self, container: RedroidContainer) -> None:
        self.forget(container.address, f"container {container.name}")


def _docker_host(settings: Settings) -> str | None:
    """The engine to ask for containers; None where there is none."""
    if settings.docker_host is not None or settings.redroid_label is not None:
        return settings.docker_host or f"unix://{_DOCKER_SOCKET}"
    return f"unix://{_DOCKER_SOCKET}" if os.access(_DOCKER_SOCKET, os.R_OK | os.W_OK) else None


@asynccontextmanager
async def _demo_phone() -> AsyncIterator[_DemoPhone]:
    """A demo phone in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "capture.demo_phone", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode().split()
        if not line:
            raise CannotStart("the demo phone did not start")
        with TemporaryDirectory(prefix="media-service-") as folder:
            jar = Path(folder) / "scrcpy-server"
            jar.write_bytes(make_jar(_DEMO_SCRCPY))
            yield _DemoPhone(line[-1], ScrcpyServer(jar, parse_version(_DEMO_SCRCPY)))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

"""The adb server: the one that runs, or one of our own for as long as we run."""

import asyncio
import os
import shutil
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import structlog

from capture.adb.client import AdbClient
from capture.adb.connection import in_time
from capture.errors import AdbError, AdbProtocolError, AdbTimeout, AdbUnavailable

START_TIMEOUT = 10.0
"""Seconds that a server of our own may take to answer."""

STOP_TIMEOUT = 5.0
"""Seconds that it may take to end once asked to."""

FIRST_RESTART_DELAY, LONGEST_RESTART_DELAY = 0.5, 30.0
"""Seconds before a server of our own that ended is started again, doubled while that fails."""

_POLL_INTERVAL = 0.01

_OWN_HOSTS = frozenset({"127.0.0.1", "localhost"})

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AdbBinary:
    """The adb program and where it was found, in words an operator understands."""

    path: Path
    origin: str

    def __str__(self) -> str:
        return f"adb at {self.path} (from {self.origin})"


def find_adb(adb_path: str | None = None) -> AdbBinary:
    """The adb program: at `adb_path` (the ADB_PATH setting), else in the adbutils package, else on PATH.

    Raises `AdbUnavailable` when there is none or the one that was named cannot be run.
    """
    if adb_path:
        found = shutil.which(adb_path)
        if found is None:
            raise AdbUnavailable(f"ADB_PATH={adb_path!r} is not a program that can be run")
        return AdbBinary(Path(found), "ADB_PATH")
    package = find_spec("adbutils")
    for folder in (package.submodule_search_locations or []) if package else []:
        bundled = Path(folder) / "binaries" / "adb"
        if os.access(bundled, os.X_OK):
            return AdbBinary(bundled, "the adbutils package")
    on_path = shutil.which("adb")
    if on_path is None:
        raise AdbUnavailable("there is no adb program, in the adbutils package or on PATH: install one or set ADB_PATH")
    return AdbBinary(Path(on_path), "PATH")


def server_command(binary: Path, port: int) -> list[str]:
    """What runs an adb server as a child in the foreground, listening on 127.0.0.1."""
    return [str(binary), "-P", str(port), "nodaemon", "server"]


def server_environment(*, usb: bool) -> dict[str, str]:
    """This process's environment for an adb server.

    Without mDNS, which takes three seconds to start and listens on every address of the host; and without `usb`, blind
    to phones on USB.
    """
    environment = dict(os.environ)
    # Another client's choice of server is none of this server's.
    for name in ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_PORT", "ANDROID_ADB_SERVER_ADDRESS"):
        environment.pop(name, None)
    environment["ADB_MDNS"] = "0"
    if not usb:
        environment["ADB_USB"] = "0"
    return environment


class AdbServer:
    """An adb server that answers: one that ran already, or one of our own. When it ends before we do, we start one."""

    def __init__(self, client: AdbClient, adb_path: str | None, usb: bool, start_timeout: float) -> None:
        self.client = client
        """What talks to the server."""
        self.binary: AdbBinary | None = None
        """The program that was started; None while the server is someone else's."""
        self._adb_path = adb_path
        self._usb = usb
        self._start_timeout = start_timeout
        self._process: Process | None = None
        self._last_words = b""

    @classmethod
    @asynccontextmanager
    async def ensure(
        cls,
        client: AdbClient,
        *,
        adb_path: str | None = None,
        usb: bool = True,
        start_timeout: float = START_TIMEOUT,
    ) -> AsyncGenerator[Self]:
        """Have an adb server where `client` looks for it, for the duration of the block.

        With `usb`, a server of our own serves phones on USB too. Raises `AdbUnavailable` when none runs and none can
        be started.
        """
        server = cls(client, adb_path, usb, start_timeout)
        supervisor: asyncio.Task[None] | None = None
        try:
            process = await server._find_or_start()
            if client.host in _OWN_HOSTS:
                supervisor = asyncio.get_running_loop().create_task(server._supervise(process))
            yield server
        finally:
            if supervisor is not None:
                supervisor.cancel()
                await asyncio.gather(supervisor, return_exceptions=True)
            await server._stop()

    @property
    def pid(self) -> int | None:
        """The process of a server of our own; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def _find_or_start(self) -> Process | None:
        """The process of a server of our own; None when another server answers."""
        try:
            async with in_time(self._start_timeout, "host:version"):
                await self.client.version()
        except (AdbTimeout, AdbProtocolError) as error:
            raise AdbUnavailable(f"what listens at {self._where} is not an adb server: {error}") from error
        except AdbUnavailable:
            if self.client.host not in _OWN_HOSTS:
                raise
            return await self._start()
        return None

    async def _start(self) -> Process:
        self.binary = binary = find_adb(self._adb_path)
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *server_command(binary.path, self.client.port),
                env=server_environment(usb=self._usb),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C at our terminal is ours: the server is needed until our own end.
            )
        except OSError as error:
            raise AdbUnavailable(f"{binary} cannot be run: {error.strerror}") from error
        try:
            async with in_time(self._start_timeout, f"the start of {binary.path}"):
                while not await self._answers():
                    if process.returncode is not None:
                        await self._read_last_words(process)
                        said = self._last_words.decode(errors="replace").strip() or "no message"
                        raise AdbUnavailable(
                            f"{binary} ended with {process.returncode} instead of serving {self._where}: {said}"
                        )
                    await asyncio.sleep(_POLL_INTERVAL)
        except AdbTimeout as error:
            raise AdbUnavailable(f"{binary} does not come up: {error}") from error
        log.info("adb server started", where=self._where, binary=str(binary), pid=process.pid)
        return process

    async def _answers(self) -> bool:
        try:
            await self.client.version()
        except AdbUnavailable:
            return False
        return True

    async def _supervise(self, running: Process | None) -> None:
        """Start a server when the one that there is ends, as `adb kill-server` by anyone on this host makes it."""
        while True:
            if running is None:
                log.warning("adb server of another program ended", reason=await self._end_of_another())
            else:
                await self._read_last_words(running)
                await running.wait()
                log.warning("adb server ended", code=running.returncode, said=self._last_words.decode(errors="replace"))
            self.binary = self._process = None
            running = await self._restart()

    async def _end_of_another(self) -> str:
        """Wait until a server that is not ours hangs up; its reason."""
        try:
            async with aclosing(self.client.track_devices()) as changes:
                async for _ in changes:
                    pass
        except AdbError as error:
            return str(error)
        return "it ended its list of devices"

    async def _restart(self) -> Process | None:
        delay = FIRST_RESTART_DELAY
        while True:
            await asyncio.sleep(delay)
            try:
                return await self._find_or_start()
            except AdbError as error:
                await self._stop()
                delay = min(2 * delay, LONGEST_RESTART_DELAY)
                log.warning("adb server not restarted", reason=str(error), next_in=delay)

    async def _read_last_words(self, process: Process) -> None:
        """Read all that the server still prints, and remember the end of it."""
        assert process.stderr is not None
        while piece := await process.stderr.read(4096):
            self._last_words = (self._last_words + piece)[-1000:]

    async def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.communicate()
        except TimeoutError:
            process.kill()
            await process.communicate()

    @property
    def _where(self) -> str:
        return f"{self.client.host}:{self.client.port}"

"""scrcpy's server on the device: the jar is put there once, and each session starts a process of its own."""

import asyncio
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from capture.adb.client import AdbClient
from capture.adb.command_line import CommandLine, command_line
from capture.adb.wire import EXIT, ShellParser
from capture.errors import AdbError, AdbProtocolError, SourceEnded
from capture.scrcpy.server_log import ServerLog
from capture.scrcpy.version import ScrcpyVersion

DIRECTORY: Final = "/data/local/tmp"

LARGEST_JAR: Final = 8 * 1024 * 1024
"""Bytes; the released ones have about 100 KiB."""

_LARGEST_NUMBER: Final = 2**31 - 1
_NOT_FOUND: Final = 127
_SHA256: Final = re.compile(r"[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What one session asks of the server; raises `ValueError` for what it could not take."""

    max_size: int
    """The longer side of the video in pixels, at most; 0 for the screen's own."""

    bit_rate: int
    """Of the video, bits per second."""

    frame_rate: int
    """Pictures per second, at most."""

    audio_codec: str | None = None
    """`opus` or `raw`; None for no sound."""

    audio_bit_rate: int = 64_000
    """Bits per second; raw sound has its own."""

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("max_size", self.max_size, 0, _LARGEST_NUMBER),
            ("bit_rate", self.bit_rate, 1, _LARGEST_NUMBER),
            ("frame_rate", self.frame_rate, 1, _LARGEST_NUMBER),
            ("audio_bit_rate", self.audio_bit_rate, 6_000, 512_000),  # What Opus has for two channels.
        ):
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}: it must be {least} to {most}")


def server_command(version: ScrcpyVersion, jar: str, scid: int, options: ServerOptions) -> CommandLine:
    """The line that runs the server at `jar`, listening on the abstract socket of `scid`.

    It leaves the device as it is: it does not wake its screen, does not watch its clipboard, and starts no process that
    outlives it (`cleanup`, which is for settings that we do not change).
    """
    audio = (
        ["audio=false"]
        if options.audio_codec is None
        else [f"audio_codec={options.audio_codec}", f"audio_bit_rate={options.audio_bit_rate}"]
    )
    return command_line(
        [
            f"CLASSPATH={jar}",
            "exec",  # So that the service's end is the server's end.
            "app_process",
            "/",
            "com.genymobile.scrcpy.Server",
            version.name,
            f"scid={scid:08x}",
            "log_level=info",
            "tunnel_forward=true",
            "cleanup=false",
            "power_on=false",
            "clipboard_autosync=false",
            f"video_bit_rate={options.bit_rate}",
            f"max_size={options.max_size}",
            f"max_fps={options.frame_rate}",
            *audio,
        ]
    )


def socket_name(scid: int) -> str:
    """The adb service that connects to the server of `scid` (`DesktopConnection.getSocketName`)."""
    return f"localabstract:scrcpy_{scid:08x}"


class ServerProcess(asyncio.Protocol):
    """One server on a device: the protocol of the service that it runs in. Closing it ends the server."""

    def __init__(self, ended: Callable[[], None], *, is_raw: bool) -> None:
        """`ended` is called once, when the server has ended; with `is_raw` it runs in an `exec` service."""
        self.exit_code: int | None = None
        """None while it runs, and when the connection to it was lost."""
        self._ended = ended
        self._shell = None if is_raw else ShellParser()
        self._log = ServerLog()
        self._transport: asyncio.Transport | None = None
        self._has_ended = asyncio.Event()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, or cannot be heard any more."""
        return self._has_ended.is_set()

    @property
    def last_words(self) -> str:
        """What it said about its end."""
        words = [self._log.last_words, f"exit code {self.exit_code}" if self.exit_code is not None else ""]
        return ", ".join(filter(None, words)) or "it said nothing"

    async def wait_ended(self, limit: float) -> bool:
        """Wait for its end for at most `limit` seconds; whether it came."""
        try:
            async with asyncio.timeout(limit):
                await self._has_ended.wait()
        except TimeoutError:
            return False
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own are no subclass of it.

    def data_received(self, data: bytes) -> None:
        if self._shell is None:
            self._log.feed(data)
            return
        try:
            for stream, piece in self._shell.feed(data):
                if stream == EXIT:
                    self.exit_code = piece[0]
                    self._end()
                else:
                    self._log.feed(piece)
        except AdbProtocolError as error:
            self._log.feed(f"\nERROR: {error}\n".encode())
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._end()

    def close(self) -> None:
        """End it. Idempotent."""
        if self._transport is not None:
            self._transport.abort()

    def _end(self) -> None:
        if not self._has_ended.is_set():
            self._has_ended.set()
            self._ended()


class ScrcpyServer:
    """The server's jar, of which we know the version; put on devices and started there.

    It stays on a device, under a name that holds its version and hash, so that it is put there only once.
    """

    def __init__(self, path: Path, version: ScrcpyVersion) -> None:
        self.path = path
        self.version = version
        self._jar: bytes | None = None
        self._hash = ""

    @property
    def remote_path(self) -> str:
        """Where it is on every device, once `install` has read it."""
        return f"{DIRECTORY}/media-service-scrcpy-{self.version}-{self._hash[:16]}.jar"

    async def install(self, client: AdbClient, serial: str) -> str:
        """See that the jar is on the device, whole; its path there.

        Raises `SourceEnded` when it cannot be read here or written there, in the words of whoever cannot, and an
        `AdbError` when the device cannot be reached.
        """
        jar = await self._read()
        has_hashes, is_whole = await self._check(client, serial)
        if is_whole:
            return self.remote_path
        try:
            await client.push(serial, jar, self.remote_path)
        except AdbError as error:
            if type(error) is not AdbError:
                raise
            raise SourceEnded(f"scrcpy's server cannot be put on the device: {error}") from error
        if has_hashes and not (await self._check(client, serial))[1]:
            raise SourceEnded(f"scrcpy's server was damaged on its way to {self.remote_path!r} on device {serial!r}")
        return self.remote_path

    async def start(
        self, client: AdbClient, serial: str, scid: int, options: ServerOptions, ended: Callable[[], None]
    ) -> ServerProcess:
        """Start the installed server; see `ServerProcess` for `ended`. Raises `AdbError`."""
        is_raw = await client.lacks_shell_v2(serial)
        process = ServerProcess(ended, is_raw=is_raw)
        command = server_command(self.version, self.remote_path, scid, options)
        await client.open_service(serial, f"exec:{command}" if is_raw else f"shell,v2,raw:{command}", process)
        return process

    async def _read(self) -> bytes:
        if self._jar is None:
            try:
                jar = await asyncio.to_thread(self._read_file)
            except OSError as error:
                raise SourceEnded(f"scrcpy's server {str(self.path)!r} cannot be read: {error.strerror}") from error
            self._hash = hashlib.sha256(jar).hexdigest()
            self._jar = jar
        return self._jar

    def _read_file(self) -> bytes:
        with self.path.open("rb") as file:
            jar = file.read(LARGEST_JAR + 1)
        if not 0 < len(jar) <= LARGEST_JAR:
            raise SourceEnded(
                f"scrcpy's server {str(self.path)!r} is not one: its size must be 1 to {LARGEST_JAR} bytes"
            )
        return jar

    async def _check(self, client: AdbClient, serial: str) -> tuple[bool, bool]:
        """Whether the device can hash files (Android 6 and newer), and whether the jar is there with the right hash."""
        result = await client.shell(serial, command_line(["sha256sum", self.remote_path]))
        found = _SHA256.match(result.stdout)
        return result.exit_code != _NOT_FOUND, found is not None and found[0] == self._hash

"""scrcpy's server on the demo phone, through the real adb: pushed, started, forwarded, ended."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import CommandLine
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.input_log import KeyPress
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.scrcpy.jar import make_jar
from capture.demo_phone.strip import read_strip
from tests.capture.demo_phone.pictures import decode, luma
from tests.capture.demo_phone.scrcpy.client import JAR, SOCKET, TIMEOUT, Packet, Session, Stream, command_line
from tests.fixtures.adb import RunningAdb
from tests.waiting import until

pytestmark = [
    pytest.mark.adb,
    pytest.mark.parametrize("demo_phone", [PhoneSpec(width=240, height=320)], indirect=True),
]


class Wire:
    """A connection with a service of the phone, through the adb server (adb's SERVICES.TXT)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, serial: str, service: str) -> "Wire":
        """Raises EOFError where there is no such service."""
        wire = cls(*await asyncio.open_connection("127.0.0.1", port))
        for request in (f"host:transport:{serial}", service):
            await wire.write(f"{len(request):04x}{request}".encode())
            if await wire.read(4) != b"OKAY":
                wire.close()
                raise EOFError(service)
        return wire

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(TIMEOUT):
            return await self._reader.readexactly(size)

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        self._writer.transport.abort()


@pytest.fixture
async def serial(adb_client: AdbClient, demo_phone: DemoPhone) -> AsyncIterator[str]:
    """The serial of the phone, which adb is connected to and scrcpy's file lies on."""
    await adb_client.connect(demo_phone.address)
    await adb_client.push(demo_phone.address, make_jar("4.1"), JAR)
    yield demo_phone.address
    await adb_client.disconnect(demo_phone.address)


async def test_all_three_sockets(adb_server: RunningAdb, demo_phone: DemoPhone, serial: str) -> None:
    shell = await Wire.open(adb_server.port, serial, f"shell:{command_line('4.1', 'log_level=warn')}")
    await until(lambda: SOCKET in demo_phone.sockets)
    video, audio, control = [await Wire.open(adb_server.port, serial, SOCKET) for _ in range(3)]
    assert await video.read(1 + 64) == b"\0" + b"Demo Phone".ljust(64, b"\0")
    assert await video.read(4) == b"h264"
    assert await audio.read(4) == b"opus"
    with pytest.raises(EOFError):
        await Wire.open(adb_server.port, serial, SOCKET)

    stream = Stream(video, "4.1")
    session, config, *pictures = await stream.packets(12)
    assert session == Session(240, 320)
    data = b"".join(packet.data for packet in (config, *pictures) if isinstance(packet, Packet))
    numbers = [read_strip(luma(frame)).frame_number for frame in decode(data)]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 10
    assert (await Stream(audio, "4.1").picture()).data

    await control.write(bytes.fromhex("00 00 00000003 00000000 00000000"))
    await until(lambda: len(demo_phone.input_log))
    (record,) = demo_phone.input_log
    assert isinstance(record, KeyPress)
    assert record.code == 3

    control.close()
    with pytest.raises(asyncio.IncompleteReadError):
        await shell.read(1_000_000)
    with pytest.raises(asyncio.IncompleteReadError):
        await stream.packets(10_000)
    await until(lambda: not list(demo_phone.processes))
    assert not demo_phone.sockets
    for wire in (shell, video, audio):
        wire.close()


async def test_closing_the_shell_ends_it(adb_server: RunningAdb, demo_phone: DemoPhone, serial: str) -> None:
    line = command_line("4.1", "audio=false", "control=false").replace("app_process", "exec app_process")
    shell = await Wire.open(adb_server.port, serial, f"exec:{line}")
    await until(lambda: SOCKET in demo_phone.sockets)
    video = await Wire.open(adb_server.port, serial, SOCKET)
    await video.read(1 + 64 + 4)
    await Stream(video, "4.1").packets(4)
    shell.close()
    await until(lambda: not list(demo_phone.processes))
    assert not demo_phone.sockets
    video.close()


async def test_its_list_of_encoders(adb_client: AdbClient, serial: str) -> None:
    line = command_line("4.1", "list_encoders=true", "log_level=info")
    result = await adb_client.shell(serial, CommandLine(line))
    assert result.exit_code == 0
    assert "--video-codec=h264 --video-encoder=c2.android.avc.encoder" in result.stdout
    assert "--audio-codec=opus --audio-encoder=c2.android.opus.encoder" in result.stdout


async def test_another_version(adb_client: AdbClient, serial: str) -> None:
    result = await adb_client.shell(serial, CommandLine(command_line("4.0")))
    assert result.exit_code == 1
    assert "The server version (4.1) does not match the client (4.0)" in result.stderr


async def test_losing_the_phone_ends_it(adb_server: RunningAdb, demo_phone: DemoPhone, serial: str) -> None:
    shell = await Wire.open(adb_server.port, serial, f"shell:{command_line('4.1', 'log_level=warn')}")
    await until(lambda: SOCKET in demo_phone.sockets)
    video = await Wire.open(adb_server.port, serial, SOCKET)
    await video.read(1)
    await demo_phone.go_offline()
    assert not list(demo_phone.processes)
    assert not demo_phone.sockets
    shell.close()
    video.close()

"""The output of a command on a device, at any speed."""

import asyncio

import pytest

from capture.adb.client import AdbClient
from capture.adb.command_line import command_line, service_of
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.raw_output import RawOutput
from tests.capture.adb.fake_server import TIMEOUT, FakeAdbServer, packet, until_closed

SERIAL = "127.0.0.1:5555"
COMMAND = command_line(["frames", "a b"])
DATA = bytes(range(256)) * 4000


@pytest.fixture
def client(fake_adb: FakeAdbServer) -> AdbClient:
    return AdbClient(port=fake_adb.port, command_timeout=5.0)


async def collect(client: AdbClient, *, is_raw: bool) -> tuple[bytes, RawOutput]:
    """All of the output, and its protocol when it has ended."""
    taken = bytearray()
    output = RawOutput(taken.extend, is_raw=is_raw)
    async with asyncio.timeout(TIMEOUT):
        await client.open_service(SERIAL, service_of(COMMAND, is_raw=is_raw), output)
        await output.until_end()
    return bytes(taken), output


async def test_the_streams_of_a_shell_are_told_apart(fake_adb: FakeAdbServer, client: AdbClient) -> None:
    packets = [packet(STDOUT, DATA[start : start + 32_768]) for start in range(0, len(DATA), 32_768)]
    packets.insert(3, packet(STDERR, b"a warn") + packet(STDERR, b"ing\n"))
    fake_adb.on("shell,v2,raw:exec frames 'a b'", b"OKAY" + b"".join(packets) + packet(EXIT, b"\x07"))
    taken, output = await collect(client, is_raw=False)
    assert taken == DATA
    assert (output.exit_code, output.complaint) == (7, "a warning\n")
    assert output.last_at > 0


async def test_without_shell_v2_there_is_one_stream(fake_adb: FakeAdbServer, client: AdbClient) -> None:
    fake_adb.on("exec:frames 'a b'", b"OKAY" + DATA)
    taken, output = await collect(client, is_raw=True)
    assert taken == DATA
    assert (output.exit_code, output.complaint) == (None, "")


async def test_what_is_not_the_shell_protocol_ends_it(fake_adb: FakeAdbServer, client: AdbClient) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY" + packet(STDOUT, b"first") + packet(9, b"nonsense"))
        await until_closed(reader)

    fake_adb.on("shell,v2,raw:exec frames", nonsense)
    taken, output = await collect(client, is_raw=False)
    assert taken == b"first"
    assert "id 9" in output.complaint


async def test_closing_hangs_up_and_is_told_once(fake_adb: FakeAdbServer, client: AdbClient) -> None:
    hung_up = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY")
        try:
            await until_closed(reader)
        except ConnectionError:
            pass
        hung_up.set()

    fake_adb.on("exec:frames", endless)
    ends: list[None] = []
    output = RawOutput(lambda _: None, lambda: ends.append(None), is_raw=True)
    await client.open_service(SERIAL, service_of(COMMAND, is_raw=True), output)
    output.close("enough")
    output.close()
    async with asyncio.timeout(TIMEOUT):
        await output.until_end()
        await hung_up.wait()
    assert output.complaint == "enough"
    assert ends == [None]

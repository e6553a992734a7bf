"""The client against a fake server, for what a real one does not do on demand."""

import asyncio
import socket
import struct
from contextlib import aclosing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capture.adb.client import MAX_OUTPUT, AdbClient
from capture.adb.command_line import command_line
from capture.adb.wire import EXIT, STDERR, STDOUT
from capture.errors import (
    AdbError,
    AdbProtocolError,
    AdbTimeout,
    AdbUnavailable,
    CommandFailed,
    DeviceNotFound,
    DeviceOffline,
)
from tests.capture.adb.fake_server import FakeAdbServer, Service, block, fail, okay, packet, until_closed
from tests.fixtures.adb import free_port

SERIAL = "127.0.0.1:5555"
WM_SIZE = command_line(["wm", "size"])


@pytest.fixture
def client(fake_adb: FakeAdbServer) -> AdbClient:
    fake_adb.on("host-serial:", okay(b"shell_v2,cmd"))
    return AdbClient(port=fake_adb.port, connect_timeout=5.0, command_timeout=5.0)


@pytest.fixture
def hasty(fake_adb: FakeAdbServer) -> AdbClient:
    fake_adb.on("host-serial:", okay(b"shell_v2,cmd"))
    return AdbClient(port=fake_adb.port, connect_timeout=0.05, command_timeout=0.05)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await until_closed(reader)


def receives(answer: bytes, received: bytearray) -> Service:
    """Says `answer` and keeps what it is sent."""

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY" + answer)
        while data := await reader.read(65536):
            received.extend(data)

    return service


async def test_version_and_devices(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host:version", okay(b"0029"))
    fake_adb.on("host:devices-l", okay(f"{SERIAL} device model:M transport_id:1\n".encode()))
    assert await client.version() == 41
    assert [device.model for device in await client.devices()] == ["M"]


async def test_nobody_listens() -> None:
    port = free_port()
    with pytest.raises(AdbUnavailable, match=f"no adb server at 127.0.0.1:{port}: Connection refused"):
        await AdbClient(port=port).version()


async def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(AdbUnavailable, match=r"no adb server at nowhere\.invalid:5037"):
        await AdbClient("nowhere.invalid").version()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", AdbUnavailable),
        (b"OK", AdbUnavailable),
        (b"OKAY00", AdbUnavailable),
        (b"OKAY00ffshort", AdbUnavailable),
        (b"HTTP/1.1 400 Bad Request\r\n", AdbProtocolError),
        (b"OKAYzzzz", AdbProtocolError),
        (b"FAILnope", AdbProtocolError),
        (b"FAIL0003no!", AdbError),
    ],
)
async def test_an_answer_that_is_none(
    client: AdbClient, fake_adb: FakeAdbServer, answer: bytes, error: type[AdbError]
) -> None:
    fake_adb.on("host:devices-l", answer)
    with pytest.raises(error) as raised:
        await client.devices()
    assert type(raised.value) is error


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answer=st.binary(max_size=24) | st.binary(max_size=24).map(b"OKAY".__add__))
def test_any_answer_is_a_list_or_an_adb_error(answer: bytes) -> None:
    async def ask() -> None:
        async with FakeAdbServer.run() as fake:
            fake.on("host:devices-l", answer)
            try:
                await AdbClient(port=fake.port).devices()
            except AdbError:
                pass

    asyncio.run(ask())


async def test_a_server_that_hangs(hasty: AdbClient, fake_adb: FakeAdbServer) -> None:
    for service in ("host:version", "host:connect", "host:track-devices-l", "shell", "exec", "sync"):
        fake_adb.on(service, hang)
    with pytest.raises(AdbTimeout, match=r"host:version within 0\.05 s"):
        await hasty.version()
    with pytest.raises(AdbTimeout, match=r"host:connect:10\.0\.0\.5"):
        await hasty.connect("10.0.0.5:5555")
    with pytest.raises(AdbTimeout, match="track-devices"):
        async with aclosing(hasty.track_devices()) as changes:
            await anext(changes)
    with pytest.raises(AdbTimeout, match=f"'wm size' on device '{SERIAL}'"):
        await hasty.shell(SERIAL, WM_SIZE)
    with pytest.raises(AdbTimeout, match=f"'exec:wm size' on device '{SERIAL}'"):
        await hasty.exec(SERIAL, WM_SIZE)
    with pytest.raises(AdbTimeout, match="sync:"):
        await hasty.push(SERIAL, b"x", "/data/x")


async def test_a_host_that_does_not_even_refuse() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):  # One more than the backlog: whoever comes now gets no answer.
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        client = AdbClient(port=full.getsockname()[1], command_timeout=0.05)
        with pytest.raises(AdbTimeout, match="host:version"):
            await client.version()
        with pytest.raises(AdbTimeout, match="wm size"):
            await client.exec(SERIAL, WM_SIZE)
        with pytest.raises(AdbTimeout, match="track-devices"):
            await anext(client.track_devices())


async def test_a_command_that_hangs_is_given_up_and_closed(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell,v2,raw:", receives(packet(STDOUT, b"Physi"), bytearray()))
    with pytest.raises(AdbTimeout, match=r"within 0\.05 s"):
        await client.shell(SERIAL, WM_SIZE, timeout=0.05)
    await fake_adb.until_running(0)


async def test_pushes_of_the_device_list(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    async def track(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY" + block(b""))
        for state in (b"offline", b"device"):
            writer.write(block(SERIAL.encode() + b" " + state + b" transport_id:1\n"))

    fake_adb.on("host:track-devices-l", track)
    async with aclosing(client.track_devices()) as changes:
        seen = [[device.state for device in await anext(changes)] for _ in range(3)]
        assert seen == [[], ["offline"], ["device"]]
        with pytest.raises(AdbUnavailable, match="closed the connection"):
            await anext(changes)


async def test_a_malformed_push(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host:track-devices-l", b"OKAY" + block(b"") + b"oops")
    async with aclosing(client.track_devices()) as changes:
        assert await anext(changes) == ()
        with pytest.raises(AdbProtocolError, match="oops"):
            await anext(changes)


async def test_connect_says_why_not(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host:connect:10.0.0.5:5555", okay(b"failed to authenticate to 10.0.0.5:5555"))
    with pytest.raises(DeviceOffline, match=r"10\.0\.0\.5:5555.*accept its key"):
        await client.connect("10.0.0.5:5555")


@pytest.mark.parametrize("serial", ["a b", "x\nhost:kill", "", "é"])
async def test_what_is_no_serial_reaches_no_server(client: AdbClient, fake_adb: FakeAdbServer, serial: str) -> None:
    for request in (
        client.shell(serial, WM_SIZE),
        client.exec(serial, WM_SIZE),
        client.push(serial, b"", "/x"),
        client.connect(serial),
        client.disconnect(serial),
        client.features(serial),
    ):
        with pytest.raises(DeviceNotFound, match="not a device serial"):
            await request
    assert fake_adb.asked == []


async def test_shell_v2(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    answer = packet(STDOUT, b"Physical ") + packet(STDERR, b"hm") + packet(STDOUT, b"size") + packet(EXIT, b"\x03")
    fake_adb.on("shell,v2,raw:wm size", b"OKAY" + answer)
    result = await client.shell(SERIAL, WM_SIZE)
    assert (result.stdout, result.stderr, result.exit_code) == ("Physical size", "hm", 3)
    with pytest.raises(CommandFailed, match="'wm size' ended with exit code 3: hm"):
        await client.shell(SERIAL, WM_SIZE, check=True)
    with pytest.raises(CommandFailed, match="'the secret' ended with exit code 3: hm"):
        await client.shell(SERIAL, WM_SIZE, check=True, label="the secret")


async def test_the_shell_of_a_device_without_shell_v2(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("host-serial:", okay(b"cmd,stat_v2"))
    fake_adb.on("shell:wm size", b"OKAY" + b"Physical size: 720x1280\r\n:0\r\n")
    result = await client.shell(SERIAL, WM_SIZE)
    assert (result.stdout, result.stderr, result.exit_code) == ("Physical size: 720x1280\r\n", "", 0)
    assert fake_adb.asked[-1] == "shell:wm size; echo :$?"


async def test_the_line_for_old_shells_runs_in_a_real_one() -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", "printf hello; false; echo :$?", stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output == b"hello:1\n"


async def test_a_device_that_goes_away_during_a_command(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell,v2,raw:", b"OKAY" + packet(STDOUT, b"Phys"))
    with pytest.raises(DeviceOffline, match=f"'{SERIAL}' went away while it ran 'wm size'"):
        await client.shell(SERIAL, WM_SIZE)


async def test_a_shell_that_sends_garbage(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell,v2,raw:", b"OKAY" + b"/system/bin/sh: nope\n")
    with pytest.raises(AdbProtocolError, match="id 47"):
        await client.shell(SERIAL, WM_SIZE)


async def test_a_command_that_prints_without_end(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell,v2,raw:", b"OKAY" + 17 * packet(STDOUT, bytes(1 << 20)))
    with pytest.raises(AdbError, match=f"'wm size' printed more than the {MAX_OUTPUT} bytes"):
        await client.shell(SERIAL, WM_SIZE)


async def test_features_are_asked_once_until_the_device_fails(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell,v2,raw:", b"OKAY" + packet(EXIT, b"\0"))
    for _ in range(2):
        await client.shell(SERIAL, WM_SIZE)
    assert sum(asked.startswith("host-serial:") for asked in fake_adb.asked) == 1
    fake_adb.on("shell,v2,raw:", fail(b"device offline"))
    with pytest.raises(DeviceOffline):
        await client.shell(SERIAL, WM_SIZE)
    fake_adb.on("host-serial:", fail(f"device '{SERIAL}' not found".encode()))
    with pytest.raises(DeviceNotFound):
        await client.shell(SERIAL, WM_SIZE)


async def test_exec_gives_the_bytes_as_they_are(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("exec:screencap -p", b"OKAY" + bytes(range(256)) * 500)
    stream = await client.exec(SERIAL, command_line(["screencap", "-p"]))
    got = b""
    while data := await stream.read():
        got += data
    await stream.aclose()
    await stream.aclose()
    assert got == bytes(range(256)) * 500


async def test_push_sends_chunks_and_the_mode(client: AdbClient, fake_adb: FakeAdbServer, tmp_path: Path) -> None:
    received = bytearray()
    fake_adb.on("sync:", receives(b"OKAY\0\0\0\0", received))
    local = tmp_path / "file"
    local.write_bytes(bytes(100_000))
    await client.push(SERIAL, local, "/data/local/tmp/x", mode=0o755)
    await fake_adb.until_running(0)
    path = b"/data/local/tmp/x,%d" % 0o100755
    assert received.startswith(b"SEND" + struct.pack("<I", len(path)) + path + b"DATA" + struct.pack("<I", 65536))
    assert received[-8:-4] == b"DONE"
    assert len(received) == 8 + len(path) + 8 + 65536 + 8 + (100_000 - 65536) + 8


async def test_a_refused_push_tells_the_device_s_words(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"OKAY" + b"FAIL\x0d\0\0\0read-only disk")
        await reader.readexactly(100)
        writer.write_eof()
        await until_closed(reader)

    fake_adb.on("sync:", refuse)
    with pytest.raises(AdbError, match="cannot write '/system/x': read-only dis"):
        await client.push(SERIAL, bytes(200_000), "/system/x")


async def test_a_device_that_goes_away_during_a_push(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("sync:", b"OKAY")
    with pytest.raises(DeviceOffline, match="went away"):
        await client.push(SERIAL, b"x", "/x")


async def test_a_local_file_that_does_not_exist(client: AdbClient, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await client.push(SERIAL, tmp_path / "nothing", "/x")


async def test_cancelling_leaves_no_socket_behind(client: AdbClient, fake_adb: FakeAdbServer) -> None:
    fake_adb.on("shell", hang)
    asking = asyncio.get_running_loop().create_task(client.shell(SERIAL, WM_SIZE))
    await fake_adb.until_running(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await fake_adb.until_running(0)

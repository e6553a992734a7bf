"""How the server gets onto a device and is started there."""

from pathlib import Path

import pytest

from capture.adb.client import AdbClient
from capture.demo_phone.scrcpy.jar import make_jar
from capture.errors import DeviceNotFound, SourceEnded
from capture.scrcpy.server import ScrcpyServer, ServerOptions, ServerProcess, server_command, socket_name
from capture.scrcpy.version import parse_version
from tests.capture.adb.connected_phone import connected_phone

V4 = parse_version("4.1")


def test_the_command_line() -> None:
    options = ServerOptions(max_size=1280, bit_rate=4_000_000, frame_rate=30, audio_codec="opus", audio_bit_rate=64_000)
    assert server_command(V4, "/data/local/tmp/x.jar", 0x1A2B, options) == (
        "CLASSPATH=/data/local/tmp/x.jar exec app_process / com.genymobile.scrcpy.Server 4.1 scid=00001a2b "
        "log_level=info tunnel_forward=true cleanup=false power_on=false clipboard_autosync=false "
        "video_bit_rate=4000000 max_size=1280 max_fps=30 audio_codec=opus audio_bit_rate=64000"
    )
    silent = server_command(V4, "/data/local/tmp/x.jar", 0, ServerOptions(0, 1, 1))
    assert silent.endswith(" audio=false")
    assert "audio_codec" not in silent


def test_the_socket_has_the_servers_number() -> None:
    assert socket_name(0x1A2B) == "localabstract:scrcpy_00001a2b"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"max_size": -1}, "max_size is -1: it must be 0 to 2147483647"),
        ({"bit_rate": 0}, "bit_rate is 0: it must be 1 to 2147483647"),
        ({"bit_rate": 2**31}, "bit_rate is 2147483648"),
        ({"frame_rate": 0}, "frame_rate is 0: it must be 1"),
        ({"audio_bit_rate": 1}, "audio_bit_rate is 1: it must be 6000 to 512000"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, int], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ServerOptions(
            max_size=options.get("max_size", 0),
            bit_rate=options.get("bit_rate", 1),
            frame_rate=options.get("frame_rate", 1),
            audio_bit_rate=options.get("audio_bit_rate", 64_000),
        )


async def test_a_process_ends_once_with_its_words_and_exit_code() -> None:
    ends = []
    process = ServerProcess(lambda: ends.append(1), is_raw=False)
    process.data_received(b"\x02\x08\0\0\0Aborted\n")
    assert not process.has_ended
    assert not await process.wait_ended(0.0)
    process.data_received(b"\x03\x01\0\0\0\x86")
    process.connection_lost(None)
    assert ends == [1]
    assert await process.wait_ended(0.0)
    assert process.exit_code == 134
    assert process.last_words == "Aborted, exit code 134"
    process.close()


async def test_without_shell_v2_there_is_no_exit_code() -> None:
    process = ServerProcess(lambda: None, is_raw=True)
    process.data_received(b"Aborted\n")
    process.connection_lost(None)
    assert process.has_ended
    assert process.exit_code is None
    assert process.last_words == "Aborted"


async def test_what_is_no_shell_stream_is_told() -> None:
    process = ServerProcess(lambda: None, is_raw=False)
    process.data_received(b"\x09\0\0\0\0")
    assert "a shell packet has the id 9" in process.last_words


@pytest.mark.adb
async def test_the_jar_is_put_on_the_phone_once_and_again_when_damaged(adb_client: AdbClient, tmp_path: Path) -> None:
    path = tmp_path / "scrcpy-server"
    path.write_bytes(make_jar("4.1"))
    server = ScrcpyServer(path, V4)
    async with connected_phone(adb_client) as phone:
        remote = await server.install(adb_client, phone.address)
        assert remote.startswith("/data/local/tmp/media-service-scrcpy-4.1-")
        assert remote.endswith(".jar")
        assert phone.files.read(remote) == make_jar("4.1")

        phone.faults.no_space = True  # Nothing is written where nothing is missing.
        assert await server.install(adb_client, phone.address) == remote

        phone.faults.no_space = False
        phone.files.write(remote, make_jar("4.1")[:-7], 0o644, 0)
        await server.install(adb_client, phone.address)
        assert phone.files.read(remote) == make_jar("4.1")

        other = ScrcpyServer(path, parse_version("4.0"))
        path.write_bytes(make_jar("4.0"))
        assert await other.install(adb_client, phone.address) != remote


@pytest.mark.adb
async def test_a_device_that_is_not_there_is_told_as_such(adb_client: AdbClient, tmp_path: Path) -> None:
    path = tmp_path / "scrcpy-server"
    path.write_bytes(make_jar("4.1"))
    with pytest.raises(DeviceNotFound):
        await ScrcpyServer(path, V4).install(adb_client, "127.0.0.1:1")
    with pytest.raises(SourceEnded, match="Is a directory"):
        await ScrcpyServer(tmp_path, V4).install(adb_client, "127.0.0.1:1")

"""Settings that say which phones there are and how they are captured, by what a demo phone is asked to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from capture.demo_phone.scrcpy.jar import make_jar
from media_service.app import serve
from tests.capture.adb.fake_server import FakeAdbServer, okay, until_closed
from tests.capture.fake_docker import FakeDocker, entry
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.service import online
from tests.service.outside import Answer, ask, join, settings

pytestmark = pytest.mark.adb


@pytest.fixture
async def phone(adb_client: AdbClient) -> AsyncIterator[DemoPhone]:
    async with DemoPhone(PhoneSpec(name="asked", width=480, height=800)) as phone:
        yield phone
        # The other tests' adb server need not remember it.
        await adb_client.disconnect(phone.address)


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """What stands for scrcpy's server on a demo phone."""
    path = tmp_path / "scrcpy-server"
    path.write_bytes(make_jar("4.1"))
    return path


@asynccontextmanager
async def captured(adb: RunningAdb, phone: DemoPhone, **others: object) -> AsyncIterator[Answer]:
    """What is answered to who wants to watch the phone, which is captured with such settings meanwhile."""
    named = settings(adb, adb_devices=f"lobby={phone.address}", **others)
    async with serve(named, sources={}, demo=False) as serving:
        await online(serving.address, "lobby")
        yield await join(serving.address, "lobby")


def asked(phone: DemoPhone, program: str) -> list[str]:
    """What the one running program of that name was asked for."""
    (process,) = phone.processes.named(program)
    return list(process.arguments)


async def test_screenrecord_is_insisted_on_and_told_size_and_bit_rate(
    adb_server: RunningAdb, phone: DemoPhone, server: Path
) -> None:
    wishes = {"video_width": 400, "video_height": 240, "video_bitrate": 700_000}
    others = {"scrcpy_server_path": str(server), "scrcpy_server_version": "4.1"}
    async with captured(adb_server, phone, capture_mode="screenrecord", **wishes, **others) as answer:
        assert answer.status == 201
        arguments = asked(phone, "screenrecord")
    assert arguments[arguments.index("--bit-rate") + 1] == "700000"
    assert arguments[arguments.index("--size") + 1] == "240x400"


async def test_scrcpy_is_told_how_often_and_how_loud(adb_server: RunningAdb, phone: DemoPhone, server: Path) -> None:
    scrcpy = {"scrcpy_server_path": str(server), "scrcpy_server_version": "4.1"}
    async with captured(adb_server, phone, video_framerate=12, audio_bitrate=24_000, **scrcpy) as answer:
        arguments = asked(phone, "app_process")
        assert "m=audio" in answer.json["offer"]["sdp"]
    assert {"max_fps=12", "audio_codec=opus", "audio_bit_rate=24000"} <= set(arguments)
    async with captured(adb_server, phone, audio_encoder_type="none", **scrcpy) as answer:
        assert "audio=false" in asked(phone, "app_process")
        assert "m=audio" not in answer.json["offer"]["sdp"]


@pytest.mark.parametrize("other", [{"audio_sample_rate": 16_000}, {"audio_channels": 1}])
async def test_sound_that_phones_do_not_code_is_coded_here(
    adb_server: RunningAdb, phone: DemoPhone, server: Path, other: dict[str, int]
) -> None:
    scrcpy = {"scrcpy_server_path": str(server), "scrcpy_server_version": "4.1"}
    async with captured(adb_server, phone, **other, **scrcpy):
        assert "audio_codec=raw" in asked(phone, "app_process")


async def test_a_server_of_another_version_than_is_said_does_not_run(
    adb_server: RunningAdb, phone: DemoPhone, server: Path
) -> None:
    wrong = {"scrcpy_server_path": str(server), "scrcpy_server_version": "3.3.4", "capture_mode": "scrcpy"}
    async with captured(adb_server, phone, **wrong) as answer:
        assert answer.status == 503
        assert "3.3.4" in answer.json["detail"]
        assert "4.1" in answer.json["detail"]


async def test_a_program_that_does_not_answer_in_time(fake_adb: FakeAdbServer) -> None:
    async def say_nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await until_closed(reader)

    async def one_device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(okay(b"192.0.2.5:5555 device product:a model:b device:c transport_id:1\n"))
        await until_closed(reader)

    fake_adb.on("host:version", okay(b"0029"))
    fake_adb.on("host:devices-l", okay(b""))
    fake_adb.on("host:track-devices-l", one_device)
    fake_adb.on("host:connect:", say_nothing)
    for silent in ("host-serial:", "shell", "exec:"):
        fake_adb.on(silent, say_nothing)
    impatient = settings(
        RunningAdb(fake_adb.port, Path()),
        adb_command_timeout="300ms",
        adb_connect_timeout="200ms",
        adb_devices="192.0.2.6",
    )
    async with serve(impatient, sources={}, demo=False) as serving:
        await online(serving.address, "192.0.2.5:5555")
        answer = await join(serving.address, "192.0.2.5:5555")
        assert (answer.status, answer.code) == (503, "adb_timeout")
        assert "0.3 s" in answer.json["detail"]
        async with asyncio.timeout(5):
            while "0.2 s" not in (await ask(serving.address, "api/media/devices/192.0.2.6:5555")).json["reason"]:
                pass


async def test_phones_in_containers_with_the_label(adb_server: RunningAdb, tmp_path: Path) -> None:
    async with FakeDocker.run(tmp_path / "docker.sock") as docker:
        nowhere = [{"IP": "127.0.0.1", "PrivatePort": 5555, "PublicPort": free_port(), "Type": "tcp"}]
        docker.containers = [
            entry("redroid-8", Labels={"phone": "no"}, Ports=nowhere),
            entry("redroid-9", Image="phones:1", Ports=nowhere),
        ]
        labelled = settings(adb_server, docker_host=docker.docker_host, redroid_label="phone=yes")
        async with serve(labelled, sources={}, demo=False) as serving:
            async with asyncio.timeout(10):
                while (found := await ask(serving.address, "api/media/devices/redroid-9")).status != 200:
                    pass
            assert found.json["origin"] == "container redroid-9"
            assert (await ask(serving.address, "api/media/devices/redroid-8")).code == "device_not_found"

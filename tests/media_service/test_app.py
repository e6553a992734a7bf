"""The whole service in this process, on real sockets, watched by aiortc."""

import asyncio
import json
import random
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import structlog

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from media_service.app import serve
from media_service.errors import CannotStart
from media_service.rtc.media_port import SEND_BUFFER, MediaPort, NoMediaPort
from media_service.settings import Settings
from tests.fixtures.adb import RunningAdb, free_port
from tests.fixtures.service import metric, no_sessions, online
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.rtc.receivers import free_ports

pytestmark = pytest.mark.adb


def settings(adb: RunningAdb, **others: object) -> Settings:
    return Settings.model_validate({"port": 0, "android_adb_server_port": adb.port, **others})


@pytest.fixture
async def address(adb_server: RunningAdb, clip_h264: Path) -> AsyncIterator[str]:
    """Of a service with a looped clip."""
    async with serve(settings(adb_server), sources={"clip": f"file:{clip_h264}"}, demo=False) as serving:
        address = serving.address
        yield address


async def media_port(address: str) -> int:
    """The port in the candidates of an answer."""
    async with AiortcViewer(address, "clip") as viewer:
        line = next(
            line for line in viewer.connection.remoteDescription.sdp.splitlines() if line.startswith("a=candidate:")
        )
    return int(line.split()[5])


async def test_a_viewer_sees_pictures_and_leaves_nothing(address: str) -> None:
    async with AiortcViewer(address, "clip") as viewer:
        await viewer.watched(10)
        assert viewer.size != (0, 0)
        async with aiohttp.ClientSession() as session, session.delete(viewer.location) as response:
            assert response.status == 200
    await no_sessions(address)
    assert await metric(address, "media_service_media_addresses") == 0


async def test_a_viewer_who_says_goodbye_is_forgotten_at_once(address: str) -> None:
    async with AiortcViewer(address, "clip") as viewer:
        await viewer.watched(1)
    await no_sessions(address)


async def test_many_viewers_share_one_stream(address: str) -> None:
    viewers = [AiortcViewer(address, "clip") for _ in range(4)]
    try:
        await asyncio.gather(*(viewer.watch() for viewer in viewers))
        await asyncio.gather(*(viewer.watched(5) for viewer in viewers))
        assert await metric(address, "media_service_streams") == 1
        assert await metric(address, "media_service_viewers") == 4
    finally:
        await asyncio.gather(*(viewer.leave() for viewer in viewers))


async def test_the_service_offers_over_websocket(address: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{address}api/media/ws") as wire:
        await wire.send_json({"type": "join", "id": 1, "deviceId": "clip"})
        offer = await wire.receive_json(timeout=20)
        assert (offer["type"], offer["id"]) == ("offer", 1)
        device, stream = await wire.receive_json(timeout=5), await wire.receive_json(timeout=5)
        assert (device["type"], device["state"]) == ("device-state", "online")
        assert (stream["type"], stream["state"], stream["screen"]) == ("stream-state", "file", "shown")
        viewer = AiortcViewer(address, "clip")
        await wire.send_json({"type": "answer", "id": 2, "sdp": await viewer.answer(offer["sdp"])})
        await viewer.watched(5)
        await viewer.leave()
    await no_sessions(address)


async def test_input_that_a_device_does_not_take_is_answered(address: str) -> None:
    async with AiortcViewer(address, "clip") as viewer:
        await viewer.watched(1)
        await viewer.send(json.dumps({"type": "touch", "action": "tap", "x": 1, "y": 1, "seq": 9}))
        said = json.loads(await viewer.heard("input_rejected"))
        assert (said["type"], said["seq"]) == ("error", 9)
        await viewer.heard('"stream-state"')
        await viewer.send("{not json")
        await viewer.heard("malformed_message")
        await viewer.watched(3)


async def test_a_message_larger_than_we_said_we_take_is_answered(address: str) -> None:
    async with AiortcViewer(address, "clip", ignores_largest_message=True) as viewer:
        await viewer.watched(1)
        await viewer.send(" " * (64 * 1024 + 1))
        said = json.loads(await viewer.heard("65536 characters"))
        assert (said["type"], said["code"]) == ("error", "malformed_message")
        await viewer.watched(3)


async def test_garbage_on_the_media_port_costs_nobody_anything(address: str) -> None:
    number = await media_port(address)
    chance = random.Random(7)
    async with AiortcViewer(address, "clip") as viewer:
        await viewer.watched(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(2000):
                first = chance.choice([0, 1, 20, 22, 63, 64, 128, 144, 191, 200, 255])
                stranger.sendto(bytes([first]) + chance.randbytes(chance.randrange(400)), ("127.0.0.1", number))
            stranger.sendto(b"", ("127.0.0.1", number))
        await viewer.watched(10)
    async with aiohttp.ClientSession() as session, session.get(f"{address}metrics") as response:
        text = await response.text()
    assert 'media_service_packets_dropped_total{reason="unknown_address"}' in text
    assert 'media_service_packets_dropped_total{reason="malformed_stun"}' in text


@pytest.mark.parametrize(
    ("device", "offer", "status", "code"),
    [
        ("nobody", "v=0\r\n", 400, "malformed_sdp"),
        ("clip", "garbage", 400, "malformed_sdp"),
        ("clip", "", 400, "malformed_sdp"),
    ],
)
async def test_bad_offers_are_told_what_is_wrong(address: str, device: str, offer: str, status: int, code: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{address}api/media/whep/{device}", data=offer, headers={"Content-Type": "application/sdp"}
        ) as response,
    ):
        problem = await response.json(content_type="application/problem+json")
        assert (response.status, problem["code"]) == (status, code)
    assert await metric(address, "media_service_active_sessions") == 0


async def test_an_unknown_device_is_named_with_those_there_are(address: str) -> None:
    viewer = AiortcViewer(address, "nobody")
    with pytest.raises(RuntimeError, match=r"device_not_found.*'nobody'.*clip"):
        await viewer.watch()
    await viewer.leave()


async def test_a_device_that_cannot_be_watched_says_why(adb_server: RunningAdb, tmp_path: Path) -> None:
    sources = {"missing": f"file:{tmp_path}/none.h264"}
    async with serve(settings(adb_server), sources=sources, demo=False) as serving:
        address = serving.address
        viewer = AiortcViewer(address, "missing")
        with pytest.raises(RuntimeError, match=r"none\.h264"):
            await viewer.watch()
        await viewer.leave()
        assert await metric(address, "media_service_active_sessions") == 0


async def test_a_phone_that_cannot_be_connected_says_why(adb_server: RunningAdb) -> None:
    adb_devices = {"adb_devices": f"lobby=127.0.0.1:{free_port()}"}
    async with serve(settings(adb_server, **adb_devices), sources={}, demo=False) as serving:
        address = serving.address
        refused = r"'lobby' cannot be watched: adb is not connected to it yet: .*Connection refused"
        async with asyncio.timeout(20):
            while not re.search(refused, await _refusal(address, "lobby")):
                pass


async def _refusal(address: str, device: str) -> str:
    """Why it cannot be watched now."""
    viewer = AiortcViewer(address, device)
    with pytest.raises(RuntimeError) as refused:
        await viewer.watch()
    await viewer.leave()
    return str(refused.value)


async def test_a_port_in_use_is_named(adb_server: RunningAdb) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        with pytest.raises(CannotStart, match=f"cannot listen on 127.0.0.1:{number}"):
            async with serve(settings(adb_server, port=number), sources={}, demo=False):
                pass


async def test_a_small_send_buffer_is_told_with_the_remedy(adb_server: RunningAdb) -> None:
    port = await MediaPort.open(["127.0.0.1"], free_ports())
    size = port.send_buffer
    await port.aclose()
    with structlog.testing.capture_logs() as logs:
        async with serve(settings(adb_server), sources={}, demo=False):
            pass
    told = [(log["bytes"], log["remedy"]) for log in logs if "media port to send" in log["event"]]
    # What this machine grants decides; mostly it is all to a process that may administer the network.
    assert told == ([(size, f"sysctl -w net.core.wmem_max={SEND_BUFFER}")] if size < SEND_BUFFER else [])


async def test_no_free_media_port(adb_server: RunningAdb) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        number = other.getsockname()[1]
        narrow = settings(adb_server, ice_port_min=number, ice_port_max=number)
        with pytest.raises(NoMediaPort, match=f"no free media port in {number}..{number}"):
            async with serve(narrow, sources={}, demo=False):
                pass


async def test_without_adb_other_sources_still_play(clip_h264: Path, tmp_path: Path) -> None:
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    lonely = Settings.model_validate({"port": 0, "android_adb_server_port": free_port(), "adb_path": str(broken)})
    async with serve(lonely, sources={"clip": f"file:{clip_h264}"}, demo=False) as serving:
        address = serving.address
        async with AiortcViewer(address, "clip") as viewer:
            await viewer.watched(2)
        phone = AiortcViewer(address, "192.0.2.9:5555")
        with pytest.raises(RuntimeError, match="adb"):
            await phone.watch()
        await phone.leave()


async def test_a_viewer_who_never_finishes_is_given_up(adb_server: RunningAdb, clip_h264: Path) -> None:
    sources = {"clip": f"file:{clip_h264}"}
    async with serve(settings(adb_server), sources=sources, demo=False, connect_timeout=0.3) as serving:
        address = serving.address
        async with AiortcViewer(address, "clip") as other:
            await other.watched(1)
            silent = AiortcViewer(address, "clip")
            silent.connection.addTransceiver("video", direction="recvonly")
            await silent.connection.setLocalDescription(await silent.connection.createOffer())
            async with (
                aiohttp.ClientSession() as session,
                session.post(
                    f"{address}api/media/whep/clip",
                    data=silent.connection.localDescription.sdp,
                    headers={"Content-Type": "application/sdp"},
                ) as response,
            ):
                assert response.status == 201
            async with asyncio.timeout(10):
                while await metric(address, "media_service_active_sessions") > 1:
                    await asyncio.sleep(0.01)
            await silent.leave()
            await other.watched(5)
        assert await metric(address, "media_service_sessions_failed_total") == 1


async def test_a_phone_that_vanishes_and_comes_back_keeps_its_session(
    adb_server: RunningAdb, adb_client: AdbClient
) -> None:
    async with DemoPhone(PhoneSpec(name="shy", width=240, height=320, frame_rate=15)) as phone:
        adb_devices = {"adb_devices": phone.address}
        async with serve(settings(adb_server, **adb_devices), sources={}, demo=False) as serving:
            address = serving.address
            await online(address, phone.address)
            async with AiortcViewer(address, phone.address) as viewer:
                await viewer.watched(5)
                await phone.go_offline()
                await viewer.heard('"reconnecting"')
                await phone.come_online()
                await viewer.heard('"online"')
                await viewer.watched(5)
                assert await metric(address, "media_service_sessions_total") == 1
            await no_sessions(address)
        # The other tests' adb server need not remember it.
        await adb_client.disconnect(phone.address)

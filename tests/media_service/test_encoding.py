"""The whole service encodes pictures again, for those who need it and where it is told to."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from capture.adb.client import AdbClient
from capture.demo_phone.farm import DemoPhone
from capture.demo_phone.phone import PhoneSpec
from encoders.hardware import ACCELERATORS, try_encoder
from media_service.app import serve
from media_service.errors import CannotStart
from media_service.settings import Settings
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import metric, no_sessions, online
from tests.media_service.aiortc_viewer import AiortcViewer

pytestmark = pytest.mark.adb


def settings(adb: RunningAdb, **others: object) -> Settings:
    return Settings.model_validate({"port": 0, "android_adb_server_port": adb.port, **others})


@asynccontextmanager
async def reordering_phone(adb: RunningAdb, client: AdbClient, **others: object) -> AsyncIterator[tuple[str, str]]:
    """A service, and a demo phone of it whose encoder makes B-frames: the addresses of both."""
    async with DemoPhone(PhoneSpec(name="reordering", width=480, height=640, frame_rate=15)) as phone:
        phone.faults.b_frames = True
        async with serve(settings(adb, adb_devices=phone.address, **others), sources={}, demo=False) as serving:
            address = serving.address
            await online(address, phone.address)
            yield address, phone.address
        # The other tests' adb server need not remember it.
        await client.disconnect(phone.address)


async def _said(viewer: AiortcViewer, *parts: str) -> dict[str, object]:
    """The newest message on the data channel that contains all `parts`, once there is one."""
    async with asyncio.timeout(20):
        while True:
            for message in reversed(viewer.messages):
                if all(part in message for part in parts):
                    said: dict[str, object] = json.loads(message)
                    return said
            await asyncio.sleep(0.01)


async def test_a_phone_with_b_frames_is_shown_encoded_again(adb_server: RunningAdb, adb_client: AdbClient) -> None:
    async with reordering_phone(adb_server, adb_client, capture_mode="screenrecord") as (address, phone):
        async with AiortcViewer(address, phone) as viewer:
            await viewer.watched(10)
            said = await _said(viewer, '"stream-state"', '"encoded"')
            assert "B-frames" in str(said["qualityReason"])
            assert (said["quality"], said["levels"]) == ("480p", ["480p", "360p"])
            assert (said["state"], viewer.size) == ("screenrecord", (said["width"], said["height"]))
        await no_sessions(address)


async def test_passthrough_refuses_b_frames_with_the_reason(adb_server: RunningAdb, adb_client: AdbClient) -> None:
    others = {"capture_mode": "screenrecord", "video_encoder_type": "passthrough"}
    async with reordering_phone(adb_server, adb_client, **others) as (address, phone):
        viewer = AiortcViewer(address, phone)
        with pytest.raises(RuntimeError, match="B-frames"):
            await viewer.watch()
        await viewer.leave()


async def test_everybody_gets_encoded_pictures_where_it_is_set(adb_server: RunningAdb, clip_h264: Path) -> None:
    always = settings(adb_server, video_encoder_type="h264")
    async with serve(always, sources={"clip": f"file:{clip_h264}"}, demo=False) as serving:
        address = serving.address
        viewers = [AiortcViewer(address, "clip") for _ in range(2)]
        try:
            for viewer in viewers:
                await viewer.watch()
            for viewer in viewers:
                await viewer.watched(5)
                said = await _said(viewer, '"stream-state"', '"encoded"')
                assert said["qualityReason"] == "VIDEO_ENCODER_TYPE is h264"
            text = await _metrics(address)
            assert re.search(r'^media_service_rungs{level="\d+p"} 1\.0$', text, re.MULTILINE)
            assert re.search(r'^media_service_rung_viewers{level="\d+p"} 2\.0$', text, re.MULTILINE)
            assert await metric(address, "media_service_encoder_pictures_total") > 10
        finally:
            for viewer in viewers:
                await viewer.leave()
        await no_sessions(address)


async def test_a_viewer_chooses_and_is_told_what_it_gets(adb_server: RunningAdb) -> None:
    sources = {"test": "test:size=480x640,fps=30"}
    with structlog.testing.capture_logs() as logs:
        async with (
            serve(settings(adb_server), sources=sources, demo=False) as serving,
            AiortcViewer(serving.address, "test") as viewer,
        ):
            await viewer.watched(1)
            await viewer.heard('"stream-state"')
            await viewer.send(json.dumps({"type": "quality", "level": "360p"}))
            said = await _said(viewer, '"stream-state"', '"360p"', '"encoded"')
            while viewer.size != (360, 480):
                await viewer.watched(1)
            assert (said["qualityReason"], said["width"], said["height"]) == ("it was asked for", 360, 480)
            await viewer.send(json.dumps({"type": "stats"}))
            values = json.loads(await viewer.heard('"stats"'), parse_constant=pytest.fail)["stats"]
            assert (values["quality"], values["frameWidth"], values["frameHeight"]) == ("360p", 360, 480)
            await viewer.send(json.dumps({"type": "quality", "level": "1080p"}))
            await viewer.heard("quality_unavailable")
            for _ in range(10):
                await viewer.send(json.dumps({"type": "quality", "level": "360p"}))
            await viewer.send(json.dumps({"type": "quality", "level": "source"}))
            while viewer.size != (480, 640):
                await viewer.watched(1)
    changes = [log["quality"] for log in logs if log["event"] == "quality changed"]
    assert changes == ["360p", "source"], "who asks ten times for the same fills no log"


async def test_a_page_that_knows_its_path_says_so_before_the_media_flows(adb_server: RunningAdb) -> None:
    with structlog.testing.capture_logs() as logs:
        async with (
            serve(settings(adb_server), sources={"test": "test:size=480x640,fps=30"}, demo=False) as serving,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{serving.address}api/media/ws") as wire,
        ):
            await wire.send_json({"type": "join", "id": 1, "deviceId": "test"})
            offer = await wire.receive_json(timeout=20)
            await wire.send_json({"type": "quality", "level": "auto", "startBitrate": 60_000, "minBitrate": 50_000})
            viewer = AiortcViewer(serving.address, "test")
            await wire.send_json({"type": "answer", "id": 2, "sdp": await viewer.answer(offer["sdp"])})
            await viewer.watched(2)
            await wire.send_json({"type": "quality", "id": 3, "level": "auto", "minBitrate": 70_000})
            async with asyncio.timeout(10):
                while (said := await wire.receive_json()).get("id") != 3:
                    pass
            assert (said["type"], said["code"]) == ("error", "already_connected")
            await viewer.leave()
    joined = next(log for log in logs if log["event"] == "viewer joined")
    assert joined["quality"] == "360p", "though it is as near as can be"


async def test_an_encoder_that_is_insisted_on_and_does_not_work_ends_the_start(adb_server: RunningAdb) -> None:
    broken = [name for name in ACCELERATORS if not try_encoder(name).ok]
    if not broken:
        pytest.skip("every encoder works on this machine")
    expected = rf"H264_HW_ACCEL={broken[0]} does not work on this machine \({broken[0]}: .+\); use auto, or "
    with pytest.raises(CannotStart, match=expected):
        async with serve(settings(adb_server, h264_hw_accel=broken[0]), sources={}, demo=False):
            pass


async def test_metrics_are_as_prometheus_wants_them(adb_server: RunningAdb, clip_h264: Path) -> None:
    always = settings(adb_server, video_encoder_type="h264")
    async with serve(always, sources={"clip": f"file:{clip_h264}"}, demo=False) as serving:
        address = serving.address
        async with AiortcViewer(address, "clip") as viewer:
            await viewer.watched(3)
            text = await _metrics(address)
        families = {family.name: family for family in text_string_to_metric_families(text)}
        ours = [family for name, family in families.items() if name.startswith("media_service_")]
        assert len(ours) > 30
        for family in ours:
            assert family.documentation.endswith("."), family.name
            assert family.type in ("counter", "gauge", "histogram"), family.name
            assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name), family.name
            for sample in family.samples:
                assert sample.value == sample.value >= 0, sample
                assert len({*sample.labels}) == len(sample.labels), sample
        works = {sample.labels["encoder"]: sample.value for sample in families["media_service_encoder_works"].samples}
        assert works["libx264"] == 1
        for sample in families["media_service_encoder_works"].samples:
            assert sample.value or sample.labels["reason"]
        before = families["media_service_encoder_dropped"].samples
        await no_sessions(address)
        after = {tuple(each.labels.values()): each.value for each in await _samples(address, "encoder_dropped")}
        assert all(after[tuple(each.labels.values())] >= each.value for each in before), "counters never fall"


async def _metrics(address: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{address}metrics") as response:
        return await response.text()


async def _samples(address: str, name: str) -> list[Sample]:
    families = text_string_to_metric_families(await _metrics(address))
    return next(family.samples for family in families if family.name == f"media_service_{name}")

"""Settings of the encoders and their threads, by what viewers get and what is counted."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from aiortc.codecs import h264
from aiortc.jitterbuffer import JitterFrame
from av.frame import Frame

from media_service.app import serve
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import metric
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.service.outside import settings

pytestmark = pytest.mark.adb

SOURCES = {"a": "test:size=240x320,fps=30", "b": "test:size=240x320,fps=30"}
PATIENT = {"pipeline_encoding_timeout": "10s", "pipeline_writing_timeout": "10s"}


@asynccontextmanager
async def encoding(adb: RunningAdb, **others: object) -> AsyncIterator[tuple[str, Sequence[AiortcViewer]]]:
    """The address of a service that encodes everything, and two viewers, each of another device."""
    always = settings(adb, video_encoder_type="h264", **others)
    async with (
        serve(always, sources=SOURCES, demo=False) as serving,
        AiortcViewer(serving.address, "a") as first,
        AiortcViewer(serving.address, "b") as second,
    ):
        yield serving.address, (first, second)


async def counted(address: str, name: str) -> float:
    """What a metric says; 0 where it is not there yet."""
    with suppress(LookupError):
        return await metric(address, name)
    return 0.0


async def until_counted(address: str, name: str, *, stalls: float = 0.0) -> None:
    """Wait until it is; meanwhile the event loop does not turn for `stalls` seconds again and again."""
    async with asyncio.timeout(20):
        while not await counted(address, name):
            time.sleep(stalls)  # noqa: ASYNC251  # as something does that should not


async def test_pictures_that_take_too_long_replace_their_encoder(adb_server: RunningAdb) -> None:
    async with encoding(adb_server, pipeline_encoding_timeout="0.1ms") as (address, _):
        await until_counted(address, "media_service_encoders_replaced_total")


async def test_coded_pictures_that_wait_too_long_are_left_out(adb_server: RunningAdb) -> None:
    others = PATIENT | {"pipeline_writing_timeout": "0.001ms"}
    async with encoding(adb_server, **others) as (address, _):
        await until_counted(address, 'media_service_encoder_dropped_total{reason="late"}')


@pytest.mark.parametrize(
    ("buffer", "reason"), [("worker_input_buffer", "input_full"), ("worker_output_buffer", "output_full")]
)
async def test_buffers_are_as_small_as_is_wanted(adb_server: RunningAdb, buffer: str, reason: str) -> None:
    dropped = f'media_service_encoder_dropped_total{{reason="{reason}"}}'
    async with encoding(adb_server, **PATIENT, **{buffer: 1}) as (address, _):
        await until_counted(address, dropped, stalls=0.15)


@pytest.mark.parametrize(("shared", "threads"), [(True, 2), (False, 4)])
async def test_so_many_threads_encode(adb_server: RunningAdb, shared: bool, threads: int) -> None:
    others = {"use_worker_pool": shared, "worker_count": 2}
    async with encoding(adb_server, **PATIENT, **others) as (_, viewers):
        for viewer in viewers:
            await viewer.watched(1)
        workers = [each for each in threading.enumerate() if each.name.startswith("encoder-")]
        # A decoder and an encoder for each device, and one that watches over them.
        assert len(workers) == threads + 1


async def test_the_preset_is_in_the_coded_video(adb_server: RunningAdb, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []
    decode = h264.H264Decoder.decode

    def tapped(decoder: h264.H264Decoder, frame: JitterFrame) -> list[Frame]:
        received.append(frame.data)
        return decode(decoder, frame)

    monkeypatch.setattr(h264.H264Decoder, "decode", tapped)

    async def parameters(preset: str) -> bytes:
        """The sequence parameter set, which says how many pictures others are made from."""
        received.clear()
        async with encoding(adb_server, h264_preset=preset, **PATIENT):
            async with asyncio.timeout(20):
                while not received:
                    await asyncio.sleep(0.01)
        _, sps, _ = received[0].split(b"\0\0\0\1", 2)
        assert sps[0] & 31 == 7
        return sps

    fast = await parameters("ultrafast")
    assert await parameters("ultrafast") == fast
    assert await parameters("slow") != fast

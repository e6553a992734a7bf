"""Sound through a stream, and through the whole service to viewers who are not ours."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import aiohttp
import numpy as np
import pytest

from capture.source import Source
from encoders.audio_packet import AudioPacket
from media_service.app import serve
from media_service.rtc.egress import Egress
from media_service.settings import Settings
from media_service.stream import Stream
from signaling.jsep import AudioTrack
from tests.fixtures.adb import RunningAdb
from tests.fixtures.service import metric, no_sessions
from tests.media_service.aiortc_viewer import AiortcViewer
from tests.media_service.pushed_source import PushedSource
from tests.rtc.joined import JoinedEnds, joined_ends
from tests.rtc.samples import TRACK
from tests.waiting import until

AUDIO = AudioTrack(mid="2", ssrc=0x33333333, payload_type=111, mid_extension=4)


@pytest.fixture
async def joined() -> AsyncIterator[JoinedEnds]:
    ends = await joined_ends()
    yield ends
    await ends.dtls.aclose()


async def test_sound_goes_on_when_the_source_is_another_one(joined: JoinedEnds) -> None:
    sources: list[PushedSource] = []

    async def open_source() -> Source:
        sources.append(PushedSource(has_audio=len(sources) == 0))
        return sources[-1]

    egress = Egress(lambda _: None)
    stream = Stream("phone-1", open_source, egress, lambda _: None)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(stream.run())
        await until(lambda: sources)
        sources[0].keyframe()
        await stream.ready(10)
        assert stream.has_audio
        viewer = joined.viewer(TRACK, egress, audio=AUDIO)
        stream.renditions.add(viewer, ("42e01f",))
        begin = time.monotonic()
        for index in range(3):
            sources[0].on_audio(AudioPacket(b"first", begin + 0.02 * index, 0.02))
        sources[0].end()
        await until(lambda: len(sources) == 2)
        sources[1].keyframe()
        await until(lambda: stream.pictures == 2)
        # Its own times begin a little before the other one's ended.
        for index in range(3):
            sources[1].on_audio(AudioPacket(b"second", begin - 1 + 0.02 * index, 0.02))
        running.cancel()
    sound = [packet for packet in joined.received() if packet.ssrc == AUDIO.ssrc]
    assert [packet.payload for packet in sound] == [b"first"] * 3 + [b"second"] * 3
    assert {after.timestamp - before.timestamp & 0xFFFFFFFF for before, after in pairwise(sound)} == {960}
    assert {after.sequence_number - before.sequence_number & 0xFFFF for before, after in pairwise(sound)} == {1}
    assert [packet.marker for packet in sound] == [1, 0, 0, 1, 0, 0]
    egress.close()


@pytest.fixture
async def address(adb_server: RunningAdb) -> AsyncIterator[str]:
    """Of a service with a source that beeps and one that does not."""
    settings = Settings.model_validate({"port": 0, "android_adb_server_port": adb_server.port})
    sources = {"beeping": "test:size=180x320,fps=10,audio=on", "silent": "test:size=180x320,fps=10"}
    async with serve(settings, sources=sources, demo=False) as serving:
        address = serving.address
        yield address


def loudness(viewer: AiortcViewer) -> float:
    """The loudest sample so far, 0..1."""
    return max((float(np.abs(frame.to_ndarray().astype(float)).max()) / 32768 for frame in viewer.sound), default=0.0)


@pytest.mark.adb
async def test_a_viewer_hears_the_beep(address: str) -> None:
    async with AiortcViewer(address, "beeping", wants_sound=True) as viewer:
        await until(lambda: len(viewer.sound) >= 3 and loudness(viewer) > 0.2)
        # aiortc plays one channel after the other: 20 ms of two.
        assert [frame.samples for frame in viewer.sound[:3]] == [960] * 3
        first, second = (frame.pts for frame in viewer.sound[:2])
        assert first is not None
        assert second == first + 960
        await viewer.watched(3)
        assert await metric(address, "media_service_audio_packets_sent_total") > 0
        assert await metric(address, "media_service_audio_bytes_sent_total") > 0
    await no_sessions(address)
    assert await metric(address, "media_service_audio_packets_sent_total") > 0, "what was sent is still counted"


@pytest.mark.adb
async def test_a_source_without_sound_sends_none(address: str) -> None:
    async with AiortcViewer(address, "silent", wants_sound=True) as viewer:
        await viewer.watched(3)
        directions = {each.kind: each.currentDirection for each in viewer.connection.getTransceivers()}
        assert directions["video"] == "recvonly"
        assert directions["audio"] != "recvonly"
        assert await metric(address, "media_service_audio_packets_sent_total") == 0


@pytest.mark.adb
async def test_sound_that_nobody_hears_is_not_sent(address: str) -> None:
    async with AiortcViewer(address, "beeping", wants_sound=True) as viewer:
        await until(lambda: viewer.sound)
        await viewer.heard("online")  # the channel is open
        await viewer.send('{"type": "sound", "action": "off"}')
        sent = -1.0
        while sent != (sent := await metric(address, "media_service_audio_packets_sent_total")):
            await viewer.watched(2)
        heard = len(viewer.sound)
        await viewer.send('{"type": "sound", "action": "on"}')
        await until(lambda: len(viewer.sound) > heard)


@pytest.mark.adb
async def test_our_offer_has_the_sound(address: str) -> None:
    viewer = AiortcViewer(address, "beeping")
    try:
        async with aiohttp.ClientSession(f"{address}api/media/") as client, client.ws_connect("ws") as socket:
            await socket.send_json({"type": "join", "deviceId": "beeping"})
            while (message := await socket.receive_json(timeout=20))["type"] != "offer":
                pass
            offer = message["sdp"]
            assert offer.index("m=video") < offer.index("m=application") < offer.index("m=audio")
            answer = await viewer.answer(offer)
            await socket.send_json({"type": "answer", "sdp": answer, "sessionId": message["sessionId"]})
            await until(lambda: loudness(viewer) > 0.2)
    finally:
        await viewer.leave()

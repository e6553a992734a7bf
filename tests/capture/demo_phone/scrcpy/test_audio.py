"""The sound of scrcpy's server, decoded; and the strip on the screen says whether it is in time."""

import asyncio
import time
from itertools import pairwise
from statistics import median

import av
import numpy as np
import numpy.typing as npt
import pytest

from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.strip import read_strip
from tests.capture.demo_phone.pictures import decode, luma
from tests.capture.demo_phone.scrcpy.client import Packet, Server, Stream, server

RATE = 48_000
HEAD = b"OpusHead" + bytes.fromhex("01 02 3801 80bb0000 0000 00")
PRE_SKIP = 0x0138
"""Samples that an Opus decoder is late, as the header says (RFC 7845 section 4.2)."""

ONLY_AUDIO = "video=false control=false log_level=debug"


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Phone:
    return Phone(getattr(request, "param", PhoneSpec(width=240, height=320)))


async def audio(running: Server, codec: bytes) -> Stream:
    (connection,) = await running.connect(1)
    assert await connection.read(4) == codec
    return Stream(connection, running.version)


def median_gap(packets: list[Packet]) -> float:
    """Microseconds from one packet to the next; where the machine is busy, a few may be lost between."""
    return median(later.pts - earlier.pts for earlier, later in pairwise(packets))


def beep_began(samples: npt.NDArray[np.int16]) -> int:
    """Which of the samples of one channel is the first of a beep: the first loud one after some quiet ones."""
    (loud,) = np.nonzero(np.abs(samples.astype(int)) > 4000)
    quiet = np.diff(loud, prepend=0)
    return int(loud[quiet > 1000][0])


def decoded(head: bytes, packets: list[bytes]) -> npt.NDArray[np.int16]:
    """The first channel."""
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = RATE, "stereo"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    pieces = [frame.to_ndarray().reshape(-1, 2)[:, 0] for frame in frames]
    return np.concatenate(pieces).astype(np.int16)


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
async def test_opus(phone: Phone, version: str) -> None:
    async with server(phone, version, ONLY_AUDIO) as running:
        stream = await audio(running, b"opus")
        config = await stream.packet()
        assert isinstance(config, Packet)
        assert config.is_config
        assert config.data == HEAD
        packets = await stream.pictures(20)
    assert not any(packet.is_keyframe for packet in packets)
    assert abs(median_gap(packets) - 20_000) <= 1
    assert -5 < phone.booted_at + packets[-1].pts / 1e6 - time.monotonic() < 0
    assert b"Using audio encoder: 'c2.android.opus.encoder'" in running.run.output


async def test_raw_samples(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_AUDIO, "audio_codec=raw") as running:
        stream = await audio(running, b"\0raw")
        packets = await stream.pictures(10)
    for packet in packets:
        assert not packet.is_config
        assert len(packet.data) == 1024 * 2 * 2
    assert abs(median_gap(packets) - 1024 / 0.048) <= 1


@pytest.mark.parametrize("codec", ["opus", "raw"])
async def test_the_beep_is_heard_when_the_strip_passes_the_second(phone: Phone, codec: str) -> None:
    seconds = 1.2
    async with server(phone, "3.3.4", "control=false", f"audio_codec={codec}") as running:
        await running.connect(2)
        stream, sound = await running.video(), Stream(running.connections[1], "3.3.4")
        assert await sound.connection.read(4) == codec.encode().rjust(4, b"\0")
        video: list[Packet] = []
        pieces: list[Packet] = []

        async def watch() -> None:
            while len(video) < 2 or video[-1].pts - video[1].pts < seconds * 1e6:
                packet = await stream.packet()
                assert isinstance(packet, Packet)
                video.append(packet)

        async def listen() -> None:
            while not pieces or pieces[-1].pts - pieces[0].pts < seconds * 1e6:
                pieces.append(await sound.picture())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watch())
            tasks.create_task(listen())

    # On the clock of the packets' times, the strip tells where a whole second is...
    frames = decode(b"".join(packet.data for packet in video))
    now = int(time.time() * 1000)
    seconds_by_strip = [
        packet.pts / 1e6 - (now - (now - read_strip(luma(frame)).drawn_at) % 2**32) % 1000 / 1000
        for packet, frame in zip(video[1:], frames, strict=True)
    ]
    first = seconds_by_strip[0]
    second = first + median((other - first + 0.5) % 1.0 - 0.5 for other in seconds_by_strip)
    # ... and the sound where the beep is.
    if codec == "opus":
        samples, late = decoded(HEAD, [packet.data for packet in pieces]), PRE_SKIP
    else:
        raw = b"".join(packet.data for packet in pieces)
        samples, late = np.frombuffer(raw, "<i2").reshape(-1, 2)[:, 0], 0
    beep = (pieces[0].pts / 1e6 + (beep_began(samples) - late) / RATE) % 1.0
    assert abs((beep - second + 0.5) % 1.0 - 0.5) < 0.005


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
@pytest.mark.parametrize("codec", ["opus", "raw"])
@pytest.mark.parametrize("phone", [PhoneSpec(width=240, height=320, sdk=29)], indirect=True)
async def test_before_android_11_it_is_disabled_and_the_video_goes_on(phone: Phone, version: str, codec: str) -> None:
    async with server(phone, version, "control=false", f"audio_codec={codec}") as running:
        _, sound = await running.connect(2)
        assert await sound.read(4) == bytes(4)
        await (await running.video()).pictures(3)
    assert running.run.errors == b"[server] WARN: Audio disabled: it is not supported before Android 11\n"


@pytest.mark.parametrize(
    ("version", "code", "exit_code"),
    [("3.3.3", b"\0\0\0\0", None), ("3.3.4", b"\0\0\0\0", 137), ("4.1", b"\0\0\0\1", 137)],
)
@pytest.mark.parametrize("codec", ["opus", "aac"])
async def test_without_an_encoder_for_it(
    phone: Phone, version: str, code: bytes, exit_code: int | None, codec: str
) -> None:
    """Since 3.3.4 the whole server ends: what no thread catches kills the process."""
    phone.faults.no_opus = True
    async with server(phone, version, "control=false", f"audio_codec={codec}") as running:
        _, sound = await running.connect(2)
        assert await sound.read(4) == code
        if exit_code is None:
            await (await running.video()).pictures(3)
        else:
            assert await running.ended() == exit_code
    errors = running.run.errors.decode()
    assert f"[server] ERROR: Could not create default audio encoder for {codec}\nList of audio encoders:" in errors


async def test_alone_it_ends_with_the_sound(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_AUDIO) as running:
        stream = await audio(running, b"opus")
        await stream.packets(2)
        await running.connections[0].close()
        assert await running.ended() == 0


async def test_a_bit_rate_that_no_codec_has(phone: Phone) -> None:
    async with server(phone, "3.3.4", ONLY_AUDIO, "audio_bit_rate=1") as running:
        (connection,) = await running.connect(1)
        assert await connection.read(4) == bytes(4)
        assert await running.ended() == 137

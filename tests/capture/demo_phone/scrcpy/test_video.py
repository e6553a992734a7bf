"""The video of scrcpy's server, decoded."""

import time
from statistics import median

import pytest

from capture.demo_phone.phone import Phone, PhoneSpec
from capture.demo_phone.strip import read_strip
from capture.demo_phone.touches import Motion
from encoders.annexb import split_nal_units
from encoders.h264 import NalUnitType, nal_unit_type
from tests.capture.demo_phone.pictures import decode, luma
from tests.capture.demo_phone.scrcpy.client import Packet, Session, Stream, server

VERSIONS = ("3.0", "3.3.4", "4.0", "4.1")
QUIET = "audio=false control=false log_level=debug"

SPS_PPS = [NalUnitType.SPS, NalUnitType.PPS]


@pytest.fixture
def phone(request: pytest.FixtureRequest) -> Phone:
    return Phone(getattr(request, "param", PhoneSpec(width=240, height=320)))


still = pytest.mark.parametrize("phone", [PhoneSpec(width=240, height=320, still=True)], indirect=True)


def kinds(packet: Packet | Session) -> list[NalUnitType | int]:
    assert isinstance(packet, Packet)
    return [nal_unit_type(nal) for nal in split_nal_units(packet.data)]


def sizes(packets: list[Packet]) -> set[tuple[int, int]]:
    return {(frame.width, frame.height) for frame in decode(b"".join(packet.data for packet in packets))}


async def begin(stream: Stream, size: tuple[int, int]) -> list[Packet]:
    """What a run of the encoder begins with: since 4.0 a session, then parameter sets, then an IDR picture."""
    packet = await stream.packet()
    if isinstance(packet, Session):
        assert (packet.width, packet.height) == size
        packet = await stream.packet()
    assert isinstance(packet, Packet)
    assert packet.is_config
    assert kinds(packet) == SPS_PPS
    picture = await stream.packet()
    assert isinstance(picture, Packet)
    assert picture.is_keyframe
    assert kinds(picture) == [NalUnitType.IDR_SLICE]
    return [packet, picture]


@pytest.mark.parametrize("version", ["3.0", "3.3.4"])
async def test_before_4_the_header_has_the_size(phone: Phone, version: str) -> None:
    async with server(phone, version, QUIET) as running:
        (video,) = await running.connect(1)
        assert await video.read(12) == bytes.fromhex("68323634 000000f0 00000140")
        assert await video.read(8) == bytes.fromhex("80000000 00000000")


@pytest.mark.parametrize("version", ["4.0", "4.1"])
async def test_since_4_a_session_has_the_size(phone: Phone, version: str) -> None:
    async with server(phone, version, QUIET) as running:
        (video,) = await running.connect(1)
        assert await video.read(4) == b"h264"
        assert await video.read(12) == bytes.fromhex("80000000 000000f0 00000140")
        assert await video.read(8) == bytes.fromhex("40000000 00000000")


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_picture_can_be_decoded_and_says_when_it_was_drawn(phone: Phone, version: str) -> None:
    async with server(phone, version, QUIET) as running:
        stream = await running.video()
        packets = await begin(stream, (240, 320))
        packets += await stream.pictures(20)
    strips = [read_strip(luma(frame)) for frame in decode(b"".join(packet.data for packet in packets))]
    pictures = packets[1:]
    assert len(strips) == len(pictures)
    assert not any(packet.is_keyframe or packet.is_config for packet in pictures[1:])
    offset = time.time() - time.monotonic()
    shown_at = [(phone.booted_at + packet.pts / 1e6 + offset) * 1000 % 2**32 for packet in pictures]
    differences = [abs(at - strip.drawn_at) for at, strip in zip(shown_at, strips, strict=True)]
    assert median(differences) < 5


async def test_times_are_of_the_phones_own_clock(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET) as running:
        picture = await (await running.video()).picture()
    assert 0 <= time.monotonic() - phone.booted_at - picture.pts / 1e6 < 5


@still
async def test_a_still_screen_is_repeated_ten_times(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET) as running:
        stream = await running.video()
        (_, first) = await begin(stream, (240, 320))
        repeated = await stream.pictures(10)
        gaps = [later.pts - earlier.pts for earlier, later in zip([first, *repeated], repeated, strict=False)]
        assert all(abs(gap - 100_000) <= 1 for gap in gaps)
        # Nothing follows but what is new.
        phone.touch(Motion.DOWN, 10, 10)
        new = await stream.picture()
        assert new.pts > repeated[-1].pts
    assert not any(packet.is_keyframe for packet in [*repeated, new])


@still
@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
async def test_a_reset_begins_anew_at_once_even_on_a_still_screen(phone: Phone, version: str) -> None:
    async with server(phone, version, "audio=false") as running:
        _, control = await running.connect(2)
        stream = await running.video()
        (config, first) = await begin(stream, (240, 320))
        await stream.pictures(10)
        await control.write(b"\x11")
        (config_again, again) = await begin(stream, (240, 320))
        assert config_again.data == config.data
        assert again.pts > first.pts + 900_000  # not the old picture's time
    assert b"[server] INFO: Video capture reset\n" in running.run.output


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
async def test_a_turned_screen_begins_anew_with_the_other_size(phone: Phone, version: str) -> None:
    async with server(phone, version, QUIET) as running:
        stream = await running.video()
        await begin(stream, (240, 320))
        phone.rotate(1)
        while True:
            packet = await stream.packet()
            if isinstance(packet, Session) or packet.is_config:
                break
        if isinstance(packet, Session):
            assert packet == Session(320, 240)
            packet = await stream.packet()
        assert isinstance(packet, Packet)
        assert packet.is_config
        pictures = await stream.pictures(3)
    assert pictures[0].is_keyframe
    assert sizes([packet, *pictures]) == {(320, 240)}


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
@pytest.mark.parametrize("phone", [PhoneSpec(width=360, height=780)], indirect=True)
async def test_a_smaller_video_was_asked_for(phone: Phone, version: str) -> None:
    async with server(phone, version, QUIET, "max_size=600") as running:
        stream = await running.video()
        size = (280, 600) if version == "3.3.4" else (276, 600)
        packets = await begin(stream, size)
    assert sizes(packets) == {size}


@pytest.mark.parametrize(
    ("version", "word", "infos"),
    [
        ("3.0", "Encoding", ["Retrying with -m800..."]),
        ("3.3.4", "Capture/encoding", ["Retrying with -m800..."]),
        ("4.1", "Capture/encoding", ["Applying video encoder constraints", "Retrying with -m800..."]),
    ],
)
@pytest.mark.parametrize("phone", [PhoneSpec(width=480, height=960)], indirect=True)
async def test_an_encoder_that_refuses_the_size_gets_smaller_ones(
    phone: Phone, version: str, word: str, infos: list[str]
) -> None:
    phone.faults.largest_video = 900
    async with server(phone, version, QUIET, "log_level=info") as running:
        await running.connect(1)
        packets = await begin(await running.video(), (400, 800))
    assert sizes(packets) == {(400, 800)}
    failure = f"[server] ERROR: {word} error: android.media.MediaCodec$CodecException: Error 0x80001001"
    assert running.run.errors.decode().splitlines() == [failure] * len(infos)
    assert running.run.output.decode().splitlines()[1:] == [f"[server] INFO: {info}" for info in infos]


@pytest.mark.parametrize("phone", [PhoneSpec(width=480, height=960)], indirect=True)
async def test_the_header_before_4_has_the_size_that_was_refused(phone: Phone) -> None:
    phone.faults.largest_video = 900
    async with server(phone, "3.3.4", QUIET) as running:
        (video,) = await running.connect(1)
        assert await video.read(12) == bytes.fromhex("68323634 000001e0 000003c0")


@pytest.mark.parametrize(("version", "exit_code"), [("3.3.3", 0), ("3.3.4", 137), ("4.1", 137)])
@pytest.mark.parametrize("fault", ["largest_video", "no_encoder"])
async def test_without_an_encoder_that_takes_any_size_it_ends(
    phone: Phone, version: str, exit_code: int, fault: str
) -> None:
    phone.faults.no_encoder = fault == "no_encoder"
    phone.faults.largest_video = 100 if fault == "largest_video" else None
    async with server(phone, version, QUIET) as running:
        await running.connect(1)
        assert await running.ended() == exit_code
    errors = running.run.errors.decode()
    assert "[server] ERROR: Exception on thread Thread[video,5,main]\n" in errors
    if fault == "no_encoder":
        assert "[server] ERROR: Could not create default video encoder for h264\nList of video encoders:\n" in errors
        assert "java.lang.IllegalArgumentException: Failed to initialize video/avc" in errors
    else:
        assert "android.media.MediaCodec$CodecException: Error 0x80001001" in errors


async def test_an_encoder_that_is_not_there(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET, "video_encoder=OMX.x") as running:
        await running.connect(1)
        assert await running.ended() == 0
    assert b"Video encoder 'OMX.x' for h264 not found\nList of video encoders:\n" in running.run.errors


async def test_fewer_pictures_were_asked_for(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET, "max_fps=10") as running:
        pictures = await (await running.video()).pictures(6)
    assert pictures[-1].pts - pictures[0].pts > 490_000


async def test_it_crashes(phone: Phone) -> None:
    phone.faults.scrcpy_dies_after = 3
    async with server(phone, "3.3.4", QUIET) as running:
        stream = await running.video()
        await stream.pictures(3)
        with pytest.raises(EOFError):
            await stream.picture()
        assert await running.ended() == 137
    assert b"\njava.lang.OutOfMemoryError: Failed to allocate" in running.run.errors
    assert b"\n\tat com.genymobile.scrcpy" in running.run.errors


async def test_one_that_runs_crashes_when_it_is_told_to(phone: Phone) -> None:
    async with server(phone, "3.3.4", QUIET) as running:
        await (await running.video()).pictures(3)
        phone.faults.scrcpy_dies_after = 0
        assert await running.ended() == 137


async def test_it_ends_in_the_middle_of_a_header(phone: Phone) -> None:
    phone.faults.scrcpy_truncates_after = 3
    async with server(phone, "3.3.4", QUIET) as running:
        stream = await running.video()
        await stream.pictures(3)
        with pytest.raises(EOFError) as caught:
            await stream.picture()
        assert len(caught.value.args[0]) == 6


async def test_a_frame_of_two_gigabytes(phone: Phone) -> None:
    phone.faults.scrcpy_oversizes_after = 3
    async with server(phone, "4.1", QUIET) as running:
        stream = await running.video()
        await stream.pictures(3)
        assert (await stream.connection.read(12))[8:] == bytes.fromhex("7fffffff")


@pytest.mark.parametrize("version", ["3.3.4", "4.1"])
async def test_another_sps_in_the_middle_comes_in_a_config_packet(phone: Phone, version: str) -> None:
    phone.faults.sps_changes_after = 3
    async with server(phone, version, QUIET) as running:
        stream = await running.video()
        (first_config, _) = await begin(stream, (240, 320))
        await stream.pictures(2)
        config, picture = await stream.packets(2)
        assert isinstance(config, Packet)
        assert isinstance(picture, Packet)
        assert config.is_config
        assert config.data != first_config.data
        assert picture.is_keyframe
    assert sizes([config, picture]) == {(120, 160)}


async def test_reordered_pictures_have_their_times(phone: Phone) -> None:
    phone.faults.b_frames = True
    async with server(phone, "3.3.4", QUIET) as running:
        stream = await running.video()
        config = await stream.packet()
        pictures = await stream.pictures(11)
    assert isinstance(config, Packet)
    times = [packet.pts for packet in pictures]
    assert times != sorted(times)
    assert len(set(times)) == len(times)
    shown = [read_strip(luma(frame)).drawn_at for frame in decode(config.data + b"".join(p.data for p in pictures))]
    first, *_ = sorted(times)
    offsets = [(pts - first) / 1000 - (at - shown[0]) for pts, at in zip(sorted(times), shown, strict=True)]
    assert median(map(abs, offsets)) < 5

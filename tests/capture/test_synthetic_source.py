"""`test:`: a drawn screen, encoded here."""

import asyncio
import threading
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import InvalidSource
from capture.source import Source
from capture.synthetic_source import SyntheticVideo, open_synthetic, parse_synthetic_video
from encoders.access_unit import AccessUnit
from encoders.audio_packet import AudioPacket
from encoders.bit_reader import BitReader
from encoders.h264 import parse_sps
from tests.capture.source_contract import TIMEOUT, SourceContract, decode, take


def frame_number(access_unit: AccessUnit, sps: bytes) -> tuple[int, int]:
    """frame_num of the picture's slice, and how many there are before it begins again (H.264 section 7.3.3)."""
    reader = BitReader(sps[4:])
    reader.unsigned()  # seq_parameter_set_id; the baseline profile has nothing between this and the next
    length = reader.unsigned() + 4  # log2_max_frame_num_minus4
    reader = BitReader(access_unit.nal_units[-1][1:16].replace(b"\x00\x00\x03", b"\x00\x00"))
    for _ in range(3):  # first_mb_in_slice, slice_type, pic_parameter_set_id
        reader.unsigned()
    return reader.bits(length), 1 << length


class TestSoundContract(SourceContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[Source]:
        source = await open_synthetic("size=180x320,fps=60,audio=on")
        source.on_audio = lambda packet: None
        yield source
        await source.aclose()


class TestSound:
    async def test_it_is_heard_while_there_is_an_iteration(self) -> None:
        source = await open_synthetic("size=180x320,fps=60,audio=on")
        assert source.facts.has_audio
        packets: list[AudioPacket] = []
        source.on_audio = packets.append
        pictures = aiter(source)
        access_units = []
        async with asyncio.timeout(TIMEOUT):
            while len(packets) < 5:
                access_units.append(await anext(pictures))
        await source.aclose()
        count = len(packets)
        assert all(after.captured_at > before.captured_at for before, after in pairwise(packets))
        # Both are of one clock: sound and pictures were captured at the same time.
        assert abs(packets[-1].captured_at - access_units[-1].captured_at) < TIMEOUT
        await asyncio.sleep(0)
        assert len(packets) == count

    async def test_there_is_none_unless_it_is_asked_for(self) -> None:
        source = await open_synthetic("size=180x320")
        assert not source.facts.has_audio
        await source.aclose()


class TestContract(SourceContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[Source]:
        source = await open_synthetic("size=180x320,fps=60")
        yield source
        await source.aclose()


class TestPictures:
    async def test_the_size_that_was_asked_for(self) -> None:
        source = await open_synthetic("size=320x180,fps=60")
        access_units = await take(source, 3)
        await source.aclose()
        sps = parse_sps(access_units[0].nal_units[0])
        assert (sps.width, sps.height, sps.frame_rate, sps.may_reorder) == (320, 180, 60, False)
        assert [(frame.width, frame.height) for frame in decode(access_units)] == [(320, 180)] * 3

    async def test_the_screen_moves(self) -> None:
        source = await open_synthetic("size=180x320,fps=30")
        frames = [frame.to_ndarray().tobytes() for frame in decode(await take(source, 4))]
        await source.aclose()
        assert len(set(frames)) == 4

    async def test_a_cancelled_wait_leaves_no_gap_in_what_is_decoded(self) -> None:
        source = await open_synthetic("size=180x320,fps=120")
        pictures = aiter(source)
        access_units: list[AccessUnit] = []
        async with asyncio.timeout(TIMEOUT):
            while len(access_units) < 60:
                try:
                    async with asyncio.timeout(0.004 + len(access_units) % 10 / 1000):
                        access_units.append(await anext(pictures))
                except TimeoutError:
                    pass
        await source.aclose()
        sps = access_units[0].nal_units[0]
        for before, after in pairwise(access_units):
            (number, count), (next_number, _) = frame_number(before, sps), frame_number(after, sps)
            assert next_number == (0 if after.is_keyframe else (number + 1) % count)

    async def test_its_thread_ends_with_it(self) -> None:
        threads_of_others = set(threading.enumerate())
        source = await open_synthetic("size=180x320")
        await take(source, 2)
        (worker,) = set(threading.enumerate()) - threads_of_others
        await source.aclose()
        await asyncio.to_thread(worker.join, TIMEOUT)
        assert not worker.is_alive()


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ("", SyntheticVideo(720, 1280, 30, 2_000_000)),
            ("size=360x640", SyntheticVideo(360, 640, 30, 2_000_000)),
            ("size=360x640,fps=15,bitrate=800000", SyntheticVideo(360, 640, 15, 800_000)),
            ("bitrate=10000,fps=120", SyntheticVideo(720, 1280, 120, 10_000)),
            ("audio=on", SyntheticVideo(720, 1280, 30, 2_000_000, has_audio=True)),
            ("audio=on,audio=off", SyntheticVideo()),
        ],
    )
    def test_good_ones(self, options: str, expected: SyntheticVideo) -> None:
        assert parse_synthetic_video(options) == expected

    @pytest.mark.parametrize(
        "options",
        [
            "size=0x0",
            "size=360",
            "size=360x640x2",
            "size=-360x640",
            "size=360x\u0666\u0664\u0660",
            "fps=0",
            "fps=121",
            "fps=29.97",
            "bitrate=9999",
            "bitrate=2M",
            "colour=red",
            "audio=yes",
            "audio",
            "720x1280",
            "size = 360x640",
        ],
    )
    async def test_bad_ones_say_what_is_allowed(self, options: str) -> None:
        with pytest.raises(InvalidSource) as raised:
            await open_synthetic(f"fps=30,{options}")
        assert repr(options) in str(raised.value)
        assert "size=WIDTHxHEIGHT" in str(raised.value)
        assert "fps=1 to 120" in str(raised.value)

    @pytest.mark.parametrize("size", ["361x640", "360x641", "10x10", "9000x640"])
    async def test_sizes_that_the_encoder_refuses(self, size: str) -> None:
        with pytest.raises(InvalidSource, match=r"must be even, 16 to 8192"):
            await open_synthetic(f"size={size}")

    @given(st.text(alphabet="sizefpbtrae=x0123456789,", max_size=30))
    def test_any_text(self, options: str) -> None:
        try:
            parse_synthetic_video(options)
        except InvalidSource:
            pass

"""`file:`: recordings loop with their own timing, and what cannot be played says why."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capture.clip import ClipPicture, read_clip
from capture.errors import CaptureError, InvalidSource, SourceEnded
from capture.file_source import FileSource, open_file
from capture.source import Source
from capture.worker_thread import WorkerThread
from encoders.access_unit import AccessUnit
from encoders.annexb import AnnexBParser, split_nal_units, to_annexb
from encoders.h264 import NalUnitType, nal_unit_type
from tests.capture.source_contract import TIMEOUT, SourceContract, decode, take
from tests.fixtures.media import CLIP_PICTURES, encode_x264, write_container


def clip_pictures(path: Path, frame_rate: float | None = None) -> list[ClipPicture]:
    return list(read_clip(path, frame_rate))


class TestContractForRawH264(SourceContract):
    @pytest.fixture
    async def source(self, clip_h264: Path) -> AsyncIterator[Source]:
        source = await open_file(f"{clip_h264}?fps=100")
        yield source
        await source.aclose()


class TestContractForMp4(SourceContract):
    @pytest.fixture
    async def source(self, clip_mp4: Path) -> AsyncIterator[Source]:
        source = await open_file(str(clip_mp4))
        yield source
        await source.aclose()


class TestContractForARealRecording(SourceContract):
    @pytest.fixture
    async def source(self, android_recording: Path) -> AsyncIterator[Source]:
        source = await open_file(str(android_recording))
        yield source
        await source.aclose()


class TestLoop:
    @pytest.mark.parametrize("clip", ["clip_h264", "clip_mp4"])
    async def test_pictures_and_times_go_on_over_the_seam(
        self, clip: str, request: pytest.FixtureRequest, tmp_path: Path
    ) -> None:
        short = tmp_path / "short.mkv"
        if clip == "clip_h264":
            source = await open_file(f"{request.getfixturevalue(clip)}?fps=240")
            pictures = clip_pictures(request.getfixturevalue(clip), 240.0)
        else:
            write_container(short, "main", [number * 500 for number in range(20)])
            source = await open_file(str(short))
            pictures = clip_pictures(short)
        access_units = await take(source, 2 * len(pictures) + 5)
        await source.aclose()
        expected = (pictures * 3)[: len(access_units)]
        assert [unit.nal_units for unit in access_units] == [picture.nal_units for picture in expected]
        times = [unit.captured_at for unit in access_units]
        pauses = [after - before for before, after in pairwise(times)]
        assert pauses == pytest.approx([picture.duration for picture in expected[:-1]], abs=0.002)
        assert len(decode(access_units)) == len(access_units)

    async def test_a_clip_of_one_picture(self, tmp_path: Path) -> None:
        path = tmp_path / "one.h264"
        path.write_bytes(encode_x264(64, 64, 1)[0])
        source = await open_file(f"{path}?fps=240")
        access_units = await take(source, 40)
        await source.aclose()
        assert [unit.is_keyframe for unit in access_units] == [True] * 40
        assert len({unit.captured_at for unit in access_units}) == 40

    async def test_pictures_come_at_their_time(self, clip_mp4: Path) -> None:
        source = await open_file(str(clip_mp4))
        started = time.monotonic()
        access_units = await take(source, 10)
        assert time.monotonic() - started >= access_units[-1].captured_at - access_units[0].captured_at - 0.005
        await source.aclose()

    async def test_a_cancelled_wait_loses_no_picture(self, clip_h264: Path) -> None:
        source = await open_file(f"{clip_h264}?fps=240")
        pictures = aiter(source)
        access_units: list[AccessUnit] = []
        async with asyncio.timeout(TIMEOUT):
            while len(access_units) < 80:
                try:
                    async with asyncio.timeout(0.002):
                        access_units.append(await anext(pictures))
                except TimeoutError:
                    pass
        await source.aclose()
        expected = (clip_pictures(clip_h264) * 2)[:80]
        assert [unit.nal_units for unit in access_units] == [picture.nal_units for picture in expected]

    async def test_a_small_file_is_read_once(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.h264"
        path.write_bytes(b"".join(encode_x264(64, 64, 20)))
        source = await open_file(f"{path}?fps=240")
        await take(source, 20)
        path.unlink()
        access_units = await take(source, 50)
        assert len(access_units) == 50
        await source.aclose()

    async def test_a_large_file_that_vanishes_ends_the_source(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.h264"
        path.write_bytes(b"".join(encode_x264(64, 64, 200)))
        source = FileSource(path, 240.0, WorkerThread("large"), kept_bytes=1000)
        await source.read_ahead()
        path.unlink()
        with pytest.raises(SourceEnded, match=r"clip\.h264 does not exist"):
            await take(source, 400)
        await source.aclose()


class TestTiming:
    def test_raw_h264_by_its_sps(self, clip_h264: Path) -> None:
        assert {picture.duration for picture in clip_pictures(clip_h264)} == {1 / 30}

    def test_raw_h264_at_a_given_rate(self, clip_h264: Path) -> None:
        assert {picture.duration for picture in clip_pictures(clip_h264, 12.5)} == {0.08}

    def test_raw_h264_that_says_nothing(self, android_recording: Path) -> None:
        assert {picture.duration for picture in clip_pictures(android_recording)} == {1 / 30}

    def test_a_container_by_its_timestamps(self, clip_mp4: Path) -> None:
        durations = [picture.duration for picture in clip_pictures(clip_mp4)]
        assert len(durations) == CLIP_PICTURES
        # Pictures 0, 5, 10, … are 1/60 s late: a short pause follows them, and a long one comes before.
        pattern = [1 / 60, 1 / 30, 1 / 30, 1 / 30, 1 / 20]
        assert durations[:-1] == pytest.approx((pattern * 20)[: len(durations) - 1], abs=0.001)
        assert durations[-1] > 0

    @pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "flv", "avi", "mov"])
    def test_containers(self, ending: str, tmp_path: Path) -> None:
        path = tmp_path / f"clip.{ending}"
        write_container(path, "high", [number * 3000 for number in range(35)])
        pictures = clip_pictures(path)
        assert len(pictures) == 35
        assert [number for number, picture in enumerate(pictures) if picture.is_keyframe] == [0, 30]
        assert sum(picture.duration for picture in pictures) == pytest.approx(35 / 30, abs=0.02)
        for picture in pictures:
            types = [nal_unit_type(nal) for nal in picture.nal_units]
            assert NalUnitType.ACCESS_UNIT_DELIMITER not in types
            if picture.is_keyframe:
                assert types[:2] == [NalUnitType.SPS, NalUnitType.PPS]

    def test_reordered_pictures_are_played_in_decoding_order(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        write_container(path, "high", [number * 3000 for number in range(35)], b_frames=2)
        pictures = clip_pictures(path)
        assert [picture.duration for picture in pictures] == pytest.approx([1 / 30] * 35, abs=0.001)

    def test_a_break_in_the_timestamps_is_no_pause_of_hours(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mkv"
        write_container(path, "high", [number * 3000 + (90_000 * 7200 if number >= 5 else 0) for number in range(10)])
        assert sum(picture.duration for picture in clip_pictures(path)) < 1


class TestBeginning:
    def test_pictures_before_the_first_keyframe_are_left_out(self, tmp_path: Path) -> None:
        packets = encode_x264(64, 64, 20, x264="bframes=0")
        path = tmp_path / "cut.h264"
        path.write_bytes(b"".join(packets[3:]))
        pictures = clip_pictures(path)
        assert pictures[0].is_keyframe
        assert len(pictures) == 12

    def test_text_before_the_first_start_code_is_left_out(self, tmp_path: Path, clip_h264: Path) -> None:
        path = tmp_path / "shell.h264"
        path.write_bytes(b"WARNING: linker: something\n" + clip_h264.read_bytes())
        assert clip_pictures(path) == clip_pictures(clip_h264)

    def test_keyframes_get_the_parameter_sets_that_came_once(self, tmp_path: Path, clip_h264: Path) -> None:
        nal_units = split_nal_units(clip_h264.read_bytes())
        sets = nal_units[:2]
        path = tmp_path / "once.h264"
        path.write_bytes(to_annexb([*sets, *(nal for nal in nal_units if nal not in sets)]))
        assert clip_pictures(path) == clip_pictures(clip_h264)

    def test_a_real_recording(self, android_recording: Path) -> None:
        pictures = clip_pictures(android_recording)
        parser = AnnexBParser()
        units = [*parser.feed(android_recording.read_bytes(), 0.0), *parser.flush()]
        assert [picture.nal_units for picture in pictures] == [unit.nal_units for unit in units]
        assert [picture.is_keyframe for picture in pictures] == [True] + [False] * 84


class TestBadInput:
    @pytest.mark.parametrize(
        ("rest", "message"),
        [
            ("", r"'file:' names no file: it must be file:PATH or file:PATH\?fps=RATE"),
            ("?fps=30", "names no file"),
            ("a\0b", "names no file"),
            ("clip.h264?fps=0", "'fps=0': only fps=RATE is allowed, with RATE from 1 to 240"),
            ("clip.h264?fps=241", "fps=241"),
            ("clip.h264?fps=fast", "fps=fast"),
            ("clip.h264?loop=1", "loop=1"),
        ],
    )
    async def test_what_is_no_file_uri(self, rest: str, message: str) -> None:
        with pytest.raises(InvalidSource, match=message):
            await open_file(rest)

    async def test_a_rate_for_a_container(self, clip_mp4: Path) -> None:
        with pytest.raises(InvalidSource, match=r"fps is for raw H.264 only, .*clip.mp4 .* has its own timing"):
            await open_file(f"{clip_mp4}?fps=30")

    async def test_a_question_mark_in_the_name(self, tmp_path: Path, clip_h264: Path) -> None:
        path = tmp_path / "who?.h264"
        path.symlink_to(clip_h264)
        source = await open_file(f"{path}?")
        assert len(await take(source, 2)) == 2
        await source.aclose()

    async def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(SourceEnded, match=r"nowhere\.mp4 does not exist"):
            await open_file(str(tmp_path / "nowhere.mp4"))

    async def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(SourceEnded, match="is not a file"):
            await open_file(str(tmp_path))

    async def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(SourceEnded, match="pipe is not a file"):
            await open_file(str(tmp_path / "pipe"))

    async def test_a_name_that_no_file_can_have(self) -> None:
        with pytest.raises(SourceEnded, match="name too long"):
            await open_file("x" * 5000)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "has no H.264 picture"),
            (b"#!/bin/sh\necho this is no video\n" * 50, "is neither raw H.264"),
            (bytes(range(256)) * 100, "is neither raw H.264"),
            (b"\x00\x00\x00\x01", "is neither raw H.264"),
            (b"\x00\x00\x00\x01\x09\x10" * 100, "has no H.264 picture"),
            (b"\x00\x00\x00\x01\x41\x9a\x10\x20" * 100, "has no keyframe .* among its first 100 pictures"),
            (b"\x00\x00\x00\x01\x41\x9a\x10\x20" * 4000, "has no keyframe .* among its first 3000 pictures"),
            (b"\x00\x00\x00\x01\x65\x88\x10\x20" * 4, "a keyframe came, but no sequence parameter set"),
            (b"\x00\x00\x00\x01\x67\x42\x00\x00\x00\x01\x65\x88\x10\x20", "the payload ends"),
            (b"\x00\x00\x00\x01\x65\x88" + b"\x55" * 9_000_000, "a picture is longer than 8388608 bytes"),
        ],
        ids=["empty", "text", "bytes", "start code", "delimiters", "no IDR", "long", "no SPS", "broken SPS", "endless"],
    )  # fmt: skip
    async def test_what_cannot_be_played(self, content: bytes, message: str, tmp_path: Path) -> None:
        path = tmp_path / "clip.h264"
        path.write_bytes(content)
        with pytest.raises(SourceEnded, match=f"clip.h264 {message}|clip.h264 is no H.264 .*{message}"):
            await open_file(str(path))

    async def test_a_container_without_h264(self, tmp_path: Path) -> None:
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=30)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
            container.mux(stream.encode(None))
        with pytest.raises(SourceEnded, match=r"clip\.mkv has no H\.264 video, only mpeg4"):
            await open_file(str(path))

    @pytest.mark.parametrize("length", [100, 2000, 5000])
    def test_a_truncated_container(self, clip_mp4: Path, tmp_path: Path, length: int) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(clip_mp4.read_bytes()[:length])
        with pytest.raises(CaptureError, match=r"clip\.mp4"):
            clip_pictures(path)

    def test_metadata_that_is_no_utf8(self, clip_mp4: Path, tmp_path: Path) -> None:
        path = tmp_path / "clip.mp4"
        path.write_bytes(clip_mp4.read_bytes().replace(b"ftypisom", b"ftyp\xe9som", 1))
        assert clip_pictures(path) == clip_pictures(clip_mp4)

    @settings(max_examples=40)
    @given(
        clip=st.sampled_from(["clip_h264", "clip_mp4"]),
        changes=st.lists(st.tuples(st.integers(0, 2**20), st.binary(min_size=1, max_size=8)), min_size=1, max_size=8),
        end=st.integers(0, 2**20),
    )
    def test_a_damaged_file_raises_nothing_else(
        self, clip_h264: Path, clip_mp4: Path, clip: str, changes: list[tuple[int, bytes]], end: int
    ) -> None:
        whole = clip_h264 if clip == "clip_h264" else clip_mp4
        content = bytearray(whole.read_bytes())
        for place, damage in changes:
            start = place % len(content)
            content[start : start + len(damage)] = damage
        path = whole.with_name(f"damaged{whole.suffix}")
        path.write_bytes(content[: max(1, end % (2 * len(content)))])
        try:
            for picture in read_clip(path, None):
                assert picture.nal_units
                assert 0.001 <= picture.duration <= 10
        except CaptureError as error:
            assert path.name in str(error)  # noqa: PT017  it may just as well not be raised

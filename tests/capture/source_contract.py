"""What every source promises, as tests.

class TestMySource(SourceContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[Source]:
        source = await open_my_source("…")   # open, and not iterated yet
        yield source
        await source.aclose()
"""

import asyncio
import time
from typing import ClassVar

import av
import pytest

from capture.errors import CaptureError
from capture.source import Source
from encoders.access_unit import AccessUnit
from encoders.annexb import to_annexb
from encoders.h264 import NalUnitType, nal_unit_type

TIMEOUT = 20.0
"""Seconds for anything that must happen; far more than it takes."""


async def take(source: Source, count: int) -> list[AccessUnit]:
    """The first `count` access units of a new iteration."""
    access_units: list[AccessUnit] = []
    async with asyncio.timeout(TIMEOUT):
        async for access_unit in source:
            access_units.append(access_unit)
            if len(access_units) == count:
                break
    return access_units


def decode(access_units: list[AccessUnit]) -> list[av.VideoFrame]:
    """All pictures; raises when a single one has an error."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"err_detect": "explode"}
    decoder.thread_count = 1
    frames: list[av.VideoFrame] = []
    for access_unit in access_units:
        frames += decoder.decode(av.Packet(to_annexb(access_unit.nal_units)))
    return frames + decoder.decode(None)


class SourceContract:
    """The promises of `capture.source.Source`."""

    pictures: ClassVar[int] = 12
    """How many pictures a test takes where the number does not matter."""

    async def test_the_first_access_unit_is_a_keyframe(self, source: Source) -> None:
        assert [unit.is_keyframe for unit in await take(source, 1)] == [True]

    async def test_every_keyframe_carries_its_parameter_sets(self, source: Source) -> None:
        for access_unit in await take(source, self.pictures):
            types = [nal_unit_type(nal) for nal in access_unit.nal_units]
            assert access_unit.is_keyframe == (NalUnitType.IDR_SLICE in types)
            if access_unit.is_keyframe:
                idr = types.index(NalUnitType.IDR_SLICE)
                assert types.index(NalUnitType.SPS) < types.index(NalUnitType.PPS) < idr

    async def test_captured_at_never_goes_back_and_is_recent(self, source: Source) -> None:
        before = time.monotonic()
        times = [unit.captured_at for unit in await take(source, self.pictures)]
        assert times == sorted(times)
        assert before - 1.0 <= times[0]
        assert times[-1] <= time.monotonic()

    async def test_every_access_unit_is_one_decodable_picture(self, source: Source) -> None:
        access_units = await take(source, self.pictures)
        assert len(decode(access_units)) == len(access_units)

    async def test_a_second_iteration_begins_with_a_keyframe_too(self, source: Source) -> None:
        await take(source, 3)
        again = await take(source, 3)
        assert again[0].is_keyframe
        assert len(decode(again)) == 3

    async def test_the_facts_are_complete(self, source: Source) -> None:
        facts = source.facts
        assert source.facts is facts, "each other one is news to everybody who watches"
        assert facts.kind == facts.kind.strip().lower() != ""
        assert facts.reason.strip()

    async def test_a_keyframe_request_never_blocks_or_raises(self, source: Source) -> None:
        source.request_keyframe()
        before = await take(source, 2)
        for _ in range(100):
            source.request_keyframe()
        after = await take(source, self.pictures)
        assert len(decode(before)) == 2
        assert len(decode(after)) == self.pictures
        await source.aclose()
        source.request_keyframe()

    async def test_a_keyframe_comes_on_demand(self, source: Source) -> None:
        if not source.facts.keyframe_on_demand:
            pytest.skip(f"{source.facts.kind} has no keyframes on demand")
        pictures = aiter(source)
        async with asyncio.timeout(TIMEOUT):
            for _ in range(3):
                await anext(pictures)
            source.request_keyframe()
            assert any([(await anext(pictures)).is_keyframe for _ in range(5)])

    async def test_closing_ends_a_running_iteration(self, source: Source) -> None:
        begun = asyncio.Event()

        async def watch() -> int:
            count = 0
            async for _ in source:
                count += 1
                begun.set()
            return count

        async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(watch())
            await begun.wait()
            await source.aclose()
        assert watcher.result() >= 1

    async def test_closing_again_changes_nothing(self, source: Source) -> None:
        await take(source, 1)
        await source.aclose()
        await source.aclose()
        try:
            assert await take(source, 1) == []
        except CaptureError:
            pass

    async def test_closing_before_the_first_picture(self, source: Source) -> None:
        await source.aclose()
        try:
            assert await take(source, 1) == []
        except CaptureError:
            pass

    async def test_no_task_is_left_running(self, source: Source) -> None:
        tasks_of_others = asyncio.all_tasks()
        await take(source, 3)
        await source.aclose()
        assert asyncio.all_tasks() <= tasks_of_others

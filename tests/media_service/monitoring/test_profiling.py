"""Profiles of this process over real HTTP."""

import asyncio
import json
import re
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import quote

import pytest
import uvloop
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from media_service.monitoring import cpu_profile, task_stacks
from media_service.monitoring.cpu_profile import CpuProfile, Sample
from media_service.monitoring.profiling import PREFIX, Profiling, whole_number
from media_service.monitoring.sliced import sliced
from signaling import http
from signaling.errors import MalformedMessage
from tests.signaling.memory_service import Client, MemoryService
from tests.waiting import until


@asynccontextmanager
async def served() -> AsyncIterator[Client]:
    app = http.application(MemoryService())
    for name, handler in Profiling().routes.items():
        app.router.add_get(PREFIX + name, handler)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served() as client:
        yield client


def a_function_that_takes_long() -> None:
    end = time.perf_counter() + 0.004
    while time.perf_counter() < end:
        sum(range(100))


@asynccontextmanager
async def working() -> AsyncIterator[None]:
    """The event loop has something to do in the block."""

    async def work() -> None:
        while True:
            a_function_that_takes_long()
            await asyncio.sleep(0.002)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        yield
        task.cancel()


async def get(client: Client, path: str) -> str:
    async with client.get(PREFIX + path) as response:
        text = await response.text()
        assert response.status == 200, text
        return text


async def speedscope_of(client: Client) -> None:
    async with working():
        profile = json.loads(await get(client, "profile?seconds=1"))
    assert profile["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames, (one,) = profile["shared"]["frames"], profile["profiles"]
    assert one["type"] == "sampled"
    assert len(one["samples"]) == len(one["weights"]) > 0
    assert all(0 <= index < len(frames) for stack in one["samples"] for index in stack)
    assert one["endValue"] == pytest.approx(sum(one["weights"]), abs=0.01)
    (long,) = [number for number, frame in enumerate(frames) if frame["name"] == "a_function_that_takes_long"]
    assert frames[long]["file"] == __file__
    assert frames[long]["line"] == a_function_that_takes_long.__code__.co_firstlineno
    seconds = sum(weight for stack, weight in zip(one["samples"], one["weights"], strict=True) if long in stack)
    # Two thirds of the time, where the machine has nothing else to do.
    assert seconds > 0.1 * one["endValue"]


@pytest.mark.parametrize("new_loop", [uvloop.new_event_loop, asyncio.new_event_loop])
def test_a_cpu_profile_shows_what_takes_long(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def profile() -> None:
        async with served() as client:
            await speedscope_of(client)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(profile())


async def test_a_cpu_profile_as_text(client: Client) -> None:
    async with working():
        text = await get(client, "profile?seconds=1&format=text")
    assert "a_function_that_takes_long" in text
    assert "Duration: " in text


async def test_a_cpu_profile_as_a_page(client: Client) -> None:
    async with working(), client.get(f"{PREFIX}profile?seconds=1&format=html") as response:
        assert response.content_type == "text/html"
        assert "a_function_that_takes_long" in await response.text()


async def test_one_profile_at_a_time(client: Client) -> None:
    async with asyncio.TaskGroup() as group:
        first = group.create_task(get(client, "profile?seconds=1"))
        await until(lambda: sys.getprofile() is not None)
        for path in ("profile?seconds=1", "heap?seconds=1"):
            async with client.get(PREFIX + path) as response:
                problem = await response.json(content_type="application/problem+json")
            assert (response.status, problem["code"]) == (409, "profile_running")
            assert "a CPU profile of 1 s is being taken" in problem["error"]
        await get(client, "goroutine")
    assert first.result()
    assert sys.getprofile() is None
    await get(client, "heap?seconds=0")


@pytest.mark.parametrize(
    "path",
    [
        "profile?seconds=0",
        "profile?seconds=121",
        "profile?seconds=-1",
        "profile?seconds=1.5",
        "profile?seconds=",
        "profile?seconds=%D9%A3",
        "profile?seconds=99999999999999999999",
        "profile?seconds=1&format=svg",
        "heap?seconds=121",
        "heap?seconds=x",
        "goroutine?debug=0",
        "goroutine?debug=3",
    ],
)
async def test_a_bad_value_is_named_with_what_is_allowed(client: Client, path: str) -> None:
    async with client.get(PREFIX + path) as response:
        problem = await response.json(content_type="application/problem+json")
    assert (response.status, problem["code"]) == (400, "bad_request")
    assert re.fullmatch(r"(seconds|format|debug) is '.*': it must be .*", problem["error"])


@given(st.text() | st.integers(-10, 1000).map(str))
def test_any_text_is_a_number_within_its_bounds_or_refused(text: str) -> None:
    request = make_mocked_request("GET", f"/?seconds={quote(text, errors='replace')}")
    with suppress(MalformedMessage):
        number = whole_number(request, "seconds", 5, 1, 120)
        assert 1 <= number <= 120
        assert number == int(text)


async def test_what_is_allocated_meanwhile_and_stays_is_told_by_line(client: Client) -> None:
    kept = []
    async with asyncio.TaskGroup() as group:
        profile = group.create_task(get(client, "heap?seconds=1"))
        await until(tracemalloc.is_tracing)
        kept.append(bytearray(5_000_000))
    body = json.loads(profile.result())
    allocated = body["allocated"]
    largest = allocated["lines"][0]
    assert largest["where"].startswith(__file__)
    assert largest["bytes"] >= len(kept[0])
    assert allocated["bytes"] >= sum(each["bytes"] for each in allocated["lines"])
    assert body["process"]["resident"] > len(kept[0])
    assert body["process"]["pythonBlocks"] > 0
    assert not tracemalloc.is_tracing()


class Waiting:
    """Tasks that wait in something that waits."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def outer(self) -> None:
        await self.inner()

    async def inner(self) -> None:
        async for _ in self.items():
            pass

    async def items(self) -> AsyncIterator[int]:
        await self.gate.wait()
        yield 1


@asynccontextmanager
async def waiting(count: int) -> AsyncIterator[None]:
    waits = Waiting()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(waits.outer(), name=f"waiting {number}")
        await asyncio.sleep(0)
        yield
        waits.gate.set()


async def test_every_task_is_a_line(client: Client) -> None:
    lines = (await get(client, "goroutine?debug=1")).splitlines()
    before = len([line for line in lines if line.startswith("goroutine")])
    assert lines[0] == f"goroutine profile: total {before - 1}"
    async with waiting(30):
        lines = (await get(client, "goroutine?debug=1")).splitlines()
        await get(client, "goroutine")
    count = len([line for line in lines if line.startswith("goroutine")])
    assert lines[0] == f"goroutine profile: total {count - 1}"
    assert len([line for line in lines if re.match(r"goroutine \d+ \[waiting\]: Waiting\.outer at ", line)]) == 30
    assert len([line for line in lines if re.match(r"30 @ Waiting\.outer at Event\.wait \S+locks\.py:\d+", line)]) == 1


async def test_the_stacks_of_tasks_and_threads(client: Client) -> None:
    async with waiting(1):
        text = await get(client, "goroutine?debug=2")
    (stack,) = re.findall(r"goroutine \d+ \[waiting\]: waiting 0\n(.*?)\n\n", text, re.DOTALL)
    functions = re.findall(r"^(\S+)\(\)$", stack, re.MULTILINE)
    assert functions == ["Waiting.outer", "Waiting.inner", "Waiting.items", "Event.wait"]
    assert f"\t{__file__}:" in stack
    assert re.search(r"^thread \d+ \[MainThread\]:\n", text, re.MULTILINE)


async def test_an_index(client: Client) -> None:
    text = await get(client, "")
    for path in re.findall(r'href="([a-z][^":]*)"', text):
        assert path.partition("?")[0] in Profiling().routes


async def test_long_work_gives_others_a_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(other())
        async for _ in sliced(range(20)):
            a_function_that_takes_long()
        task.cancel()
    assert turns >= 19


async def test_the_task_that_asks_is_the_one_that_runs() -> None:
    lines = [line async for line in task_stacks.grouped()]
    assert len([line for line in lines if line.startswith("goroutine ") and "[running]" in line]) == 1


FRAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00\x01"), max_size=5).map(
    lambda name: f"{name}\x00{name}.py\x007\x01l9\x01cOwner"
)
SAMPLES = st.lists(st.tuples(st.lists(FRAMES, max_size=4), st.floats(0, 10)), max_size=20)


@given(SAMPLES)
def test_any_samples_make_a_speedscope_file(samples: list[Sample]) -> None:
    profile = json.loads(asyncio.run(cpu_profile.speedscope(CpuProfile(samples, 0.0, 1.0, 1.0, ()), 'a "name"')))
    frames, (one,) = profile["shared"]["frames"], profile["profiles"]
    shown = [[frames[index]["name"] for index in stack] for stack in one["samples"]]
    assert shown == [["Owner." + frame.partition("\x00")[0] for frame in stack] for stack, _ in samples]
    assert all(frame["line"] == 7 for frame in frames)

"""From threads to the event loop: order, one wake-up for many, and what happens when the loop does not keep up."""

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass, field

import pytest

from encoders.output_buffer import OutputBuffer
from tests.waiting import until


@dataclass
class Loop:
    """What came out, in the loop."""

    items: list[str] = field(default_factory=list)
    overflows: int = 0
    threads: set[int] = field(default_factory=set)

    def deliver(self, item: str) -> None:
        self.threads.add(threading.get_ident())
        self.items.append(item)

    def overflowed(self) -> None:
        self.threads.add(threading.get_ident())
        self.overflows += 1


def buffer(target: Loop, limit: int = 3, loop: asyncio.AbstractEventLoop | None = None) -> OutputBuffer[str]:
    return OutputBuffer(
        loop or asyncio.get_running_loop(), limit, target.deliver, target.overflowed, is_keyframe=str.isupper
    )


async def test_items_of_a_thread_come_out_in_order_in_the_loops_thread() -> None:
    target = Loop()
    output = buffer(target, limit=1000)
    expected = [f"p{number}" for number in range(500)]

    def put() -> None:
        for item in expected:
            output.put(item)

    await asyncio.to_thread(put)
    await until(lambda: len(target.items) == 500)
    assert target.items == expected
    assert target.threads == {threading.get_ident()}
    assert (output.waiting, output.drops, target.overflows) == (0, Counter(), 0)


async def test_the_loop_is_woken_once_for_all_that_waits() -> None:
    loop = asyncio.get_running_loop()
    woken = []

    class CountedLoop(asyncio.SelectorEventLoop):
        def call_soon_threadsafe(self, *args: object, **kwargs: object) -> asyncio.Handle:
            woken.append(args)
            return loop.call_soon_threadsafe(*args, **kwargs)  # type: ignore[arg-type]  # as they came

    counted = CountedLoop()
    target = Loop()
    output = buffer(target, limit=10, loop=counted)
    for item in "Ipp":
        output.put(item)
    assert (len(woken), output.waiting) == (1, 3)
    await until(lambda: len(target.items) == 3)
    output.put("p")
    assert len(woken) == 2
    await until(lambda: len(target.items) == 4)
    counted.close()


async def test_a_full_buffer_drops_up_to_the_next_keyframe_and_says_so_once() -> None:
    target = Loop()
    output = buffer(target)
    for item in "Ippppp":
        output.put(item)
    assert (output.waiting, output.drops) == (0, {"output_full": 4, "awaits_keyframe": 2})
    await until(lambda: target.overflows == 1)
    for item in "ppIpp":
        output.put(item)
    await until(lambda: len(target.items) == 3)
    assert target.items == ["I", "p", "p"]
    assert output.drops == {"output_full": 4, "awaits_keyframe": 4}
    assert target.overflows == 1


async def test_a_keyframe_takes_the_place_of_what_waits() -> None:
    target = Loop()
    output = buffer(target)
    for item in "ippIp":
        output.put(item)
    await until(lambda: len(target.items) == 2)
    assert target.items == ["I", "p"]
    assert output.drops == {"output_full": 3}
    assert target.overflows == 0


async def test_a_keyframe_that_comes_before_the_loop_turned() -> None:
    target = Loop()
    output = buffer(target)
    for item in "IppppIp":
        output.put(item)
    await until(lambda: target.overflows == 1)
    assert target.items == ["I", "p"]


async def test_nothing_comes_after_the_end() -> None:
    target = Loop()
    output = buffer(target, limit=10)

    def close_at_second(item: str) -> None:
        target.deliver(item)
        if item == "b":
            output.close()

    output = OutputBuffer(
        asyncio.get_running_loop(), 10, close_at_second, target.overflowed, is_keyframe=lambda item: False
    )
    for item in "abcd":
        output.put(item)
    await until(lambda: output.drops.total() == 2)
    output.put("e")
    output.close()
    assert target.items == ["a", "b"]
    assert output.drops == {"closed": 3}


async def test_an_overflow_is_not_told_after_the_end() -> None:
    target = Loop()
    output = buffer(target, limit=1)
    output.put("p")
    output.put("p")
    output.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (target.items, target.overflows) == ([], 0)


def test_a_closed_loop_is_survived() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    target = Loop()
    output = buffer(target, loop=loop)
    for item in "Ipp":
        output.put(item)
    assert target.items == []
    assert output.drops == {"closed": 3}


async def test_a_limit_that_is_none() -> None:
    with pytest.raises(ValueError, match="limit is 0: it must be 1 or more"):
        buffer(Loop(), limit=0)

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


@dataclass
class Clock:
    """Monotonic seconds that stand still until they are set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def timed(target: Loop, clock: Clock, limit: int = 10) -> OutputBuffer[str]:
    """A buffer whose items may wait for 0.1 s."""
    return OutputBuffer(
        asyncio.get_running_loop(),
        limit,
        target.deliver,
        target.overflowed,
        is_keyframe=str.isupper,
        longest_wait=0.1,
        clock=clock,
    )


async def test_what_waited_too_long_is_dropped_with_all_that_builds_on_it() -> None:
    target, clock = Loop(), Clock()
    output = timed(target, clock)
    for item in "abc":
        output.put(item)
        clock.now += 0.05
    await until(lambda: target.overflows == 1)
    assert (target.items, output.drops) == ([], {"late": 3})
    for item in "deIf":
        output.put(item)
    await until(lambda: len(target.items) == 2)
    assert (target.items, target.overflows) == (["I", "f"], 1)
    assert output.drops == {"late": 3, "awaits_keyframe": 2}


async def test_what_waited_just_long_enough_is_delivered() -> None:
    target, clock = Loop(), Clock(now=0.0)
    output = timed(target, clock)
    output.put("a")
    clock.now = 0.1
    await until(lambda: target.items)
    assert (target.items, target.overflows, output.drops) == (["a"], 0, Counter())


async def test_a_loop_that_is_always_late_gets_the_newest_keyframe_and_what_follows_it() -> None:
    target, clock = Loop(), Clock()
    output = timed(target, clock)
    for item in "aIbJcd":
        output.put(item)
    clock.now += 5.0
    await until(lambda: len(target.items) == 3)
    assert (target.items, target.overflows) == (["J", "c", "d"], 0)
    assert output.drops == {"late": 3}


async def test_what_waits_when_the_buffer_is_full_is_not_counted_twice() -> None:
    target, clock = Loop(), Clock()
    output = timed(target, clock, limit=2)
    for item in "Iabc":
        output.put(item)
    clock.now += 1.0
    await until(lambda: target.overflows == 1)
    assert (target.items, output.drops) == ([], {"output_full": 3, "awaits_keyframe": 1})


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


@pytest.mark.parametrize("wait", [0.0, -1.0, float("nan")])
async def test_a_wait_that_is_none(wait: float) -> None:
    with pytest.raises(ValueError, match=r"longest_wait is .* seconds: it must be above 0"):
        OutputBuffer[str](asyncio.get_running_loop(), 1, print, print, is_keyframe=str.isupper, longest_wait=wait)

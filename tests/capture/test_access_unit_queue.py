import asyncio

from capture.access_unit_queue import AccessUnitQueue
from encoders.access_unit import AccessUnit


def picture(number: int, *, key: bool = False) -> AccessUnit:
    return AccessUnit((b"\x65" if key else b"\x41",), float(number), key)


async def drain(queue: AccessUnitQueue) -> list[int]:
    queue.end()
    numbers = []
    while (access_unit := await queue.get()) is not None:
        numbers.append(int(access_unit.captured_at))
    return numbers


async def test_pictures_come_out_as_they_went_in() -> None:
    queue = AccessUnitQueue(5)
    for number in range(5):
        queue.put(picture(number, key=number == 0))
    assert await drain(queue) == [0, 1, 2, 3, 4]
    assert queue.dropped == 0


async def test_a_full_queue_drops_up_to_the_next_keyframe() -> None:
    queue = AccessUnitQueue(3)
    for number in range(5):
        queue.put(picture(number, key=number == 0))
    assert queue.awaits_keyframe
    assert await queue.get() == picture(0, key=True)
    queue.put(picture(5))  # There is room, but it builds on pictures that were dropped.
    assert queue.dropped == 3
    queue.put(picture(6, key=True))
    queue.put(picture(7))
    assert await drain(queue) == [6, 7]
    assert queue.dropped == 5


async def test_a_keyframe_makes_room_for_itself() -> None:
    queue = AccessUnitQueue(2)
    for number in range(3):
        queue.put(picture(number, key=True))
    assert await drain(queue) == [2]
    assert queue.dropped == 2


async def test_a_reader_that_begins_gets_a_keyframe_first() -> None:
    queue = AccessUnitQueue(9)
    for number in range(5):
        queue.put(picture(number, key=number == 3))
    queue.skip_to_keyframe()
    assert not queue.awaits_keyframe
    assert await drain(queue) == [3, 4]
    assert queue.dropped == 3


async def test_a_reader_that_begins_on_an_empty_queue_waits_for_a_keyframe() -> None:
    queue = AccessUnitQueue(9)
    queue.put(picture(0))
    queue.skip_to_keyframe()
    queue.put(picture(1))
    queue.put(picture(2, key=True))
    assert await drain(queue) == [2]


async def test_a_waiting_reader_is_woken() -> None:
    queue = AccessUnitQueue(9)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(queue.get())
        await asyncio.sleep(0)
        queue.put(picture(0, key=True))
        queue.put(picture(1))
    assert reading.result() == picture(0, key=True)
    assert await queue.get() == picture(1)


async def test_the_end_wakes_a_waiting_reader_too() -> None:
    queue = AccessUnitQueue(9)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(queue.get())
        await asyncio.sleep(0)
        queue.end()
    assert reading.result() is None


async def test_a_reader_that_gives_up_takes_nothing_with_it() -> None:
    queue = AccessUnitQueue(9)
    reading = asyncio.get_running_loop().create_task(queue.get())
    await asyncio.sleep(0)
    queue.put(picture(0, key=True))
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert await queue.get() == picture(0, key=True)

"""What waits to be sent on a slow socket."""

import asyncio

import pytest

from signaling.outbox import Outbox


async def drain(outbox: Outbox) -> list[str]:
    return [await outbox.next() for _ in range(len(outbox))]


async def test_in_order() -> None:
    outbox = Outbox(4)
    outbox.push("stats", "1")
    outbox.reply("2")
    outbox.push("stats", "3")
    assert await drain(outbox) == ["1", "2", "3"]


async def test_next_waits() -> None:
    outbox = Outbox(4)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outbox.next())
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.reply("1")
    assert waiting.result() == "1"


async def test_the_oldest_push_gives_way() -> None:
    outbox = Outbox(3)
    outbox.reply("reply 1")
    outbox.push("stats", "old")
    outbox.push("device-state", "newer")
    outbox.push("stats", "newest")
    outbox.reply("reply 2")
    assert outbox.dropped == {"stats": 1, "device-state": 1}
    assert await drain(outbox) == ["reply 1", "newest", "reply 2"]
    assert not outbox.is_overrun


async def test_replies_are_never_dropped() -> None:
    outbox = Outbox(2)
    outbox.reply("1")
    outbox.reply("2")
    outbox.push("stats", "push")
    assert outbox.dropped == {"stats": 1}
    assert (outbox.is_overrun, len(outbox)) == (False, 2)
    outbox.reply("3")
    assert (outbox.is_overrun, len(outbox)) == (True, 2)
    assert await drain(outbox) == ["1", "2"]


@pytest.mark.parametrize("count", [1, 1000])
async def test_it_is_bounded(count: int) -> None:
    outbox = Outbox(8)
    for number in range(count):
        outbox.push("stats", str(number))
    assert len(outbox) == min(count, 8)
    assert outbox.dropped["stats"] == count - len(outbox)

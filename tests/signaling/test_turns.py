"""Who is let in when, counted in turns of the event loop."""

import asyncio

import pytest

from signaling.turns import AT_ONCE, Turns


class Loop:
    """Counts the turns of the event loop, as long as it is asked to."""

    def __init__(self) -> None:
        self.turn = 0
        self._handle = asyncio.get_running_loop().call_soon(self._count)

    def _count(self) -> None:
        self.turn += 1
        self._handle = asyncio.get_running_loop().call_soon(self._count)

    def stop(self) -> None:
        self._handle.cancel()


async def let_in(count: int) -> list[tuple[int, int]]:
    """Who was let in, in order, with the turn of the event loop."""
    turns, loop, found = Turns(), Loop(), []

    async def one(number: int) -> None:
        await turns.take()
        found.append((number, loop.turn))

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
    loop.stop()
    return found


@pytest.mark.parametrize("count", [1, AT_ONCE])
async def test_a_few_do_not_wait(count: int) -> None:
    assert len({turn for _, turn in await let_in(count)}) == 1


@pytest.mark.parametrize("count", [AT_ONCE + 1, 10 * AT_ONCE, 10 * AT_ONCE + 1])
async def test_of_many_a_few_are_let_in_per_turn_in_the_order_in_which_they_came(count: int) -> None:
    found = await let_in(count)

    assert [number for number, _ in found] == list(range(count))
    by_turn = [[number for number, turn in found if turn == each] for each in sorted({turn for _, turn in found})]
    assert max(map(len, by_turn)) == AT_ONCE
    assert len(by_turn) == -(-count // AT_ONCE)


async def test_who_comes_later_waits_behind_those_in_line() -> None:
    turns, order = Turns(), []

    async def one(name: str) -> None:
        await turns.take()
        order.append(name)

    async with asyncio.TaskGroup() as group:
        for number in range(3 * AT_ONCE):
            group.create_task(one(f"early {number}"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        group.create_task(one("late"))
    assert order[-1] == "late"


async def test_who_gives_up_waiting_holds_up_nobody() -> None:
    turns = Turns()
    async with asyncio.timeout(5):
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(turns.take()) for _ in range(3 * AT_ONCE)]
            await asyncio.sleep(0)
            for each in waiting[AT_ONCE : 2 * AT_ONCE + 1]:
                each.cancel()
        await turns.take()
    assert [each.cancelled() for each in waiting].count(True) == AT_ONCE + 1

"""What the asyncio tasks and the threads of the process are doing."""

import asyncio
import gc
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final

from media_service.monitoring.sliced import sliced

_LONGEST_STACK: Final = 100
_KEEPER: Final = "Tasks._keep"
"""What begins others anew: what those run is of interest."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code that something is at."""

    function: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.function} {self.file}:{self.line}"


def kind_of(task: asyncio.Task[Any]) -> str:
    """The function that it runs. Unlike its name, that says nothing of whose it is."""
    work: object = task.get_coro()
    if getattr(work, "__qualname__", "") == _KEEPER and isinstance(work, CoroutineType):
        work = work.cr_await or work
    return getattr(work, "__qualname__", type(work).__name__)


def kinds_of(tasks: Collection[asyncio.Task[Any]]) -> Counter[str]:
    """How many of them run which function."""
    return Counter(map(kind_of, tasks))


def stack_of(task: asyncio.Task[Any]) -> list[Place]:
    """Where it waits, from what it runs to what that waits in."""
    places: list[Place] = []
    work: object = task.get_coro()
    while work is not None and len(places) < _LONGEST_STACK:
        match work:
            case CoroutineType():
                frame, following = work.cr_frame, work.cr_await
            case GeneratorType():
                frame, following = work.gi_frame, work.gi_yieldfrom
            case AsyncGeneratorType():
                frame, following = work.ag_frame, work.ag_await
            case _:
                frame, following = None, _generator_behind(work)
        if frame is not None:
            places.append(_place(frame))
        work = following
    return places


def _generator_behind(awaited: object) -> object | None:
    """The async generator whose next item is awaited; None for a future, and whatever there is no more to see of."""
    if type(awaited).__name__ not in ("async_generator_asend", "async_generator_athrow"):
        return None
    # Python names it in no other way.
    return next((each for each in gc.get_referents(awaited) if isinstance(each, AsyncGeneratorType)), None)


async def grouped() -> AsyncIterator[str]:
    """One line per task, `goroutine …`, and how many wait at which place; the event loop gets its turn in between."""
    tasks = _tasks()
    places: Counter[str] = Counter()
    yield f"goroutine profile: total {len(tasks)}\n"
    async for number, task in sliced(enumerate(tasks, 1)):
        stack = stack_of(task)
        place = f"{kind_of(task)} at {stack[-1]}" if stack else kind_of(task)
        places[place] += 1
        yield f"goroutine {number} [{_state(task)}]: {place}\n"
    yield "\n"
    for place, count in places.most_common():
        yield f"{count} @ {place}\n"


async def in_full() -> AsyncIterator[str]:
    """The stack of every task and every thread; the event loop gets its turn in between."""
    async for number, task in sliced(enumerate(_tasks(), 1)):
        yield f"goroutine {number} [{_state(task)}]: {task.get_name()}\n{_text(stack_of(task))}\n"
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for identifier, frame in sys._current_frames().items():
        yield f"thread {identifier} [{names.get(identifier, 'not of Python')}]:\n{_text(_outer(frame))}\n"


def _tasks() -> list[asyncio.Task[Any]]:
    return sorted(asyncio.all_tasks(), key=kind_of)


def _state(task: asyncio.Task[Any]) -> str:
    if task.done():
        return "done"
    return "running" if task is asyncio.current_task() else "waiting"


def _outer(frame: FrameType | None) -> Iterator[Place]:
    """A thread's stack, innermost first, as for tasks it is the other way round."""
    while frame is not None:
        yield _place(frame)
        frame = frame.f_back


def _place(frame: FrameType) -> Place:
    code = frame.f_code
    return Place(code.co_qualname, code.co_filename, frame.f_lineno)


def _text(places: Collection[Place] | Iterator[Place]) -> str:
    return "".join(f"{place.function}()\n\t{place.file}:{place.line}\n" for place in places)

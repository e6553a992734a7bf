"""Points and what came of them."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.checklist.stack import Stack

TIMEOUT = 40.0
"""Seconds after which a point is given up."""


class Failed(Exception):
    """It is not as it should be; the text says how it is."""


class NotApplicable(Exception):
    """It cannot be looked at here, or belongs to something else; the text says why."""


class Status(StrEnum):
    PASS = "pass"
    FAIL = "FAIL"
    NOT_APPLICABLE = "n/a"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that has to be so."""

    title: str
    look: Callable[[Stack], Awaitable[str]]
    """Says what it saw. Raises `Failed`, `NotApplicable`, or whatever it did not expect."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the guide's list."""

    number: str
    title: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a point."""

    section: str
    point: str
    status: Status
    text: str
    """What was seen, or why it failed or does not apply."""
    seconds: float


async def looked_at(section: Section, stack: Stack) -> AsyncIterator[Result]:
    """The results of its points, each as soon as it is known."""
    for point in section.points:
        begin = time.perf_counter()
        status, text = await outcome(point, stack)
        yield Result(section.number, point.title, status, text, time.perf_counter() - begin)


async def outcome(point: Point, stack: Stack) -> tuple[Status, str]:
    """What comes of it, whatever happens."""
    try:
        async with asyncio.timeout(TIMEOUT):
            return Status.PASS, await point.look(stack)
    except NotApplicable as error:
        return Status.NOT_APPLICABLE, f"not applicable here: {error}"
    except Failed as error:
        return Status.FAIL, str(error)
    except TimeoutError:
        return Status.FAIL, f"nothing came of it within {TIMEOUT:g} s"
    except Exception as error:
        # Whatever is broken: the other points are still worth to be looked at.
        return Status.FAIL, f"{type(error).__name__}: {error}"

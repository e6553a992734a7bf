"""8.4, performance: figures of this run, on a machine that the browser shares. What depends on it is only stated."""

import asyncio
import re
import time
from collections import Counter
from typing import Final

from benchmarks.machine import cpu_seconds, resident_bytes
from benchmarks.measurement import quantile
from tests.checklist.point import Failed, NotApplicable, Point, Section
from tests.checklist.service import Service
from tests.checklist.stack import PHONE, PICTURE_RATE, Stack
from tests.checklist.watching import statistics

_SECONDS: Final = 2.0
_JOINS: Final = 20
_SESSIONS: Final = 100
_MOST_PER_SESSION: Final = 100_000
"""Bytes that a session may leave behind. While it is open it takes more."""
_PATIENCE: Final = 10.0


async def validation(_: Stack) -> str:
    raise NotApplicable("scripts/validate-all-optimizations.sh was the predecessor's; make test is in its place")


async def benchmark(_: Stack) -> str:
    raise NotApplicable("scripts/benchmark-performance.sh was the predecessor's; make bench lists those that there are")


async def pictures_per_second(stack: Stack) -> str:
    page = await stack.watching.page()
    before = await statistics(page, "video")
    await asyncio.sleep(_SECONDS)
    after = await statistics(page, "video")
    shown = after["framesDecoded"] - before["framesDecoded"] - after["framesDropped"] + before["framesDropped"]
    if not shown:
        raise Failed("no picture was shown")
    rate = shown * 1000 / (after["timestamp"] - before["timestamp"])
    return f"measured: {rate:.1f} of the {PICTURE_RATE} pictures/s that the phone draws are shown (goal: 50 to 60)"


async def delay(stack: Stack) -> str:
    page = await stack.watching.page()
    delays = sorted(await page.evaluate("delays", _SECONDS * 1000))
    if not delays:
        raise Failed("no picture was shown")
    return (
        f"measured: {quantile(delays, 0.5):.0f} ms p50, {quantile(delays, 0.95):.0f} ms p95 from drawing on the phone "
        f"to showing in the page, {len(delays)} pictures, by screenrecord (goal: below 50 ms)"
    )


async def processor(stack: Stack) -> str:
    await stack.watching.page()
    process_id = stack.service.process_id
    used, begin = cpu_seconds(process_id), time.monotonic()
    await asyncio.sleep(_SECONDS)
    share = (cpu_seconds(process_id) - used) / (time.monotonic() - begin)
    return f"measured: {share * 100:.1f} % of a core for one viewer (goal: below 20 %)"


async def tasks(stack: Stack) -> str:
    await stack.watching.page()
    service = stack.service
    before = await _tasks(service)
    other = await stack.watching.opened(stack.link(stack.nginx.address, PHONE, service.token()))
    try:
        joined = [await other.evaluate("join", PHONE) for _ in range(_JOINS)]
    finally:
        await other.context.close()
    after = await _settled(service, sessions=1, tasks=before)
    await stack.watching.leave()
    await _settled(service, sessions=0, tasks=before)
    live = sorted(each["live"] for each in joined)
    return (
        f"{_JOINS} joins by Chromium ({quantile(live, 0.5):.0f} ms p50 to live pictures): {before.total()} tasks "
        f"before, {after.total()} after, and no session left"
    )


async def _tasks(service: Service) -> Counter[str]:
    """How many asyncio tasks run which function, without those of HTTP connections, which nginx keeps open."""
    listed = (await service.ask("GET", "debug/pprof/goroutine?debug=1")).text
    kinds = re.findall(r"^goroutine \d+ \[\w+\]: (\S+)", listed, re.MULTILINE)
    return Counter(kind for kind in kinds if not kind.startswith("RequestHandler."))


async def memory(stack: Stack) -> str:
    service = stack.service
    await _open_and_close(service, _SESSIONS // 2)
    before = resident_bytes(service.process_id)
    await _open_and_close(service, _SESSIONS)
    left = resident_bytes(service.process_id) - before
    if left > _MOST_PER_SESSION * _SESSIONS:
        raise Failed(f"{_SESSIONS} sessions left {left / 1e6:.1f} MB behind")
    return f"{_SESSIONS} sessions opened and ended: {before / 1e6:.0f} MB before, {left / 1e6:+.1f} MB after"


async def _open_and_close(service: Service, count: int) -> None:
    token = service.token()
    for _ in range(count):
        answer = await service.ask("POST", "api/media/sessions", token=token, body={"deviceId": PHONE})
        if answer.status not in (200, 201):
            raise Failed(f"POST /sessions: {answer.status} {answer.text}")
        ended = await service.ask("DELETE", f"api/media/sessions/{answer.json()['sessionId']}", token=token)
        if ended.status != 200:
            raise Failed(f"DELETE /sessions/{{id}}: {ended.status} {ended.text}")
    await _settled(service, sessions=0)


async def _settled(service: Service, *, sessions: int, tasks: Counter[str] | None = None) -> Counter[str]:
    """The tasks as soon as so many sessions are open, and with `tasks` nothing runs that did not run then."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        found, running = await service.metrics(), await _tasks(service)
        is_open, more = found["media_service_active_sessions"], running - tasks if tasks is not None else Counter()
        if is_open == sessions and not more:
            return running
        if time.monotonic() > deadline:
            raise Failed(
                f"{is_open:.0f} sessions are open, {sessions} were expected; tasks that do not end: {dict(more)}"
            )
        await asyncio.sleep(0.05)


SECTION = Section(
    "8.4",
    "Performance",
    (
        Point("Validation script", validation),
        Point("Benchmarks", benchmark),
        Point("Pictures per second", pictures_per_second),
        Point("Delay", delay),
        Point("CPU", processor),
        Point("No task is left", tasks),
        Point("No memory is left", memory),
    ),
)

"""What the event loop's thread spent its time on, sampled by pyinstrument, and the forms in which it can be read."""

import asyncio
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from pyinstrument import Profiler
from pyinstrument.session import Session

from media_service.monitoring.sliced import sliced

_SHORTEST_INTERVAL: Final = 0.001
_MOST_SAMPLES: Final = 10_000
"""A longer profile is sampled less often: all samples are kept until its end."""
_RENDER_TIMEOUT: Final = 60.0

_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"


Sample = tuple[Sequence[str], float]
"""One look at the stack, outermost first, in pyinstrument's words: function, file and line, and then what else is
known; and the seconds that it stands for."""


@dataclass(frozen=True, slots=True)
class CpuProfile:
    """The samples in their order. Waiting for something to do counts as the event loop's own time."""

    samples: Sequence[Sample]
    began_at: float
    """Seconds since 1970."""
    seconds: float
    cpu_seconds: float
    """That the process took, all threads together."""
    stem: Sequence[str]
    """The stack that it was begun in; what all samples have in common with it, pyinstrument leaves out."""


async def take(seconds: float) -> CpuProfile:
    """Sample this thread for so long."""
    interval = max(_SHORTEST_INTERVAL, seconds / _MOST_SAMPLES)
    # Stacks as they are, whichever task runs: it is the loop that is looked at.
    profiler = Profiler(interval=interval, async_mode="disabled")
    profiler.start()
    try:
        await asyncio.sleep(seconds)
    finally:
        session = profiler.stop()
    return CpuProfile(
        session.frame_records, session.start_time, session.duration, session.cpu_time, session.start_call_stack
    )


async def speedscope(profile: CpuProfile, name: str) -> str:
    """As https://www.speedscope.app/ reads it, in the order of time."""
    frames: dict[str, int] = {}
    samples, weights = [], []
    async for stack, seconds in sliced(profile.samples):
        samples.append(json.dumps([frames.setdefault(_place(frame), len(frames)) for frame in stack]))
        weights.append(f"{seconds:.6f}")
    shared = [json.dumps(_described(frame)) async for frame in sliced(frames)]
    head = {"$schema": _SCHEMA, "exporter": "media-service", "name": name, "activeProfileIndex": 0}
    one = {
        "type": "sampled",
        "name": name,
        "unit": "seconds",
        "startValue": 0,
        "endValue": round(sum(map(float, weights)), 6),
    }
    return (
        f'{json.dumps(head)[:-1]}, "shared": {{"frames": [{", ".join(shared)}]}}, "profiles": [{json.dumps(one)[:-1]}, '
        f'"samples": [{", ".join(samples)}], "weights": [{", ".join(weights)}]}}]}}\n'
    )


async def page(profile: CpuProfile, form: Literal["html", "text"]) -> str:
    """As pyinstrument shows it. It works in a process of its own: in a thread it would hold up the event loop."""
    with TemporaryDirectory(prefix="media-service-") as folder:
        source, target = Path(folder) / "profile.json", Path(folder) / form
        content = await _session(profile)
        await asyncio.to_thread(source.write_text, content)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pyinstrument", "--load", str(source), "-r", form, "-o", str(target)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_RENDER_TIMEOUT):
                _, said = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            raise RuntimeError(f"pyinstrument ended with {process.returncode}: {said.decode(errors='replace')}")
        return await asyncio.to_thread(target.read_text)


async def _session(profile: CpuProfile) -> str:
    """The file that pyinstrument loads. Each stack is in it once: nothing that it shows depends on the order."""
    stacks: defaultdict[tuple[str, ...], float] = defaultdict(float)
    async for stack, seconds in sliced(profile.samples):
        stacks[tuple(stack)] += seconds
    records = [json.dumps(record) async for record in sliced(stacks.items())]
    session = Session(
        frame_records=[],
        start_time=profile.began_at,
        duration=profile.seconds,
        min_interval=_SHORTEST_INTERVAL,
        max_interval=_SHORTEST_INTERVAL,
        sample_count=len(profile.samples),
        start_call_stack=list(profile.stem),
        target_description="media-service",
        cpu_time=profile.cpu_seconds,
        sys_path=sys.path,
        sys_prefixes=Session.current_sys_prefixes(),
    )
    head = json.dumps(session.to_json(include_frame_records=False))
    return f'{head[:-1]}, "frame_records": [{", ".join(records)}]}}'


def _place(frame: str) -> str:
    """A frame's function, file and line without what differs from call to call."""
    place, _, attributes = frame.partition("\x01")
    owner = next((each[1:] for each in attributes.split("\x01") if each.startswith("c")), "")
    return f"{owner}.{place}" if owner else place


def _described(place: str) -> dict[str, str | int]:
    function, file, line = [*place.split("\x00"), "", ""][:3]
    return {"name": function, "file": file, "line": int(line) if line.isdecimal() else 0}

"""The stage of capture alone: a process that captures phones and does nothing with what comes, over one window."""

import json
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from benchmarks.child import child
from benchmarks.machine import Cores
from benchmarks.phones import Phones

_TIMEOUT = 120.0
"""Seconds for all but the window: opening the phones, and looking at what came."""


class Way(StrEnum):
    """A way to capture."""

    BYTES = "bytes"
    """The recorder's, looked at by nobody: what receiving costs, and when they are here at all."""
    SCREENRECORD = "screenrecord"
    SCRCPY_3 = "scrcpy-3.3.4"
    SCRCPY_3_SOUND = "scrcpy-3.3.4-sound"
    SCRCPY_4 = "scrcpy-4.1"
    SCRCPY_4_SOUND = "scrcpy-4.1-sound"
    RAWVIDEO = "rawvideo"
    SCREENCAP = "screencap"

    @property
    def is_coded_here(self) -> bool:
        """Whether the phone sends bare pixels."""
        return self in (Way.RAWVIDEO, Way.SCREENCAP)

    @property
    def has_sound(self) -> bool:
        return self in (Way.SCRCPY_3_SOUND, Way.SCRCPY_4_SOUND)

    @property
    def scrcpy_version(self) -> str | None:
        """Of the server; None for other ways."""
        name, _, rest = self.value.partition("-")
        return rest.removesuffix("-sound") if name == "scrcpy" else None


@dataclass(frozen=True, slots=True)
class Flow:
    """The pictures, or the packets of sound, of all phones together. Latencies in seconds."""

    arrived: int
    """In the window."""
    latency_p50: float
    """From the last byte on the wire to adb to the piece handed on: adb's own part is in it.

    Of pixels that are coded here: from the last byte read.
    """
    latency_p99: float
    latency_maximum: float
    put_out: int
    """Pieces of the whole run that the phones' encoders put out and that had to arrive; 0 where that is not known."""
    lost: int
    """Of these, how many did not arrive."""
    foreign: int
    """Pieces that arrived and were not put out like that: cut, or come twice."""


@dataclass(frozen=True, slots=True)
class CaptureStage:
    """What the window showed."""

    way: Way
    phones: int
    seconds: float
    core: float
    """Share of its core that the process used."""
    waited: float
    """Share of the time in which it was ready and something else had its core."""
    adb_core: float
    """Share of a core that the adb server used."""
    pictures: Flow
    sound: Flow | None
    dropped: int
    """What the sources say they left out: of pixels that are coded here, frames that a newer one overtook."""
    sample: int
    """Pictures of one phone that were given to a decoder."""
    decoded: int
    """Pictures that it made of them."""

    @property
    def problems(self) -> list[str]:
        """What was lost or cut."""
        flows = {"pictures": self.pictures, "packets of sound": self.sound}
        problems = [
            f"of {flow.put_out} {name} {flow.lost} were lost, and {flow.foreign} came that were not put out"
            for name, flow in flows.items()
            if flow is not None and (flow.lost or flow.foreign)
        ]
        if self.decoded != self.sample:
            problems.append(f"of one phone's {self.sample} pictures the decoder made {self.decoded}")
        return problems


def run_stage(way: Way, phones: Phones, cores: Cores, seconds: float, settle: float = 1.5) -> CaptureStage:
    """Capture `phones` in a process on the sender's core, over a window that begins `settle` seconds after all flow.

    Raises `BenchmarkError`.
    """
    numbers = map(str, (phones.adb_port, phones.adb_process, settle, seconds))
    arguments = [way.name, *numbers, *phones.serials]
    command = [sys.executable, "-m", "benchmarks.capturing", *arguments]
    with child(command, cores.sender, name=f"capturing by {way}") as stage:
        stage.wait_until(lambda: _result(stage.printed()) is not None, _TIMEOUT + seconds)
        result = _result(stage.printed())
        if result is None:
            raise stage.trouble("lost its result")
    return result


def serialize(stage: CaptureStage) -> str:
    """The line that `run_stage` reads."""
    return json.dumps(asdict(stage))


def _result(printed: str) -> CaptureStage | None:
    """What the last whole line says; others are warnings."""
    lines = printed.split("\n")[:-1]
    return parse(lines[-1]) if lines and lines[-1].startswith("{") else None


def parse(line: str) -> CaptureStage:
    """The stage that `serialize` made the line of."""
    fields: dict[str, Any] = json.loads(line)
    fields["way"] = Way(fields["way"])
    fields["pictures"] = Flow(**fields["pictures"])
    fields["sound"] = fields["sound"] and Flow(**fields["sound"])
    return CaptureStage(**fields)

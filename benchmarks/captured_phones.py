"""What a phone costs that is captured through a real adb and watched by one viewer, stage by stage.

The stages are measured by leaving work out: first a process that only captures, then the whole service. Both times
the same phones send the same pictures.
"""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.capture_stage import Way, run_stage
from benchmarks.machine import Cores
from benchmarks.measurement import Measurement, measure
from benchmarks.phones import phones
from benchmarks.receivers import receivers
from benchmarks.sender import media_service
from benchmarks.table import table
from benchmarks.viewer import PLAYER

_JOIN_TIMEOUT = 20.0


@dataclass(frozen=True, slots=True)
class CapturedPhones:
    """Shares of a core per phone."""

    phones: int
    adb_server: float
    """The adb server's process, which copies the bytes from the phone's connection to ours."""
    capture: float
    """Reading, parsing, the quiet-flush: the process that only captures."""
    service: float
    """The whole service with one viewer per phone."""
    capture_pictures_per_second: float
    """Of each phone, in the capturing process."""
    watched: Measurement

    @property
    def rest(self) -> float:
        """What is left of the service: streams, packets, encryption, sending, feedback."""
        return self.service - self.capture


def run(count: int, clip: Path, cores: Cores, seconds: float) -> CapturedPhones:
    """Measure `count` phones for `seconds` each time. Raises `BenchmarkError`."""
    with phones(clip, count, cores) as captured:
        stage = run_stage(Way.SCREENRECORD, captured, cores, seconds)
        environment = {"ANDROID_ADB_SERVER_PORT": str(captured.adb_port)}
        with media_service({}, cores, environment) as sender, receivers(cores) as viewers:
            watched = measure(
                sender,
                viewers,
                streams=captured.serials,
                viewers_per_stream=1,
                kind=PLAYER,
                join_seconds=min(10.0, 0.2 * count),
                join_timeout=_JOIN_TIMEOUT,
                seconds=seconds,
                clip=clip,
            )
    return CapturedPhones(
        phones=count,
        adb_server=stage.adb_core / count,
        capture=stage.core / count,
        service=watched.sender_core / count,
        capture_pictures_per_second=stage.pictures.arrived / stage.seconds / count,
        watched=watched,
    )


def print_captured(result: CapturedPhones) -> None:
    """Milliseconds of CPU per second and phone; a thousand would be a core."""
    stages = {
        "service: capture (read, parse, quiet-flush)": result.capture,
        "service: all the rest (packets, SRTP, sending, feedback)": result.rest,
        "service, sum": result.service,
        "adb server": result.adb_server,
    }
    per_picture = result.watched.pictures_per_second / result.phones
    rows = [(name, share * 1e3, share * 1e6 / per_picture) for name, share in stages.items()]
    print(f"{result.phones} phones through adb, one viewer each, {per_picture:.1f} pictures/s each:")
    print(table(("stage", "ms/s per phone", "us per picture"), rows))

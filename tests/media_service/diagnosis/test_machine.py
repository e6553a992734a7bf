"""What is said of the machine."""

import os
import resource
from pathlib import Path

import pytest

from media_service.diagnosis.finding import Status
from media_service.diagnosis.machine import WANTED_FILES, check, clock, open_files
from media_service.settings import Settings

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("now", "status", "verdict"),
    [
        (NOW, (0, 0), Status.OK),
        (NOW, (1, 0x2001), Status.OK),
        (NOW, (5, 0x40), Status.WARNING),
        (NOW, (0, 0x40), Status.WARNING),
        (NOW, None, Status.INFO),
        (0.0, (0, 0), Status.PROBLEM),
        (86_400.0 * 365, None, Status.PROBLEM),
    ],
)
def test_the_clock(now: float, status: tuple[int, int] | None, verdict: Status) -> None:
    finding = clock(now, status)
    assert finding.status is verdict
    assert bool(finding.remedy) == (verdict in (Status.WARNING, Status.PROBLEM))


@pytest.mark.parametrize(
    ("soft", "hard", "verdict", "said"),
    [
        (WANTED_FILES, WANTED_FILES, Status.OK, "65536 files"),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, Status.OK, "any number of files"),
        (1024, 1_048_576, Status.WARNING, "1024 files"),
        (1024, resource.RLIM_INFINITY, Status.WARNING, "1024 files"),
        (1024, 4096, Status.WARNING, "1024 files"),
    ],
)
def test_open_files(soft: int, hard: int, verdict: Status, said: str) -> None:
    finding = open_files(soft, hard)
    assert finding.status is verdict
    assert finding.text.startswith(said)
    assert ("limits.conf" in finding.remedy) == (hard == 4096)


async def test_this_machine() -> None:
    time, files, log = await check(Settings())
    assert time.text.startswith("the clock shows 20")
    # Whether it is synchronised differs; the kernel can be asked in any case.
    assert time.status in (Status.OK, Status.WARNING)
    assert files.text.endswith("recommended for many viewers" if files.remedy else "files may be open")
    assert log.status is Status.INFO


async def test_a_log_file(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    settings = Settings(enable_file_logging=True, log_file=path, log_file_max_bytes=1000)
    assert (await check(settings))[2].status is Status.OK
    assert not path.exists()
    path.write_text("a line\n")
    assert (await check(settings))[2].status is Status.OK
    assert path.read_text() == "a line\n"
    assert os.listdir(tmp_path) == ["app.log"]


async def test_a_log_that_has_no_room(tmp_path: Path) -> None:
    settings = Settings(
        enable_file_logging=True, log_file=tmp_path / "app.log", log_file_max_bytes=2**40, log_file_backups=1000
    )
    finding = (await check(settings))[2]
    assert finding.status is Status.WARNING
    assert finding.remedy.startswith("make room")


async def test_a_log_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    settings = Settings(enable_file_logging=True, log_file=folder / "app.log")
    folder.rmdir()
    finding = (await check(settings))[2]
    assert finding.status is Status.PROBLEM
    assert finding.text.endswith("cannot be written: No such file or directory")
